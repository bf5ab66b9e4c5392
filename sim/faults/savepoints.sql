-- Savepoints within savepoints, rolled back and released, with reads of the feed between.
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one');
== faults
SAVEPOINT a;
UPDATE t SET v = 'a' WHERE k = 1;
SAVEPOINT b;
INSERT INTO t VALUES (2, 'b');
SELECT count(*) FROM crsql_changes;
SAVEPOINT c;
DELETE FROM t;
ROLLBACK TO c;
INSERT INTO t VALUES (3, 'c');
RELEASE c;
ROLLBACK TO b;
INSERT INTO t VALUES (4, 'after b');
RELEASE a;
BEGIN;
INSERT INTO t VALUES (5, 'never');
SELECT max(seq) FROM crsql_changes;
ROLLBACK;
UPDATE t SET v = 'last';
== after
INSERT INTO t VALUES (6, 'six');
