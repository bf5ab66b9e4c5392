-- Every way in, once. `make valgrind` runs it too, so it raises no error; it prints no ids.
SELECT length(crsql_site_id()), crsql_db_version();
CREATE TABLE note(id INTEGER PRIMARY KEY NOT NULL, title TEXT, body TEXT, stars REAL);
CREATE TABLE tag(note INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY(note, name));
INSERT INTO note VALUES (1, 'old', 'stood here before', 1.5);
SELECT crsql_as_crr('note'), crsql_as_crr('main', 'tag'), crsql_as_crr('note');
.print -- local writes
INSERT INTO note VALUES (2, 'two', NULL, 2.5), (3, 'three', x'00ff', -0.0);
BEGIN;
UPDATE note SET body = 'changed' WHERE id = 2;
SAVEPOINT s;
DELETE FROM note;
ROLLBACK TO s;
INSERT INTO tag VALUES (1, 'a'), (2, 'b');
COMMIT;
DELETE FROM note WHERE id = 3;
UPDATE note SET id = 4 WHERE id = 1;
SELECT * FROM note ORDER BY id;
.print -- the feed
SELECT count(*) > 0, count(DISTINCT site_id), min(db_version) > 0 FROM crsql_changes;
SELECT "table", hex(pk), cid, quote(val) FROM crsql_changes
  WHERE "table" = 'tag' ORDER BY db_version, seq;
.print -- vector, changeset, apply
SELECT json_valid(crsql_vector()), crsql_seen(crsql_vector()) IS NOT 'no';
SELECT typeof(crsql_changeset()), crsql_changeset(crsql_vector()) IS NULL;
SELECT json_valid(crsql_changeset_info(crsql_changeset()));
SELECT json_extract(crsql_apply(crsql_changeset()), '$.applied');
.print -- alter
SELECT crsql_begin_alter('note') IS NOT 'no';
ALTER TABLE note ADD COLUMN colour TEXT DEFAULT 'none';
SELECT crsql_commit_alter('note') IS NOT 'no';
UPDATE note SET colour = 'blue' WHERE id = 4;
SELECT id, colour FROM note ORDER BY id;
.print -- check and clean up
SELECT count(*) FROM crsql_check();
SELECT length(crsql_digest()) > 0, crsql_digest('note') = crsql_digest('tag');
SELECT crsql_as_table('note'), crsql_as_table('tag');
INSERT INTO note(id) VALUES (5);
SELECT count(*) FROM note;
SELECT crsql_finalize() IS NOT 'no';
