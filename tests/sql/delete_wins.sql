-- A delete beats an update that did not know of it, whatever the time; an insert after the delete
-- begins a new life.
.open a.db
.load $LIB
CREATE TABLE note(id INTEGER PRIMARY KEY, title TEXT);
SELECT crsql_as_crr('note');
INSERT INTO note VALUES (1, 'one');
SELECT writefile('a.changes', crsql_changeset()) > 0;
.open b.db
.load $LIB
CREATE TABLE note(id INTEGER PRIMARY KEY, title TEXT);
SELECT crsql_as_crr('note');
SELECT crsql_apply(readfile('a.changes')) ->> 'applied';
.open a.db
.load $LIB
DELETE FROM note;
SELECT "table", hex(pk), cid, val IS NULL, col_version, cl FROM crsql_changes;
SELECT writefile('a.changes', crsql_changeset()) > 0;
.print -- B updates the row later, and then hears of the delete
.open b.db
.load $LIB
UPDATE note SET title = 'later than the delete';
SELECT crsql_apply(readfile('a.changes')) ->> 'applied';
SELECT count(*) FROM note;
SELECT crsql_rows_impacted();
.print -- alive again, for both
INSERT INTO note VALUES (1, 'again');
SELECT cid, val, cl FROM crsql_changes;
SELECT writefile('b.changes', crsql_changeset()) > 0;
.open a.db
.load $LIB
SELECT crsql_apply(readfile('b.changes')) ->> 'applied';
SELECT * FROM note;
.print -- a key that changes is a delete and an insert
UPDATE note SET id = 2;
SELECT hex(pk), cid, val, cl FROM crsql_changes;
