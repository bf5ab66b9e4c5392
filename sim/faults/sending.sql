-- Own versions are put on the disk before they are sent, in WAL mode with synchronous=NORMAL.
-- open: PRAGMA synchronous = NORMAL
== before
PRAGMA journal_mode = WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a, b);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3);
== peer
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a, b);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (9, 'theirs', 9);
.keep theirs SELECT crsql_vector()
== faults
SELECT crsql_changeset_info(crsql_changeset()) ->> '$.cells';
INSERT INTO t VALUES (4, 'four', 4);
SELECT crsql_changeset_info(crsql_changeset(:theirs)) ->> '$.cells';
INSERT INTO t VALUES (5, 'five', 5);
SELECT count(*) FROM crsql_changes;
SELECT crsql_vector() ->> '$.site' = lower(hex(crsql_site_id()));
SELECT crsql_changeset_info(crsql_changeset(:theirs, 1)) ->> '$.cells';
== after
INSERT INTO t VALUES (6, 'six', 6);
