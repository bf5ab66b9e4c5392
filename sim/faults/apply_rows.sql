-- Changes arrive row by row in one transaction, as cr-sqlite's users send them.
== before
PRAGMA journal_mode = WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'mine', 1), (2, 'mine', 2);
.keep all SELECT crsql_changeset()
== peer
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b);
SELECT crsql_as_crr('t');
SELECT crsql_apply(:all);
UPDATE t SET a = 'theirs' WHERE k = 1;
DELETE FROM t WHERE k = 2;
INSERT INTO t VALUES (3, 'three', 3);
.rows theirs SELECT * FROM crsql_changes
.keep vector SELECT crsql_vector()
== faults
BEGIN;
.each theirs INSERT INTO crsql_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
SELECT crsql_seen(:vector);
COMMIT;
== after
UPDATE t SET b = 'mine';
