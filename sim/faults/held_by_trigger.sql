-- A row that a trigger of the application refuses waits, while the others flow.
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
CREATE TABLE seen(k INTEGER PRIMARY KEY NOT NULL);
CREATE TRIGGER no_thirteen BEFORE INSERT ON t WHEN new.k = 13 BEGIN
  SELECT RAISE(ABORT, 'not thirteen');
END;
CREATE TRIGGER t_seen AFTER INSERT ON t BEGIN INSERT OR IGNORE INTO seen VALUES (new.k); END;
SELECT crsql_as_crr('t');
== peer
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (12, 'twelve'), (13, 'thirteen'), (14, 'fourteen');
.keep theirs SELECT crsql_changeset()
== faults
SELECT crsql_apply(:theirs) ->> '$.applied';
DROP TRIGGER no_thirteen;
SELECT crsql_vector() IS NOT NULL;
SELECT k FROM seen;
== after
UPDATE t SET v = 'after';
