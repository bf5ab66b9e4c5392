-- What cannot be replicated is REFUSED by name, with the way out.
CREATE TABLE no_key(a, b);
SELECT crsql_as_crr('no_key');
CREATE TABLE null_key(a TEXT PRIMARY KEY, b);
SELECT crsql_as_crr('null_key');
CREATE TABLE counted(a INTEGER PRIMARY KEY AUTOINCREMENT, b);
SELECT crsql_as_crr('counted');
CREATE TABLE no_case(a TEXT PRIMARY KEY NOT NULL COLLATE NOCASE, b);
SELECT crsql_as_crr('no_case');
CREATE TABLE uniq(a TEXT PRIMARY KEY NOT NULL, b UNIQUE);
SELECT crsql_as_crr('uniq');
CREATE TABLE indexed(a TEXT PRIMARY KEY NOT NULL, b);
CREATE UNIQUE INDEX by_b ON indexed(b);
SELECT crsql_as_crr('indexed');
CREATE TABLE child(a TEXT PRIMARY KEY NOT NULL, b REFERENCES uniq(a));
SELECT crsql_as_crr('child');
CREATE TABLE not_null(a TEXT PRIMARY KEY NOT NULL, b NOT NULL);
SELECT crsql_as_crr('not_null');
CREATE TABLE minus_one(a TEXT PRIMARY KEY NOT NULL, "-1");
SELECT crsql_as_crr('minus_one');
CREATE VIEW looks AS SELECT a FROM uniq;
SELECT crsql_as_crr('looks');
CREATE TEMP TABLE passing(a INTEGER PRIMARY KEY);
SELECT crsql_as_crr('passing');
SELECT crsql_as_crr('temp', 'passing');
SELECT crsql_as_crr('nowhere');
SELECT crsql_as_crr('crsql_changes');
SELECT crsql_as_crr(7);
.print -- nothing of ours was made
SELECT name FROM sqlite_schema WHERE name LIKE 'crsql%';
.open utf16.db
.load $LIB
PRAGMA encoding = 'UTF-16le';
CREATE TABLE t(a INTEGER PRIMARY KEY);
SELECT crsql_as_crr('t');
