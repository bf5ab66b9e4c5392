//! The target `keys` of `src/targets`, under libFuzzer.
#![no_main]

crsql_fuzz::guided!("keys");
