-- Plain ALTER needs no ceremony: adding a column writes nothing, and names are only names.
CREATE TABLE note(id INTEGER PRIMARY KEY, title TEXT);
SELECT crsql_as_crr('note');
INSERT INTO note VALUES (1, 'one'), (2, 'two');
SELECT crsql_db_version();
ALTER TABLE note ADD COLUMN colour TEXT DEFAULT 'none';
SELECT crsql_vector() IS NOT NULL, crsql_db_version();
.print -- a cell that holds its default has no stamp and is not in the feed
SELECT cid, val, db_version FROM crsql_changes;
UPDATE note SET colour = 'red' WHERE id = 2;
SELECT hex(pk), cid, val, db_version FROM crsql_changes;
.print -- with the ceremony of cr-sqlite
SELECT crsql_begin_alter('note');
SELECT fault, "table", detail FROM crsql_check();
ALTER TABLE note ADD COLUMN stars INTEGER DEFAULT 0;
UPDATE note SET stars = 3 WHERE id = 1;
SELECT crsql_commit_alter('note');
SELECT hex(pk), cid, val, db_version FROM crsql_changes WHERE cid = 'stars';
SELECT count(*) FROM crsql_check();
SELECT crsql_begin_alter('nobody');
