-- Each row in a transaction of its own, the last first, with a write between.
-- leaves: unseen
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'mine', 1), (2, 'mine', 2);
== peer
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a TEXT, b);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'theirs', 10), (2, 'theirs', 20);
DELETE FROM t WHERE k = 2;
.rows theirs SELECT * FROM crsql_changes ORDER BY db_version DESC, seq DESC
.keep vector SELECT crsql_vector()
== faults
.each theirs INSERT INTO crsql_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
UPDATE t SET b = 'between';
SELECT crsql_seen(:vector);
== after
INSERT INTO t VALUES (2, 'a life of its own', 0);
