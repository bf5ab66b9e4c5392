//! The disks of the simulated machines: files in memory under SQLite, which lose what was not
//! synced when the power goes, stop at any write, and fill up when they are told to.
//!
//! `mod.rs` is what a disk is; `vfs.rs` is SQLite's way to it; `locks.rs` is what connections of
//! one machine share.

mod locks;
mod vfs;

pub use locks::{Locks, Shared};
pub use vfs::{install, machine, name, seed};

use crate::rng::Rng;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Sectors are written whole or not at all.
const SECTOR: usize = 512;

/// One change since the last sync.
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// A file.
#[derive(Default)]
pub struct File {
    pub data: Vec<u8>,
    /// What is on the platter, where that differs, and what has changed since.
    synced: Option<Vec<u8>>,
    pending: Vec<Change>,
    pub locks: Locks,
    pub shared: Shared,
}

impl File {
    /// What the platter holds is what is there before the first change since a sync.
    fn remember(&mut self) {
        if self.synced.is_none() {
            self.synced = Some(self.data.clone());
        }
    }

    fn put(data: &mut Vec<u8>, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if data.len() < end {
            data.resize(end, 0);
        }
        data[at..end].copy_from_slice(bytes);
    }

    fn sync(&mut self) {
        self.synced = None;
        self.pending.clear();
    }

    /// The power goes: of what was not synced some sectors made it to the platter.
    fn lose_power(&mut self, rng: &mut Rng) {
        let Some(mut data) = self.synced.take() else { return };
        let keep = rng.below(3);
        for change in self.pending.drain(..) {
            match change {
                Change::Truncate(len) if keep == 2 || keep == 1 && rng.below(2) == 0 => {
                    data.resize(len, 0);
                }
                Change::Truncate(_) => {}
                Change::Write(at, bytes) => {
                    for (n, sector) in bytes.chunks(SECTOR).enumerate() {
                        if keep == 2 || keep == 1 && rng.below(2) == 0 {
                            File::put(&mut data, at + n * SECTOR, sector);
                        }
                    }
                }
            }
        }
        self.data = data;
    }
}

/// What is about to go wrong with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// The process is killed.
    Kill,
    /// The power goes.
    Power,
    /// Writes that make a file grow fail.
    Full,
}

/// One machine: its files, its clock, and what is about to go wrong with it.
pub struct Machine {
    pub files: BTreeMap<String, Rc<RefCell<File>>>,
    /// Files that are deleted, and may come back when the power goes.
    deleted: Vec<(String, Rc<RefCell<File>>)>,
    /// Milliseconds of the Julian day.
    pub now: i64,
    /// Nothing is written any more: the process that had the files open is dead.
    pub dead: bool,
    /// How many more writes until it happens.
    pub fuse: Option<(u32, Harm)>,
    pub full: bool,
    /// What is not synced is remembered, for the power may go.
    pub careful: bool,
    /// Syncs do nothing: the judge looks, and what it looks at must not become durable by that.
    pub deaf: bool,
    /// How often the disk was written.
    pub writes: u64,
}

impl Machine {
    fn new() -> Machine {
        Machine {
            files: BTreeMap::new(),
            deleted: Vec::new(),
            now: 0,
            dead: false,
            fuse: None,
            full: false,
            careful: false,
            deaf: false,
            writes: 0,
        }
    }

    /// Empties the disk and mends everything.
    pub fn reset(&mut self) {
        *self = Machine::new();
    }

    /// A write is about to happen: false where the machine does not come to it.
    fn write_begins(&mut self) -> bool {
        self.writes += 1;
        if let Some((left, harm)) = &mut self.fuse {
            if *left == 0 {
                let harm = *harm;
                self.fuse = None;
                match harm {
                    Harm::Full => self.full = true,
                    Harm::Kill | Harm::Power => self.dead = true,
                }
            } else {
                *left -= 1;
            }
        }
        !self.dead
    }

    /// The first sync of a new file takes its folder along.
    fn synced(&mut self) {
        self.deleted.clear();
    }

    fn delete(&mut self, name: &str, now: bool) -> bool {
        let Some(file) = self.files.remove(name) else { return false };
        if self.careful && !now {
            self.deleted.push((name.to_owned(), file));
        }
        true
    }

    /// The machine starts again after its process died, or the power went. Connections are closed.
    pub fn restart(&mut self, power: bool, rng: &mut Rng) {
        self.dead = false;
        self.fuse = None;
        self.full = false;
        if power {
            for (name, file) in std::mem::take(&mut self.deleted) {
                if rng.below(2) == 0 {
                    self.files.insert(name, file);
                }
            }
            for file in self.files.values() {
                file.borrow_mut().lose_power(rng);
            }
        }
        self.deleted.clear();
    }

    /// The main file's bytes, with what is in its log beside it.
    pub fn copy(&self) -> BTreeMap<String, Vec<u8>> {
        let all = self.files.iter().filter(|(name, _)| !name.ends_with("-shm"));
        all.map(|(name, file)| (name.clone(), file.borrow().data.clone())).collect()
    }

    /// Puts files in place of all that there are.
    pub fn restore(&mut self, files: &BTreeMap<String, Vec<u8>>) {
        self.files.clear();
        self.deleted.clear();
        for (name, data) in files {
            let file = File { data: data.clone(), ..File::default() };
            self.files.insert(name.clone(), Rc::new(RefCell::new(file)));
        }
    }
}
