-- Settings and functions that only tell something.
== before
CREATE TABLE t(k INTEGER PRIMARY KEY NOT NULL, v);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES (1, 'one');
== faults
SELECT crsql_config_set('max-drift-ms', 60000), crsql_config_get('max-drift-ms');
SELECT crsql_config_set('merge-equal-values', 1);
SELECT hex(crsql_pack_columns(1, 'a', NULL, 2.5, x'00'));
SELECT cell FROM crsql_unpack_columns(crsql_pack_columns(1, 'a', NULL, 2.5, x'00'));
SELECT length(crsql_uuid7()), crsql_version() <> '', crsql_time(4096 * 86400000);
SELECT crsql_fract_key_between(NULL, 'a '), crsql_db_version(), crsql_next_db_version();
SELECT ordinal FROM crsql_site_id;
== after
INSERT INTO t VALUES (2, 'two');
