//! Values of custom properties: the text format of GVariant, as far as unit properties need it.
//!
//! Source: <https://docs.gtk.org/glib/gvariant-text-format.html>. CRI-O and Kubernetes users write
//! `org.systemd.property.TimeoutStopUSec: "uint64 10000000"`, `org.systemd.property.After: "['crio.service']"`.

use super::message::Value;

/// Reads a whole text.
///
/// Errors: what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text.trim(), depth: 0 };
    let value = parser.value(None)?;
    match parser.rest.trim_start() {
        "" => Ok(value),
        rest => Err(format!("unexpected {rest:?}")),
    }
}

/// As D-Bus has it.
const DEPTH_MAX: usize = 32;

struct Parser<'a> {
    rest: &'a str,
    /// How many values lie around the one that is read.
    depth: usize,
}

impl Parser<'_> {
    /// A value; `signature` is what was said of its type before.
    fn value(&mut self, signature: Option<&str>) -> Result<Value, String> {
        if self.depth == DEPTH_MAX {
            return Err("too deep".into());
        }
        self.depth += 1;
        let value = self.value_at_depth(signature);
        self.depth -= 1;
        value
    }

    fn value_at_depth(&mut self, signature: Option<&str>) -> Result<Value, String> {
        self.rest = self.rest.trim_start();
        match self.rest.chars().next() {
            None => Err("the text ends too early".into()),
            Some('@') => {
                let said = self.word(1);
                self.value(Some(&said))
            }
            Some('[') => self.array(signature),
            Some('(') => self.structure(signature),
            Some('<') => {
                self.skip("<");
                let inner = self.value(None)?;
                self.expect(">")?;
                Ok(Value::Variant(Box::new(inner)))
            }
            Some(quote @ ('\'' | '"')) => self.text(quote, signature),
            Some(first) if first.is_ascii_alphabetic() => self.keyword(signature),
            Some(_) => {
                let number = self.word(0);
                numeric(&number, signature)
            }
        }
    }

    /// Up to the next blank or punctuation, without the first `skipped` bytes.
    fn word(&mut self, skipped: usize) -> String {
        let is_end = |letter: char| letter.is_whitespace() || ",[])>".contains(letter);
        // A signature may have parentheses of its own: it ends at a blank.
        let end = if skipped > 0 { self.rest.find(char::is_whitespace) } else { self.rest.find(is_end) };
        let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        word[skipped..].to_owned()
    }

    fn keyword(&mut self, signature: Option<&str>) -> Result<Value, String> {
        let word = self.word(0);
        let said = match word.as_str() {
            "true" | "false" if matches!(signature, None | Some("b")) => {
                return Ok(Value::Bool(word == "true"));
            }
            "byte" => "y",
            "boolean" => "b",
            "int16" => "n",
            "uint16" => "q",
            "int32" => "i",
            "uint32" => "u",
            "int64" => "x",
            "uint64" => "t",
            "double" => "d",
            "string" => "s",
            "objectpath" => "o",
            "signature" => "g",
            _ => return Err(format!("{word:?} is not a value")),
        };
        self.value(Some(said))
    }

    fn array(&mut self, signature: Option<&str>) -> Result<Value, String> {
        let mut item_signature = match signature.map(|signature| signature.strip_prefix('a')) {
            None => None,
            Some(Some(item)) => Some(item.to_owned()),
            Some(None) => return Err("an array is not of that type".into()),
        };
        self.skip("[");
        let mut items = Vec::new();
        while !self.skip("]") {
            if !items.is_empty() {
                self.expect(",")?;
            }
            let item = self.value(item_signature.as_deref())?;
            match &item_signature {
                Some(known) if *known != item.signature() => return Err("an array has one type".into()),
                _ => item_signature = Some(item.signature()),
            }
            items.push(item);
        }
        match item_signature {
            Some(item_signature) => Ok(Value::Array(item_signature, items)),
            None => Err("an empty array needs its type, such as `@as []`".into()),
        }
    }

    fn structure(&mut self, signature: Option<&str>) -> Result<Value, String> {
        self.skip("(");
        let mut fields = Vec::new();
        while !self.skip(")") {
            if !fields.is_empty() {
                self.expect(",")?;
                // A tuple of one ends with a comma.
                if self.skip(")") {
                    break;
                }
            }
            fields.push(self.value(None)?);
        }
        let value = Value::Structure(fields);
        match signature {
            Some(signature) if signature != value.signature() => {
                Err(format!("is {}, not {signature}", value.signature()))
            }
            _ => Ok(value),
        }
    }

    fn text(&mut self, quote: char, signature: Option<&str>) -> Result<Value, String> {
        let mut text = String::new();
        let mut letters = self.rest.char_indices().skip(1);
        while let Some((place, letter)) = letters.next() {
            if letter == quote {
                self.rest = &self.rest[place + 1..];
                return match signature {
                    None | Some("s") => Ok(Value::Text(text)),
                    Some("o") => Ok(Value::ObjectPath(text)),
                    Some("g") => Ok(Value::Signature(text)),
                    Some(signature) => Err(format!("a string is not of type {signature:?}")),
                };
            }
            text.push(match letter {
                '\\' => match letters.next().map(|(_, letter)| letter) {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some(other @ ('\\' | '\'' | '"')) => other,
                    _ => return Err("an escape that is not known".into()),
                },
                letter => letter,
            });
        }
        Err("a string has no end".into())
    }

    fn skip(&mut self, token: &str) -> bool {
        let trimmed = self.rest.trim_start();
        match trimmed.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.skip(token) { Ok(()) } else { Err(format!("{token:?} is missing")) }
    }
}

/// A number; int32 where nothing was said, double with a point.
fn numeric(text: &str, signature: Option<&str>) -> Result<Value, String> {
    let wrong = || format!("{text:?} is not a number of that type");
    let whole: Option<i128> = match text.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let signature = signature.unwrap_or(if whole.is_none() { "d" } else { "i" });
    if signature == "d" {
        return text.parse().map(Value::Double).map_err(|_| wrong());
    }
    let whole = whole.ok_or_else(wrong)?;
    let value = match signature {
        "y" => u8::try_from(whole).map(Value::Byte).ok(),
        "n" => i16::try_from(whole).map(Value::I16).ok(),
        "q" => u16::try_from(whole).map(Value::U16).ok(),
        "i" => i32::try_from(whole).map(Value::I32).ok(),
        "u" => u32::try_from(whole).map(Value::U32).ok(),
        "x" => i64::try_from(whole).map(Value::I64).ok(),
        "t" => u64::try_from(whole).map(Value::U64).ok(),
        _ => None,
    };
    value.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_engines_write_them() {
        let texts =
            |list: &[&str]| Value::Array("s".into(), list.iter().map(|text| Value::text(*text)).collect());
        for (text, expected) in [
            ("true", Value::Bool(true)),
            ("5", Value::I32(5)),
            ("-5", Value::I32(-5)),
            ("uint64 10000000", Value::U64(10_000_000)),
            ("@t 7", Value::U64(7)),
            ("byte 0x10", Value::Byte(16)),
            ("1.5", Value::Double(1.5)),
            ("'inactive-or-failed'", Value::text("inactive-or-failed")),
            (" \"it's \\\"so\\\"\" ", Value::text("it's \"so\"")),
            ("['crio.service', 'b']", texts(&["crio.service", "b"])),
            ("@as []", texts(&[])),
            ("@at [1, 2]", Value::Array("t".into(), vec![Value::U64(1), Value::U64(2)])),
            (
                "[('/dev/x', 'rw')]",
                Value::Array(
                    "(ss)".into(),
                    vec![Value::Structure(vec![Value::text("/dev/x"), Value::text("rw")])],
                ),
            ),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in
            ["", "tru", "'open", "[1, 'a']", "[]", "uint64 -1", "byte 256", "5 6", "[1", "(1", "@s 5", "<1"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse(&"[".repeat(100_000)), Err("too deep".into()));
    }
}
