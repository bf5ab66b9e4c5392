//! Bugs that are planted to see whether the simulator finds them (`make planted`). In a build with
//! `--cfg crsql_plant`, and in no other, `planted!("name")` is true where that bug was chosen; else
//! it is the word `false`, and nothing of it is left. `sim/src/planted.rs` lists them.

#[cfg(crsql_plant)]
mod chosen {
    use std::sync::OnceLock;

    static CHOSEN: OnceLock<String> = OnceLock::new();

    /// Chooses the bug that this process has. Once.
    pub fn choose(name: &str) {
        CHOSEN.get_or_init(|| name.to_owned());
    }

    /// Whether this is the bug that was chosen.
    pub fn is(name: &str) -> bool {
        CHOSEN.get().is_some_and(|chosen| chosen == name)
    }
}

#[cfg(crsql_plant)]
pub use chosen::{choose, is};

#[cfg(crsql_plant)]
macro_rules! planted {
    ($name:literal) => {
        $crate::words::planted::is($name)
    };
}

#[cfg(not(crsql_plant))]
macro_rules! planted {
    ($name:literal) => {
        false
    };
}

pub(crate) use planted;
