-- Changes for a table and a column that are not here are held, and applied when they are.
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'mine');
== peer
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, colour TEXT);
CREATE TABLE u(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t'), crsql_as_crr('u');
INSERT INTO t VALUES (1, 'theirs', 'red'), (2, 'theirs', 'blue');
INSERT INTO u VALUES (7, 'seven');
.keep theirs SELECT crsql_changeset()
== faults
SELECT crsql_apply(:theirs) ->> '$.held';
BEGIN;
ALTER TABLE t ADD COLUMN colour TEXT;
CREATE TABLE u(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('u');
COMMIT;
SELECT crsql_vector() IS NOT NULL;
SELECT count(*) FROM crsql_held;
== after
UPDATE t SET colour = 'green';
