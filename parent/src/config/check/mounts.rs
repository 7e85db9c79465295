//! `mounts`.

use std::fmt::Arguments;

use shared_proto::limits::{OPTION_BYTES_MAX, PATH_BYTES_MAX};

use super::super::options;
use super::super::problems::Problems;
use super::super::{IdMapping, IdMappings, Idmap, IdmapMappings, Mount, MountKind, Namespace, Namespaces};
use super::{clean, ids, text_of};

/// What may be bound below /proc without hiding the kernel's answers from who relies on them (runc's list).
const PROC_EXCEPTIONS: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

pub(super) fn check(
    mounts: &[oci_spec::runtime::Mount],
    container: (&Namespaces, &IdMappings),
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> Vec<Mount> {
    let mut checked = Vec::with_capacity(mounts.len());
    for (index, mount) in mounts.iter().enumerate() {
        let path = format_args!("$.mounts[{index}]");
        let destination = destination(mount, path, problems, warnings);
        let mut options = options::sort(mount.options().as_deref().unwrap_or_default(), path, problems);
        if options.propagation.len() > 8 {
            problems.add(format_args!("{path}.options"), "more than eight changes of propagation");
        }
        let kind = kind(mount, &options, path, problems);
        check_proc(&destination, &kind, path, problems);
        if !matches!(kind, MountKind::Bind { .. }) {
            options.fold_recursive();
            refuse_symlink_words(&options, path, problems);
        }
        let data = options.data.join(",");
        problems.check_text(format_args!("{path}.options"), &data, OPTION_BYTES_MAX);
        checked.push(Mount {
            idmap: idmap(mount, &options, &kind, path, container, problems),
            copies_up: copies_up(&options, &kind, path, problems),
            destination,
            kind,
            attributes: options.attributes,
            recursive_attributes: options.recursive_attributes,
            superblock: options.superblock,
            data,
            propagation: options.propagation,
        });
    }
    checked
}

fn destination(
    mount: &oci_spec::runtime::Mount,
    path: Arguments<'_>,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> String {
    let written = text_of(mount.destination());
    let path = format_args!("{path}.destination");
    problems.check_text(path, &written, PATH_BYTES_MAX - 1);
    if written.is_empty() {
        problems.add(path, "is empty");
        return String::from("/");
    }
    if !written.starts_with('/') {
        warnings.push(format!(
            "mount destination {written} is not absolute. Support for non-absolute mount destinations will be removed in a \
             future release."
        ));
    }
    let cleaned = clean(&written);
    if cleaned == "/" {
        problems.add(path, "cannot mount over the root: use root.path");
    }
    cleaned
}

/// Mappings of the mount's own count, with or without the word; the word alone means those of the container.
fn idmap(
    mount: &oci_spec::runtime::Mount,
    options: &options::Options,
    kind: &MountKind,
    path: Arguments<'_>,
    (namespaces, containers): (&Namespaces, &IdMappings),
    problems: &mut Problems,
) -> Option<Idmap> {
    let own = IdMappings {
        uids: ids::list(mount.uid_mappings().as_deref(), format_args!("{path}.uidMappings"), problems),
        gids: ids::list(mount.gid_mappings().as_deref(), format_args!("{path}.gidMappings"), problems),
    };
    if own.is_empty() && options.idmap.is_none() {
        return None;
    }
    let (recursive, value) = options.idmap.clone().unwrap_or_default();
    let mappings = match value {
        _ if !own.is_empty() => IdmapMappings::Own(own),
        Some(value) if value.starts_with('/') => IdmapMappings::Namespace(value),
        Some(value) => match parse_mappings(&value, containers) {
            Ok(mappings) => IdmapMappings::Own(mappings),
            Err(reason) => {
                problems.add(format_args!("{path}.options"), format!("idmap={value}: {reason}"));
                IdmapMappings::Container
            }
        },
        None => {
            if namespaces.user == Namespace::Inherit {
                let reason = "idmap: there are neither mappings nor a user namespace to take them from";
                problems.add(format_args!("{path}.options"), reason);
            }
            IdmapMappings::Container
        }
    };
    if let IdmapMappings::Own(mappings) = &mappings
        && (mappings.uids.is_empty() || mappings.gids.is_empty())
    {
        problems.add(path, "uidMappings and gidMappings must both be there or both be absent");
    }
    match kind {
        MountKind::Cgroup { .. } => problems.add(path, "cgroups cannot have owners of a mount's own"),
        // The kernel's, in any version.
        MountKind::Filesystem { fstype, .. }
            if mappings != IdmapMappings::Container
                && ["proc", "sysfs", "devpts", "mqueue"].contains(&fstype.as_str()) =>
        {
            problems.add(path, format!("{fstype} cannot have owners of a mount's own"));
        }
        _ => {}
    }
    Some(Idmap { recursive, mappings })
}

/// Only what is empty at first can begin with what it covers.
fn copies_up(
    options: &options::Options,
    kind: &MountKind,
    path: Arguments<'_>,
    problems: &mut Problems,
) -> bool {
    let is_tmpfs = matches!(kind, MountKind::Filesystem { fstype, .. } if fstype == "tmpfs");
    if options.copies_up && !is_tmpfs {
        problems.add(format_args!("{path}.options"), "tmpcopyup: the mount is no tmpfs");
    }
    options.copies_up && is_tmpfs
}

/// What becomes of symlinks is said of new binds alone: filesystems lie on directories.
fn refuse_symlink_words(options: &options::Options, path: Arguments<'_>, problems: &mut Problems) {
    let words = [
        ("copy-symlink", options.copies_symlink),
        ("src-nofollow", options.source_nofollow),
        ("dest-nofollow", options.destination_nofollow),
    ];
    for (word, _) in words.into_iter().filter(|(_, is_set)| *is_set) {
        problems.add(format_args!("{path}.options"), format!("{word}: the mount is no new bind"));
    }
}

/// crun's words: `uids=0-1000-1#1-2000-10;gids=@0-1000-1`. Behind an `@` the second number is an id in the container.
fn parse_mappings(value: &str, containers: &IdMappings) -> Result<IdMappings, String> {
    const MALFORMED: &str = "neither uids=ID-HOST-SIZE…;gids=… nor a path";
    let mut mappings = IdMappings::default();
    for part in value.split(';') {
        let (name, entries) = part.split_once('=').ok_or(MALFORMED)?;
        let (list, outer) = match name {
            "uids" => (&mut mappings.uids, &containers.uids),
            "gids" => (&mut mappings.gids, &containers.gids),
            _ => return Err(String::from(MALFORMED)),
        };
        let parse = |entry: &str| {
            let relative = entry.strip_prefix('@');
            let mapping = parse_mapping(relative.unwrap_or(entry)).ok_or(MALFORMED)?;
            match relative {
                None => Ok::<_, &str>(mapping),
                Some(_) => {
                    on_host(mapping, outer).ok_or("no mapping of the container's has all of these ids")
                }
            }
        };
        *list = entries.split('#').map(parse).collect::<Result<_, _>>()?;
        if let Some((place, reason)) = ids::faults(list).into_iter().next() {
            return Err(format!("{name}{place} {reason}"));
        }
    }
    Ok(mappings)
}

fn parse_mapping(entry: &str) -> Option<IdMapping> {
    let mut numbers = entry.split('-').map(|number| number.parse::<u32>().ok());
    let mapping = IdMapping { container: numbers.next()??, host: numbers.next()??, size: numbers.next()?? };
    numbers.next().is_none().then_some(mapping)
}

/// A mapping to ids in the container as one to the host's.
fn on_host(mapping: IdMapping, containers: &[IdMapping]) -> Option<IdMapping> {
    containers.iter().find_map(|outer| {
        let offset = mapping.host.checked_sub(outer.container)?;
        let fits = offset.checked_add(mapping.size)? <= outer.size;
        let host = outer.host.checked_add(offset)?;
        fits.then_some(IdMapping { host, ..mapping })
    })
}

fn kind(
    mount: &oci_spec::runtime::Mount,
    options: &options::Options,
    path: Arguments<'_>,
    problems: &mut Problems,
) -> MountKind {
    let source = mount.source().as_deref().map(text_of).unwrap_or_default();
    problems.check_text(format_args!("{path}.source"), &source, PATH_BYTES_MAX);
    if options.remount {
        // The type and the source of what is there stay.
        return MountKind::Remount { is_bind: options.bind.is_some() };
    }
    if let Some(recursive) = options.bind {
        if source.is_empty() {
            problems.add(format_args!("{path}.source"), "a bind mount needs a source");
        }
        if let Some(data) = options.data.first() {
            let reason = "bind mounts cannot have any filesystem-specific options applied";
            problems.add(format_args!("{path}.options"), format!("{reason}: {data}"));
        }
        return MountKind::Bind {
            source,
            recursive,
            copies_symlink: options.copies_symlink,
            // One that takes the place of what was none is not followed either.
            source_nofollow: options.source_nofollow || options.copies_symlink,
            destination_nofollow: options.destination_nofollow,
        };
    }
    match mount.typ().as_deref().unwrap_or_default() {
        "" => problems
            .add(format_args!("{path}.type"), "is missing, and the options have neither bind nor rbind"),
        "bind" => {
            problems.add(format_args!("{path}.type"), "bind is no filesystem: the options need bind or rbind")
        }
        // The container's own cgroups, whichever version the host has.
        fstype @ ("cgroup" | "cgroup2") => return MountKind::Cgroup { is_unified: fstype == "cgroup2" },
        fstype => {
            problems.check_text(format_args!("{path}.type"), fstype, PATH_BYTES_MAX);
            return MountKind::Filesystem { fstype: fstype.to_owned(), source };
        }
    }
    MountKind::Cgroup { is_unified: false }
}

/// What lies over /proc or a part of it can pretend anything to the container, and to a runtime that writes there (CVE-2019-16884).
/// runc's rule, as far as it can be told from the text: whether a bound source is a procfs shows when it is opened.
fn check_proc(destination: &str, kind: &MountKind, path: Arguments<'_>, problems: &mut Problems) {
    let reason = match kind {
        MountKind::Remount { .. } => return,
        _ if destination.starts_with("/proc/") && !PROC_EXCEPTIONS.contains(&destination) => {
            "it is inside /proc"
        }
        MountKind::Filesystem { fstype, .. } if destination == "/proc" && fstype != "proc" => {
            "it is not of type proc"
        }
        MountKind::Cgroup { .. } if destination == "/proc" => "it is not of type proc",
        _ => return,
    };
    problems.add(
        format_args!("{path}.destination"),
        format!("{destination:?} cannot be mounted because {reason}"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_behind_an_at_sign_are_those_of_the_container() {
        let range = |container, host, size| IdMapping { container, host, size };
        let uids = vec![range(0, 0, 1), range(1, 2, 1000)];
        let containers = IdMappings { uids, gids: vec![range(0, 100_000, 10)] };
        // The manual of crun has the first of these.
        for (value, expected) in [
            ("uids=@1-3-10", Ok((vec![range(1, 4, 10)], vec![]))),
            (
                "uids=7-3-10#@19-0-1;gids=@5-2-8",
                Ok((vec![range(7, 3, 10), range(19, 0, 1)], vec![range(5, 100_002, 8)])),
            ),
            ("gids=@5-2-9", Err("no mapping of the container's has all of these ids")),
            ("uids=@0-0-2", Err("no mapping of the container's has all of these ids")),
            ("uids=0-0-5#3-10-5;gids=0-0-1", Err("uids[1] overlaps with entry 0")),
            ("uids=0-0-0;gids=0-0-1", Err("uids[0].size is 0")),
            ("uids=@@0-0-1", Err("neither uids=ID-HOST-SIZE…;gids=… nor a path")),
        ] {
            let parsed = parse_mappings(value, &containers);
            let expected = expected.map_err(String::from);
            assert_eq!(parsed.map(|mappings| (mappings.uids, mappings.gids)), expected, "{value}");
        }
    }
}
