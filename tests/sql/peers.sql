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
