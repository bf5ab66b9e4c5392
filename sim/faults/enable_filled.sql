-- Tables with rows, of several shapes, in WAL mode.
== before
PRAGMA journal_mode = WAL;
CREATE TABLE strict_one(k BLOB PRIMARY KEY NOT NULL, a INT, b ANY) STRICT, WITHOUT ROWID;
CREATE TABLE "odd ""name"""(x TEXT NOT NULL, y REAL NOT NULL, "sel ect", PRIMARY KEY(y, x));
CREATE TABLE keys_only(a INTEGER NOT NULL, b INTEGER NOT NULL, PRIMARY KEY(a, b));
INSERT INTO strict_one VALUES (x'00', 1, 'any'), (x'', NULL, 2.5);
INSERT INTO "odd ""name""" VALUES ('a', 1, NULL), ('b', -0.0, 'text');
INSERT INTO keys_only VALUES (1, 2), (2, 1);
== faults
SELECT crsql_as_crr('strict_one');
SELECT crsql_as_crr('odd "name"');
SELECT crsql_as_crr('main', 'keys_only');
SELECT crsql_as_crr('strict_one');
== after
UPDATE strict_one SET a = 5;
DELETE FROM keys_only WHERE a = 1;
