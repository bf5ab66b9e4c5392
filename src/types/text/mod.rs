//! `text`: an UPDATE is what it changed in the text, and what several people type at the same time
//! is all there.
//!
//! The state of a column is its base and two kinds of registers, each with one author. A *genesis*
//! is what the base was when somebody edited it first; a *chunk* is what one site did in one
//! stretch of edits. So an edit writes a few hundred bytes, on the disk and to everybody, nothing
//! has to be compacted, and the same edits are the same bytes on every replica.
//!
//! What is shown is a function of base and registers (`document`). The characters are put together
//! by yrs, a port of Yjs (Nicolaescu et al., "Near Real-Time Peer-to-Peer Shared Editing on
//! Extensible Data Types", 2016): it says where each goes. What is stored is ours (`chunk`).
//!
//! What is not TEXT, or is no UTF-8, counts as the empty text as soon as somebody edits it.
//!
//! | file         | what it does                                       |
//! |--------------|----------------------------------------------------|
//! | `names`      | the names of registers, the numbers of authors     |
//! | `chunk`      | a stretch of edits, and its bytes                  |
//! | `weave`      | what can be put together of what is there          |
//! | `v1`         | what we say to yrs and it to us                    |
//! | `document`   | an open text                                       |
//! | `cursor`     | typing that goes on where it was                   |
//! | `anchor`     | places in a text that stay where they are          |
//! | `difference` | what an UPDATE changed                             |

mod anchor;
mod chunk;
mod cursor;
mod difference;
mod document;
mod names;
mod v1;
mod weave;

pub use anchor::Side;
pub use chunk::RUNS_MAX;
pub use difference::difference;
pub use document::{Document, SPLICES_MAX};

use super::{Host, Parts, Registers, Type, Writer, site_of};
use crate::words::affinity::Affinity;
use crate::words::error::{Error, Result};
use crate::words::value::{Value, ValueRef};
use chunk::Chunk;
use names::Register;

/// The longest text that can be written, in bytes.
pub const TEXT_MAX_BYTES: usize = 16 << 20;

/// The longest chunk that is taken: the longest text, and as much again for what it replaces.
const CHUNK_MAX_BYTES: usize = 2 * TEXT_MAX_BYTES;

/// A place in a text where some bytes give way to others. Of several, all places are in the text
/// before any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// The byte it begins at.
    pub at: usize,
    /// How many bytes go.
    pub removed: usize,
    /// What comes in their place.
    pub inserted: String,
}

/// The text that a value counts as.
pub fn text_of(value: ValueRef<'_>) -> &str {
    match value {
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        _ => "",
    }
}

/// Whether a column of this affinity can be one; else what it needs.
pub fn fits(affinity: Affinity) -> std::result::Result<(), &'static str> {
    match affinity {
        Affinity::Text | Affinity::Blob | Affinity::Any => Ok(()),
        _ => Err("a column of text, and stores texts of digits as numbers"),
    }
}

/// Why an UPDATE cannot be taken, as the rest of a sentence.
pub fn refuses(new: ValueRef<'_>) -> Option<String> {
    match new {
        ValueRef::Null => None,
        ValueRef::Text(bytes) if bytes.len() > TEXT_MAX_BYTES => {
            let mib = TEXT_MAX_BYTES >> 20;
            Some(format!("is a text, and cannot become one of more than {mib} MiB"))
        }
        ValueRef::Text(bytes) if std::str::from_utf8(bytes).is_err() => {
            Some("is a text, and cannot become one that is not UTF-8".to_string())
        }
        ValueRef::Text(_) => None,
        other => Some(format!("is a text, and cannot become {}", other.class_name())),
    }
}

/// Whether anybody edited it: without a chunk the base is shown as it is.
pub fn edited(parts: &Parts) -> bool {
    parts.list.keys().any(|name| matches!(names::register(name), Some(Register::Chunk(..))))
}

/// What the column shows.
pub fn shown(parts: &Parts) -> Value {
    at(parts, u64::MAX)
}

/// What the column showed when all edits up to a stamp were known, on the base that it has now.
pub fn at(parts: &Parts, stamp: u64) -> Value {
    if !edited(parts) {
        return parts.base.clone();
    }
    match Document::until(parts, &[0; 16], stamp) {
        Ok(mut document) => Value::text(document.text()),
        Err(_) => parts.base.clone(),
    }
}

/// Whether a register of this name can have this value. Strangers send both.
pub fn accepts(register: &str, value: ValueRef<'_>) -> bool {
    match (names::register(register), value) {
        (Some(Register::Genesis), ValueRef::Text(bytes)) => {
            let fits = !bytes.is_empty() && bytes.len() <= TEXT_MAX_BYTES;
            let text = if fits { std::str::from_utf8(bytes).ok() } else { None };
            text.is_some_and(|text| names::genesis(text).0 == register)
        }
        (Some(Register::Chunk(site, _)), ValueRef::Blob(bytes)) => {
            let own = names::author_of_site(&site);
            let canonical = |chunk: Chunk| chunk.encode(own) == bytes;
            bytes.len() <= CHUNK_MAX_BYTES && Chunk::decode(bytes, own).is_ok_and(canonical)
        }
        _ => false,
    }
}

/// `text`
pub struct Text;

impl Type for Text {
    fn name(&self) -> String {
        "text".to_owned()
    }

    fn fits(&self, affinity: Affinity) -> std::result::Result<(), &'static str> {
        fits(affinity)
    }

    fn refuses(&self, _: ValueRef<'_>, new: ValueRef<'_>) -> Option<String> {
        refuses(new)
    }

    fn is_text(&self) -> bool {
        true
    }

    fn shows_what_is_written(&self) -> bool {
        true
    }

    fn updated(
        &self,
        by: &Writer<'_>,
        parts: &Parts,
        _: ValueRef<'_>,
        new: ValueRef<'_>,
    ) -> Result<Registers> {
        let site = site_of(by.site).ok_or_else(|| Error::corrupt("a writer has no site"))?;
        let mut document = Document::new(parts, &site)?;
        let splices = difference(document.text(), text_of(new));
        document.write(by.stamp, &splices)
    }

    fn shown(&self, _: &dyn Host, parts: &Parts) -> Result<Value> {
        Ok(shown(parts))
    }

    fn accepts(&self, register: &str, value: ValueRef<'_>) -> bool {
        accepts(register, value)
    }
}
