-- A journal that is truncated, and a transaction of several statements.
-- open: PRAGMA journal_mode = TRUNCATE
== before
CREATE TABLE t(a INTEGER NOT NULL, b TEXT NOT NULL, c, PRIMARY KEY(a, b));
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'x', 1), (1, 'y', 2), (2, 'x', 3);
== faults
BEGIN;
UPDATE t SET c = c + 1 WHERE a = 1;
DELETE FROM t WHERE b = 'y';
INSERT INTO t VALUES (3, 'z', x'00ff');
SELECT crsql_next_db_version() - crsql_db_version();
COMMIT;
BEGIN IMMEDIATE;
UPDATE OR REPLACE t SET a = 1 WHERE a = 2;
SELECT count(*) FROM crsql_changes;
COMMIT;
== after
UPDATE t SET c = 'later';
