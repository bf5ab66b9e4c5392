-- The packing of keys: what stands in crsql_changes.pk.
SELECT hex(crsql_pack_columns(1, 'a')), hex(crsql_pack_columns(128)), hex(crsql_pack_columns(-1));
SELECT hex(crsql_pack_columns(0)), hex(crsql_pack_columns(NULL)), hex(crsql_pack_columns(''));
SELECT hex(crsql_pack_columns(1.5)), hex(crsql_pack_columns(x'00ff'));
SELECT quote(cell) FROM crsql_unpack_columns WHERE package = x'04090C0B0161023FF80000000000000C0200FF';
SELECT quote(cell) FROM crsql_unpack_columns(crsql_pack_columns(1, NULL, 'x'));
CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, a);
SELECT crsql_as_crr('t');
INSERT INTO t VALUES ('key', 1);
SELECT cell FROM crsql_changes, crsql_unpack_columns WHERE package = pk;
.print -- a view may unpack, in a schema that is not trusted too
PRAGMA trusted_schema = OFF;
CREATE VIEW parts AS SELECT cell FROM crsql_unpack_columns(crsql_pack_columns('in', 'a view'));
SELECT group_concat(cell, ' ') FROM parts;
.print -- anything that is no packing is REJECTED
SELECT crsql_pack_columns();
SELECT * FROM crsql_unpack_columns(x'');
SELECT * FROM crsql_unpack_columns(x'00');
SELECT * FROM crsql_unpack_columns(x'0109');
SELECT * FROM crsql_unpack_columns(x'010900');
SELECT * FROM crsql_unpack_columns('text');
SELECT * FROM crsql_unpack_columns;
.print -- keys for rows
SELECT length(crsql_uuid7()), substr(crsql_uuid7(), 15, 1), crsql_uuid7() = crsql_uuid7();
