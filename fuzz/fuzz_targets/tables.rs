//! The target `tables` of `src/targets`, under libFuzzer.
#![no_main]

crsql_fuzz::guided!("tables");
