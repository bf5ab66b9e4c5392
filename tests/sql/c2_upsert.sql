-- UPSERTs of many rows, on every SQLite: `make matrix` runs this with many. Up to 3.45.2 SQLite hands
-- triggers a wrong OLD row there; what is captured is right all the same.
.open a.db
.load $LIB
CREATE TABLE t(a INTEGER, b TEXT, x, y DEFAULT 7, z AS (x || y), PRIMARY KEY(a, b)) WITHOUT ROWID;
SELECT crsql_as_crr('t');
CREATE TABLE log(what);
CREATE TRIGGER told AFTER UPDATE OF x ON t BEGIN INSERT INTO log VALUES (NEW.x); END;
INSERT INTO t(a, b, x) VALUES (1, 'a', 10), (2, 'b', 20);
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
  INSERT INTO t(a, b, x) SELECT i, char(96 + i), i * 10 FROM n WHERE true
  ON CONFLICT DO UPDATE SET x = excluded.x, y = y + (a = 2);
SELECT crsql_db_version(), changes(), (SELECT count(*) FROM log);
.print -- one cell of twenty rows changes, and travels
SELECT writefile('vector', crsql_vector()) > 0;
WITH n(i) AS (SELECT 20 UNION ALL SELECT i - 1 FROM n WHERE i > 1)
  INSERT INTO t(a, b, x, y) SELECT i, char(96 + i), i * 10 + (i = 17), 7 + (i = 2) FROM n WHERE true
  ON CONFLICT DO UPDATE SET x = excluded.x, y = excluded.y;
SELECT crsql_db_version(), changes();
SELECT cid, quote(val), cl FROM crsql_changes
  WHERE since = CAST(readfile('vector') AS TEXT) AND pk = x'0209110B0171' AND cid = 'x';
WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5)
  INSERT INTO t(a, b, x) SELECT i, char(96 + i), NULL FROM n WHERE true
  ON CONFLICT(a, b) DO UPDATE SET y = NULL WHERE a > 2;
SELECT a, quote(x), quote(y) FROM t WHERE a < 6;
SELECT writefile('digest', crsql_digest()), writefile('changes', crsql_changeset()) > 0;
SELECT count(*) FROM crsql_check();
.open b.db
.load $LIB
CREATE TABLE t(a INTEGER, b TEXT, x, y DEFAULT 7, z AS (x || y), PRIMARY KEY(a, b)) WITHOUT ROWID;
SELECT crsql_as_crr('t');
SELECT crsql_apply(readfile('changes')) ->> 'held';
SELECT CAST(readfile('digest') AS TEXT) = crsql_digest(), count(*), sum(x), sum(y) FROM t;
