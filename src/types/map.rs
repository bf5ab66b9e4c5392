//! `map`: a JSON object that merges member by member; nested objects by the path to their members.
//! Arrays and all other values are written whole. Of two writes to one member the later stands.
//!
//! A register is named by a path, a JSON array of names, and holds the JSON of the member, or NULL
//! where it was taken away. An object is nothing but what is in it: taking it away takes away the
//! members that were known, and what somebody else writes into it at the same time stands. Where
//! one writes a plain value and another a member below it, the object is shown.

use std::collections::BTreeMap;

use super::{Host, Parts, Registers, Type, Writer, json};
use crate::words::affinity::Affinity;
use crate::words::error::Result;
use crate::words::value::{Value, ValueRef};

pub struct Map;

/// A way to a member: names of objects, and its own.
type Path = Vec<String>;

/// The members of an object and of the objects in it, in JSON. An object without members counts as
/// one itself.
type Members = BTreeMap<Path, String>;

/// An object without members.
const EMPTY: &str = "{}";
/// A path of more bytes is refused, and so is deeper nesting.
const LONGEST: usize = 4096;
const DEEPEST: usize = 100;

/// The members of a value; None where it is no object, or one with a path that can name no
/// register. NULL is the empty one.
fn members(value: ValueRef<'_>) -> Option<Members> {
    gathered(value).filter(|all| all.keys().all(|path| name_of(path).len() <= LONGEST))
}

fn gathered(value: ValueRef<'_>) -> Option<Members> {
    let mut out = Members::new();
    match value {
        ValueRef::Null => {}
        ValueRef::Text(text) => {
            gather(std::str::from_utf8(text).ok()?, &mut Path::new(), &mut out)?;
        }
        _ => return None,
    }
    Some(out)
}

fn gather(object: &str, path: &mut Path, out: &mut Members) -> Option<()> {
    for (name, value) in json::object(object)? {
        if path.len() == DEEPEST {
            return None;
        }
        path.push(name);
        match json::object(value.get()).is_some_and(|o| !o.is_empty()) {
            true => gather(value.get(), path, out)?,
            false => drop(out.insert(path.clone(), json::canonical(value.get())?)),
        }
        path.pop();
    }
    Some(())
}

/// The object of these members. What lies below a plain value hides it.
fn object(members: &Members) -> String {
    let all: Vec<(&[String], &str)> =
        members.iter().map(|(path, value)| (path.as_slice(), value.as_str())).collect();
    nested(&all, 0)
}

/// `members` are those that share the first `depth` names, in order.
fn nested(members: &[(&[String], &str)], depth: usize) -> String {
    let name = |m: &(&[String], &str)| m.0.get(depth).cloned().unwrap_or_default();
    let mut out = Vec::new();
    for run in members.chunk_by(|a, b| name(a) == name(b)) {
        let below = run.iter().position(|(path, _)| path.len() > depth + 1).unwrap_or(run.len());
        let value = match (run.get(below..), run.first()) {
            (Some(deeper), _) if !deeper.is_empty() => nested(deeper, depth + 1),
            (_, Some((_, value))) => (*value).to_owned(),
            _ => continue,
        };
        let name = run.first().map(name).and_then(|name| json::string(&name));
        out.push(format!("{}:{value}", name.unwrap_or_default()));
    }
    format!("{{{}}}", out.join(","))
}

/// The path that a register is named by.
fn path_of(register: &str) -> Option<Path> {
    let path: Path = serde_json::from_str(register).ok()?;
    let sound = register.len() <= LONGEST && (1..=DEEPEST).contains(&path.len());
    (sound && name_of(&path) == register).then_some(path)
}

fn name_of(path: &Path) -> String {
    serde_json::to_string(path).unwrap_or_default()
}

/// All members, hidden ones too.
fn written(parts: &Parts) -> Members {
    let mut all = members(parts.base.as_ref()).unwrap_or_default();
    for (register, value) in &parts.list {
        let Some(path) = path_of(register) else { continue };
        match value {
            Value::Text(text) => drop(all.insert(path, String::from_utf8_lossy(text).into_owned())),
            _ => drop(all.remove(&path)),
        }
    }
    all
}

impl Type for Map {
    fn name(&self) -> String {
        "map".to_owned()
    }

    fn fits(&self, affinity: Affinity) -> std::result::Result<(), &'static str> {
        match affinity {
            Affinity::Integer | Affinity::Real => Err("a column of texts, which hold JSON objects"),
            _ => Ok(()),
        }
    }

    fn refuses(&self, _: ValueRef<'_>, new: ValueRef<'_>) -> Option<String> {
        if members(new).is_some() {
            return None;
        }
        Some(match gathered(new) {
            None => format!(
                "is a map, and takes the text of a JSON object, nested at most {DEEPEST} deep"
            ),
            Some(_) => format!("is a map, whose names have at most {LONGEST} bytes on their path"),
        })
    }

    fn shows_what_is_written(&self) -> bool {
        true
    }

    fn updated(
        &self,
        _: &Writer<'_>,
        parts: &Parts,
        old: ValueRef<'_>,
        new: ValueRef<'_>,
    ) -> Result<Registers> {
        let (old, new) = (members(old).unwrap_or_default(), members(new).unwrap_or_default());
        let mut all = written(parts);
        let mut out = BTreeMap::new();
        for path in old.keys().filter(|path| !new.contains_key(*path)) {
            all.remove(path);
            out.insert(path.clone(), Value::Null);
        }
        for (path, value) in new.iter().filter(|(path, value)| old.get(*path) != Some(value)) {
            all.insert(path.clone(), value.clone());
            out.insert(path.clone(), Value::text(value.clone()));
        }
        // What was hidden until now goes with what hid it, and what would hide a new value too.
        loop {
            let shown = members(ValueRef::Text(object(&all).as_bytes())).unwrap_or_default();
            let back: Vec<Path> =
                shown.into_keys().filter(|p| !new.contains_key(p) && all.contains_key(p)).collect();
            if back.is_empty() {
                break;
            }
            for path in back {
                all.remove(&path);
                out.insert(path, Value::Null);
            }
        }
        Ok(out.into_iter().map(|(path, value)| (name_of(&path), value)).collect())
    }

    fn inserted(&self, by: &Writer<'_>, parts: &Parts, value: ValueRef<'_>) -> Result<Registers> {
        match parts.list.is_empty() {
            true => Ok(Registers::new()),
            false => self.updated(by, parts, self.shown(by.host, parts)?.as_ref(), value),
        }
    }

    fn exactly(&self, parts: &Parts, value: ValueRef<'_>) -> Value {
        match members(value) {
            _ if !parts.list.is_empty() => parts.base.clone(),
            Some(all) if !matches!(value, ValueRef::Null) => Value::text(object(&all)),
            _ => value.to_owned(),
        }
    }

    fn shown(&self, _: &dyn Host, parts: &Parts) -> Result<Value> {
        Ok(match parts.list.is_empty() {
            true => parts.base.clone(),
            false => Value::text(object(&written(parts))),
        })
    }

    fn accepts(&self, register: &str, value: ValueRef<'_>) -> bool {
        let leaf = |text: &str| {
            let form = json::canonical(text).is_some_and(|form| form == text);
            form && (text == EMPTY || !text.starts_with('{'))
        };
        path_of(register).is_some()
            && match value {
                ValueRef::Null => true,
                ValueRef::Text(text) => std::str::from_utf8(text).is_ok_and(leaf),
                _ => false,
            }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::types::testing::{NOBODY, writer};

    fn shown(parts: &Parts) -> String {
        let Value::Text(text) = Map.shown(&NOBODY, parts).unwrap() else { return String::new() };
        String::from_utf8(text.to_vec()).unwrap()
    }

    /// Writes, and checks that it shows what was written.
    fn write(to: &mut Parts, new: &str) {
        let (old, value) = (Map.shown(&NOBODY, to).unwrap(), Value::text(new));
        let wrote = Map.updated(&writer(""), to, old.as_ref(), value.as_ref()).unwrap();
        for (register, value) in &wrote {
            assert!(Map.accepts(register, value.as_ref()), "{register} {value:?}");
        }
        to.list.extend(wrote);
        assert_eq!(json::canonical(new).unwrap(), shown(to));
    }

    fn start(base: &str) -> Parts {
        Parts { base: Value::text(base), ..Parts::default() }
    }

    fn merged(a: &Parts, b: &Parts) -> String {
        let mut all = a.clone();
        all.list.extend(b.list.clone());
        shown(&all)
    }

    #[test]
    fn members_of_nested_objects_merge_each_for_itself() {
        let (mut a, mut b) =
            (start("{\"x\":{\"y\":1,\"z\":[1]}}"), start("{\"x\":{\"y\":1,\"z\":[1]}}"));
        write(&mut a, "{\"x\":{\"y\":2,\"z\":[1]},\"new\":{}}");
        write(&mut b, "{\"x\":{\"y\":1,\"z\":[1,2],\"\":null}}");
        assert_eq!(merged(&a, &b), "{\"new\":{},\"x\":{\"\":null,\"y\":2,\"z\":[1,2]}}");
        write(&mut b, "{}");
        assert_eq!(merged(&a, &b), "{\"new\":{}}");
    }

    #[test]
    fn an_object_is_shown_over_a_plain_value_and_what_is_hidden_never_comes_back() {
        let (mut a, mut b) = (start("{}"), start("{}"));
        write(&mut a, "{\"k\":5}");
        write(&mut b, "{\"k\":{\"deep\":{\"er\":1}}}");
        let mut all = a.clone();
        all.list.extend(b.list.clone());
        assert_eq!(shown(&all), "{\"k\":{\"deep\":{\"er\":1}}}");
        write(&mut all, "{}");
        write(&mut all, "{\"k\":{}}");
        write(&mut all, "{\"k\":{\"a\":1}}");
        write(&mut all, "{\"k\":7}");
    }
}
