-- Rows are written one by one, in WAL mode with synchronous=FULL.
-- open: PRAGMA synchronous = FULL
== before
PRAGMA journal_mode = WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2);
== faults
INSERT INTO t VALUES (3, 'three', 3), (4, 'four', 4);
UPDATE t SET a = 'changed' WHERE k = 1;
DELETE FROM t WHERE k = 2;
REPLACE INTO t VALUES (3, 'again', 33);
INSERT INTO t VALUES (4, 'x', 0) ON CONFLICT(k) DO UPDATE SET b = 44;
UPDATE t SET k = 10 WHERE k = 1;
== after
INSERT INTO t VALUES (2, 'two is back', 2);
SELECT count(*) FROM crsql_changes;
