-- crsql_peers: what we have from each peer, and what each peer has acknowledged.
.open a.db
.load $LIB
CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'a');
SELECT writefile('a.changes', crsql_changeset()) > 0;
SELECT count(*) FROM crsql_peers;
.open b.db
.load $LIB
CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT);
SELECT crsql_as_crr('t');
SELECT crsql_apply(readfile('a.changes')) ->> 'applied';
SELECT length(site_id), scope, pulled ->> ('$.' || lower(hex(site_id)) || '[0][1]') AS pulled,
       pulled_at > '2020' AS at, acked ->> ('$.' || lower(hex(site_id)) || '[0][1]') AS acked, last_error
  FROM crsql_peers;
SELECT writefile('b.vector', crsql_vector()) > 0;
.print -- presenting a vector is an acknowledgement
.open a.db
.load $LIB
SELECT crsql_changeset(readfile('b.vector')) IS NULL;
SELECT pulled, acked ->> ('$.' || lower(hex(crsql_site_id())) || '[0][1]') AS acked FROM crsql_peers;
.print -- a program written for cr-sqlite keeps its cursor in the table that it knows
INSERT INTO crsql_tracked_peers (site_id, version, tag, event) VALUES (x'01', 5, 0, 0)
  ON CONFLICT ([site_id], [tag], [event]) DO UPDATE SET version = excluded.version;
INSERT OR REPLACE INTO crsql_tracked_peers (site_id, event, version, seq) VALUES (x'01', 0, 6, 2);
SELECT hex(site_id), version, seq FROM crsql_tracked_peers WHERE tag = 0 AND event = 0;
