-- This file's identity, and what becomes of a copy.
.open a.db
.load $LIB
CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'a');
SELECT length(crsql_site_id()), hex(crsql_site_id()) = hex(site_id), ordinal FROM crsql_site_id;
SELECT crsql_internal_sync_bit();
CREATE TEMP TABLE was AS SELECT crsql_site_id() AS id;
.print -- a new identity: what was written stays the old one's
SELECT length(crsql_new_site());
SELECT crsql_site_id() = id FROM was;
SELECT crsql_db_version();
INSERT INTO t VALUES (2, 'b');
SELECT val, db_version, site_id = crsql_site_id() AS own FROM crsql_changes ORDER BY val;
SELECT ordinal FROM crsql_site_id ORDER BY ordinal;
SELECT json_extract(crsql_vector(), '$.epoch');
SELECT count(*) FROM json_each(crsql_vector(), '$.seen');
.print -- a copied file writes under the same site, until it meets a peer that knows better
VACUUM INTO 'copy.db';
INSERT INTO t VALUES (3, 'written in the original');
SELECT writefile('a.changes', crsql_changeset()) > 0;
.open copy.db
.load $LIB
CREATE TEMP TABLE was AS SELECT crsql_site_id() AS id;
INSERT INTO t VALUES (4, 'written in the copy');
SELECT crsql_apply(readfile('a.changes')) IS NOT NULL;
SELECT crsql_site_id() = id FROM was;
SELECT id, a FROM t ORDER BY id;
SELECT count(*) FROM crsql_check();
