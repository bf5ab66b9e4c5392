-- A table or column that is renamed keeps its clocks: it is known by a number, never by its name.
.open a.db
.load $LIB
CREATE TABLE note(id INTEGER PRIMARY KEY, title TEXT);
SELECT crsql_as_crr('note');
INSERT INTO note VALUES (1, 'one');
ALTER TABLE note RENAME COLUMN title TO heading;
ALTER TABLE note RENAME TO memo;
UPDATE memo SET heading = 'uno';
INSERT INTO memo VALUES (2, 'two');
SELECT "table", hex(pk), cid, val, db_version FROM crsql_changes;
SELECT writefile('a.changes', crsql_changeset()) > 0;
SELECT count(*) FROM crsql_check();
.print -- a peer that still has the old names takes the changes under them
.open b.db
.load $LIB
CREATE TABLE note(id INTEGER PRIMARY KEY, title TEXT);
SELECT crsql_as_crr('note');
SELECT r ->> 'applied', r ->> 'held' FROM (SELECT crsql_apply(readfile('a.changes')) AS r);
SELECT * FROM note;
