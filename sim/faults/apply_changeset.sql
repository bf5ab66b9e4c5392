-- A changeset of several tables: births, changes, deaths and a changed key.
== before
PRAGMA journal_mode = WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b);
CREATE TABLE u(x TEXT NOT NULL, y BLOB NOT NULL, z, PRIMARY KEY(x, y));
CREATE INDEX t_a ON t(a);
SELECT crsql_as_crr('t'), crsql_as_crr('u');
INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2);
.keep all SELECT crsql_changeset()
== peer
PRAGMA journal_mode = WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b);
CREATE TABLE u(x TEXT NOT NULL, y BLOB NOT NULL, z, PRIMARY KEY(x, y));
SELECT crsql_as_crr('t'), crsql_as_crr('u');
SELECT crsql_apply(:all);
INSERT INTO u VALUES ('a', x'01', 1), ('b', x'02', 2);
UPDATE t SET a = 'theirs' WHERE k = 1;
DELETE FROM t WHERE k = 2;
INSERT INTO t VALUES (3, 'three', 3), (4, 'four', 4);
UPDATE t SET k = 40 WHERE k = 4;
.keep theirs SELECT crsql_changeset()
== faults
SELECT crsql_apply(:theirs) ->> '$.applied';
SELECT crsql_apply(:theirs) ->> '$.applied';
== after
UPDATE t SET b = 'mine';
