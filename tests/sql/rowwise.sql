-- Two files, synced row by row as with cr-sqlite; a third file carries the rows.
.open a.db
.load $LIB
CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT);
SELECT crsql_as_crr('note');
INSERT INTO note VALUES ('n1', 'one', 'from A'), ('n2', 'two', 'from A');
ATTACH 'carrier.db' AS carrier;
CREATE TABLE carrier.sent AS SELECT * FROM crsql_changes WHERE db_version > 0;
CREATE TABLE carrier.vector AS SELECT crsql_vector() AS v;
.print -- B had a row of its own; it merges what came
.open b.db
.load $LIB
CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT);
SELECT crsql_as_crr('note');
INSERT INTO note VALUES ('n2', 'two', 'from B, later'), ('n3', 'three', 'from B');
ATTACH 'carrier.db' AS carrier;
BEGIN;
INSERT INTO crsql_changes SELECT * FROM carrier.sent;
SELECT crsql_rows_impacted();
COMMIT;
SELECT * FROM note ORDER BY id;
.print -- the changes keep their site and version; a cell that lost is not sent on
SELECT "table", hex(pk), cid, db_version FROM crsql_changes WHERE site_id != crsql_site_id();
SELECT count(*) FROM crsql_changes WHERE site_id = crsql_site_id();
.print -- rows alone grant no coverage; crsql_seen() does, once all of them are in
SELECT json_array_length(json_group_array(key)) FROM json_each(crsql_vector(), '$.seen');
SELECT crsql_seen(v) FROM carrier.vector;
SELECT json_array_length(json_group_array(key)) FROM json_each(crsql_vector(), '$.seen');
.print -- again: nothing changes
INSERT INTO crsql_changes SELECT * FROM carrier.sent;
SELECT crsql_db_version(), count(*) FROM note;
.print -- and back to A, everything that A has not seen
CREATE TABLE carrier.back AS
  SELECT * FROM crsql_changes WHERE since = (SELECT v FROM carrier.vector);
CREATE TABLE carrier.digest AS SELECT crsql_digest() AS d;
.open a.db
.load $LIB
ATTACH 'carrier.db' AS carrier;
INSERT INTO crsql_changes SELECT * FROM carrier.back;
SELECT * FROM note ORDER BY id;
SELECT crsql_digest() = d FROM carrier.digest;
