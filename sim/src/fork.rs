//! A case runs in a copy of this process. So it begins with connections that are open and warm,
//! nothing of it is left for the next one, and where it crashes or hangs that is its failure.

use std::ffi::c_int;
use std::io::{Read, Write, pipe, stdout};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A case takes a hundredth of a second. One that takes this many seconds hangs.
const LONGEST: u32 = 60;

unsafe extern "C" {
    safe fn fork() -> c_int;
    safe fn alarm(seconds: u32) -> u32;
    safe fn _exit(code: c_int) -> !;
    fn waitpid(child: c_int, status: *mut c_int, options: c_int) -> c_int;
}

/// Runs a case in a copy of this process, and gives what it gives.
pub fn run(work: impl FnOnce() -> Result<u64, String>) -> Result<u64, String> {
    let (mut reader, mut writer) = pipe().map_err(|e| format!("no pipe: {e}"))?;
    let _ = stdout().flush();
    match fork() {
        -1 => Err("no process could be made".into()),
        0 => {
            alarm(LONGEST);
            let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err("it panics".into()));
            let told = done.map_or_else(|e| e, |trace| format!("well {trace}"));
            let _ = stdout().flush().and_then(|()| writer.write_all(told.as_bytes()));
            _exit(0)
        }
        child => {
            drop(writer);
            let (mut told, mut status) = (String::new(), 0);
            let read = reader.read_to_string(&mut told);
            // SAFETY: a child of ours, and a place for its status.
            unsafe { waitpid(child, &raw mut status, 0) };
            read.map_err(|e| format!("the process tells no text: {e}"))?;
            match told.strip_prefix("well ").and_then(|trace| trace.parse().ok()) {
                Some(trace) => Ok(trace),
                None if told.is_empty() => Err(format!("the process dies, by signal {status}")),
                None => Err(told),
            }
        }
    }
}
