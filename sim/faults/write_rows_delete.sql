-- The same kinds of writes with a rollback journal that is deleted, which is SQLite's default.
== before
CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, a TEXT, b) WITHOUT ROWID;
SELECT crsql_as_crr('t');
INSERT INTO t VALUES ('one', 'one', 1), ('two', 'two', 2);
== faults
INSERT INTO t VALUES ('three', 'three', 3) RETURNING a;
UPDATE t SET a = 'changed', b = NULL WHERE k = 'one';
DELETE FROM t;
INSERT INTO t VALUES ('one', 'a second life', 1);
UPDATE t SET k = 'uno' WHERE k = 'one';
== after
INSERT INTO t VALUES ('two', 'two is back', 2);
