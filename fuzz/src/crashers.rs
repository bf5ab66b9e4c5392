//! Inputs that failed: kept as files, replayed first on every run.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;

/// Where they are.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("crashers")
}

/// What a failure says, without numbers and bytes: failures with the same words are one.
pub fn words(message: &str) -> String {
    let start = message.split(" [").next().unwrap_or(message);
    start.chars().filter(|c| !c.is_ascii_digit()).take(100).collect()
}

/// Keeps an input, and beside it what it did.
pub fn keep(target: &str, input: &[u8], message: &str) -> PathBuf {
    let mut hash = DefaultHasher::new();
    input.hash(&mut hash);
    let path = folder().join(format!("{target}-{:016x}.bin", hash.finish()));
    let kept = fs::create_dir_all(folder())
        .and_then(|()| fs::write(&path, input))
        .and_then(|()| fs::write(path.with_extension("txt"), format!("{message}\n")));
    if let Err(e) = kept {
        println!("{} cannot be written: {e}", path.display());
    }
    path
}

/// The inputs that are kept for a target.
pub fn of(target: &str) -> Vec<PathBuf> {
    let start = format!("{target}-");
    let entries = fs::read_dir(folder()).into_iter().flatten().flatten().map(|e| e.path());
    let mut found: Vec<PathBuf> = entries
        .filter(|p| {
            let name = p.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with(&start) && name.ends_with(".bin")
        })
        .collect();
    found.sort();
    found
}

/// The target that a kept input is for.
pub fn target_of(path: &std::path::Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    Some(name.split_once('-')?.0.to_owned())
}
