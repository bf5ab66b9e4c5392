-- The schema becomes what a text says: a column and a table come, an index goes.
== before
PRAGMA journal_mode = WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT);
CREATE INDEX t_a ON t(a);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one');
== faults
SELECT crsql_automigrate('CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b DEFAULT 2);
  CREATE TABLE u(k TEXT PRIMARY KEY NOT NULL, v);
  SELECT crsql_as_crr(''t''); SELECT crsql_as_crr(''u'');');
UPDATE t SET b = 3;
INSERT INTO u VALUES ('x', 'y');
== after
UPDATE t SET a = 'after';
