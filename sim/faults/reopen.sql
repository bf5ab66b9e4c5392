-- The file is closed and opened; the first statement reads schema, register and identity.
== before
PRAGMA journal_mode = WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one');
== faults
.reopen
INSERT INTO t VALUES (2, 'two');
.reopen
SELECT crsql_vector() IS NOT NULL;
.reopen
SELECT count(*) FROM crsql_changes;
.reopen
== after
INSERT INTO t VALUES (3, 'three');
