//! The target `apply` of `src/targets`, under libFuzzer.
#![no_main]

crsql_fuzz::guided!("apply");
