-- Temporary tables, and sorts that go to temporary files.
-- open: PRAGMA temp_store = FILE
-- open: PRAGMA cache_size = 5
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
INSERT INTO t SELECT i, i * 37 % 51 FROM n;
== faults
CREATE TEMP TABLE work AS SELECT k, v FROM t ORDER BY v DESC;
BEGIN;
UPDATE t SET v = (SELECT w.v + 1 FROM work w WHERE w.k = t.k) WHERE k % 7 = 0;
DELETE FROM t WHERE k IN (SELECT k FROM work WHERE v > 45);
COMMIT;
DROP TABLE work;
== after
INSERT INTO t VALUES (100, 'a hundred');
