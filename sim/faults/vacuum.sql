-- VACUUM copies the whole file through a temporary one.
== before
CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
INSERT INTO t SELECT 'key ' || i, zeroblob(500) FROM n;
DELETE FROM t WHERE k > 'key 12';
== faults
VACUUM;
UPDATE t SET v = 'changed' WHERE k = 'key 1';
== after
INSERT INTO t VALUES ('new', 'row');
