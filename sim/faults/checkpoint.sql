-- Checkpoints of every kind, and changes of the journal mode.
-- busy: a checkpoint says that it did nothing
== before
PRAGMA journal_mode = WAL;
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one');
== faults
PRAGMA wal_checkpoint(PASSIVE);
INSERT INTO t VALUES (2, 'two');
PRAGMA wal_checkpoint(TRUNCATE);
INSERT INTO t VALUES (3, 'three');
PRAGMA journal_mode = DELETE;
INSERT INTO t VALUES (4, 'four');
PRAGMA journal_mode = WAL;
UPDATE t SET v = 'wal again';
== after
INSERT INTO t VALUES (5, 'five');
