//! The annotation `dev.pinnace.landlock`, pinnace's own: JSON text such as
//! `{"execute": ["/bin", "/lib"], "readOnly": ["/etc"], "readWrite": ["/tmp"]}`.
//!
//! All that is not named is denied. Rights of a path that is in several lists add up. Unknown names are errors: a restriction that is
//! misspelt must not be passed over.

use std::collections::BTreeMap;

use serde_json::Value;
use shared_proto::limits::PATH_BYTES_MAX;

use super::super::problems::Problems;
use super::super::tree;
use super::super::{Landlock, Process};
use super::clean;

pub(super) const ANNOTATION: &str = "dev.pinnace.landlock";
const PATH: &str = r#"$.annotations["dev.pinnace.landlock"]"#;

/// Paths of one annotation; more of them help nobody.
const PATH_COUNT_MAX: usize = 1024;

/// From linux/landlock.h.
const FS_EXECUTE: u32 = 1 << 0;
const FS_READ_FILE: u32 = 1 << 2;
const FS_READ_DIR: u32 = 1 << 3;

/// Everything up to LANDLOCK_ACCESS_FS_TRUNCATE (ABI 3); without that, files could be emptied that may not be written.
const HANDLED: u32 = 0x7fff;

/// The lists, and what each allows.
const LISTS: [(&str, u32); 3] = [
    ("execute", FS_EXECUTE | FS_READ_FILE | FS_READ_DIR),
    ("readOnly", FS_READ_FILE | FS_READ_DIR),
    ("readWrite", HANDLED & !FS_EXECUTE),
];

const CAP_SYS_ADMIN: u64 = 1 << 21;

pub(super) fn check(
    annotations: &BTreeMap<String, String>,
    process: &Process,
    problems: &mut Problems,
) -> Option<Landlock> {
    let text = annotations.get(ANNOTATION)?;
    let has_privilege = match &process.capabilities {
        Some(sets) => sets.effective & CAP_SYS_ADMIN != 0,
        None => process.user.uid == 0,
    };
    if !process.no_new_privileges && !has_privilege {
        problems
            .add(PATH, "needs process.noNewPrivileges, or CAP_SYS_ADMIN among the effective capabilities");
    }
    let (tree, repeated) = match tree::parse(text.as_bytes()) {
        Ok(parsed) => parsed,
        Err(error) => {
            problems.add(PATH, format!("is not valid JSON: {error}"));
            return None;
        }
    };
    for path in &repeated {
        problems.add(inner(&path.to_string()), "comes twice");
    }
    let Value::Object(lists) = &tree else {
        problems.add(PATH, "is not a JSON object");
        return None;
    };
    let mut rights: BTreeMap<String, u32> = BTreeMap::new();
    for (name, list) in lists {
        match LISTS.iter().find(|(known, _)| known == name) {
            Some((_, allowed)) => {
                for path in paths(name, list, problems) {
                    *rights.entry(path).or_default() |= allowed;
                }
            }
            None => problems
                .add(format_args!("{PATH}.{name}"), "is not known: execute, readOnly and readWrite are"),
        }
    }
    if rights.len() > PATH_COUNT_MAX {
        problems.add(PATH, format!("has more than {PATH_COUNT_MAX} paths"));
    }
    if !rights.values().any(|rights| rights & FS_EXECUTE != 0) {
        problems.add(format_args!("{PATH}.execute"), "no path: the program itself could not be executed");
    }
    let (paths, rights) = rights.into_iter().unzip();
    Some(Landlock { handled: HANDLED, paths, rights })
}

/// The paths of one list.
fn paths(name: &str, list: &Value, problems: &mut Problems) -> Vec<String> {
    let Value::Array(items) = list else {
        problems.add(format_args!("{PATH}.{name}"), "is not an array");
        return Vec::new();
    };
    let mut paths = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let place = format_args!("{PATH}.{name}[{index}]");
        match item.as_str() {
            Some(path) if path.starts_with('/') => {
                problems.check_text(place, path, PATH_BYTES_MAX);
                paths.push(clean(path));
            }
            Some(path) => problems.add(place, format!("{path:?} is not an absolute path")),
            None => problems.add(place, "is not a string"),
        }
    }
    paths
}

/// The path of a value in the annotation's own document.
fn inner(path: &str) -> String {
    format!("{PATH}{}", path.trim_start_matches('$'))
}
