-- crsql's own tables, format 3. docs/FORMAT.md explains each; only src/ground/store.rs makes them.

-- One row: what this file is.
CREATE TABLE crsql_state(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  format INTEGER NOT NULL,        -- of these tables
  oldest_reader INTEGER NOT NULL, -- the oldest format whose code may open them
  self INTEGER NOT NULL,          -- the ordinal of this file's own site
  clock INTEGER NOT NULL,         -- the greatest stamp that was merged here
  deps BLOB,                      -- what was newly seen since our own last transaction
  mark INTEGER NOT NULL,          -- own versions up to here are known to be on the disk
  schema INTEGER NOT NULL,        -- schema_version when the tables below last agreed with it
  horizon TEXT,                   -- what was cleaned up: JSON {site: version}, or NULL
  hand TEXT                       -- where the sweep of the log goes on
);

-- Every site that this file has heard of.
CREATE TABLE crsql_sites(
  ordinal INTEGER PRIMARY KEY,
  site_id BLOB NOT NULL UNIQUE CHECK(length(site_id) = 16),
  epoch INTEGER NOT NULL DEFAULT 0,   -- how many identities this file had before
  retired INTEGER,                    -- own sites of the past: when, in clock steps
  forked INTEGER,                     -- two files were seen to write as this site: when
  closed INTEGER,                     -- then: the last version that counts; those above name nothing
  closed_stamp INTEGER,               -- its stamp; 0 where unknown
  closed_from INTEGER                 -- the version at which the fork was noticed
);

CREATE VIEW crsql_site_id(site_id, ordinal) AS
  SELECT site_id, CASE ordinal WHEN (SELECT self FROM crsql_state) THEN 0
                               ELSE ordinal + (ordinal = 0) * (SELECT self FROM crsql_state) END
  FROM crsql_sites;

-- The replicated tables and their columns, by numbers that are never used again.
CREATE TABLE crsql_tables(
  tid INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  former TEXT NOT NULL DEFAULT '[]',  -- names it had before: JSON
  shape INTEGER NOT NULL,             -- counts the changes of its columns
  dropped INTEGER,                    -- since when, in clock steps
  snapshot BLOB,                      -- what was found of it at some schema_version
  policy TEXT NOT NULL DEFAULT 'delete-wins' -- what becomes of its rows
);
CREATE TABLE crsql_register(
  tid INTEGER NOT NULL,
  cid INTEGER NOT NULL,
  name TEXT NOT NULL,
  former TEXT NOT NULL DEFAULT '[]',
  merge TEXT NOT NULL DEFAULT 'lww',  -- how it merges
  watched INTEGER NOT NULL DEFAULT 0, -- the update trigger names it
  dropped INTEGER,
  PRIMARY KEY(tid, cid)
) WITHOUT ROWID;

-- The transactions, and which rows each of them touched. Part 0 is the record, further parts
-- carry on the list of rows.
CREATE TABLE crsql_log(
  site INTEGER NOT NULL,
  version INTEGER NOT NULL,
  part INTEGER NOT NULL,
  stamp INTEGER,
  last_seq INTEGER,
  flags INTEGER,
  deps BLOB,
  rows BLOB NOT NULL,
  PRIMARY KEY(site, version, part)
) WITHOUT ROWID;

-- What was seen of other sites: whole transactions, in ranges.
CREATE TABLE crsql_coverage(
  site INTEGER NOT NULL,
  scope TEXT NOT NULL DEFAULT '*',
  lo INTEGER NOT NULL,
  hi INTEGER NOT NULL,
  stamp INTEGER NOT NULL,             -- of transaction hi; 0 where nobody could say
  PRIMARY KEY(site, scope, lo)
) WITHOUT ROWID;

-- Parts of transactions that are larger than one changeset, until they are whole.
CREATE TABLE crsql_staged(
  site INTEGER NOT NULL,
  version INTEGER NOT NULL,
  lo INTEGER NOT NULL,                -- the first place in the part
  hi INTEGER NOT NULL,                -- the last
  stamp INTEGER NOT NULL,             -- of the transaction
  body BLOB NOT NULL,                 -- the part as a changeset of its own
  PRIMARY KEY(site, version, lo)
) WITHOUT ROWID;

-- What is lacking of versions that were seen: it was dropped, here or where they came from.
CREATE TABLE crsql_omits(
  site INTEGER NOT NULL,
  lo INTEGER NOT NULL,
  hi INTEGER NOT NULL,
  what TEXT NOT NULL,                 -- the name of what was dropped
  PRIMARY KEY(site, lo, what)
) WITHOUT ROWID;

-- Changes that cannot be applied yet, and why. They are served onward like any change.
CREATE TABLE crsql_held(
  "table" TEXT NOT NULL,
  pk BLOB NOT NULL,
  cid TEXT NOT NULL,
  val,
  col_version INTEGER NOT NULL,
  db_version INTEGER NOT NULL,
  site_id BLOB NOT NULL,
  cl INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  stamp INTEGER NOT NULL,             -- of its transaction; 0 where unknown
  reason TEXT NOT NULL,
  held_at TEXT NOT NULL,              -- UTC
  peer BLOB,                          -- who sent it, where known
  ahead INTEGER NOT NULL DEFAULT 0,   -- the stamp that it waits for; 0 where it waits for another thing;
                                      -- -1 a delete of a row that stays
  PRIMARY KEY("table", pk, cid, ahead),
  -- An index by transaction. CREATE INDEX would make SQLite prepare every statement anew.
  UNIQUE(site_id, db_version, seq, "table", pk, cid, ahead)
) WITHOUT ROWID;

-- The peers, what we pulled from each and what each has acknowledged of what is here.
CREATE TABLE crsql_peers(
  site_id BLOB PRIMARY KEY NOT NULL,
  scope TEXT NOT NULL DEFAULT '*',
  pulled TEXT,                        -- JSON {site: [[lo, hi, stamp], ...]}: what it had to give
  pulled_at TEXT,                     -- UTC
  acked TEXT,                         -- JSON {site: [[lo, hi, stamp], ...]}: what it has
  acked_at TEXT,
  last_error TEXT,
  last_error_at TEXT
) WITHOUT ROWID;

CREATE TABLE crsql_config(key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- Where programs that were written for cr-sqlite keep their cursors. Nothing of ours reads it.
CREATE TABLE IF NOT EXISTS crsql_tracked_peers(
  site_id BLOB NOT NULL,
  version INTEGER NOT NULL,
  seq INTEGER DEFAULT 0,
  tag INTEGER NOT NULL DEFAULT 0,
  event INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(site_id, tag, event)
) STRICT, WITHOUT ROWID;
