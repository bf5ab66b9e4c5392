-- Reading: the feed with filters and orders, digest, check, peers, in WAL mode.
== before
PRAGMA journal_mode = WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a, b);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3);
UPDATE t SET a = 'uno' WHERE k = 1;
DELETE FROM t WHERE k = 2;
== faults
SELECT "table", pk, cid, val, db_version, cl, seq FROM crsql_changes;
SELECT cid, val FROM crsql_changes WHERE "table" = 't' AND pk = crsql_pack_columns(1) ORDER BY val;
SELECT count(*) FROM crsql_changes a JOIN crsql_changes b ON a.pk = b.pk AND a.cid <> b.cid;
SELECT cid FROM crsql_changes WHERE db_version > 1 AND site_id = crsql_site_id() ORDER BY cl DESC;
SELECT count(*) FROM crsql_changes WHERE since IS NULL;
SELECT crsql_digest(), crsql_digest('t', 'all');
SELECT count(*) FROM crsql_check();
SELECT count(*) FROM crsql_peers;
== after
INSERT INTO t VALUES (4, 'four', 4);
