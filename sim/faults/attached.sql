-- A transaction over two files, committed by a journal of their own.
== before
ATTACH 'other' AS other;
CREATE TABLE other.plain(k INTEGER PRIMARY KEY, v);
DETACH other;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one');
== faults
ATTACH 'other' AS other;
BEGIN;
INSERT INTO t VALUES (2, 'two');
INSERT INTO other.plain SELECT * FROM t WHERE k = 2 AND NOT EXISTS (SELECT 1 FROM other.plain);
UPDATE t SET v = 'both' WHERE k = 1;
COMMIT;
SELECT count(*) FROM other.plain;
DETACH other;
== after
INSERT INTO t VALUES (5, 'five');
