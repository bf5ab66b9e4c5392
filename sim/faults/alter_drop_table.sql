-- A replicated table is dropped, and one of its name is made.
-- leaves: dropped
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
CREATE TABLE u(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t'), crsql_as_crr('u');
INSERT INTO t VALUES (1, 'one');
INSERT INTO u VALUES (1, 'one');
== faults
DROP TABLE t;
SELECT crsql_vector() IS NOT NULL;
CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, other);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES ('x', 'y');
== after
UPDATE u SET v = 'after';
