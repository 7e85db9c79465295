//! A JSON document as a tree, with every name that an object has twice.
//!
//! serde_json's own tree keeps the last of two values and says nothing; the spec forbids the second
//! (config.md: "names MUST be unique").

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
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

/// What a type refuses of a tree.
#[derive(Debug)]
pub(super) struct Misfit {
    pub(super) path: JsonPath,
    /// In serde's words.
    pub(super) text: String,
}

/// Reads a tree as a type: by way of text, since the reader of text is in the program already and tells where it was.
pub(super) fn read<T: DeserializeOwned>(tree: &Value) -> Result<T, Misfit> {
    // One line.
    let text = tree.to_string();
    serde_json::from_slice(text.as_bytes()).map_err(|error| {
        let words = error.to_string();
        let words = words.rsplit_once(" at line ").map_or(words.as_str(), |(words, _)| words);
        let path = path_at(tree, error.column(), JsonPath::default());
        Misfit { path, text: words.to_owned() }
    })
}

/// The path of the innermost value that the reader was at when it had read so many bytes: it was about to begin with it, or had just ended it.
fn path_at(value: &Value, read: usize, path: JsonPath) -> JsonPath {
    let inner: Vec<(usize, &Value, JsonPath)> = match value {
        Value::Object(fields) => {
            let quoted = |name: &String| Value::from(name.as_str()).to_string().len();
            let field = |(name, value)| (quoted(name) + ":".len(), value, path.name(name));
            fields.iter().map(field).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, value)| (0, value, path.index(index))).collect()
        }
        _ => Vec::new(),
    };
    let mut start = 1;
    for (before, value, path) in inner {
        start += before;
        let end = start + value.to_string().len();
        if (start..=end).contains(&read) {
            return path_at(value, read - start, path);
        }
        start = end + ",".len();
    }
    path
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
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sample {
        #[serde(default, rename = "a\"b")]
        _numbers: Vec<u8>,
        #[serde(default)]
        _inner: BTreeMap<String, Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        _kind: Kind,
    }

    #[derive(Debug, Deserialize)]
    enum Kind {
        Plain,
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_path() {
        for (tree, path, text) in [
            (json!(7), "$", "invalid type: integer `7`, expected struct Sample"),
            (json!({"a\"b": [1, 2, -3]}), r#"$["a\"b"][2]"#, "invalid value: integer `-3`, expected u8"),
            (json!({"a\"b": {}}), r#"$["a\"b"]"#, "invalid type: map, expected a sequence"),
            (json!({"_inner": {"ü": {}}}), r#"$._inner["ü"]"#, "missing field `_kind`"),
            (
                json!({"_inner": {"x": {"_kind": "Q"}}}),
                "$._inner.x._kind",
                "unknown variant `Q`, expected `Plain`",
            ),
            (
                json!({"_inner": {"x": {"_kind": "Plain"}, "y": 7}}),
                "$._inner.y",
                "invalid type: integer `7`, expected struct Inner",
            ),
        ] {
            let misfit = read::<Sample>(&tree).unwrap_err();
            assert_eq!((misfit.path.to_string().as_str(), misfit.text.as_str()), (path, text));
        }
    }

    #[test]
    fn a_name_that_comes_twice_is_told_with_its_path() {
        let (tree, repeated) = parse(br#"{"a": [1, {"b": 2, "b": -3.5}], "c": null}"#).unwrap();
        assert_eq!(tree, json!({"a": [1, {"b": -3.5}], "c": null}));
        let paths: Vec<String> = repeated.iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["$.a[1].b"]);
    }
}
