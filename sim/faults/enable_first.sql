-- The first table of a file: crsql makes its own tables and the file's identity.
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b REAL DEFAULT 1.5);
== faults
SELECT crsql_as_crr('t');
SELECT length(crsql_site_id());
INSERT INTO t(k, a) VALUES (1, 'one');
== after
INSERT INTO t(k, a) VALUES (2, 'two');
