-- Table, replication and rows in one transaction, and once more in one that is rolled back.
== before
PRAGMA journal_mode = WAL;
== faults
BEGIN;
CREATE TABLE a(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('a');
INSERT INTO a VALUES (1, 'one');
COMMIT;
BEGIN;
CREATE TABLE b(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('b');
INSERT INTO b VALUES (1, 'one');
ROLLBACK;
CREATE TABLE b(k TEXT PRIMARY KEY NOT NULL, w);
SELECT crsql_as_crr('b');
INSERT INTO b VALUES ('x', 'y');
== after
INSERT INTO a VALUES (2, 'two');
