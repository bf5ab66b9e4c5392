//! The target `rows` of `src/targets`, under libFuzzer.
#![no_main]

crsql_fuzz::guided!("rows");
