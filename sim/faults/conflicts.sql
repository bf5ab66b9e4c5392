-- Both have written: cells, deaths and second lives meet.
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a, b);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'd', 4);
.keep all SELECT crsql_changeset()
== peer
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, a, b);
SELECT crsql_as_crr('t');
SELECT crsql_apply(:all);
UPDATE t SET a = 'theirs' WHERE k IN (1, 2);
DELETE FROM t WHERE k = 3;
DELETE FROM t WHERE k = 4;
INSERT INTO t VALUES (4, 'second life', 0);
.keep theirs SELECT crsql_changeset()
== before
UPDATE t SET b = 'mine' WHERE k IN (1, 3);
DELETE FROM t WHERE k = 2;
UPDATE t SET a = 'mine, later' WHERE k = 1;
== faults
SELECT crsql_apply(:theirs) ->> '$.applied';
SELECT group_concat(k || a || b, ' ') FROM t;
== after
INSERT INTO t VALUES (3, 'back', 3);
