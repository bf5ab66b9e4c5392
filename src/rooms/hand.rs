//! The row in hand. Changes that arrive one by one come row by row mostly: the clock of the row
//! that the last change met stays in memory, and is written when the next row comes, or when
//! anybody is about to read or write clocks.
//!
//! It obeys the flush law (`memory.rs`): a savepoint notes the row in hand, ROLLBACK TO takes it
//! up again, and only the end of the transaction lets it go unwritten.

use std::rc::Rc;

use super::log;
use super::memory::Hand;
use super::session::Session;
use crate::words::error::Result;
use crate::words::key::Key;
use crate::words::rowclock::RowClock;

/// The clock of a row, which is in hand from now on if it has one.
pub fn take(s: &Session, tid: u32, key: &Key) -> Result<Option<RowClock>> {
    if let Some(hand) = &s.memory.borrow().hand
        && hand.tid == tid
        && hand.key == *key
    {
        return Ok(Some(hand.clock.clone()));
    }
    let found = log::clock_of_new(s, tid, key.borrow())?;
    if let Some(clock) = &found
        && s.memory.borrow().enlisted
    {
        settle(s)?;
        let (key, clock) = (key.clone(), clock.clone());
        let hand = Hand { tid, key, clock, known: true, dirty: false };
        s.memory.borrow_mut().hand = Some(Rc::new(hand));
    }
    Ok(found)
}

/// Gives a row a new clock. `known` says whether it has one already.
pub fn put(s: &Session, tid: u32, key: &Key, clock: RowClock, known: bool) -> Result<()> {
    if !s.memory.borrow().enlisted {
        return log::set_clock(s, tid, key.borrow(), &clock, known);
    }
    if let Some(hand) = &mut s.memory.borrow_mut().hand
        && hand.tid == tid
        && hand.key == *key
    {
        let hand = Rc::make_mut(hand);
        hand.clock = clock;
        hand.dirty = true;
        return Ok(());
    }
    settle(s)?;
    let hand = Hand { tid, key: key.clone(), clock, known, dirty: true };
    s.memory.borrow_mut().hand = Some(Rc::new(hand));
    Ok(())
}

/// Writes what is in hand, and lets it go. What cannot be written stays, unless SQLite rolled the
/// transaction back over it.
pub fn settle(s: &Session) -> Result<()> {
    let hand = s.memory.borrow_mut().hand.take();
    let Some(hand) = hand.filter(|h| h.dirty) else { return Ok(()) };
    let done = log::set_clock(s, hand.tid, hand.key.borrow(), &hand.clock, hand.known);
    if done.is_err() && s.memory.borrow().enlisted {
        s.memory.borrow_mut().hand = Some(hand);
    }
    done
}
