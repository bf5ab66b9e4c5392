//! The settings of a file, in `crsql_config`.

use super::session::Session;
use crate::ground::store;
use crate::words::error::{Error, Result};
use crate::words::value::{Value, ValueRef};

const DRIFT: &str = "max-drift-ms";
/// cr-sqlite's one setting; accepted, and without meaning here: equal values are not special.
const EQUAL_VALUES: &str = "merge-equal-values";

/// Milliseconds that a stamp may be ahead of our clock, unless configured: 5 minutes.
const DRIFT_MS: u64 = 300_000;

/// How far ahead of our clock a stamp may be, in milliseconds.
pub fn drift_ms(s: &Session) -> Result<u64> {
    match store::config(&s.cache, DRIFT)? {
        Some(Value::Int(ms)) => Ok(u64::try_from(ms).unwrap_or(0)),
        _ => Ok(DRIFT_MS),
    }
}

fn known(key: &str) -> Result<()> {
    if matches!(key, DRIFT | EQUAL_VALUES) {
        return Ok(());
    }
    Err(Error::refused(format!(
        "there is no setting {key:?}; the settings are {DRIFT:?} (milliseconds) and \
         {EQUAL_VALUES:?}"
    )))
}

/// `crsql_config_get(key)`
pub fn get(s: &Session, key: &str) -> Result<Value> {
    known(key)?;
    let stored = if s.installed()? { store::config(&s.cache, key)? } else { None };
    Ok(stored.unwrap_or(match key {
        DRIFT => Value::Int(DRIFT_MS as i64),
        _ => Value::Int(0),
    }))
}

/// `crsql_config_set(key, value)`
pub fn set(s: &Session, key: &str, value: ValueRef<'_>) -> Result<()> {
    known(key)?;
    match value {
        ValueRef::Int(ms) if ms >= 0 => {}
        _ => return Err(Error::mismatch(format!("{key} takes a whole number, 0 or more"))),
    }
    super::identity::ensure(s)?;
    store::set_config(&s.cache, key, value)
}
