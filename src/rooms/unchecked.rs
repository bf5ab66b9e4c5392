//! Merging never evaluates CHECK: two replicas can each make a legal write that the other's CHECK
//! would refuse, and refusing would keep them apart for ever. A write is tried as it is; only
//! where a CHECK fails it is prepared again with SQLite's `ignore_check_constraints` on. That is
//! put back at once; where SQLite has no memory left to do so, before the connection's next write.

use super::session::Session;
use crate::ground::Prep;
use crate::words::error::Result;

const CONSTRAINT_CHECK: i32 = 275;

/// Runs a write of a merge, past CHECK constraints.
pub fn write(s: &Session, work: impl Fn() -> Result<()>) -> Result<()> {
    match work() {
        Err(e) if e.code == CONSTRAINT_CHECK => without_checks(s, work),
        done => done,
    }
}

fn without_checks(s: &Session, work: impl Fn() -> Result<()>) -> Result<()> {
    let mut stmt = s.db.prepare("PRAGMA ignore_check_constraints", Prep::Once)?;
    stmt.step()?;
    let was_on = stmt.int(0) != 0;
    drop(stmt);
    if was_on {
        return work();
    }
    s.unchecked.set(true);
    s.expiring(|| s.db.exec("PRAGMA ignore_check_constraints = ON"))?;
    let done = work();
    put_back(s)?;
    done
}

/// Lets the connection look at CHECK constraints again, if it does not because of a merge.
pub fn put_back(s: &Session) -> Result<()> {
    if s.unchecked.get() {
        s.expiring(|| s.db.exec("PRAGMA ignore_check_constraints = OFF"))?;
        s.unchecked.set(false);
    }
    Ok(())
}
