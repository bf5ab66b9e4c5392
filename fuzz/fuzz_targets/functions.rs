//! The target `functions` of `src/targets`, under libFuzzer.
#![no_main]

crsql_fuzz::guided!("functions");
