-- ALTER without ceremony: a column comes, one is renamed, and the table is.
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2);
== faults
ALTER TABLE t ADD COLUMN c TEXT DEFAULT 'new';
UPDATE t SET c = 'set' WHERE k = 1;
ALTER TABLE t RENAME COLUMN b TO bee;
UPDATE t SET bee = 3;
ALTER TABLE t RENAME TO tee;
INSERT INTO tee VALUES (3, 'three', 3, 'c');
SELECT count(*) FROM crsql_changes;
== after
UPDATE tee SET a = 'after';
SELECT crsql_vector() IS NOT NULL;
