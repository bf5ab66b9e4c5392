//! The application's own merge functions (`types/custom.rs`): calling them, and trying out whether
//! they are any.

use std::rc::Rc;

use super::session::Session;
use crate::ground::quote::ident;
use crate::ground::{Args, Prep};
use crate::types::Host;
use crate::words::error::{Error, Result};
use crate::words::value::{Value, ValueRef};

impl Host for Session {
    fn call(&self, function: &str, a: ValueRef<'_>, b: ValueRef<'_>) -> Result<Value> {
        let said = |e: Error| {
            let text = format!("merging by {function}(local, remote): {}", e.text);
            Error::new(e.code, text)
        };
        let sql = format!("SELECT {}(?1, ?2)", ident(function));
        let mut stmt = self.db.prepare(&sql, Prep::Once).map_err(said)?;
        stmt.bind(1, a)?;
        stmt.bind(2, b)?;
        stmt.step().map_err(said)?;
        Ok(stmt.value(0).to_owned())
    }
}

/// A value as SQL writes it.
fn literal(s: &Session, value: &Value) -> Result<String> {
    let mut stmt = s.db.prepare("SELECT quote(?1)", Prep::Once)?;
    stmt.bind(1, value.as_ref())?;
    stmt.step()?;
    Ok(stmt.string(0))
}

/// `crsql_check_merge('f', values...)`: OK, or the first law that f breaks among these values.
pub fn check_merge(s: &Rc<Session>, function: &str, args: Args<'_>) -> Result<String> {
    let values: Vec<Value> = (1..args.len()).map(|i| args.get(i).to_owned()).collect();
    let f = |a: &Value, b: &Value| s.call(function, a.as_ref(), b.as_ref());
    let told = |law: &str, sides: [(String, Value); 2]| -> Result<String> {
        let [(left, a), (right, b)] = sides;
        let (a, b) = (literal(s, &a)?, literal(s, &b)?);
        Ok(format!("not {law}: {left} is {a}, and {right} is {b}"))
    };
    for a in &values {
        let once = f(a, a)?;
        if once != *a {
            let text = literal(s, a)?;
            let call = format!("{function}({text}, {text})");
            return told("idempotent", [(call, once), ("the value".to_owned(), a.clone())]);
        }
        for b in &values {
            let (ab, ba) = (f(a, b)?, f(b, a)?);
            let (x, y) = (literal(s, a)?, literal(s, b)?);
            if ab != ba {
                let sides =
                    [(format!("{function}({x}, {y})"), ab), (format!("{function}({y}, {x})"), ba)];
                return told("commutative", sides);
            }
            for c in &values {
                let (left, right) = (f(&ab, c)?, f(a, &f(b, c)?)?);
                if left != right {
                    let z = literal(s, c)?;
                    let calls = [
                        format!("{function}({function}({x}, {y}), {z})"),
                        format!("{function}({x}, {function}({y}, {z}))"),
                    ];
                    let [l, r] = calls;
                    return told("associative", [(l, left), (r, right)]);
                }
            }
        }
    }
    Ok("OK".to_owned())
}
