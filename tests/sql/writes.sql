-- Every way to write a row, captured as SQLite ran it.
CREATE TABLE t(a INTEGER NOT NULL, b TEXT NOT NULL, x, y DEFAULT 7, PRIMARY KEY(a, b));
SELECT crsql_as_crr('t');
INSERT INTO t(a, b, x) VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30), (4, 'd', 40);
.print -- REPLACE says every cell again; IGNORE says nothing
REPLACE INTO t(a, b, x) VALUES (3, 'c', 31);
INSERT OR IGNORE INTO t(a, b, x) VALUES (3, 'c', 32);
SELECT seq, hex(pk), cid, quote(val), cl FROM crsql_changes WHERE db_version = 2;
.print -- a key that changes, and one that changes onto another row
UPDATE t SET a = 30 WHERE a = 3;
SELECT seq, hex(pk), cid, quote(val), cl FROM crsql_changes WHERE db_version = 3;
UPDATE OR REPLACE t SET a = 4, b = 'd' WHERE a = 2;
SELECT seq, hex(pk), cid, quote(val), cl FROM crsql_changes WHERE db_version = 4;
.print -- several statements, a savepoint taken back, a statement that fails half-way
INSERT INTO t(a, b, x) VALUES (5, 'e', 50), (6, 'e', 60);
BEGIN;
UPDATE t SET x = 'one' WHERE a = 1;
SAVEPOINT s;
UPDATE t SET x = 'two', y = 'two' WHERE a < 3;
DELETE FROM t WHERE a > 10;
ROLLBACK TO s;
UPDATE t SET a = 6 WHERE b IN ('d', 'e');
UPDATE t SET y = 'three' WHERE a = 1;
COMMIT;
SELECT seq, hex(pk), cid, quote(val), cl FROM crsql_changes WHERE db_version = 6;
.print -- RETURNING and changes() are the application's
INSERT INTO t(a, b) VALUES (40, 'n') RETURNING a, b, y;
SELECT changes();
DELETE FROM t WHERE a > 4;
SELECT changes();
SELECT seq, hex(pk), cid, cl FROM crsql_changes WHERE db_version = 8;
.print -- and back
DELETE FROM t;
SELECT changes(), count(*), min(cl), max(cl) FROM crsql_changes WHERE db_version = 9;
INSERT INTO t(a, b, x) VALUES (1, 'a', 'again');
SELECT seq, hex(pk), cid, quote(val), cl FROM crsql_changes WHERE db_version = 10;
SELECT crsql_db_version(), (SELECT count(*) FROM t), (SELECT count(*) FROM crsql_check());
