//! What oci-spec's types do not tell: they take an array for an object, fill in numbers that are absent, keep the last of two
//! entries with one name, and read `chown` as CAP_CHOWN.
//!
//! One table of the places where that matters, and two readers of it: a quick one over the text, which every start pays for, and
//! a thorough one over the tree, which names what it found.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::capabilities;
use super::path::JsonPath;

enum Shape {
    /// The types check it well enough, or nobody reads it.
    Any,
    Object(&'static [Field]),
    /// An object whose names are the file's own.
    Map,
    List(&'static Shape),
    Capability,
}

struct Field {
    name: &'static str,
    shape: Shape,
    /// The types have a default for it, the spec has none.
    is_required: bool,
}

const fn field(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, is_required: false }
}

const fn required(name: &'static str) -> Field {
    Field { name, shape: Shape::Any, is_required: true }
}

const PLAIN: Shape = Shape::Object(&[]);
const CAPABILITIES: Shape = Shape::List(&Shape::Capability);

const SPEC: Shape = Shape::Object(&[
    field("annotations", Shape::Map),
    field("hooks", PLAIN),
    field("linux", LINUX),
    field("mounts", Shape::List(&PLAIN)),
    field("process", PROCESS),
    field("root", PLAIN),
]);

const PROCESS: Shape = Shape::Object(&[
    field(
        "capabilities",
        Shape::Object(&[
            field("ambient", CAPABILITIES),
            field("bounding", CAPABILITIES),
            field("effective", CAPABILITIES),
            field("inheritable", CAPABILITIES),
            field("permitted", CAPABILITIES),
        ]),
    ),
    field("rlimits", Shape::List(&Shape::Object(&[required("hard"), required("soft")]))),
    field("user", PLAIN),
]);

const LINUX: Shape = Shape::Object(&[
    field("devices", Shape::List(&Shape::Object(&[required("major"), required("minor")]))),
    field("namespaces", Shape::List(&PLAIN)),
    field(
        "resources",
        Shape::Object(&[
            field("cpu", PLAIN),
            field("devices", Shape::List(&PLAIN)),
            field("memory", PLAIN),
            field("pids", Shape::Object(&[required("limit")])),
        ]),
    ),
    field("seccomp", SECCOMP),
    field("sysctl", Shape::Map),
]);

const SECCOMP: Shape =
    Shape::Object(&[field("syscalls", Shape::List(&Shape::Object(&[field("args", Shape::List(&PLAIN))])))]);

/// Whether nothing in `text`, which the types have taken, needs a closer look.
pub(super) fn is_ordinary(text: &[u8]) -> bool {
    let ordinary = Cell::new(true);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let walked = Glance { shape: &SPEC, ordinary: &ordinary }.deserialize(&mut deserializer);
    walked.is_ok() && ordinary.get()
}

/// Every place of the tree that is not as the table has it.
pub(super) fn faults(tree: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    examine(tree, &SPEC, &JsonPath::default(), &mut faults);
    faults
}

#[derive(Debug)]
pub(super) enum Fault {
    /// An array where an object belongs.
    NotAnObject(JsonPath),
    Missing(JsonPath),
}

impl Fault {
    pub(super) fn path(&self) -> &JsonPath {
        match self {
            Fault::NotAnObject(path) | Fault::Missing(path) => path,
        }
    }
}

fn examine(value: &Value, shape: &Shape, path: &JsonPath, faults: &mut Vec<Fault>) {
    match (shape, value) {
        (Shape::Object(_) | Shape::Map, Value::Array(_)) => faults.push(Fault::NotAnObject(path.clone())),
        (Shape::List(shape), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                examine(item, shape, &path.index(index), faults);
            }
        }
        (Shape::Object(fields), Value::Object(object)) => {
            // A fifo has no numbers; no other object of the table has such a type.
            let is_fifo = object.get("type").is_some_and(|kind| kind == "p");
            for field in *fields {
                match object.get(field.name) {
                    Some(value) => examine(value, &field.shape, &path.name(field.name), faults),
                    None if field.is_required && !is_fifo => {
                        faults.push(Fault::Missing(path.name(field.name)))
                    }
                    None => {}
                }
            }
        }
        _ => {}
    }
}

/// The quick reader: keeps nothing but the one answer.
struct Glance<'g> {
    shape: &'g Shape,
    ordinary: &'g Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Glance<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.shape {
            Shape::Any => deserializer.deserialize_ignored_any(IgnoredAny).map(drop),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Glance<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if matches!(self.shape, Shape::Capability) && capabilities::number(text).is_none() {
            self.ordinary.set(false);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let shape = match self.shape {
            Shape::List(shape) => shape,
            _ => {
                self.ordinary.set(false);
                &Shape::Any
            }
        };
        while items.next_element_seed(Glance { shape, ordinary: self.ordinary })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Shape::Object(fields) = self.shape else {
            let mut names = HashSet::new();
            while let Some((name, IgnoredAny)) = entries.next_entry::<String, IgnoredAny>()? {
                if !names.insert(name) {
                    self.ordinary.set(false);
                }
            }
            return Ok(());
        };
        let mut missing = fields.iter().filter(|field| field.is_required).count();
        while let Some(field) = entries.next_key_seed(FieldOf(fields))? {
            // A name that comes twice is refused by the types.
            missing -= usize::from(field.is_some_and(|field| field.is_required));
            let shape = field.map_or(&Shape::Any, |field| &field.shape);
            entries.next_value_seed(Glance { shape, ordinary: self.ordinary })?;
        }
        if missing != 0 {
            self.ordinary.set(false);
        }
        Ok(())
    }
}

/// Reads a name without keeping it.
struct FieldOf(&'static [Field]);

impl<'de> DeserializeSeed<'de> for FieldOf {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for FieldOf {
    type Value = Option<&'static Field>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|field| field.name == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: bool) {
        assert_eq!(is_ordinary(text.as_bytes()), expected, "{text}");
    }

    #[test]
    fn what_the_types_would_swallow_is_not_ordinary() {
        check("{}", true);
        check(
            r#"{"process": {"capabilities": {"bounding": ["CAP_KILL"]}}, "linux": null, "other": [1]}"#,
            true,
        );
        check(r#"{"process": {"capabilities": {"bounding": ["kill"]}}}"#, false);
        check(r#"{"process": {"user": []}}"#, false);
        check(r#"{"annotations": {"a": "1", "b": "2"}}"#, true);
        check(r#"{"annotations": {"a": "1", "a": "2"}}"#, false);
        check(r#"{"linux": {"resources": {"pids": {"limit": 0}}}}"#, true);
        check(r#"{"linux": {"resources": {"pids": {}}}}"#, false);
        check(r#"{"linux": {"devices": [{"major": 1}]}}"#, false);
        check("[]", false);
    }
}
