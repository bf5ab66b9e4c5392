//! Arguments of SQL functions, checked and named in the error.

use crate::ground::Args;
use crate::words::error::{Error, Result};
use crate::words::value::ValueRef;

/// A text argument.
pub fn text<'a>(call: &str, args: Args<'a>, i: usize) -> Result<&'a str> {
    match args.get(i) {
        ValueRef::Text(t) => std::str::from_utf8(t)
            .map_err(|_| Error::mismatch(format!("{call}: argument {} is not UTF-8", i + 1))),
        v => Err(Error::mismatch(format!(
            "{call}: argument {} takes text, not {}",
            i + 1,
            v.class_name()
        ))),
    }
}

/// The table that a call names, by itself or after its schema, which has to be main.
pub fn table<'a>(call: &str, args: Args<'a>) -> Result<&'a str> {
    if args.len() < 2 {
        return text(call, args, 0);
    }
    let schema = text(call, args, 0)?;
    if !schema.eq_ignore_ascii_case("main") {
        return Err(Error::refused(format!(
            "{call}: only tables of the main database are replicated, not of {schema}: its \
             triggers would write into the wrong file; open that file by itself"
        )));
    }
    text(call, args, 1)
}

/// A whole number.
pub fn whole(call: &str, args: Args<'_>, i: usize) -> Result<i64> {
    crate::rooms::rowwise::whole_number(args.get(i)).ok_or_else(|| {
        Error::mismatch(format!(
            "{call}: argument {} takes a whole number, not {}",
            i + 1,
            args.get(i).class_name()
        ))
    })
}
