-- A change that cannot be applied yet is HELD: visible, served onward, applied once it fits.
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
SELECT crsql_apply(readfile('a.changes')) ->> 'held';
SELECT writefile('b.vector', crsql_vector()) > 0;
.print -- A gets a column that B does not have
.open a.db
.load $LIB
ALTER TABLE note ADD COLUMN colour TEXT;
UPDATE note SET title = 'uno', colour = 'red' WHERE id = 1;
SELECT writefile('a.changes', crsql_changeset(readfile('b.vector'))) > 0;
SELECT writefile('a.digest', crsql_digest()) > 0;
.open b.db
.load $LIB
SELECT r ->> 'applied', r ->> 'held' FROM (SELECT crsql_apply(readfile('a.changes')) AS r);
SELECT * FROM note;
SELECT "table", hex(pk), cid, val, cl, reason, length(site_id), length(peer) FROM crsql_held;
.print -- it is part of the feed, and of the coverage
SELECT cid, val FROM crsql_changes WHERE db_version = 2;
SELECT json_extract(value, '$[0][1]') FROM json_each(crsql_vector(), '$.seen');
SELECT crsql_changeset_info(crsql_changeset()) ->> 'held';
.print -- B gets the column: the next call of ours applies what waited
ALTER TABLE note ADD COLUMN colour TEXT;
SELECT crsql_vector() IS NOT NULL;
SELECT * FROM note;
SELECT count(*) FROM crsql_held;
SELECT crsql_digest() = CAST(readfile('a.digest') AS TEXT);
.print -- a value that storing would change is held too
CREATE TABLE strictly(id INTEGER PRIMARY KEY, n INTEGER) STRICT;
SELECT crsql_as_crr('strictly');
INSERT INTO crsql_changes VALUES ('strictly', x'010901', 'n', 'seven', 5, 1, zeroblob(16), 1, 0);
SELECT cid, val, reason FROM crsql_held;
.print -- and a stamp that lies too far ahead of this clock
INSERT INTO crsql_changes VALUES ('note', x'010901', 'title', 'later', 9007199254740991, 1, zeroblob(16), 1, 0);
SELECT cid, val, reason LIKE 'its clock is % ms ahead of ours' FROM crsql_held WHERE "table" = 'note';
