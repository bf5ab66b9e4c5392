-- Changes come out of a table by one INSERT ... SELECT.
-- leaves: unseen
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b);
CREATE TABLE inbox(t, pk, cid, val, col_version, db_version, site_id, cl, seq);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'mine', 1), (2, 'mine', 2);
== peer
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'theirs', 10), (2, 'theirs', 20), (3, 'theirs', 30);
DELETE FROM t WHERE k = 2;
.rows theirs SELECT * FROM crsql_changes
.keep vector SELECT crsql_vector()
== before
.each theirs INSERT INTO inbox VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
== faults
INSERT INTO crsql_changes SELECT * FROM inbox;
SELECT crsql_seen(:vector);
DELETE FROM inbox;
== after
UPDATE t SET b = 'mine';
