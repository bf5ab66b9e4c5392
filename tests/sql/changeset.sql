-- Two files, synced by changesets: B asks with its vector, A answers, B applies.
.open a.db
.load $LIB
CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT);
SELECT crsql_as_crr('note');
INSERT INTO note VALUES ('n1', 'one', 'from A'), ('n2', 'two', 'from A');
SELECT writefile('a.changes', crsql_changeset()) > 0;
.open b.db
.load $LIB
CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT);
SELECT crsql_as_crr('note');
INSERT INTO note VALUES ('n3', 'three', 'from B');
SELECT r ->> 'applied', r ->> 'superseded', r ->> 'held', r ->> 'tables', r ->> 'cut'
  FROM (SELECT crsql_apply(readfile('a.changes')) AS r);
SELECT r ->> 'applied', r ->> 'superseded', r ->> 'held'
  FROM (SELECT crsql_apply(readfile('a.changes')) AS r);
UPDATE note SET body = 'changed by B' WHERE id = 'n1';
SELECT * FROM note ORDER BY id;
SELECT writefile('b.vector', crsql_vector()) > 0;
.print -- A changes another column of the same row, and asks B for what it has not seen
.open a.db
.load $LIB
UPDATE note SET title = 'changed by A' WHERE id = 'n1';
SELECT writefile('a.vector', crsql_vector()) > 0;
SELECT writefile('a.changes', crsql_changeset(readfile('b.vector'))) > 0;
.open b.db
.load $LIB
SELECT writefile('b.changes', crsql_changeset(readfile('a.vector'))) > 0;
SELECT r ->> 'applied' FROM (SELECT crsql_apply(readfile('a.changes')) AS r);
SELECT writefile('b.digest', crsql_digest()) > 0;
.open a.db
.load $LIB
SELECT r ->> 'applied' FROM (SELECT crsql_apply(readfile('b.changes')) AS r);
SELECT * FROM note ORDER BY id;
SELECT crsql_digest() = CAST(readfile('b.digest') AS TEXT);
.print -- nothing new is NULL
SELECT crsql_changeset(crsql_vector()) IS NULL, crsql_apply(NULL) IS NULL;
.print -- what a changeset says of itself
SELECT i ->> 'format', i ->> 'kind', i ->> 'transactions', i ->> 'rows', i ->> 'cells',
       i ->> 'held', i ->> '$.tables[0].name'
  FROM (SELECT crsql_changeset_info(crsql_changeset()) AS i);
.print -- a limit cuts between transactions, and inside one only where that is larger by itself
SELECT json_extract(crsql_changeset_info(crsql_changeset(NULL, 1)), '$.transactions');
.print -- other bytes are REJECTED, and nothing is written
SELECT crsql_apply(x'');
SELECT crsql_apply(x'637273716c010100000000');
SELECT crsql_apply(substr(crsql_changeset(), 1, 60));
SELECT crsql_apply(CAST(crsql_changeset() || x'00' AS BLOB));
SELECT crsql_apply('text');
.print -- what is sent is committed
BEGIN;
UPDATE note SET title = 'not yet';
SELECT crsql_changeset();
ROLLBACK;
