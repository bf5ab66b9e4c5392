//! SQL functions. A call costs no allocation and no lock: triggers call them once per row.

use super::abi::{SQLITE_UTF8, sqlite3_context, sqlite3_value};
use super::api;
use super::args::Args;
use super::db::{Db, c_string};
use super::fence::{fail_context, fence};
use super::out::Out;
use crate::words::error::Result;
use std::ffi::{c_int, c_void};
use std::ptr::null;
use std::rc::Rc;

/// What a function may be used for; the flags add up.
pub struct FnFlags;

impl FnFlags {
    /// The same arguments give the same answer within a statement.
    pub const DETERMINISTIC: u32 = 0x800;
    /// It cannot be called from triggers, views, indexes, CHECKs or defaults.
    pub const DIRECTONLY: u32 = 0x8_0000;
    /// It may be called from the triggers and views of a schema that is not trusted.
    pub const INNOCUOUS: u32 = 0x20_0000;
}

/// `SQLITE_RESULT_SUBTYPE`: the answer may be JSON. Without it a SQLite built to be strict makes
/// the answer an error; one that does not know it ignores it.
const RESULT_SUBTYPE: u32 = 0x100_0000;

/// The body of a function.
type Body<S> = fn(&Rc<S>, Args<'_>, &mut Out<'_>) -> Result<()>;

/// What SQLite keeps with the function.
struct App<S> {
    body: Body<S>,
    state: Rc<S>,
}

impl Db {
    /// Makes `name` an SQL function of `n_args` arguments (-1: any number) on this connection.
    pub fn function<S: 'static>(
        self,
        name: &str,
        n_args: i32,
        flags: u32,
        state: &Rc<S>,
        f: fn(&Rc<S>, Args<'_>, &mut Out<'_>) -> Result<()>,
    ) -> Result<()> {
        let name = c_string(name)?;
        let app = Box::new(App { body: f, state: Rc::clone(state) });
        let flags = (flags | RESULT_SUBTYPE | u32::from(SQLITE_UTF8)) as c_int;
        let app = Box::into_raw(app).cast();
        // SAFETY: the connection is open; `call` and `destroy` are those of this `App<S>`, which
        // SQLite destroys once, here too when the registration fails.
        let code = unsafe {
            let (raw, no) = (self.raw(), null());
            let (body, end) = (Some(call::<S> as _), destroy::<S>);
            api::create_function_v2(raw, name.as_ptr(), n_args, flags, app, body, no, no, end)
        };
        self.check(code)
    }
}

unsafe extern "C" fn call<S: 'static>(
    ctx: *mut sqlite3_context,
    argc: c_int,
    argv: *mut *mut sqlite3_value,
) {
    let done = fence(|| {
        // SAFETY: SQLite passes the `App<S>` of this registration and values that live for the
        // call; a function cannot be replaced while a statement runs.
        let (app, args, mut out) = unsafe {
            let app = &*api::user_data(ctx).cast::<App<S>>();
            (app, Args::new(argc, argv), Out::new(ctx))
        };
        (app.body)(&app.state, args, &mut out)
    });
    if let Err(error) = done {
        // SAFETY: the context of this call.
        unsafe { fail_context(ctx, &error) };
    }
}

unsafe extern "C" fn destroy<S: 'static>(app: *mut c_void) {
    // A panic while dropping has nobody to be told to; it only must not enter C.
    let _ = fence(|| {
        // SAFETY: made by `Box::into_raw` in `function`; SQLite calls this once.
        drop(unsafe { Box::from_raw(app.cast::<App<S>>()) });
        Ok(())
    });
}
