-- A changeset inside a transaction that writes too, with a journal that is deleted and a small cache.
-- open: PRAGMA cache_size = 5
-- open: PRAGMA cache_spill = 2
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2);
== peer
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b);
SELECT crsql_as_crr('t');
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
INSERT INTO t SELECT i, 'theirs', zeroblob(300) FROM n;
DELETE FROM t WHERE k = 2;
.keep theirs SELECT crsql_changeset()
== faults
BEGIN;
UPDATE t SET a = 'mine' WHERE k = 1;
SELECT crsql_apply(:theirs) ->> '$.superseded';
INSERT INTO t VALUES (100, 'a hundred', 100);
SELECT crsql_rows_impacted();
COMMIT;
== after
UPDATE t SET b = 'mine';
