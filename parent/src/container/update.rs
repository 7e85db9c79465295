//! Changing the limits of a container while it runs.

use serde_json::{Map, Value};

use super::Container;
use crate::cgroup;
use crate::config::{self, IntelRdt};
use crate::error::{Error, Kind, Result};
use crate::state::Status;

/// A limit from the command line.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'a> {
    /// The option's name, for errors.
    pub option: &'static str,
    /// Where it is in linux.resources.
    pub object: &'static str,
    /// Its name there.
    pub field: &'static str,
    /// How the text is read.
    pub kind: LimitKind,
    /// What was given.
    pub text: &'a str,
}

/// How a limit's text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// A whole number.
    Number,
    /// With units, or -1.
    Bytes,
    /// As it is.
    Text,
}

/// Shares of caches and memory bandwidth (resctrl), which have no place in linux.resources.
#[derive(Clone, Debug, Default)]
pub struct Schemata {
    /// A line such as `L3:0=f`.
    pub l3_cache: Option<String>,
    /// A line such as `MB:0=20`.
    pub memory_bandwidth: Option<String>,
}

/// Writes the limits of a document like linux.resources, and keeps them for the updates to come. The caller holds the container's lock, so that
/// none is lost. Returns what should be said although all went well.
///
/// Errors: the container has ended; a limit cannot be written, and then none has changed.
pub fn update(mut container: Container, document: &[u8], schemata: Schemata) -> Result<Vec<String>> {
    let (mut asked, mut warnings) = config::parse_update(document)?;
    let Schemata { l3_cache, memory_bandwidth } = schemata;
    let rdt = (l3_cache.is_some() || memory_bandwidth.is_some()).then(|| IntelRdt {
        clos_id: None,
        l3_cache_schema: l3_cache,
        mem_bw_schema: memory_bandwidth,
        schemata: Vec::new(),
        enable_monitoring: false,
    });
    match container.status()? {
        Status::Created | Status::Running | Status::Paused => {}
        Status::Creating | Status::Stopped => {
            return Err(Error::of_kind(Kind::NotRunning, "container not running"));
        }
    }
    let groups = container.rdt_groups();
    let rdt = match (&groups, &rdt) {
        (_, None) => None,
        (Some(groups), Some(change)) => Some((groups, change)),
        (None, Some(_)) => {
            return Err(Error::new(
                "intelRdt is not in the container's config.json: there are no schemata to change",
            ));
        }
    };
    let cgroups = container.cgroups();
    let mut ignored = cgroups.allow_update(&mut asked);
    ignored.extend(cgroup::passed_over(&container.record.cgroups, &asked));
    warnings.extend(ignored.iter().map(|(path, reason)| format!("{path} {reason}")));
    let update = container.record.resources.updated(asked)?;
    let before = std::mem::replace(&mut container.record.resources, update.kept);
    let write_record = || container.directory.write_record(&container.record);
    let limits = cgroup::Update { change: &update.change, all: &container.record.resources, before: &before };
    cgroups.update(limits, || match rdt {
        Some((groups, change)) => groups.update(change, write_record),
        None => write_record(),
    })?;
    Ok(warnings)
}

/// The limits as a JSON document, like the one that an engine would pass.
pub fn limits_document(limits: &[Limit<'_>]) -> Result<Vec<u8>> {
    let mut document = Map::new();
    for limit in limits {
        let object = document.entry(limit.object).or_insert_with(|| Value::Object(Map::new()));
        object[limit.field] = value(limit)?;
    }
    serde_json::to_vec(&document).map_err(|error| Error::new(format!("update: {error}")))
}

fn value(limit: &Limit<'_>) -> Result<Value> {
    let value = match limit.kind {
        LimitKind::Text => Some(Value::from(limit.text)),
        LimitKind::Number => {
            let signed = limit.text.parse::<i64>().map(Value::from);
            signed.or_else(|_| limit.text.parse::<u64>().map(Value::from)).ok()
        }
        LimitKind::Bytes => bytes(limit.text).map(Value::from),
    };
    let size = if limit.kind == LimitKind::Bytes { "invalid size" } else { "not a number" };
    value.ok_or_else(|| Error::new(format!("invalid value for {}: {size}: '{}'", limit.option, limit.text)))
}

/// `-1`, or a number of bytes with a unit: `512`, `64k`, `1.5GiB`, `1e6`. Every unit is a power of 1024, as for docker and runc.
fn bytes(text: &str) -> Option<i64> {
    if text == "-1" {
        return Some(-1);
    }
    let is_of_number = |letter: char| letter.is_ascii_digit() || letter == '.' || letter == ' ';
    let (number, unit) = text.split_at(text.rfind(is_of_number)? + 1);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let unit = unit.to_ascii_lowercase();
    let power = match unit.strip_suffix("ib").or(unit.strip_suffix('b')).unwrap_or(&unit) {
        "" if !unit.starts_with('i') => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let factor = 1i64 << (10 * power);
    match number.parse::<i64>() {
        Ok(whole) => whole.checked_mul(factor).filter(|bytes| *bytes >= 0),
        // A fraction: what is lost beyond 53 bits is below a page.
        Err(_) => {
            let bytes = number.parse::<f64>().ok()? * factor as f64;
            (0.0..i64::MAX as f64).contains(&bytes).then_some(bytes as i64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, expected) in [
            ("512", Some(512)),
            ("-1", Some(-1)),
            ("64k", Some(64 << 10)),
            ("64KiB", Some(64 << 10)),
            ("2 MB", Some(2 << 20)),
            ("1.5g", Some(3 << 29)),
            ("7b", Some(7)),
            ("1t", Some(1 << 40)),
            ("1e6", Some(1_000_000)),
            ("+5m", Some(5 << 20)),
            ("5.k", Some(5 << 10)),
            (".5k", Some(512)),
            ("-5m", None),
            ("1e99", None),
            ("inf", None),
            ("-2", None),
            ("abc", None),
            ("", None),
            ("5ib", None),
            ("9999999999g", None),
            ("1.2.3", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn limits_become_a_document() {
        let limit = |option, object, field, kind, text| Limit { option, object, field, kind, text };
        let limits = [
            limit("memory", "memory", "limit", LimitKind::Bytes, "1m"),
            limit("memory-swap", "memory", "swap", LimitKind::Bytes, "-1"),
            limit("cpuset-cpus", "cpu", "cpus", LimitKind::Text, "0-1"),
        ];
        let text = String::from_utf8(limits_document(&limits).unwrap()).unwrap();
        assert_eq!(text, r#"{"cpu":{"cpus":"0-1"},"memory":{"limit":1048576,"swap":-1}}"#);
        let wrong =
            limits_document(&[limit("memory", "memory", "limit", LimitKind::Bytes, "abc")]).unwrap_err();
        assert_eq!(wrong.to_string(), "invalid value for memory: invalid size: 'abc'");
    }
}
