-- A table built anew under its name (SQLite's twelve steps): inside begin_alter and commit_alter.
CREATE TABLE note(id INTEGER PRIMARY KEY, title TEXT, body TEXT);
SELECT crsql_as_crr('note');
INSERT INTO note VALUES (1, 'one', 'body'), (2, 'two', 'body');
SELECT crsql_begin_alter('note');
BEGIN;
CREATE TABLE fresh(id INTEGER PRIMARY KEY, title TEXT, body TEXT, stars INTEGER DEFAULT 0);
INSERT INTO fresh(id, title, body) SELECT id, title, body FROM note;
UPDATE fresh SET stars = 5 WHERE id = 2;
DROP TABLE note;
ALTER TABLE fresh RENAME TO note;
COMMIT;
SELECT crsql_commit_alter('note');
SELECT count(*) FROM crsql_check();
.print -- the rows keep their clocks; a new column's values carry the lowest stamp
SELECT hex(pk), cid, val, db_version, iif(col_version = 1, 'lowest', '') FROM crsql_changes;
UPDATE note SET body = 'captured' WHERE id = 1;
SELECT hex(pk), cid, val, db_version FROM crsql_changes WHERE db_version = crsql_db_version();
.print -- without begin_alter the triggers are gone, and check says so
BEGIN;
CREATE TABLE fresh(id INTEGER PRIMARY KEY, title TEXT, body TEXT, stars INTEGER DEFAULT 0);
INSERT INTO fresh SELECT * FROM note;
DROP TABLE note;
ALTER TABLE fresh RENAME TO note;
COMMIT;
INSERT INTO note VALUES (3, 'three', 'not seen', 0);
DELETE FROM note WHERE id = 2;
SELECT fault, "table" FROM crsql_check() WHERE fault = 'triggers';
.print -- the next call of ours puts them back, and finds rows that came or went
SELECT crsql_vector() IS NOT NULL;
SELECT hex(pk), cid, val, cl FROM crsql_changes WHERE db_version = crsql_db_version();
SELECT count(*) FROM crsql_check();
