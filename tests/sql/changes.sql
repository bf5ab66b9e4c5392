-- crsql_changes: nine columns, in the order of version and place, and every filter answers right.
CREATE TABLE note(id INTEGER PRIMARY KEY, title TEXT, body TEXT);
CREATE TABLE tag(note INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY(note, name));
SELECT crsql_as_crr('note'), crsql_as_crr('tag');
INSERT INTO note VALUES (1, 'one', 'body'), (2, 'two', NULL);
INSERT INTO tag VALUES (1, 'red');
UPDATE note SET body = 'changed' WHERE id = 1;
DELETE FROM note WHERE id = 2;
.headers on
SELECT * FROM crsql_changes LIMIT 0;
SELECT "table", hex(pk), cid, quote(val) AS val, db_version, cl, seq FROM crsql_changes;
.headers off
.print -- all of one transaction carry one stamp; a sentinel's col_version is the causal length
SELECT db_version, count(DISTINCT iif(cid = '-1', NULL, col_version)), max(cid = '-1' AND col_version = cl)
  FROM crsql_changes GROUP BY db_version;
.print -- filters
SELECT count(*) FROM crsql_changes WHERE db_version > 1;
SELECT count(*) FROM crsql_changes WHERE db_version >= 2 AND db_version < 3;
SELECT count(*) FROM crsql_changes WHERE db_version BETWEEN 1 AND 2;
SELECT count(*) FROM crsql_changes WHERE db_version IN (1, 4);
SELECT count(*) FROM crsql_changes WHERE db_version != 1;
SELECT count(*) FROM crsql_changes WHERE db_version > 1.5;
SELECT count(*) FROM crsql_changes WHERE db_version > '1';
SELECT count(*) FROM crsql_changes WHERE site_id = crsql_site_id();
SELECT count(*) FROM crsql_changes WHERE site_id IS NOT crsql_site_id();
SELECT count(*) FROM crsql_changes WHERE site_id IS NULL;
SELECT cid, val FROM crsql_changes WHERE "table" = 'note' AND pk = crsql_pack_columns(1);
SELECT cid, val FROM crsql_changes WHERE "table" IS 'tag';
SELECT cid, val FROM crsql_changes WHERE cid = 'body';
SELECT val FROM crsql_changes WHERE val LIKE 'ch%';
.print -- order
SELECT db_version, seq FROM crsql_changes ORDER BY db_version DESC, seq DESC;
.print -- the hidden columns
SELECT count(*) FROM crsql_changes WHERE since = NULL;
SELECT count(*) FROM crsql_changes WHERE since = crsql_vector();
SELECT count(DISTINCT stamp), min(stamp) > 0 FROM crsql_changes;
.print -- the open transaction is in it
BEGIN;
INSERT INTO tag VALUES (1, 'blue');
SELECT "table", cid, db_version FROM crsql_changes WHERE db_version > 4;
ROLLBACK;
SELECT count(*) FROM crsql_changes WHERE db_version > 4;
.print -- it takes SELECT and INSERT only
UPDATE crsql_changes SET val = 'x';
DELETE FROM crsql_changes;
INSERT INTO crsql_changes VALUES ('note', x'', 'title', 'x', 1, 1, randomblob(16), 1, 0);
INSERT INTO crsql_changes VALUES ('note', x'010901', 'title', 'x', 1, 1, x'00', 1, 0);
INSERT INTO crsql_changes VALUES ('note', x'010901', 'title', 'x', 1, 0, randomblob(16), 1, 0);
INSERT INTO crsql_changes VALUES ('note', x'010901', 'title', 'x', 1, 1, randomblob(16), 2, 0);
INSERT INTO crsql_changes VALUES ('note', x'010901', 'title', 'x', 'new', 1, randomblob(16), 1, 0);
