-- DROP COLUMN: SQLite refuses it while a trigger names the column, and the trigger's name says
-- what to call first.
CREATE TABLE note(id INTEGER PRIMARY KEY, title TEXT, body TEXT);
SELECT crsql_as_crr('note');
INSERT INTO note VALUES (1, 'one', 'body');
ALTER TABLE note DROP COLUMN body;
SELECT crsql_begin_alter('note');
ALTER TABLE note DROP COLUMN body;
SELECT crsql_commit_alter('note');
SELECT cid, val FROM crsql_changes;
.print -- a column of the same name later is another column
ALTER TABLE note ADD COLUMN body TEXT;
SELECT cid, val FROM crsql_changes;
UPDATE note SET body = 'new';
SELECT cid, val, db_version FROM crsql_changes;
.print -- what was dropped here is named to peers
SELECT json_array_length(crsql_changeset_info(crsql_changeset()), '$.omits') > 0;
SELECT count(*) FROM crsql_check();
