-- A table becomes ordinary, is written to, and becomes replicated again.
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
CREATE TABLE u(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t'), crsql_as_crr('u');
INSERT INTO t VALUES (1, 'one'), (2, 'two');
INSERT INTO u VALUES (1, 'one');
== faults
SELECT crsql_as_table('t');
UPDATE t SET v = 'unseen' WHERE k = 1;
SELECT crsql_as_crr('t');
UPDATE t SET v = 'seen' WHERE k = 2;
== after
UPDATE u SET v = 'after';
