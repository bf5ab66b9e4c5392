-- A table built anew by the twelve steps that SQLite's documents tell.
-- leaves: triggers
-- leaves: clock
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b);
CREATE INDEX t_a ON t(a);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2);
== faults
BEGIN;
CREATE TABLE t_new(k INTEGER PRIMARY KEY NOT NULL, a TEXT NOT NULL DEFAULT '', b, c);
INSERT INTO t_new(k, a, b) SELECT k, a, b FROM t;
DROP TABLE t;
ALTER TABLE t_new RENAME TO t;
CREATE INDEX t_a ON t(a);
SELECT crsql_as_crr('t');
UPDATE t SET c = 'new' WHERE k = 2;
COMMIT;
== after
UPDATE t SET a = 'after';
