-- A journal that stays with its head wiped out, and a file that shrinks as it empties.
-- open: PRAGMA journal_mode = PERSIST
== before
PRAGMA auto_vacuum = FULL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a BLOB);
SELECT crsql_as_crr('t');
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30)
INSERT INTO t SELECT i, zeroblob(3000) FROM n;
== faults
DELETE FROM t WHERE k > 3;
INSERT INTO t VALUES (100, zeroblob(9000));
== after
DELETE FROM t;
