-- A file takes a new identity between writes, in a transaction and out of one.
== before
PRAGMA journal_mode = WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one');
== faults
SELECT length(crsql_new_site());
INSERT INTO t VALUES (2, 'two');
BEGIN;
INSERT INTO t VALUES (3, 'three');
COMMIT;
SELECT length(crsql_new_site()), crsql_db_version();
UPDATE t SET v = 'again';
SELECT count(*) FROM crsql_site_id;
== after
INSERT INTO t VALUES (4, 'four');
