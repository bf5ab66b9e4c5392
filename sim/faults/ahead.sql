-- Our clock was an hour ahead; when it is right again, what nobody has is stamped anew.
-- busy: what nobody has is stamped anew the next time
-- leaves: ahead
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'in time');
.later 3600000
INSERT INTO t VALUES (2, 'an hour early'), (3, 'too');
.later -3600000
== peer
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (9, 'theirs');
.keep vector SELECT crsql_vector()
== faults
SELECT crsql_changeset_info(crsql_changeset(:vector)) ->> '$.cells';
UPDATE t SET v = 'after' WHERE k = 2;
SELECT count(*) FROM crsql_check();
== after
INSERT INTO t VALUES (5, 'five');
