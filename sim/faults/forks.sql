-- A copy of the file has written as the same site: both versions are kept, one is issued again.
-- leaves: forked
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one'), (2, 'two');
== peer
.copy
.later 60000
UPDATE t SET v = 'the copy' WHERE k = 1;
INSERT INTO t VALUES (3, 'the copy');
.keep theirs SELECT crsql_changeset()
.keep vector SELECT crsql_vector()
== before
UPDATE t SET v = 'the first' WHERE k = 1;
INSERT INTO t VALUES (4, 'the first');
== faults
SELECT crsql_apply(:theirs) ->> '$.applied' IS NOT NULL;
SELECT crsql_vector() IS NOT NULL;
UPDATE t SET v = 'after' WHERE k = 2;
SELECT crsql_changeset(:vector) IS NOT NULL;
== after
INSERT INTO t VALUES (5, 'five');
