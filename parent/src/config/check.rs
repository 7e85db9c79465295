//! oci-spec's types → `Config`: every rule of the spec that can be checked without the host, and every field that is not implemented.

mod hooks;
mod ids;
mod intel_rdt;
mod landlock;
mod linux;
mod mounts;
mod net_devices;
mod process;
mod resources;
mod scheduling;
mod seccomp;
mod sysctl;

use std::collections::BTreeMap;

use oci_spec::runtime::Spec;
use shared_proto::limits::{OPTION_BYTES_MAX, PATH_BYTES_MAX};

pub use linux::namespace_names;
pub(super) use process::env;
pub use process::rlimit_name;
pub(super) use resources::check_update;
pub use scheduling::{io_class_name, memory_mode_name, memory_policy_names, scheduler_policy_name};
pub use seccomp::{SeccompNames, seccomp_names};

use super::problems::Problems;
use super::{Config, IsOwn, Namespace, Root};

/// Bytes of a label: in mount data it has a name before it. The kernel takes no longer ones either.
const LABEL_BYTES_MAX: usize = OPTION_BYTES_MAX - "context=\"\"".len();

/// Checks a parsed config.json and takes over what a start needs.
///
/// Source: runtime-spec 1.3.0, config.md and config-linux.md; texts as runc's where callers compare them.
pub fn check(spec: &Spec, is_own: IsOwn<'_>) -> Result<Box<Config>, Problems> {
    let mut problems = Problems::default();
    let mut warnings = Vec::new();
    let linux = spec.linux().as_ref();

    let namespaces = linux::namespaces(linux, is_own, &mut problems);
    let root = root(spec, &mut problems);
    let process = process::check(spec.process().as_ref(), &mut problems);
    let id_mappings = ids::id_mappings(linux, &namespaces, &mut problems, &mut warnings);
    let mounts = mounts::check(
        spec.mounts().as_deref().unwrap_or_default(),
        (&namespaces, &id_mappings),
        &mut problems,
        &mut warnings,
    );
    let hostname = name(spec.hostname().as_deref(), "$.hostname", &mut problems);
    let domainname = name(spec.domainname().as_deref(), "$.domainname", &mut problems);
    version(spec.version(), &mut problems, &mut warnings);
    let annotations = annotations(spec, &mut problems);
    let landlock = landlock::check(&annotations, &process, &mut problems);
    let config = Config {
        oci_version: spec.version().clone(),
        process,
        root,
        mounts,
        devices: linux::devices(linux, &mut problems),
        net_devices: net_devices::check(linux, &namespaces, &mut problems),
        sysctls: sysctl::check(linux, &namespaces, domainname.is_some(), &mut problems),
        masked_paths: linux::paths(
            linux.and_then(|linux| linux.masked_paths().as_deref()),
            "maskedPaths",
            &mut problems,
        ),
        readonly_paths: linux::paths(
            linux.and_then(|linux| linux.readonly_paths().as_deref()),
            "readonlyPaths",
            &mut problems,
        ),
        rootfs_propagation: linux::rootfs_propagation(linux, &mut problems),
        cgroups_path: linux::cgroups_path(linux, &mut problems),
        resources: resources::check(
            linux.and_then(|linux| linux.resources().as_ref()),
            &mut problems,
            &mut warnings,
        ),
        hooks: hooks::check(spec.hooks().as_ref(), &mut problems),
        id_mappings,
        time_offsets: ids::time_offsets(linux, &namespaces, &mut problems),
        personality: scheduling::personality(linux, &mut warnings),
        memory_policy: scheduling::memory_policy(linux, &mut problems),
        intel_rdt: intel_rdt::check(linux, &mut problems),
        mount_label: label(
            linux.and_then(|linux| linux.mount_label().as_deref()),
            "$.linux.mountLabel",
            &mut problems,
        ),
        landlock,
        keep_original_groups: annotations.contains_key(KEEP_ORIGINAL_GROUPS),
        seccomp: seccomp::check(
            linux.and_then(|linux| linux.seccomp().as_ref()),
            &mut problems,
            &mut warnings,
        ),
        annotations,
        hostname,
        domainname,
        namespaces,
        warnings,
    };
    ids::check_mapped(&config, &mut problems);
    check_namespace_needs(&config, &mut problems);
    if problems.0.is_empty() { Ok(Box::new(config)) } else { Err(problems) }
}

fn root(spec: &Spec, problems: &mut Problems) -> Root {
    let Some(root) = spec.root() else {
        problems.add("$.root", "root must be specified");
        return Root { path: String::new(), readonly: false };
    };
    let path = text_of(root.path());
    if path.is_empty() {
        problems.add("$.root.path", "is empty");
    }
    problems.check_text("$.root.path", &path, PATH_BYTES_MAX);
    Root { path, readonly: root.readonly().unwrap_or(false) }
}

/// The ids of a configuration that nobody is in its new user namespace.
pub fn unmapped(config: &Config) -> Problems {
    let mut problems = Problems::default();
    ids::check_mapped(config, &mut problems);
    problems
}

/// A host or domain name; an empty one means none. The kernel's limit is 64 bytes.
fn name(name: Option<&str>, path: &str, problems: &mut Problems) -> Option<String> {
    let name = name.filter(|name| !name.is_empty())?;
    problems.check_text(path, name, 64);
    Some(name.to_owned())
}

/// The name of a profile or a context; an empty one means none.
fn label(label: Option<&str>, path: &str, problems: &mut Problems) -> Option<String> {
    let label = label.filter(|label| !label.is_empty())?;
    problems.check_text(path, label, LABEL_BYTES_MAX);
    Some(label.to_owned())
}

/// What changes something that the container would share with the host must have a namespace for it.
fn check_namespace_needs(config: &Config, problems: &mut Problems) {
    let namespaces = &config.namespaces;
    if namespaces.uts == Namespace::Inherit {
        if config.hostname.is_some() {
            problems.add("$.hostname", "unable to set hostname without a private UTS namespace");
        }
        if config.domainname.is_some() {
            problems.add("$.domainname", "unable to set domainname without a private UTS namespace");
        }
    }
    if namespaces.mount == Namespace::Inherit {
        let private = "unable to restrict sys entries without a private MNT namespace";
        if !config.masked_paths.is_empty() {
            problems.add("$.linux.maskedPaths", private);
        }
        if !config.readonly_paths.is_empty() {
            problems.add("$.linux.readonlyPaths", private);
        }
        if !config.mounts.is_empty() {
            problems.add("$.mounts", "unable to mount without a private MNT namespace");
        }
        if config.rootfs_propagation.is_some() {
            problems
                .add("$.linux.rootfsPropagation", "unable to change mounts without a private MNT namespace");
        }
        if config.root.readonly {
            problems
                .add("$.root.readonly", "unable to make the root read-only without a private MNT namespace");
        }
    }
}

/// Without one, the configuration is taken for one of this specification, as all peers take it.
fn version(version: &str, problems: &mut Problems, warnings: &mut Vec<String>) {
    let mut numbers = version.split(['.', '-', '+']);
    let is_version = (0..3).all(|_| numbers.next().is_some_and(|number| number.parse::<u32>().is_ok()));
    if version.is_empty() {
        warnings.push(String::from("ociVersion is missing"));
    } else if !is_version {
        problems.add("$.ociVersion", format!("{version:?} is not a SemVer version"));
    } else if !version.starts_with("1.") {
        problems.add("$.ociVersion", format!("{version} is not supported: only 1.x is"));
    }
}

/// The annotations that change what is done. All others are for other programs, which read them in the state.
pub const ANNOTATION_NAMES: [&str; 2] = [landlock::ANNOTATION, KEEP_ORIGINAL_GROUPS];

/// The caller's supplementary groups are the container's too, whatever the value is: crun's, and what Podman's `--group-add keep-groups` asks for.
const KEEP_ORIGINAL_GROUPS: &str = "run.oci.keep_original_groups";

fn annotations(spec: &Spec, problems: &mut Problems) -> BTreeMap<String, String> {
    let annotations = spec.annotations().iter().flatten();
    let annotations: BTreeMap<_, _> = annotations.map(|(key, value)| (key.clone(), value.clone())).collect();
    if annotations.contains_key("") {
        problems.add("$.annotations", "a key is empty");
    }
    annotations
}

/// A path that came from JSON, and so is UTF-8.
fn text_of(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// `/a//b/./c/../d` as `/a/b/d`: `..` never leads above the root. A relative path means the root's.
pub fn clean(path: &str) -> String {
    // Nearly all are clean.
    if path.strip_prefix('/').is_some_and(|path| names(path).all(|name| !matches!(name, b"" | b"." | b"..")))
    {
        return path.to_owned();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether a name in the path is `..`.
pub fn leads_up(path: &str) -> bool {
    names(path).any(|name| name == b"..")
}

fn names(path: &str) -> impl Iterator<Item = &[u8]> {
    path.as_bytes().split(|&byte| byte == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_without_leaving_the_root() {
        for (path, cleaned) in
            [("/a//b/./c/../d", "/a/b/d"), ("../../etc", "/etc"), ("/", "/"), ("mnt", "/mnt"), ("/a/", "/a")]
        {
            assert_eq!(clean(path), cleaned, "{path}");
        }
    }
}
