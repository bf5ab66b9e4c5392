//! The target `changeset` of `src/targets`, under libFuzzer.
#![no_main]

crsql_fuzz::guided!("changeset");
