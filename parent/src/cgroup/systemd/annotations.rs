//! Properties of the unit that a configuration names itself: `org.systemd.property.NAME`.

use std::collections::BTreeMap;

use super::message::Value;
use super::variant;
use crate::error::{Error, Result};

/// Before the name of a property in an annotation.
const ANNOTATION: &str = "org.systemd.property.";

/// Properties that the configuration sets itself.
///
/// Errors: a name or a value that cannot be one.
pub(super) fn properties(annotations: &BTreeMap<String, String>) -> Result<Vec<(String, Value)>> {
    let own = annotations.iter().filter_map(|(key, text)| Some((key, key.strip_prefix(ANNOTATION)?, text)));
    own.map(|(key, name, text)| {
        let wrong = |what: String| Error::new(format!("$.annotations[{key:?}]: {what}"));
        if name.len() < 3 || !name.bytes().all(|letter| letter.is_ascii_alphabetic()) {
            return Err(wrong(String::from(
                "no name of a property: at least three letters, and nothing else",
            )));
        }
        if name == "PIDs" {
            // Other processes than the container's would be limited and killed as if they were.
            return Err(wrong(String::from("who is in the unit is not the configuration's to say")));
        }
        let value = variant::parse(text).map_err(|error| wrong(format!("{text:?}: {error}")))?;
        seconds(name, value).ok_or_else(|| wrong(format!("{text:?} is not a number of seconds")))
    })
    .collect()
}

/// `TimeoutStopSec` is what unit files say; on the bus it is `TimeoutStopUSec`.
fn seconds(name: &str, value: Value) -> Option<(String, Value)> {
    const MICROSECONDS: u64 = 1_000_000;
    let stem = name.strip_suffix("Sec").filter(|stem| stem.ends_with(|last: char| last.is_ascii_lowercase()));
    let Some(stem) = stem else { return Some((name.to_owned(), value)) };
    let whole = match value {
        Value::Double(number) if number >= 0.0 => Some((number * MICROSECONDS as f64) as u64),
        Value::Byte(number) => Some(u64::from(number) * MICROSECONDS),
        Value::U16(number) => Some(u64::from(number) * MICROSECONDS),
        Value::U32(number) => Some(u64::from(number) * MICROSECONDS),
        Value::U64(number) => number.checked_mul(MICROSECONDS),
        Value::I16(number) => u64::try_from(number).ok()?.checked_mul(MICROSECONDS),
        Value::I32(number) => u64::try_from(number).ok()?.checked_mul(MICROSECONDS),
        Value::I64(number) => u64::try_from(number).ok()?.checked_mul(MICROSECONDS),
        _ => None,
    };
    Some((format!("{stem}USec"), Value::U64(whole?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_properties_and_seconds_become_microseconds() {
        let of = |key: &str, text: &str| properties(&[(key.to_owned(), text.to_owned())].into());
        let one = |name: &str, value| vec![(String::from(name), value)];
        assert_eq!(
            of("org.systemd.property.TimeoutStopSec", "5").unwrap(),
            one("TimeoutStopUSec", Value::U64(5_000_000))
        );
        assert_eq!(
            of("org.systemd.property.Description", "'x'").unwrap(),
            one("Description", Value::text("x"))
        );
        assert_eq!(of("org.other", "x").unwrap(), []);
        assert!(of("org.systemd.property.A-b", "5").is_err());
        assert!(of("org.systemd.property.PIDs", "[uint32 1]").is_err());
        let error = of("org.systemd.property.TimeoutStopSec", "'5'").unwrap_err().to_string();
        assert!(error.contains("$.annotations[\"org.systemd.property.TimeoutStopSec\"]"), "{error}");
    }
}
