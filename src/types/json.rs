//! JSON in one form: no spaces, members by name, texts escaped one way, numbers as they were
//! written. So equal documents have equal bytes on every replica, and no digit is lost.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Deeper nesting is refused.
const DEEPEST: usize = 100;

/// The one form of a JSON text; None where it is none, or nested too deeply.
pub fn canonical(text: &str) -> Option<String> {
    of(text, 0)
}

fn of(text: &str, depth: usize) -> Option<String> {
    if depth > DEEPEST {
        return None;
    }
    let text = text.trim_matches(is_space);
    match text.as_bytes().first()? {
        b'{' => {
            let members = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(text).ok()?;
            let members: Option<Vec<String>> = members
                .iter()
                .map(|(name, value)| {
                    Some(format!("{}:{}", string(name)?, of(value.get(), depth + 1)?))
                })
                .collect();
            Some(format!("{{{}}}", members?.join(",")))
        }
        b'[' => Some(format!("[{}]", items(text, depth + 1)?.join(","))),
        b'"' => string(&serde_json::from_str::<String>(text).ok()?),
        _ => serde_json::from_str::<&RawValue>(text).ok().map(|raw| raw.get().to_owned()),
    }
}

/// What JSON counts as space.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// A text as JSON.
pub fn string(text: &str) -> Option<String> {
    serde_json::to_string(text).ok()
}

fn items(text: &str, depth: usize) -> Option<Vec<String>> {
    let items = serde_json::from_str::<Vec<Box<RawValue>>>(text).ok()?;
    items.iter().map(|item| of(item.get(), depth)).collect()
}

/// The elements of an array, each in its one form.
pub fn array(text: &str) -> Option<Vec<String>> {
    text.trim_start_matches(is_space).starts_with('[').then(|| items(text, 1))?
}

/// The members of an object, each as it was written.
pub fn object(text: &str) -> Option<BTreeMap<String, Box<RawValue>>> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_form() {
        for (text, form) in [
            (" { \"b\" : [ 1.0 , 2e5 ] , \"a\" : { } } ", "{\"a\":{},\"b\":[1.0,2e5]}"),
            ("\"\\u0041\\n\"", "\"A\\n\""),
            ("12345678901234567890123", "12345678901234567890123"),
            ("\n[null,true]\t", "[null,true]"),
        ] {
            assert_eq!(canonical(text).as_deref(), Some(form));
            assert_eq!(canonical(form).as_deref(), Some(form));
        }
        for none in ["", "{", "[1,]", "\"\\ud800\"", "x", "01", "1 2", "[1]]", "\u{a0}1"] {
            assert_eq!(canonical(none), None, "{none}");
        }
        assert_eq!(canonical(&"[".repeat(1_000_000)), None);
        assert_eq!(canonical(&("[".repeat(200) + &"]".repeat(200))), None);
        assert_eq!(array("{}"), None);
    }
}
