//! The scalar functions.

use std::rc::Rc;

use super::args::{table, text, whole};
use super::entry::VERSION;
use super::merging;
use crate::ground::{Args, Db, FnFlags, Out};
use crate::rooms::session::Session;
use crate::rooms::{
    alter, apply, automigrate, capture, config, coverage, digest, enable, export, identity,
    ordered, policy,
};
use crate::words::changeset;
use crate::words::error::{Error, Result};
use crate::words::value::{Value, ValueRef};
use crate::words::{clock, fract, pack, uuid};

type F = fn(&Rc<Session>, Args<'_>, &mut Out<'_>) -> Result<()>;

/// What changes state on request cannot be called from a schema.
const ON_REQUEST: u32 = FnFlags::DIRECTONLY;
/// What the triggers call, and what is harmless anywhere.
const ANYWHERE: u32 = FnFlags::INNOCUOUS;
const PURE: u32 = FnFlags::INNOCUOUS | FnFlags::DETERMINISTIC;

const FUNCTIONS: &[(&str, &[i32], u32, F)] = &[
    ("crsql_internal_insert", &[-1], ANYWHERE, capture::insert),
    ("crsql_internal_update", &[-1], ANYWHERE, capture::update),
    ("crsql_internal_delete", &[-1], ANYWHERE, capture::delete),
    ("crsql_internal_assigned", &[-1], ANYWHERE, capture::assigned),
    ("crsql_internal_foreign", &[-1], ANYWHERE, capture::foreign),
    ("crsql_internal_sync_bit", &[0, 1], ANYWHERE, sync_bit),
    ("crsql_as_crr", &[1, 2], ON_REQUEST, as_crr),
    ("crsql_as_table", &[1, 2], ON_REQUEST, as_table),
    ("crsql_begin_alter", &[1, 2], ON_REQUEST, begin_alter),
    ("crsql_commit_alter", &[1, 2, 3], ON_REQUEST, commit_alter),
    ("crsql_automigrate", &[1, 2], ON_REQUEST, automigrate),
    ("crsql_column", &[3], ON_REQUEST, merging::column),
    ("crsql_counter_set", &[4], ON_REQUEST, merging::counter_set),
    ("crsql_rights_grant", &[5], ON_REQUEST, merging::rights_grant),
    ("crsql_check_merge", &[-1], ON_REQUEST, merging::check_merge),
    ("crsql_text_splice", &[6], ON_REQUEST, merging::text_splice),
    ("crsql_text_anchor", &[4, 5], ON_REQUEST, merging::text_anchor),
    ("crsql_text_position", &[4], ON_REQUEST, merging::text_position),
    ("crsql_text_at", &[4], ON_REQUEST, merging::text_at),
    ("crsql_row_policy", &[1, 2], ON_REQUEST, row_policy),
    ("crsql_site_id", &[0], ANYWHERE, site_id),
    ("crsql_db_version", &[0], ANYWHERE, db_version),
    ("crsql_next_db_version", &[0, 1], ANYWHERE, next_db_version),
    ("crsql_rows_impacted", &[0], ANYWHERE, rows_impacted),
    ("crsql_new_site", &[0], ON_REQUEST, new_site),
    ("crsql_vector", &[0], ON_REQUEST, vector),
    ("crsql_seen", &[1], ON_REQUEST, seen),
    ("crsql_changeset", &[0, 1, 2], ON_REQUEST, changeset),
    ("crsql_changeset_info", &[1], PURE, changeset_info),
    ("crsql_apply", &[1], ON_REQUEST, apply),
    ("crsql_digest", &[0, 1, 2], ON_REQUEST, digest),
    ("crsql_config_set", &[2], ON_REQUEST, config_set),
    ("crsql_config_get", &[1], ON_REQUEST, config_get),
    ("crsql_finalize", &[0], ON_REQUEST, finalize),
    ("crsql_version", &[0], PURE, version),
    ("crsql_pack_columns", &[-1], PURE, pack_columns),
    ("crsql_fract_key_between", &[2], PURE, fract_key_between),
    ("crsql_fract_as_ordered", &[-1], ON_REQUEST, fract_as_ordered),
    ("crsql_uuid7", &[0], ANYWHERE, uuid7),
    ("crsql_time", &[1], PURE, time),
];

/// Puts the functions on a connection.
pub fn register(db: Db, session: &Rc<Session>) -> Result<()> {
    for (name, arities, flags, f) in FUNCTIONS {
        for n in *arities {
            db.function(name, *n, *flags, session, *f)?;
        }
    }
    Ok(())
}

pub(super) fn done(out: &mut Out<'_>) -> Result<()> {
    out.text("OK");
    Ok(())
}

fn count(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn as_crr(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    enable::as_crr(s, table("crsql_as_crr", args)?)?;
    done(out)
}

fn as_table(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    enable::as_table(s, table("crsql_as_table", args)?)?;
    done(out)
}

fn begin_alter(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    alter::begin(s, table("crsql_begin_alter", args)?)?;
    done(out)
}

fn commit_alter(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    alter::commit(s, table("crsql_commit_alter", args)?)?;
    done(out)
}

fn automigrate(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    let schema = text("crsql_automigrate", args, 0)?;
    let cleanup = match args.len() {
        2 if !matches!(args.get(1), ValueRef::Null) => text("crsql_automigrate", args, 1)?,
        _ => "",
    };
    automigrate::run(s, schema, cleanup)?;
    out.text("migration complete");
    Ok(())
}

fn row_policy(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    let text = |i| text("crsql_row_policy", args, i);
    if args.len() == 1 {
        out.text(policy::told(s, text(0)?)?);
        return Ok(());
    }
    policy::declare(s, text(0)?, text(1)?)?;
    done(out)
}

fn site_id(s: &Rc<Session>, _: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    match identity::site_id(s)? {
        Some(id) => out.blob(&id),
        None => out.null(),
    }
    Ok(())
}

fn db_version(s: &Rc<Session>, _: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    out.int(count(identity::told_version(s)?));
    Ok(())
}

fn next_db_version(s: &Rc<Session>, _: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    out.int(count(identity::next_db_version(s)?));
    Ok(())
}

fn rows_impacted(s: &Rc<Session>, _: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    out.int(s.memory.borrow().rows_impacted);
    Ok(())
}

/// 1 while a merge runs. An argument is accepted and changes nothing: merging is not something
/// that a caller switches.
fn sync_bit(s: &Rc<Session>, _: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    out.int(i64::from(s.is_merging()));
    Ok(())
}

fn new_site(s: &Rc<Session>, _: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    out.blob(&identity::renew(s)?);
    Ok(())
}

fn vector(s: &Rc<Session>, _: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    out.json(&coverage::ask(s)?.to_json());
    Ok(())
}

fn seen(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    coverage::seen(s, args.get(0))?;
    done(out)
}

fn changeset(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    let max_bytes = match args.get(1) {
        ValueRef::Null => None,
        _ => Some(
            u64::try_from(whole("crsql_changeset", args, 1)?)
                .map_err(|_| Error::refused("crsql_changeset: max_bytes is not negative"))?,
        ),
    };
    match export::changeset(s, args.get(0), max_bytes)? {
        Some(bytes) => out.blob(&bytes),
        None => out.null(),
    }
    Ok(())
}

fn blob<'a>(call: &str, args: Args<'a>) -> Result<&'a [u8]> {
    match args.get(0) {
        ValueRef::Blob(b) => Ok(b),
        v => Err(Error::mismatch(format!(
            "{call} takes the blob that crsql_changeset() gives, not {}",
            v.class_name()
        ))),
    }
}

fn changeset_info(_: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    if matches!(args.get(0), ValueRef::Null) {
        out.null();
        return Ok(());
    }
    out.json(&changeset::info(blob("crsql_changeset_info", args)?)?.to_string());
    Ok(())
}

fn apply(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    // NULL is what crsql_changeset() gives when there is nothing new.
    if matches!(args.get(0), ValueRef::Null) {
        out.null();
        return Ok(());
    }
    out.json(&apply::apply(s, blob("crsql_apply", args)?)?);
    Ok(())
}

/// `crsql_digest()`, `crsql_digest(table)`, `crsql_digest(table, 'all')`; NULL for the table means
/// all of them.
fn digest(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    let table = match args.get(0) {
        ValueRef::Null => None,
        _ => Some(text("crsql_digest", args, 0)?),
    };
    let all = match args.get(1) {
        ValueRef::Null => false,
        _ if text("crsql_digest", args, 1)? == "all" => true,
        _ => return Err(Error::refused("crsql_digest: the second argument can only be 'all'")),
    };
    out.text(&digest::digest(s, table, all)?);
    Ok(())
}

fn config_set(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    config::set(s, text("crsql_config_set", args, 0)?, args.get(1))?;
    out.value(args.get(1));
    Ok(())
}

fn config_get(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    let value: Value = config::get(s, text("crsql_config_get", args, 0)?)?;
    out.value(value.as_ref());
    Ok(())
}

fn finalize(_: &Rc<Session>, _: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    done(out)
}

fn version(_: &Rc<Session>, _: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    out.text(VERSION);
    Ok(())
}

fn pack_columns(_: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    let values: Vec<ValueRef<'_>> = (0..args.len()).map(|i| args.get(i)).collect();
    let mut bytes = Vec::new();
    pack::pack(&mut bytes, values.into_iter())
        .map_err(|e| Error::new(e.code, format!("crsql_pack_columns: {}", e.text)))?;
    out.blob(&bytes);
    Ok(())
}

fn fract_key_between(_: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    let key = |i| match args.get(i) {
        ValueRef::Null => Ok(None),
        _ => text("crsql_fract_key_between", args, i).map(Some),
    };
    let made = fract::key_between(key(0)?, key(1)?)
        .map_err(|e| Error::new(e.code, format!("crsql_fract_key_between: {}", e.text)))?;
    out.text(&made);
    Ok(())
}

/// NULL when it is done, as in cr-sqlite.
fn fract_as_ordered(s: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    const CALL: &str = "crsql_fract_as_ordered";
    if args.len() < 2 {
        return Err(Error::refused(format!(
            "{CALL} takes a table, the column that holds its order, and the columns that tell its \
             lists apart, if any"
        )));
    }
    let names: Vec<&str> = (1..args.len()).map(|i| text(CALL, args, i)).collect::<Result<_>>()?;
    ordered::as_ordered(s, text(CALL, args, 0)?, &names)?;
    out.null();
    Ok(())
}

fn uuid7(s: &Rc<Session>, _: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    let mut random = [0u8; 10];
    s.db.randomness(&mut random);
    let ms = u64::try_from(s.db.now_unix_ms()).unwrap_or(0);
    out.text(&uuid::uuid7(ms, random));
    Ok(())
}

fn time(_: &Rc<Session>, args: Args<'_>, out: &mut Out<'_>) -> Result<()> {
    if matches!(args.get(0), ValueRef::Null) {
        out.null();
        return Ok(());
    }
    let stamp = u64::try_from(whole("crsql_time", args, 0)?)
        .map_err(|_| Error::refused("crsql_time: a stamp is not negative"))?;
    out.text(&clock::to_utc_text(stamp));
    Ok(())
}
