-- Made by the first crsql_column that declares more than the last write. docs/FORMAT.md explains it.

-- The parts of columns that merge by more than the last write. Of a column that has parts, the row
-- whose register is -1 is its base, whose cell is in the row's clock like any other.
CREATE TABLE IF NOT EXISTS crsql_parts(
  tid INTEGER NOT NULL,
  key NOT NULL,                       -- as in the clocks
  cid INTEGER NOT NULL,
  register NOT NULL,                  -- -1 the base, the ordinal of a site, or a text
  val,
  site INTEGER,                       -- where it was written: the ordinal,
  version INTEGER,                    -- the version
  seq INTEGER,                        -- and the place
  stamp INTEGER,
  PRIMARY KEY(tid, key, cid, register)
) WITHOUT ROWID;
