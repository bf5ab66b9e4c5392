-- A transaction larger than the cache: pages go to the file before the commit.
-- open: PRAGMA cache_size = 4
-- open: PRAGMA cache_spill = 2
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a, b);
CREATE INDEX t_b ON t(b);
SELECT crsql_as_crr('t');
== faults
BEGIN;
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
INSERT INTO t SELECT i * 37 % 61, zeroblob(400), i FROM n;
UPDATE t SET b = -b WHERE k % 2 = 0;
DELETE FROM t WHERE k % 5 = 0;
COMMIT;
== after
UPDATE t SET a = 1 WHERE k = 1;
