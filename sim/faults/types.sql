-- Columns that merge by intent: declared, written here, and their parts arrive from elsewhere.
== before
CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, n INTEGER, best, note);
SELECT crsql_as_crr('t');
SELECT crsql_column('t', 'best', 'max');
INSERT INTO t VALUES ('a', 10, 1, 'x'), ('b', 20, 2, 'y');
.keep all SELECT crsql_changeset()
== peer
CREATE TABLE t(k TEXT PRIMARY KEY NOT NULL, n INTEGER, best, note);
SELECT crsql_as_crr('t');
SELECT crsql_column('t', 'best', 'max');
SELECT crsql_column('t', 'n', 'counter');
SELECT crsql_apply(:all);
UPDATE t SET n = n + 5, best = 7;
DELETE FROM t WHERE k = 'b';
INSERT INTO t VALUES ('b', 1, 1, 'second life');
UPDATE t SET n = n + 1 WHERE k = 'b';
.keep theirs SELECT crsql_changeset()
== before
UPDATE t SET n = n - 3, best = 4;
== faults
SELECT crsql_column('t', 'n', 'counter');
BEGIN;
UPDATE t SET n = n - 1, note = 'mine';
UPDATE t SET best = 3;
SELECT crsql_counter_set('t', 'a', 'n', 100);
COMMIT;
SELECT crsql_apply(:theirs) ->> '$.applied';
SELECT group_concat(k || ' ' || n || ' ' || best, ', ') FROM t;
== after
UPDATE t SET n = n + 1;
