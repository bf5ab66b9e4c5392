-- A table that only grows, and one where an update wins over a delete that did not know of it.
.open a.db
.load $LIB
CREATE TABLE ledger(id INTEGER PRIMARY KEY, amount INTEGER);
CREATE TABLE note(id INTEGER PRIMARY KEY, title TEXT, tag TEXT);
SELECT crsql_as_crr('ledger'), crsql_as_crr('note');
SELECT crsql_row_policy('note'), crsql_row_policy('note', 'update-wins'), crsql_row_policy('note');
SELECT crsql_row_policy('ledger', 'grows');
SELECT crsql_row_policy('ledgers');
SELECT crsql_row_policy('ledger', 'grow-only');
INSERT INTO ledger VALUES (1, 100), (2, 50);
DELETE FROM ledger WHERE id = 1;
UPDATE ledger SET id = 3 WHERE id = 1;
UPDATE OR REPLACE ledger SET id = 2 WHERE id = 1;
REPLACE INTO ledger VALUES (1, 120);
SELECT * FROM ledger;
INSERT INTO note VALUES (1, 'one', 'a'), (2, 'two', 'b');
SELECT writefile('a.changes', crsql_changeset()) > 0;
.open b.db
.load $LIB
SELECT crsql_automigrate('
  CREATE TABLE ledger(id INTEGER PRIMARY KEY, amount INTEGER);
  CREATE TABLE note(id INTEGER PRIMARY KEY, title TEXT, tag TEXT);
  SELECT crsql_as_crr(''ledger''); SELECT crsql_as_crr(''note'');
  SELECT crsql_row_policy(''note'', ''update-wins'')');
SELECT crsql_apply(readfile('a.changes')) ->> 'applied';
.print -- B has not said that the ledger only grows, and deletes notes that A updates meanwhile
DELETE FROM ledger WHERE id = 2;
DELETE FROM note;
SELECT writefile('b.changes', crsql_changeset()) > 0;
.open a.db
.load $LIB
UPDATE note SET title = 'uno' WHERE id = 1;
SELECT crsql_apply(readfile('b.changes')) ->> 'held';
SELECT * FROM ledger;
SELECT "table", hex(pk), cid, cl, reason FROM crsql_held;
.print -- the note lives its next life, as a change of A
SELECT * FROM note;
SELECT cid, val, cl FROM crsql_changes WHERE "table" = 'note' AND site_id = crsql_site_id();
SELECT writefile('a.changes', crsql_changeset()) > 0;
.open b.db
.load $LIB
SELECT crsql_apply(readfile('a.changes')) ->> 'applied';
SELECT * FROM note;
.print -- who deletes it now has seen it
DELETE FROM note;
SELECT writefile('b.changes', crsql_changeset()) > 0;
.open a.db
.load $LIB
SELECT crsql_apply(readfile('b.changes')) ->> 'applied';
SELECT count(*) FROM note;
.print -- with the policy changed back, the delete is taken
SELECT crsql_row_policy('ledger', 'delete-wins');
SELECT * FROM ledger;
SELECT count(*) FROM crsql_held;
SELECT * FROM crsql_check();
