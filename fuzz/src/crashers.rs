//! Inputs on disk: those that failed, replayed first on every run, and the corpora, which reach
//! much of the code and are what new inputs are made from.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// What a failure says, without numbers and bytes: failures with the same words are one.
pub fn words(message: &str) -> String {
    let start = message.split(" [").next().unwrap_or(message);
    start.chars().filter(|c| !c.is_ascii_digit()).take(100).collect()
}

fn name_of(input: &[u8]) -> String {
    let mut hash = DefaultHasher::new();
    input.hash(&mut hash);
    format!("{:016x}", hash.finish())
}

/// Keeps an input, and beside it what it did.
pub fn keep(target: &str, input: &[u8], message: &str) -> PathBuf {
    let path = folder("crashers").join(format!("{target}-{}.bin", name_of(input)));
    let kept = fs::create_dir_all(folder("crashers"))
        .and_then(|()| fs::write(&path, input))
        .and_then(|()| fs::write(path.with_extension("txt"), format!("{message}\n")));
    if let Err(e) = kept {
        println!("{} cannot be written: {e}", path.display());
    }
    path
}

/// Writes an input into the folder of a corpus.
pub fn seed(folder: &Path, input: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(name_of(input)), input)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|e| e.path()).collect();
    found.sort();
    found
}

/// The failed inputs that are kept for a target: of ours, and of libFuzzer, which has names of its
/// own for them.
pub fn of(target: &str) -> Vec<PathBuf> {
    let all = files(&folder("crashers")).into_iter();
    all.filter(|p| target_of(p).is_some_and(|t| t == target))
        .filter(|p| p.extension().is_none_or(|e| e != "txt"))
        .collect()
}

/// A target's corpus.
pub fn corpus(target: &str) -> Vec<Vec<u8>> {
    files(&folder("corpus").join(target)).iter().filter_map(|p| fs::read(p).ok()).collect()
}

/// The target that a kept input is for.
pub fn target_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    Some(name.split_once('-')?.0.to_owned())
}
