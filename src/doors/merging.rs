//! Functions of columns that merge by intent.

use std::rc::Rc;

use super::args::{text, whole};
use super::functions::done;
use crate::ground::{Args, Out};
use crate::rooms::session::Session;
use crate::rooms::{column, custom, rights, text as texts};
use crate::types::text::Side;
use crate::words::error::{Error, Result};
use crate::words::value::{Value, ValueRef};

/// The table and the column that a call names, with the key between them.
fn names<'a>(call: &str, args: Args<'a>) -> Result<(&'a str, &'a str)> {
    Ok((text(call, args, 0)?, text(call, args, 2)?))
}

/// A number of characters.
fn characters(call: &str, args: Args<'_>, i: usize) -> Result<usize> {
    let n = whole(call, args, i)?;
    usize::try_from(n)
        .map_err(|_| Error::refused(format!("{call}: argument {} is negative: {n}", i + 1)))
}

/// `crsql_column(table, column, type)`
pub fn column(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    let text = |i| text("crsql_column", args, i);
    column::declare(s, text(0)?, text(1)?, text(2)?)?;
    done(out)
}

/// `crsql_counter_set(table, key, column, value)`
pub fn counter_set(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    let (table, column) = names("crsql_counter_set", args)?;
    column::counter_set(s, table, args.get(1), column, args.get(3))?;
    done(out)
}

/// `crsql_rights_grant(table, key, column, to_site, n)`
pub fn rights_grant(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    const CALL: &str = "crsql_rights_grant";
    let n = whole(CALL, args, 4)?;
    rights::grant(s, names(CALL, args)?, args.get(1), args.get(3), n)?;
    done(out)
}

/// `crsql_check_merge(function, values...)`
pub fn check_merge(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    const CALL: &str = "crsql_check_merge";
    if args.len() < 3 {
        return Err(Error::refused(format!(
            "{CALL} needs a function's name and two values or more"
        )));
    }
    out.text(&custom::check_merge(s, text(CALL, args, 0)?, args)?);
    Ok(())
}

/// `crsql_text_splice(table, key, column, position, deletions, insertion)`
pub fn text_splice(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    const CALL: &str = "crsql_text_splice";
    let at = (characters(CALL, args, 3)?, characters(CALL, args, 4)?);
    texts::splice(s, names(CALL, args)?, args.get(1), at, text(CALL, args, 5)?)?;
    done(out)
}

/// `crsql_text_anchor(table, key, column, position [, 'before' or 'after'])`
pub fn text_anchor(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    const CALL: &str = "crsql_text_anchor";
    let side = match args.len() {
        5 => text(CALL, args, 4)?,
        _ => "after",
    };
    let side = match side {
        "after" => Side::After,
        "before" => Side::Before,
        other => {
            return Err(Error::refused(format!(
                "{CALL}: an anchor stays with the character 'after' it or 'before' it, not {other}"
            )));
        }
    };
    let at = characters(CALL, args, 3)?;
    out.blob(&texts::anchor(s, names(CALL, args)?, args.get(1), at, side)?);
    Ok(())
}

/// `crsql_text_position(table, key, column, anchor)`
pub fn text_position(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    const CALL: &str = "crsql_text_position";
    let ValueRef::Blob(anchor) = args.get(3) else {
        return Err(Error::mismatch(format!(
            "{CALL}: argument 4 takes what crsql_text_anchor gave"
        )));
    };
    let position = texts::position(s, names(CALL, args)?, args.get(1), anchor)?;
    let position = position.and_then(|at| i64::try_from(at).ok());
    out.value(position.map_or(ValueRef::Null, ValueRef::Int));
    Ok(())
}

/// `crsql_text_at(table, key, column, version)`
pub fn text_at(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    const CALL: &str = "crsql_text_at";
    let version = whole(CALL, args, 3)?;
    let value: Value = texts::at(s, names(CALL, args)?, args.get(1), version)?;
    out.value(value.as_ref());
    Ok(())
}
