-- Sets, maps, several values, bounds and texts: written here, and their parts arrive from elsewhere.
== before
CREATE TABLE t(k INTEGER PRIMARY KEY, tags, props TEXT, pick, qty INTEGER, body TEXT);
SELECT crsql_as_crr('t'), crsql_row_policy('t', 'update-wins');
SELECT crsql_column('t', 'tags', 'set'), crsql_column('t', 'props', 'map');
SELECT crsql_column('t', 'pick', 'multi'), crsql_column('t', 'qty', 'bounded');
SELECT crsql_column('t', 'body', 'text');
INSERT INTO t VALUES (1, '["a","b"]', '{"x":1,"y":{"z":2}}', 'p', 10, 'One two three.');
.keep all SELECT crsql_changeset()
== peer
CREATE TABLE t(k INTEGER PRIMARY KEY, tags, props TEXT, pick, qty INTEGER, body TEXT);
SELECT crsql_as_crr('t'), crsql_row_policy('t', 'update-wins');
SELECT crsql_column('t', 'tags', 'set'), crsql_column('t', 'props', 'map');
SELECT crsql_column('t', 'pick', 'multi'), crsql_column('t', 'qty', 'bounded');
SELECT crsql_column('t', 'body', 'text');
SELECT crsql_apply(:all);
UPDATE t SET tags = '["a","c"]', props = json_set(props, '$.y.z', 3), pick = 'q';
UPDATE t SET qty = qty + 2, body = 'One two and three.';
.keep theirs SELECT crsql_changeset()
== before
UPDATE t SET body = 'Zero, one two three.';
== faults
BEGIN;
UPDATE t SET tags = '["b","d"]', props = json_remove(props, '$.x'), pick = 'r', qty = qty - 4;
SELECT crsql_text_splice('t', 1, 'body', 0, 4, 'Null');
UPDATE t SET body = body || ' Four.';
COMMIT;
SELECT crsql_rights_grant('t', 1, 'qty', '0123456789abcdef0123456789abcdef', 2);
SELECT crsql_apply(:theirs) ->> '$.applied';
SELECT tags, props, qty, body, (SELECT count(*) FROM crsql_values('t', 1, 'pick')) FROM t;
== after
UPDATE t SET qty = qty - 1, body = body || '!';
