-- The same in WAL mode, with a checkpoint when the log has a few pages.
-- busy: a checkpoint says that it did nothing
-- open: PRAGMA cache_size = 4
-- open: PRAGMA cache_spill = 2
-- open: PRAGMA wal_autocheckpoint = 8
== before
PRAGMA journal_mode = WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a, b);
SELECT crsql_as_crr('t');
== faults
BEGIN;
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
INSERT INTO t SELECT i * 37 % 61, zeroblob(400), i FROM n;
SAVEPOINT s;
UPDATE t SET b = -b;
ROLLBACK TO s;
DELETE FROM t WHERE k % 5 = 0;
COMMIT;
PRAGMA wal_checkpoint;
UPDATE t SET b = 7 WHERE k = 7;
== after
UPDATE t SET a = 1 WHERE k = 1;
