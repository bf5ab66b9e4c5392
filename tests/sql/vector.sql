-- The vector: what this file has seen of every site.
SELECT json_extract(crsql_vector(), '$.v', '$.epoch', '$.scope', '$.formats', '$.horizon');
SELECT json_extract(crsql_vector(), '$.seen'), json_extract(crsql_vector(), '$.site') = lower(hex(crsql_site_id()));
CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'a');
INSERT INTO t VALUES (2, 'b');
SELECT key = lower(hex(crsql_site_id())), json_extract(value, '$[0][0]', '$[0][1]'), json_extract(value, '$[0][2]') > 0
  FROM json_each(crsql_vector(), '$.seen');
.print -- the open transaction is not in it
BEGIN;
INSERT INTO t VALUES (3, 'c');
SELECT json_extract(value, '$[0][1]') FROM json_each(crsql_vector(), '$.seen');
COMMIT;
SELECT json_extract(value, '$[0][1]') FROM json_each(crsql_vector(), '$.seen');
.print -- coverage of other sites has gaps where something is missing
SELECT crsql_seen('{"v":1,"seen":{"00112233445566778899aabbccddeeff":[[1,3,70],[7,9,90]]}}');
SELECT value FROM json_each(crsql_vector(), '$.seen') WHERE key = '00112233445566778899aabbccddeeff';
SELECT crsql_seen('{"v":1,"seen":{"00112233445566778899aabbccddeeff":[[4,6,80]]}}');
SELECT value FROM json_each(crsql_vector(), '$.seen') WHERE key = '00112233445566778899aabbccddeeff';
.print -- anything else is REJECTED
SELECT crsql_seen('{"v":2}');
SELECT crsql_seen('[]');
SELECT crsql_seen('{"v":1,"seen":{"me":[]}}');
SELECT crsql_seen(7);
.print -- a stamp is a time
SELECT crsql_time(1), crsql_time(4096 * 86400000), crsql_time(NULL) IS NULL;
SELECT abs(julianday(crsql_time(max(stamp))) - julianday('now')) < 1.0 / 24 FROM crsql_changes;
