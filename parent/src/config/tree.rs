//! A JSON document as a tree, with every name that an object has twice.
//!
//! serde_json's own tree keeps the last of two values and says nothing; the spec forbids the second
//! (config.md: "names MUST be unique").

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::path::JsonPath;

/// Parses `text`; the paths are those of the names that come a second time.
pub(super) fn parse(text: &[u8]) -> serde_json::Result<(Value, Vec<JsonPath>)> {
    let repeated = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let tree = Node { path: JsonPath::default(), repeated: &repeated }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((tree, repeated.into_inner()))
}

struct Node<'r> {
    path: JsonPath,
    repeated: &'r RefCell<Vec<JsonPath>>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) =
            items.next_element_seed(Node { path: self.path.index(list.len()), repeated: self.repeated })?
        {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            let path = self.path.name(&name);
            let value = fields.next_value_seed(Node { path: path.clone(), repeated: self.repeated })?;
            if object.insert(name, value).is_some() {
                self.repeated.borrow_mut().push(path);
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_comes_twice_is_told_with_its_path() {
        let (tree, repeated) = parse(br#"{"a": [1, {"b": 2, "b": -3.5}], "c": null}"#).unwrap();
        assert_eq!(tree, serde_json::json!({"a": [1, {"b": -3.5}], "c": null}));
        let paths: Vec<String> = repeated.iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["$.a[1].b"]);
    }
}
