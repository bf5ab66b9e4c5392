//! What the connections of one machine share of a file: its locks, and the memory of its log.

use rusqlite::ffi;
use std::ffi::c_int;

/// Who has which lock: SQLite's five levels, by the number of the open file.
#[derive(Default)]
pub struct Locks {
    held: Vec<(u64, c_int)>,
    next: u64,
}

impl Locks {
    /// The number of a file that is opened now.
    pub fn enter(&mut self) -> u64 {
        self.next += 1;
        self.held.push((self.next, ffi::SQLITE_LOCK_NONE));
        self.next
    }

    pub fn leave(&mut self, who: u64) {
        self.held.retain(|(w, _)| *w != who);
    }

    pub fn level(&self, who: u64) -> c_int {
        self.held.iter().find(|(w, _)| *w == who).map_or(0, |(_, level)| *level)
    }

    fn others(&self, who: u64) -> c_int {
        self.held.iter().filter(|(w, _)| *w != who).map(|(_, l)| *l).max().unwrap_or(0)
    }

    /// Whether anybody has RESERVED or more.
    pub fn reserved(&self) -> bool {
        self.held.iter().any(|(_, level)| *level >= ffi::SQLITE_LOCK_RESERVED)
    }

    /// Takes a lock, or says that another connection has one that stands against it.
    pub fn lock(&mut self, who: u64, level: c_int) -> bool {
        if self.level(who) >= level {
            return true;
        }
        let others = self.others(who);
        let free = match level {
            ffi::SQLITE_LOCK_SHARED => others < ffi::SQLITE_LOCK_PENDING,
            ffi::SQLITE_LOCK_RESERVED => others < ffi::SQLITE_LOCK_RESERVED,
            _ => others < ffi::SQLITE_LOCK_RESERVED,
        };
        let readers = level == ffi::SQLITE_LOCK_EXCLUSIVE && others >= ffi::SQLITE_LOCK_SHARED;
        if free {
            // A writer that waits for readers keeps new ones out.
            self.set(who, if readers { ffi::SQLITE_LOCK_PENDING } else { level });
        }
        free && !readers
    }

    pub fn set(&mut self, who: u64, level: c_int) {
        if let Some(slot) = self.held.iter_mut().find(|(w, _)| *w == who) {
            slot.1 = level;
        }
    }
}

const SLOTS: usize = ffi::SQLITE_SHM_NLOCK as usize;

/// The memory that connections in WAL mode share.
#[derive(Default)]
pub struct Shared {
    pub regions: Vec<Box<[u64]>>,
    /// The connections that have it mapped.
    users: Vec<u64>,
    /// Per slot: who has it for himself, and who shares it.
    alone: [Option<u64>; SLOTS],
    many: [Vec<u64>; SLOTS],
}

impl Shared {
    /// A connection maps the memory.
    pub fn enter(&mut self, who: u64) {
        if !self.users.contains(&who) {
            self.users.push(who);
        }
    }

    /// A connection lets go of it; true where nobody is left.
    pub fn leave(&mut self, who: u64) -> bool {
        self.users.retain(|w| *w != who);
        self.users.is_empty()
    }

    pub fn lock(&mut self, who: u64, slots: std::ops::Range<usize>, alone: bool) -> bool {
        let free = slots.clone().all(|n| {
            let other = self.alone[n].is_some_and(|w| w != who);
            !other && (!alone || self.many[n].iter().all(|w| *w == who))
        });
        if free {
            for n in slots {
                match alone {
                    true => self.alone[n] = Some(who),
                    false if self.many[n].contains(&who) => {}
                    false => self.many[n].push(who),
                }
            }
        }
        free
    }

    pub fn unlock(&mut self, who: u64, slots: std::ops::Range<usize>) {
        for n in slots {
            if self.alone[n] == Some(who) {
                self.alone[n] = None;
            }
            self.many[n].retain(|w| *w != who);
        }
    }
}
