//! What oci-spec's types do not tell: they take an array for an object, fill in numbers that are absent, keep the last of two
//! entries with one name, and read `chown` as CAP_CHOWN.
//!
//! One table of the places where that matters, and two readers of it: a quick one over the text, which every start pays for, and
//! a thorough one over the tree, which names what it found.

mod glance;

use serde_json::Value;

use super::path::JsonPath;

enum Shape {
    /// The types check it well enough, or nobody reads it.
    Any,
    Object(&'static [Field]),
    /// An object whose names are the file's own.
    Map,
    /// The same, and each of its values has a shape.
    MapOf(&'static Shape),
    List(&'static Shape),
    Capability,
    SchedulerFlag,
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

/// The spec's flags of the scheduler, each with the types' spelling of it.
pub(super) const SCHEDULER_FLAGS: [(&str, &str); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", "SCHED_RESET_ON_FORK"),
    ("SCHED_FLAG_RECLAIM", "SCHED_FLAG_RECLAIM"),
    ("SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_D_L_OVERRUN"),
    ("SCHED_FLAG_KEEP_POLICY", "SCHED_FLAG_KEEP_POLICY"),
    ("SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_KEEP_PARAMS"),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MIN"),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", "SCHED_FLAG_UTIL_CLAMP_MAX"),
];

/// The types' spelling of one of the spec's flags.
pub(super) fn scheduler_flag(name: &str) -> Option<&'static str> {
    SCHEDULER_FLAGS.iter().find(|(spec, _)| *spec == name).map(|&(_, types)| types)
}

const PLAIN: Shape = Shape::Object(&[]);
const CAPABILITIES: Shape = Shape::List(&Shape::Capability);

const SPEC: Shape = Shape::Object(&[
    field("annotations", Shape::Map),
    field("hooks", HOOKS),
    field("linux", LINUX),
    field("mounts", Shape::List(&MOUNT)),
    field("process", PROCESS),
    field("root", PLAIN),
]);

const MOUNT: Shape = Shape::Object(&[field("gidMappings", MAPPINGS), field("uidMappings", MAPPINGS)]);

const HOOK_LIST: Shape = Shape::List(&PLAIN);
const HOOKS: Shape = Shape::Object(&[
    field("createContainer", HOOK_LIST),
    field("createRuntime", HOOK_LIST),
    field("poststart", HOOK_LIST),
    field("poststop", HOOK_LIST),
    field("prestart", HOOK_LIST),
    field("startContainer", HOOK_LIST),
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
    field("consoleSize", PLAIN),
    field("execCPUAffinity", PLAIN),
    field("ioPriority", Shape::Object(&[required("class")])),
    field("rlimits", Shape::List(&Shape::Object(&[required("hard"), required("soft")]))),
    field("scheduler", Shape::Object(&[field("flags", Shape::List(&Shape::SchedulerFlag))])),
    field("user", PLAIN),
]);

const MAPPINGS: Shape =
    Shape::List(&Shape::Object(&[required("containerID"), required("hostID"), required("size")]));

const THROTTLES: Shape =
    Shape::List(&Shape::Object(&[required("major"), required("minor"), required("rate")]));

const RESOURCES: Shape = Shape::Object(&[
    field(
        "blockIO",
        Shape::Object(&[
            field("throttleReadBpsDevice", THROTTLES),
            field("throttleReadIOPSDevice", THROTTLES),
            field("throttleWriteBpsDevice", THROTTLES),
            field("throttleWriteIOPSDevice", THROTTLES),
            field("weightDevice", Shape::List(&Shape::Object(&[required("major"), required("minor")]))),
        ]),
    ),
    field("cpu", PLAIN),
    field("devices", Shape::List(&PLAIN)),
    field("hugepageLimits", Shape::List(&Shape::Object(&[required("limit"), required("pageSize")]))),
    field("memory", PLAIN),
    field(
        "network",
        Shape::Object(&[field(
            "priorities",
            Shape::List(&Shape::Object(&[required("name"), required("priority")])),
        )]),
    ),
    field("pids", Shape::Object(&[required("limit")])),
    field("rdma", Shape::MapOf(&PLAIN)),
    field("unified", Shape::Map),
]);

const LINUX: Shape = Shape::Object(&[
    field("devices", Shape::List(&Shape::Object(&[required("major"), required("minor")]))),
    field("intelRdt", PLAIN),
    field("memoryPolicy", PLAIN),
    field("namespaces", Shape::List(&PLAIN)),
    field("netDevices", Shape::MapOf(&PLAIN)),
    field("personality", PLAIN),
    field("resources", RESOURCES),
    field("seccomp", SECCOMP),
    field("sysctl", Shape::Map),
    field("gidMappings", MAPPINGS),
    field("uidMappings", MAPPINGS),
    field("timeOffsets", Shape::MapOf(&PLAIN)),
]);

const SECCOMP: Shape =
    Shape::Object(&[field("syscalls", Shape::List(&Shape::Object(&[field("args", Shape::List(&PLAIN))])))]);

/// Whether nothing in `text`, which the types have taken, needs a closer look.
pub(super) fn is_ordinary(text: &[u8]) -> bool {
    glance::over(text, &SPEC).is_some()
}

/// Every place of the tree that is not as the table has it.
pub(super) fn faults(tree: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    examine(tree, &SPEC, &JsonPath::default(), &mut faults);
    faults
}

/// The same for an object of `linux.resources` that stands alone.
pub(super) fn faults_of_resources(tree: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    examine(tree, &RESOURCES, &JsonPath::default(), &mut faults);
    faults
}

#[derive(Debug)]
pub(super) enum Fault {
    /// An array where an object belongs.
    NotAnObject(JsonPath),
    Missing(JsonPath),
    /// A flag of the scheduler that the spec does not have, though the types may.
    UnknownFlag(JsonPath, String),
}

impl Fault {
    pub(super) fn reason(&self) -> String {
        match self {
            Fault::Missing(_) => String::from("is missing"),
            Fault::NotAnObject(_) => String::from("invalid type: array, expected an object"),
            Fault::UnknownFlag(_, flag) => format!("wrong scheduler flag: {flag}"),
        }
    }

    pub(super) fn path(&self) -> &JsonPath {
        match self {
            Fault::NotAnObject(path) | Fault::Missing(path) | Fault::UnknownFlag(path, _) => path,
        }
    }
}

fn examine(value: &Value, shape: &Shape, path: &JsonPath, faults: &mut Vec<Fault>) {
    match (shape, value) {
        (Shape::Object(_) | Shape::Map | Shape::MapOf(_), Value::Array(_)) => {
            faults.push(Fault::NotAnObject(path.clone()))
        }
        (Shape::List(shape), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                examine(item, shape, &path.index(index), faults);
            }
        }
        (Shape::MapOf(shape), Value::Object(object)) => {
            for (name, value) in object {
                examine(value, shape, &path.name(name), faults);
            }
        }
        (Shape::SchedulerFlag, Value::String(name)) if scheduler_flag(name).is_none() => {
            faults.push(Fault::UnknownFlag(path.clone(), name.clone()));
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
        check(r#"{"process": {"consoleSize": [24, 80]}}"#, false);
        check(r#"{"linux": {"timeOffsets": {"monotonic": {"secs": 1}}}}"#, true);
        check(r#"{"linux": {"timeOffsets": {"monotonic": [10, 5]}}}"#, false);
        check(r#"{"mounts": [{"destination": "/a", "uidMappings": [[0, 0, 1]]}]}"#, false);
        check(r#"{"linux": {"netDevices": {"eth0": {"name": "a"}}}}"#, true);
        check(r#"{"linux": {"netDevices": {"eth0": ["a"]}}}"#, false);
        check(r#"{"annotations": {"a": "1", "b": "2"}}"#, true);
        check(r#"{"annotations": {"a": "1", "a": "2"}}"#, false);
        check(r#"{"linux": {"resources": {"pids": {"limit": 0}}}}"#, true);
        check(r#"{"linux": {"resources": {"pids": {}}}}"#, false);
        check(r#"{"linux": {"devices": [{"major": 1}]}}"#, false);
        check(r#"{"process": {"ioPriority": {"priority": 1}}}"#, false);
        check(r#"{"process": {"scheduler": {"flags": ["SCHED_FLAG_RECLAIM"]}}}"#, true);
        check(r#"{"process": {"scheduler": {"flags": ["SCHED_FLAG_DL_OVERRUN"]}}}"#, false);
        check(r#"{"process": {"scheduler": {"flags": ["SCHED_RESET_ON_FORK"]}}}"#, false);
        check(r#"{"linux": {"resources": {"hugepageLimits": [{"pageSize": "2MB"}]}}}"#, false);
        check(r#"{"linux": {"resources": {"rdma": {"mlx": {"hcaHandles": 1}}}}}"#, true);
        check(r#"{"linux": {"resources": {"rdma": {"mlx": [1, 2]}}}}"#, false);
        check("[]", false);
    }

    #[test]
    fn what_is_written_with_escapes_is_looked_at_where_it_matters() {
        check(r#"{"process": {"env": ["A=\"]}", "\u003c\\", "\\"], "user": {}}}"#, true);
        check(r#"{"annotations": {"a": "\\\"}", "b": "{["}}"#, true);
        check(r#"{"annotations": {"\u0061": "1", "a": "2"}}"#, false);
        check(r#"{"\u0070rocess": {"user": []}}"#, false);
        check(r#"{"process": {"capabilities": {"bounding": ["CAP_\u004bILL"]}}}"#, false);
    }

    #[test]
    fn what_is_skipped_ends_where_it_ends() {
        check(r#"{"other":{"a":[{"b":"]}"},[]],"c":-1.5E+3},"process":{"user":[]}}"#, false);
        check(r#"{"other":true,"process":null,"linux":{"cgroupsPath":"/a","devices":[]}}"#, true);
        check("\t{ \"other\" :\n-0.5e-7 , \"process\" : { \"user\" : [ ] } }\r\n", false);
    }

    #[test]
    fn a_text_that_ends_early_ends_the_glance() {
        let text = r#"{"annotations": {"a": "\\"}, "linux": {"devices": [{"major": 1, "minor": 2}]}, "other": [1, {"b": "c"}]}"#;
        check(text, true);
        for end in 0..text.len() {
            check(&text[..end], false);
        }
    }
}
