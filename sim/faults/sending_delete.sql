-- The same with a rollback journal: a mark is written with synchronous=FULL first.
-- busy: nothing is sent that is not on the disk
-- open: PRAGMA synchronous = NORMAL
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a, b);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3);
== faults
SELECT crsql_changeset_info(crsql_changeset()) ->> '$.cells';
INSERT INTO t VALUES (4, 'four', 4);
SELECT crsql_vector() ->> ('$.seen.' || lower(hex(crsql_site_id())));
PRAGMA synchronous;
INSERT INTO t VALUES (5, 'five', 5);
SELECT count(*) FROM crsql_changes;
== after
INSERT INTO t VALUES (6, 'six', 6);
