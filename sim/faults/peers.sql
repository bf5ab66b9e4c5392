-- The books about peers: who pulled what, and who said that he has it.
-- busy: who asks is noted the next time
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one');
== peer
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (2, 'two');
.keep theirs SELECT crsql_changeset()
.keep vector SELECT crsql_vector()
== faults
SELECT crsql_changeset_info(crsql_changeset(:vector)) ->> '$.rows';
SELECT acked IS NOT NULL, pulled IS NOT NULL FROM crsql_peers;
SELECT crsql_apply(:theirs) ->> '$.applied';
SELECT acked IS NOT NULL, pulled IS NOT NULL FROM crsql_peers;
SELECT crsql_seen(:vector);
== after
INSERT INTO t VALUES (3, 'three');
