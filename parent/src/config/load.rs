//! Reads config.json. The only file of `config` that does.
//!
//! A file without fault is parsed once, into oci-spec's types. Only one with a fault is looked at slowly, so that every wrong type in
//! it is named, and not just the first.

use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

use oci_spec::runtime::Spec;
use rustix::fs::{Mode, OFlags};
use serde_json::Value;

use super::problems::Problems;
use super::{Config, check};
use crate::error::{Error, Result};

/// Bytes of the largest file that is read: arguments and environment may have 6 MiB, and JSON may escape each byte of them.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// How many faults of type are looked for in one file.
const FAULTS_MAX: usize = 64;

/// Reads and checks the config.json in an open bundle directory.
pub fn load(bundle: BorrowedFd<'_>) -> Result<Config> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = rustix::fs::openat(bundle, "config.json", flags, Mode::empty()).map_err(|errno| match errno {
        rustix::io::Errno::NOENT => Error::new("JSON specification file config.json not found"),
        errno => Error::call("open config.json", errno),
    })?;
    let size = rustix::fs::fstat(&file).map_err(|errno| Error::call("stat config.json", errno))?.st_size;
    let mut text = Vec::with_capacity(usize::try_from(size).unwrap_or(0).min(FILE_BYTES_MAX as usize) + 1);
    File::from(file)
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(|error| Error::io("read config.json", &error))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Error::new(format!("config.json is larger than {FILE_BYTES_MAX} bytes")));
    }
    parse(&text)
}

/// The configuration in `text`, with every problem of it if there is one.
pub(super) fn parse(text: &[u8]) -> Result<Config> {
    match serde_json::from_slice::<Spec>(text) {
        Ok(spec) => check(&spec).map_err(Error::from),
        Err(error) => parse_slowly(text, &error),
    }
}

/// Takes out what the types refuse, piece by piece, until the rest can be checked.
fn parse_slowly(text: &[u8], first: &serde_json::Error) -> Result<Config> {
    let mut value: Value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(_) => return Err(Error::new(format!("config.json is not valid JSON: {first}"))),
    };
    let mut problems = Problems::default();
    let mut warnings = Vec::new();
    strip_unknown_capabilities(&mut value, &mut warnings);
    for _ in 0..FAULTS_MAX {
        match serde_path_to_error::deserialize::<_, Spec>(value.clone()) {
            Ok(spec) => return finish(check(&spec), problems, warnings),
            Err(error) => {
                let path = error.path().clone();
                problems.add(json_path(&path), error.inner().to_string());
                if !remove(&mut value, &path) {
                    break;
                }
            }
        }
    }
    Err(problems.into())
}

/// Faults of type come before the others. A field that was taken out must not be named a second time for being absent.
fn finish(
    checked: std::result::Result<Config, Problems>,
    mut faults: Problems,
    mut warnings: Vec<String>,
) -> Result<Config> {
    match checked {
        Ok(mut config) if faults.0.is_empty() => {
            warnings.append(&mut config.warnings);
            config.warnings = warnings;
            Ok(config)
        }
        Ok(_) => Err(faults.into()),
        Err(problems) => {
            let named = |path: &str| faults.0.iter().any(|fault| fault.path.starts_with(path));
            let others: Vec<_> = problems.0.into_iter().filter(|problem| !named(&problem.path)).collect();
            faults.0.extend(others);
            Err(faults.into())
        }
    }
}

/// The spec wants capabilities that the runtime does not know to be passed over with a warning.
fn strip_unknown_capabilities(value: &mut Value, warnings: &mut Vec<String>) {
    let Some(sets) = value.pointer_mut("/process/capabilities").and_then(Value::as_object_mut) else { return };
    let mut unknown: Vec<String> = Vec::new();
    for names in sets.values_mut().filter_map(Value::as_array_mut) {
        names.retain(|name| {
            let known = name.as_str().is_none_or(|name| super::capabilities::number(name).is_some());
            if let (false, Some(name)) = (known, name.as_str())
                && !unknown.iter().any(|seen| seen == name)
            {
                unknown.push(name.to_owned());
            }
            known
        });
    }
    if !unknown.is_empty() {
        warnings.push(format!("ignoring unknown or unavailable capabilities: [{}]", unknown.join(" ")));
    }
}

/// `mounts[1].type` as `$.mounts[1].type`.
fn json_path(path: &serde_path_to_error::Path) -> String {
    match path.to_string().as_str() {
        "." => String::from("$"),
        path => format!("$.{path}"),
    }
}

/// Takes the value at `path` out of the tree; false if that would not change anything.
fn remove(value: &mut Value, path: &serde_path_to_error::Path) -> bool {
    use serde_path_to_error::Segment;

    let segments: Vec<&Segment> = path.iter().collect();
    let Some((last, parents)) = segments.split_last() else { return false };
    let mut parent = value;
    for segment in parents {
        let child = match segment {
            Segment::Seq { index } => parent.get_mut(*index),
            Segment::Map { key } => parent.get_mut(key.as_str()),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        match child {
            Some(child) => parent = child,
            None => return false,
        }
    }
    match (last, parent) {
        (Segment::Map { key }, Value::Object(fields)) => fields.remove(key.as_str()).is_some(),
        (Segment::Seq { index }, Value::Array(items)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}
