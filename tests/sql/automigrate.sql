-- A schema in one text, changed twice; then errors, which change nothing.
.print -- from nothing
SELECT crsql_automigrate('
CREATE TABLE IF NOT EXISTS note (id INTEGER PRIMARY KEY NOT NULL, title TEXT, body TEXT);
CREATE TABLE IF NOT EXISTS "tag; or so" (name TEXT PRIMARY KEY NOT NULL);
CREATE INDEX IF NOT EXISTS note_title ON note (title);
SELECT crsql_as_crr(''note'');
SELECT crsql_as_crr(''tag; or so'');');
INSERT INTO note VALUES (1, 'one', 'old'), (2, 'two', 'old');
UPDATE note SET title = 'ONE' WHERE id = 1;
INSERT INTO "tag; or so" VALUES ('x');
CREATE TEMP TABLE before AS
  SELECT * FROM crsql_changes WHERE "table" = 'note' AND cid <> 'body';
.print -- a column goes, two come, a table goes, a table comes, an index changes
CREATE TEMP TABLE schema AS SELECT '
CREATE TABLE note (
  id INTEGER PRIMARY KEY NOT NULL, -- the key
  title TEXT,
  stars INTEGER NOT NULL DEFAULT 3,
  loud TEXT AS (upper(title))
);
CREATE TABLE mark (note INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (note, at));
CREATE UNIQUE INDEX mark_at ON mark (at);
CREATE INDEX note_title ON note (title, stars);
SELECT crsql_as_crr(''note'');' AS sql;
.print -- (a SELECT that reads a table cannot drop one)
SELECT crsql_automigrate(sql) FROM schema;
.once schema.sql
SELECT 'SELECT crsql_automigrate(' || quote(sql) || ', ' ||
  quote('INSERT INTO mark VALUES (1, 10); SELECT crsql_finalize();') || ');' FROM schema;
.read schema.sql
SELECT * FROM note;
SELECT * FROM mark;
SELECT name FROM sqlite_schema
  WHERE tbl_name NOT LIKE 'crsql%' AND name NOT LIKE 'crsql%' AND sql IS NOT NULL ORDER BY name;
SELECT count(*) FROM (SELECT * FROM before EXCEPT SELECT * FROM crsql_changes);
SELECT count(*) FROM (SELECT * FROM crsql_changes EXCEPT SELECT * FROM before);
UPDATE note SET stars = 5 WHERE id = 2;
SELECT "table", hex(pk), cid, val FROM crsql_changes WHERE cid = 'stars';
.print -- again: nothing happens
CREATE TEMP TABLE version AS SELECT schema_version AS v FROM pragma_schema_version;
SELECT crsql_automigrate(sql) FROM schema;
SELECT schema_version = v FROM pragma_schema_version, version;
.print -- errors
SELECT crsql_automigrate('CREATE TABLE note (id TEXT PRIMARY KEY NOT NULL, title TEXT PRIMARY)');
SELECT crsql_automigrate('CREATE TABLE note (id INTEGER, title TEXT PRIMARY KEY NOT NULL)');
SELECT crsql_automigrate('CREATE TABLE note (id INTEGER PRIMARY KEY NOT NULL, n NOT NULL)');
SELECT crsql_automigrate('DROP TABLE note');
SELECT crsql_automigrate('', 'COMMIT');
SELECT crsql_automigrate(NULL);
SELECT schema_version = v FROM pragma_schema_version, version;
SELECT count(*) FROM note;
.print -- to nothing
SELECT crsql_automigrate('');
SELECT count(*) FROM sqlite_schema WHERE name NOT LIKE '%crsql%' AND sql IS NOT NULL;
