-- Statements that fail half-way for reasons of their own: the fault meets what SQLite takes back.
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v CHECK (v < 100));
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 1), (2, 2), (3, 3);
== faults
INSERT INTO t VALUES (10, 10), (11, 11), (1, 1);
INSERT OR IGNORE INTO t VALUES (10, 10), (1, 1), (11, 500);
UPDATE t SET v = v + 97;
BEGIN;
INSERT OR FAIL INTO t VALUES (20, 20), (1, 1), (21, 21);
UPDATE t SET v = 50 WHERE k = 20;
COMMIT;
BEGIN;
DELETE FROM t WHERE k = 3;
INSERT OR ROLLBACK INTO t VALUES (30, 30), (1, 1);
INSERT INTO t VALUES (31, 31);
== after
INSERT INTO t VALUES (40, 40);
