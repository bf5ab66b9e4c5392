-- A table with more rows than the cache holds is made replicated.
-- open: PRAGMA cache_size = 6
-- open: PRAGMA cache_spill = 3
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b);
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO t SELECT i, 'row ' || i, zeroblob(40) FROM n;
== faults
SELECT crsql_as_crr('t');
== after
UPDATE t SET a = 'changed' WHERE k % 100 = 0;
