-- The settings of a file.
SELECT crsql_config_get('max-drift-ms'), crsql_config_get('merge-equal-values');
SELECT crsql_config_set('max-drift-ms', 60000), crsql_config_set('merge-equal-values', 1);
SELECT crsql_config_get('max-drift-ms'), crsql_config_get('merge-equal-values');
SELECT * FROM crsql_config ORDER BY key;
SELECT crsql_config_get('nothing');
SELECT crsql_config_set('nothing', 1);
SELECT crsql_config_set('max-drift-ms', -1);
SELECT crsql_config_set('max-drift-ms', 'long');
.print -- accepted for programs that were written for cr-sqlite
SELECT crsql_finalize(), crsql_internal_sync_bit(), crsql_internal_sync_bit(1);
SELECT crsql_version() LIKE '%.%.%';
