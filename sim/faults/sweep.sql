-- Rows are written again and again: entries of the log that say nothing any more are swept.
== before
PRAGMA journal_mode = WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
INSERT INTO t SELECT i, 0 FROM n;
UPDATE t SET v = 1;
UPDATE t SET v = 2 WHERE k > 100;
== faults
UPDATE t SET v = 3;
UPDATE t SET v = 4 WHERE k < 150;
DELETE FROM t WHERE k > 20;
UPDATE t SET v = 5;
== after
INSERT INTO t VALUES (1000, 0);
