-- A table becomes replicated and ordinary again. Loading alone changes nothing in the file.
SELECT count(*) FROM sqlite_schema;
SELECT crsql_db_version(), crsql_next_db_version();
CREATE TABLE note(id TEXT PRIMARY KEY NOT NULL, title TEXT, stars INTEGER DEFAULT 0);
INSERT INTO note(id, title) VALUES ('n1', 'stood here before');
.print -- enable; a second time does nothing
SELECT crsql_as_crr('note'), crsql_as_crr('note'), crsql_as_crr('main', 'NOTE');
SELECT length(crsql_site_id()), crsql_db_version();
SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name;
.print -- rows that stood there carry the lowest stamp, so that any later write beats them
SELECT "table", hex(pk), cid, quote(val), col_version, db_version, cl, seq FROM crsql_changes;
.print -- what changes nothing spends no version
UPDATE note SET title = title;
DELETE FROM note WHERE id = 'nobody';
INSERT INTO note(id) VALUES ('n1') ON CONFLICT DO NOTHING;
SELECT crsql_db_version();
.print -- one transaction, one version
BEGIN;
UPDATE note SET stars = 5;
INSERT INTO note VALUES ('n2', 'two', 2);
SELECT crsql_db_version(), crsql_next_db_version();
COMMIT;
SELECT crsql_db_version(), crsql_next_db_version();
.print -- ordinary again: no trigger and no clock is left, the rows stay
SELECT crsql_as_table('note'), crsql_as_table('note'), crsql_as_table('nobody');
SELECT name FROM sqlite_schema WHERE type = 'trigger' OR name LIKE 'crsql_clock%';
INSERT INTO note VALUES ('n3', 'three', 3);
SELECT count(*) FROM note;
SELECT count(*) FROM crsql_changes;
