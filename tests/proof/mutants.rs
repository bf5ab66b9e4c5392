//! Floor 0 alone, with every test of it that needs nothing else: what `tests/proof/mutants.sh` lays
//! out as a package of its own. One crate, so that a mutant costs one compilation.

extern crate self as crsql;

pub mod words;

#[cfg(test)]
#[path = "../tests/golden.rs"]
mod golden;
#[cfg(test)]
#[path = "../tests/laws.rs"]
mod laws;
#[cfg(test)]
#[path = "../tests/words_affinity.rs"]
mod words_affinity;
#[cfg(test)]
#[path = "../tests/words_changeset.rs"]
mod words_changeset;
#[cfg(test)]
#[path = "../tests/words_edges.rs"]
mod words_edges;
#[cfg(test)]
#[path = "../tests/words_vector.rs"]
mod words_vector;
