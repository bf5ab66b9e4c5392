-- Columns go and come between crsql_begin_alter and crsql_commit_alter.
-- leaves: altering
== before
PRAGMA journal_mode = WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b, c);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one', 1, 'c'), (2, 'two', 2, 'c');
== faults
BEGIN;
SELECT crsql_begin_alter('t');
ALTER TABLE t DROP COLUMN b;
ALTER TABLE t ADD COLUMN d INTEGER DEFAULT 4;
UPDATE t SET d = 5 WHERE k = 1;
SELECT crsql_commit_alter('t');
COMMIT;
SELECT crsql_begin_alter('t');
ALTER TABLE t DROP COLUMN c;
SELECT crsql_commit_alter('t');
== after
UPDATE t SET a = 'after';
