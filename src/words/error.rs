//! The one error type: an SQLite result code and a sentence for a person.
//!
//! The code is what the application's driver switches on, so it is kept exactly as SQLite gave it
//! (BUSY stays BUSY); the sentence names the table, the column and the way out.

use std::fmt;

/// `SQLITE_ERROR`: a statement or call is refused.
pub const SQLITE_ERROR: i32 = 1;
/// `SQLITE_BUSY`: another connection holds a lock.
pub const SQLITE_BUSY: i32 = 5;
/// `SQLITE_LOCKED`: a statement of this connection is in the way.
pub const SQLITE_LOCKED: i32 = 6;
/// `SQLITE_NOMEM`: an allocation failed.
pub const SQLITE_NOMEM: i32 = 7;
/// `SQLITE_INTERRUPT`
pub const SQLITE_INTERRUPT: i32 = 9;
/// `SQLITE_CORRUPT`: our own tables hold something that we never wrote.
pub const SQLITE_CORRUPT: i32 = 11;
/// `SQLITE_TOOBIG`: a value is larger than a limit.
pub const SQLITE_TOOBIG: i32 = 18;
/// `SQLITE_CONSTRAINT`: a column cannot take what was written.
pub const SQLITE_CONSTRAINT: i32 = 19;
/// `SQLITE_MISMATCH`: an argument has the wrong storage class.
pub const SQLITE_MISMATCH: i32 = 20;
/// `SQLITE_READONLY`: the database cannot be written.
pub const SQLITE_READONLY: i32 = 8;

/// What went wrong: SQLite's result code (extended where known) and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The SQLite result code that the statement ends with.
    pub code: i32,
    /// The sentence that the person reads.
    pub text: String,
}

/// The result of nearly everything here.
pub type Result<T> = std::result::Result<T, Error>;

/// Lets it pass that another connection writes, for work that the next call can do as well.
pub fn unless_busy(done: Result<()>) -> Result<()> {
    match done {
        Err(e) if e.code & 0xff == SQLITE_BUSY => Ok(()),
        done => done,
    }
}

impl Error {
    /// An error that carries an SQLite code of its own.
    pub fn new(code: i32, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// REFUSED: a local statement or a set-up call that cannot be done as asked.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::new(SQLITE_ERROR, text)
    }

    /// REJECTED: bytes or values from a peer that cannot be taken, with the reason.
    pub fn rejected(text: impl Into<String>) -> Self {
        Self::new(SQLITE_ERROR, text)
    }

    /// An argument of the wrong storage class.
    pub fn mismatch(text: impl Into<String>) -> Self {
        Self::new(SQLITE_MISMATCH, text)
    }

    /// One of our own tables holds something that we never wrote.
    pub fn corrupt(text: impl Into<String>) -> Self {
        Self::new(SQLITE_CORRUPT, text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}
