-- Columns that merge by intent, on two sides at once.
.open a.db
.load $LIB
CREATE TABLE t(k INTEGER PRIMARY KEY, n INTEGER, top, tags TEXT, props TEXT, pick, qty INTEGER, body TEXT, best);
SELECT crsql_as_crr('t');
SELECT crsql_column('t', 'n', 'counter'), crsql_column('t', 'top', 'max'), crsql_column('t', 'tags', 'set');
SELECT crsql_column('t', 'props', 'map'), crsql_column('t', 'pick', 'multi'), crsql_column('t', 'qty', 'bounded');
SELECT crsql_column('t', 'body', 'text'), crsql_column('t', 'best', 'custom:max');
SELECT crsql_column('t', 'best', 'custom'), crsql_column('t', 'k', 'max');
SELECT crsql_column('t', 'best', 'bounded:x');
INSERT INTO t VALUES (1, 10, 1, '["b","a"]', '{"x": 1, "y": {"z": 2}}', 'first', 10, 'One two three.', 'm');
SELECT writefile('a.changes', crsql_changeset()) > 0;
.open b.db
.load $LIB
CREATE TABLE t(k INTEGER PRIMARY KEY, n INTEGER, top, tags TEXT, props TEXT, pick, qty INTEGER, body TEXT, best);
SELECT crsql_as_crr('t');
SELECT crsql_column('t', 'n', 'counter'), crsql_column('t', 'top', 'max'), crsql_column('t', 'tags', 'set');
SELECT crsql_column('t', 'props', 'map'), crsql_column('t', 'pick', 'multi'), crsql_column('t', 'qty', 'bounded');
SELECT crsql_apply(readfile('a.changes')) ->> '$.held';
SELECT DISTINCT substr(reason, 1, 60) FROM crsql_held ORDER BY 1;
SELECT crsql_column('t', 'body', 'text'), crsql_column('t', 'best', 'custom:max');
SELECT count(*) FROM crsql_held;
UPDATE t SET n = n + 5, top = 3, tags = '["a","c"]', props = json_set(props, '$.y.z', 3), pick = 'b says';
UPDATE t SET body = 'One two and three.', best = 'z';
UPDATE t SET qty = qty + 1;
UPDATE t SET qty = -1;
SELECT writefile('b.changes', crsql_changeset()) > 0;
.open a.db
.load $LIB
UPDATE t SET n = n - 3, top = 2, tags = '["b"]', props = json_remove(props, '$.x'), pick = 'a says', qty = qty - 6;
UPDATE t SET body = 'Zero, one two three.', best = 'a';
SELECT crsql_apply(readfile('b.changes')) ->> '$.held';
SELECT n, top, tags, props, qty, body, best FROM t;
SELECT value FROM crsql_values('t', 1, 'pick') ORDER BY value;
SELECT rights FROM crsql_rights('t', 1, 'qty') ORDER BY rights;
SELECT crsql_text_splice('t', 1, 'body', 0, 4, 'Null');
SELECT body FROM t;
SELECT * FROM crsql_check();
