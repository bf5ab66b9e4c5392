//! Floor 3, rooms: the work itself. A change walks one way: application write, `capture`,
//! `memory`, `flush`, `log`, `feed`, changeset, wire, apply, `merger`, `log`.
//!
//! | room        | what it does                                                       |
//! |-------------|--------------------------------------------------------------------|
//! | `session`   | what is known of one connection; every room is handed it           |
//! | `capture`   | the functions that the triggers call                               |
//! | `upsert`    | when a trigger's OLD row cannot be trusted                         |
//! | `memory`    | what the open transaction did and the log does not have yet        |
//! | `flush`     | the memory becomes clocks and a transaction in the log             |
//! | `stale`     | columns that the update trigger does not name yet                  |
//! | `log`       | transactions, their rows, the rows' clocks; the only writer        |
//! | `sweep`     | stale entries of the log go                                        |
//! | `feed`      | what is left of one transaction                                    |
//! | `scan`      | the rows of `crsql_changes`                                        |
//! | `single`    | one change that arrives by itself                                  |
//! | `merger`    | one row's incoming changes meet the row                            |
//! | `hand`      | the clock of the row that changes arrive for one by one            |
//! | `unchecked` | merging past CHECK constraints                                     |
//! | `guard`     | the application's triggers are kept off while a merge writes        |
//! | `rows`      | every statement on the application's tables                        |
//! | `rowwise`   | `INSERT INTO crsql_changes`                                        |
//! | `intent`    | what was meant by writes to such columns                           |
//! | `arrive`    | a part that arrives meets what stands                              |
//! | `parts`     | the parts of columns that merge by intent                          |
//! | `column`    | `crsql_column()`: how a column merges                              |
//! | `rights`    | who may take how much from a bounded column                        |
//! | `text`      | open texts, and what editors call                                  |
//! | `custom`    | the application's own merge functions                              |
//! | `policy`    | `crsql_row_policy()`; rows of tables that only grow stay           |
//! | `revive`    | rows that live on where a delete did not know of an update         |
//! | `held`      | changes that wait, and why                                         |
//! | `coverage`  | what was seen of every site; `crsql_vector()`, `crsql_seen()`      |
//! | `export`    | `crsql_changeset()`                                                |
//! | `apply`     | `crsql_apply()`                                                    |
//! | `items`     | what a transaction of a changeset says meets the rows              |
//! | `report`    | what `crsql_apply()` tells                                         |
//! | `dictionary`| a changeset's tables looked up among ours                          |
//! | `durable`   | what is sent is on the disk                                        |
//! | `staged`    | parts of large transactions, until they are whole                  |
//! | `peers`     | what we have from each peer, and each peer from us                 |
//! | `enable`    | `crsql_as_crr`, `crsql_as_table`                                   |
//! | `alter`     | register and triggers follow the schema                            |
//! |`automigrate`| `crsql_automigrate`: the schema becomes what a text says           |
//! | `rebuilt`   | tables that were built anew                                        |
//! | `ordered`   | `crsql_fract_as_ordered`: rows that people rearrange               |
//! | `omits`     | what is lacking of versions that were seen: dropped, or to come    |
//! | `identity`  | this file's own site                                               |
//! | `forks`     | two files that write as one site                                   |
//! | `ahead`     | our own clock was ahead                                            |
//! | `horizon`   | who lacks what was cleaned up, or cleaned up what we lack          |
//! | `digest`    | `crsql_digest()`                                                   |
//! | `check`     | `crsql_check()`                                                    |
//! | `config`    | settings                                                           |

pub mod ahead;
pub mod alter;
pub mod apply;
pub mod arrive;
pub mod automigrate;
pub mod capture;
pub mod check;
pub mod column;
pub mod config;
pub mod coverage;
pub mod custom;
pub mod dictionary;
pub mod digest;
pub mod durable;
pub mod enable;
pub mod export;
pub mod feed;
pub mod flush;
pub mod forks;
pub mod guard;
pub mod hand;
pub mod held;
pub mod horizon;
pub mod identity;
pub mod intent;
pub mod items;
pub mod log;
pub mod memory;
pub mod merger;
pub mod omits;
pub mod ordered;
pub mod parts;
pub mod peers;
pub mod policy;
pub mod rebuilt;
pub mod report;
pub mod revive;
pub mod rights;
pub mod rows;
pub mod rowwise;
pub mod scan;
pub mod session;
pub mod single;
pub mod staged;
pub mod stale;
pub mod sweep;
pub mod text;
pub mod unchecked;
pub mod upsert;
