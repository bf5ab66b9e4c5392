-- crsql_digest() is equal where replicas are; crsql_check() says what is wrong in a file.
SELECT length(crsql_digest());
CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT);
CREATE TABLE u(id INTEGER PRIMARY KEY, a TEXT);
SELECT crsql_as_crr('t'), crsql_as_crr('u');
CREATE TEMP TABLE was AS SELECT crsql_digest() AS every, crsql_digest('t') AS t, crsql_digest('t', 'all') AS everything;
INSERT INTO t VALUES (1, 'a');
SELECT crsql_digest() = every, crsql_digest('t') = t, crsql_digest('u') = crsql_digest('U') FROM was;
.print -- a row that is gone leaves its mark only with 'all'
DELETE FROM t;
SELECT crsql_digest() = every, crsql_digest('t') = t, crsql_digest('t', 'all') = everything FROM was;
SELECT crsql_digest(NULL) = crsql_digest(), crsql_digest(NULL, 'all') = crsql_digest();
SELECT crsql_digest('nobody');
SELECT crsql_digest('t', 'some');
.print -- a sound file
SELECT count(*) FROM crsql_check();
.print -- a table that was dropped
DROP TABLE u;
SELECT fault, "table", detail FROM crsql_check();
SELECT crsql_vector() IS NOT NULL;
SELECT count(*) FROM crsql_check();
.print -- a row that breaks a CHECK after a merge
CREATE TABLE span(id INTEGER PRIMARY KEY, lo INTEGER, hi INTEGER, CHECK(lo <= hi));
SELECT crsql_as_crr('span');
INSERT INTO span VALUES (1, 1, 9);
INSERT INTO crsql_changes VALUES ('span', x'010901', 'lo', 20, (SELECT max(stamp) + 1 FROM crsql_changes), 1, zeroblob(16), 1, 0);
SELECT * FROM span;
SELECT fault, "table", detail FROM crsql_check();
.print -- a damaged clock
INSERT INTO t VALUES (2, 'b');
UPDATE crsql_clock_1 SET clock = x'ff' WHERE key = 2;
SELECT fault, "table", hex(pk), detail FROM crsql_check();
