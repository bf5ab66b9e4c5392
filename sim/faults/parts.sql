-- One large transaction comes in parts, which are applied when all are there.
== before
PRAGMA journal_mode = WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
.keep nothing SELECT crsql_vector()
== peer
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
INSERT INTO t SELECT i, hex(zeroblob(60)) FROM n;
.keep first SELECT crsql_changeset(:nothing, 1500)
== before
SELECT crsql_apply(:first);
.keep had SELECT crsql_vector()
== peer
.keep second SELECT crsql_changeset(:had, 1500)
.keep rest SELECT crsql_changeset(:nothing)
== faults
SELECT crsql_apply(:second) ->> '$.applied';
SELECT count(*) FROM t;
SELECT crsql_apply(:rest) ->> '$.applied' > 0;
SELECT count(*) FROM t;
== after
UPDATE t SET v = 'short';
