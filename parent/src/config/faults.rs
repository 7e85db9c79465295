//! The slow way through a config.json that the types refuse, or take too easily: every fault of it is named, and not just the first.
//!
//! The document becomes a tree. What is allowed but strange to the types is put right, and what is wrong is noted and taken out,
//! piece by piece, until the types take the rest, which `check` then judges.

use oci_spec::runtime::Spec;
use serde_json::Value;

use super::path::{JsonPath, Segment, are_related};
use super::problems::{Problem, Problems, Refusal};
use super::{Config, IsOwn, capabilities, check, shape, tree};
use crate::error::Error;

/// How many faults are looked for: each costs a walk over the whole tree.
const FAULTS_MAX: usize = 64;

/// The configuration in `text`, or everything that is wrong with it.
#[cold]
pub(super) fn parse(text: &[u8], is_own: IsOwn<'_>) -> Result<Box<Config>, Refusal> {
    let unreadable = |reason| Refusal::Unreadable(Error::new(reason));
    let (tree, repeated) =
        tree::parse(text).map_err(|error| unreadable(format!("config.json is not valid JSON: {error}")))?;
    if !tree.is_object() {
        let reason = format!("config.json: $: invalid type: {}, expected an object", kind(&tree));
        return Err(unreadable(reason));
    }
    let mut draft = Draft { tree, faults: Problems::default(), removed: Vec::new() };
    for path in &repeated {
        draft.faults.add(path.to_string(), "comes twice");
    }
    let mut warnings = Vec::new();
    put_right(&mut draft.tree, &mut warnings);
    draft.take_out_misshapen();
    match draft.settle() {
        Some(spec) => draft.finish(check(&spec, is_own), warnings),
        None => Err(Refusal::Problems(draft.faults)),
    }
}

struct Draft {
    tree: Value,
    faults: Problems,
    /// Items that were taken out of lists, in that order: the list, and the place the item had then.
    removed: Vec<(String, usize)>,
}

impl Draft {
    /// Notes where an array stands for an object, which the types would read field by field, and numbers that they would make up.
    fn take_out_misshapen(&mut self) {
        let faults = shape::faults(&self.tree);
        for fault in &faults {
            self.faults.add(fault.path().to_string(), fault.reason());
        }
        // From the end, so that places in lists stay true.
        for fault in faults.iter().rev() {
            if let shape::Fault::NotAnObject(path) | shape::Fault::UnknownFlag(path, _) = fault {
                self.remove(path);
            }
        }
        respell_scheduler_flags(&mut self.tree);
    }

    /// Takes out what the types refuse until they take the rest.
    fn settle(&mut self) -> Option<Spec> {
        for _ in 0..FAULTS_MAX {
            match tree::read(&self.tree) {
                Ok(spec) => return Some(spec),
                Err(misfit) if self.take_out(&misfit.path, &misfit.text) => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Notes one fault and removes it; false where nothing could be removed.
    fn take_out(&mut self, path: &JsonPath, text: &str) -> bool {
        let missing = text.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        let Some(name) = missing else {
            let value = path.find(&mut self.tree).cloned().unwrap_or_default();
            self.faults.add(self.original(path), words(path, &value, text));
            return self.replace(path) || self.remove(path);
        };
        // `check` has its own words for an empty path.
        if matches!(name, "cwd" | "destination" | "path") {
            let object = path.find(&mut self.tree).and_then(Value::as_object_mut);
            return object.is_some_and(|object| object.insert(name.to_owned(), Value::from("")).is_none());
        }
        let field = self.original(&path.name(name));
        if !self.faults.0.iter().any(|fault| fault.path == field) {
            self.faults.add(field, "is missing");
        }
        self.remove(path)
    }

    /// Puts a value without fault in the place of one whose absence would be the fault of all that is around it.
    fn replace(&mut self, path: &JsonPath) -> bool {
        let value = match path.names().as_slice() {
            // With errnoRet and without.
            ["linux", "seccomp", "defaultAction"] | ["linux", "seccomp", "syscalls", "action"] => {
                "SCMP_ACT_ERRNO"
            }
            ["linux", "seccomp", "syscalls", "args", "op"] => "SCMP_CMP_EQ",
            _ => return false,
        };
        path.find(&mut self.tree).map(|place| *place = Value::from(value)).is_some()
    }

    fn remove(&mut self, path: &JsonPath) -> bool {
        let Some((parent, last)) = path.split_last() else { return false };
        match (last, parent.find(&mut self.tree)) {
            (Segment::Name(name), Some(Value::Object(fields))) => fields.remove(name).is_some(),
            (Segment::Index(index), Some(Value::Array(items))) if *index < items.len() => {
                items.remove(*index);
                self.removed.push((parent.to_string(), *index));
                true
            }
            _ => false,
        }
    }

    /// The path as it is in the file, of one in the tree as it is now.
    fn original(&self, path: &JsonPath) -> String {
        self.written(path.to_string())
    }

    fn written(&self, path: String) -> String {
        self.removed
            .iter()
            .rev()
            .fold(path, |path, (list, index)| move_behind(&path, list, *index).unwrap_or(path))
    }

    /// What `check` found joins the faults, unless it is but the trace of a value that was taken out.
    fn finish(
        mut self,
        checked: Result<Box<Config>, Problems>,
        mut warnings: Vec<String>,
    ) -> Result<Box<Config>, Refusal> {
        let mut problems = match checked {
            Ok(mut config) if self.faults.0.is_empty() => {
                config.warnings.splice(0..0, warnings.drain(..));
                return Ok(config);
            }
            Ok(_) => Problems::default(),
            Err(problems) => problems,
        };
        for problem in &mut problems.0 {
            problem.path = self.written(std::mem::take(&mut problem.path));
        }
        let is_trace =
            |problem: &Problem| self.faults.0.iter().any(|fault| are_related(&fault.path, &problem.path));
        problems.0.retain(|problem| !is_trace(problem));
        self.faults.0.append(&mut problems.0);
        Err(Refusal::Problems(self.faults))
    }
}

/// `path` with the place in `list` that it had before the item at `index` was taken out.
fn move_behind(path: &str, list: &str, index: usize) -> Option<String> {
    let (place, rest) = path.strip_prefix(list)?.strip_prefix('[')?.split_once(']')?;
    let place: usize = place.parse().ok()?;
    (place >= index).then(|| format!("{list}[{}]{rest}", place + 1))
}

/// What engines may write although the types refuse it.
fn put_right(tree: &mut Value, warnings: &mut Vec<String>) {
    drop_nulls(tree);
    let Some(spec) = tree.as_object_mut() else { return };
    // Other platforms' parts mean nothing on Linux (config.md "Platform-specific configuration"), and the types know two fields
    // that the spec never had.
    for name in ["freebsd", "solaris", "vm", "windows", "zos", "uidMappings", "gidMappings"] {
        spec.remove(name);
    }
    if let Some(process) = spec.get_mut("process").and_then(Value::as_object_mut) {
        // runc takes a missing user as root's.
        process.entry("user").or_insert_with(|| Value::Object(serde_json::Map::new()));
        // An empty list of processors is none, which the types do not know.
        if let Some(affinity) = process.get_mut("execCPUAffinity").and_then(Value::as_object_mut) {
            affinity.retain(|_, list| list != "");
        }
        if let Some(sets) = process.get_mut("capabilities") {
            strip_unknown_capabilities(sets, warnings);
        }
    }
    let Some(linux) = spec.get_mut("linux").and_then(Value::as_object_mut) else { return };
    linux.retain(|name, value| name != "seccomp" || !is_no_profile(value));
    if let Some(resources) = linux.get_mut("resources").and_then(Value::as_object_mut) {
        put_resources_right(resources);
    }
}

/// The same for `linux.resources`.
pub(super) fn put_resources_right(resources: &mut serde_json::Map<String, Value>) {
    // The types make a missing limit a limit of 0.
    resources.retain(|name, value| name != "pids" || !value.is_object() || value.get("limit").is_some());
    // The types have no room for the larger half of the spec's numbers; a limit in that half is none.
    for limit in resources.get_mut("hugepageLimits").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(limit) = limit.get_mut("limit")
            && limit.as_u64().is_some_and(|bytes| bytes > i64::MAX.unsigned_abs())
        {
            *limit = Value::from(i64::MAX);
        }
    }
    for rule in resources.get_mut("devices").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(rule) = rule.as_object_mut()
            && rule.get("type").is_some_and(|kind| kind == "")
        {
            rule.remove("type");
        }
    }
}

/// The types spell some flags of the scheduler in a way of their own.
fn respell_scheduler_flags(tree: &mut Value) {
    let flags = tree.pointer_mut("/process/scheduler/flags").and_then(Value::as_array_mut);
    for flag in flags.into_iter().flatten() {
        if let Some(spelling) = flag.as_str().and_then(shape::scheduler_flag) {
            *flag = Value::from(spelling);
        }
    }
}

/// A profile that neither decides nor names anything is none, for runc.
fn is_no_profile(value: &Value) -> bool {
    let Some(profile) = value.as_object() else { return false };
    let is_empty = |name, empty: Value| profile.get(name).is_none_or(|value| *value == empty);
    is_empty("defaultAction", Value::from("")) && is_empty("syscalls", Value::Array(Vec::new()))
}

/// A field that is null is one that is absent, as for every program in Go.
pub(super) fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// The spec wants capabilities that the runtime does not know to be passed over with a warning.
fn strip_unknown_capabilities(sets: &mut Value, warnings: &mut Vec<String>) {
    let mut unknown: Vec<String> = Vec::new();
    for names in sets.as_object_mut().into_iter().flatten().filter_map(|(_, names)| names.as_array_mut()) {
        names.retain(|name| match name.as_str() {
            Some(name) if capabilities::number(name).is_none() => {
                unknown.push(name.to_owned());
                false
            }
            _ => true,
        });
    }
    unknown.sort();
    unknown.dedup();
    if !unknown.is_empty() {
        warnings.push(format!("ignoring unknown or unavailable capabilities: [{}]", unknown.join(" ")));
    }
}

/// The reason for people: runc's words where callers compare them, and JSON's names of types instead of Rust's.
pub(super) fn words(path: &JsonPath, value: &Value, text: &str) -> String {
    if let Value::String(word) = value {
        match path.names().as_slice() {
            ["process", "rlimits", "type"] => return format!("wrong rlimit value: {word}"),
            ["process", "scheduler", "policy"] => return format!("wrong scheduler policy: {word}"),
            ["process", "ioPriority", "class"] => return format!("invalid ioPriority.Class: {word:?}"),
            ["process", "execCPUAffinity", _] => return format!("{word:?} is not a list of processors"),
            ["linux", "memoryPolicy", "mode"] => return format!("invalid memory policy mode {word:?}"),
            ["linux", "memoryPolicy", "flags"] => return format!("invalid memory policy flag {word:?}"),
            ["linux", "personality", "domain"] => return format!("invalid personality domain {word:?}"),
            ["linux", "namespaces", "type"] => return format!("namespace {word:?} does not exist"),
            ["linux", "devices", "type"] => return format!("invalid device type {word:?}"),
            ["linux", "resources", "devices", "type"] => {
                return format!("invalid cgroup device type {word:?}");
            }
            ["linux", "seccomp", "defaultAction"] | ["linux", "seccomp", "syscalls", "action"] => {
                return format!("string {word} is not a valid action for seccomp");
            }
            ["linux", "seccomp", "syscalls", "args", "op"] => {
                return format!("string {word} is not a valid operator for seccomp");
            }
            ["linux", "seccomp", "architectures"] => {
                return format!("string {word} is not a valid arch for seccomp");
            }
            ["linux", "seccomp", "flags"] => return format!("seccomp flag {word:?} not known"),
            _ => {}
        }
    }
    let Some((found, expected)) = text.split_once(", expected ") else { return text.to_owned() };
    let expected = match expected {
        "a sequence" => "an array",
        "a map" => "an object",
        "path string" => "a string",
        "u16" | "u32" | "u64" | "i32" | "i64" => return format!("{found}, expected {}", range(expected)),
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    format!("{found}, expected {expected}")
}

fn range(integer: &str) -> &'static str {
    match integer {
        "u16" => "an integer from 0 to 65535",
        "u32" => "an integer from 0 to 4294967295",
        "u64" => "an integer from 0 to 18446744073709551615",
        "i32" => "an integer of 32 bits",
        _ => "an integer of 64 bits",
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_lists_are_those_of_the_file() {
        for (path, expected) in
            [("$.a[0]", None), ("$.a[1].b", Some("$.a[2].b")), ("$.a[2]", Some("$.a[3]")), ("$.ab[4]", None)]
        {
            assert_eq!(move_behind(path, "$.a", 1).as_deref(), expected, "{path}");
        }
    }
}
