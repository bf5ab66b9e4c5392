-- Triggers of the application that write to replicated tables, recursively.
-- open: PRAGMA recursive_triggers = ON
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v, touched INTEGER);
CREATE TABLE log(id TEXT PRIMARY KEY NOT NULL, what TEXT);
CREATE TRIGGER t_touch AFTER UPDATE OF v ON t BEGIN
  UPDATE t SET touched = coalesce(touched, 0) + 1 WHERE k = new.k;
END;
CREATE TRIGGER t_log AFTER INSERT ON t BEGIN
  INSERT INTO log VALUES ('born ' || new.k, new.v);
END;
CREATE TRIGGER t_gone AFTER DELETE ON t BEGIN
  DELETE FROM log WHERE id = 'born ' || old.k;
END;
SELECT crsql_as_crr('t');
SELECT crsql_as_crr('log');
INSERT INTO t VALUES (1, 'one', 0);
== faults
INSERT INTO t VALUES (2, 'two', 0), (3, 'three', 0);
UPDATE t SET v = 'new' WHERE k < 3;
REPLACE INTO t VALUES (1, 'replaced', 0);
DELETE FROM t WHERE k = 2;
== after
UPDATE t SET v = 'after';
