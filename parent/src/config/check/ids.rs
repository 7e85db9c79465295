//! User and time namespaces: `linux.uidMappings`, `linux.gidMappings`, `linux.timeOffsets`.

use std::fmt::Arguments;

use oci_spec::runtime::{Linux, LinuxIdMapping};

use super::super::problems::Problems;
use super::super::{Config, IdMapping, IdMappings, Idmap, IdmapMappings, MountKind, Namespace, Namespaces};

/// Lines that the kernel takes for one map (user_namespaces(7)).
const MAPPING_COUNT_MAX: usize = 340;

/// The mappings of the container's user namespace.
pub(super) fn id_mappings(
    linux: Option<&Linux>,
    namespaces: &Namespaces,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> IdMappings {
    let Some(linux) = linux else { return IdMappings::default() };
    // What means nothing is not looked at.
    let mut unseen = Problems::default();
    let problems = if namespaces.user == Namespace::Inherit { &mut unseen } else { problems };
    let mappings = IdMappings {
        uids: list(linux.uid_mappings().as_deref(), format_args!("$.linux.uidMappings"), problems),
        gids: list(linux.gid_mappings().as_deref(), format_args!("$.linux.gidMappings"), problems),
    };
    for (field, list) in [("uidMappings", &mappings.uids), ("gidMappings", &mappings.gids)] {
        let path = format_args!("$.linux.{field}");
        match &namespaces.user {
            Namespace::Inherit if !list.is_empty() => {
                warnings.push(format!("{path}: ignored, since there is no user namespace"));
            }
            Namespace::New if list.is_empty() => {
                problems.add(path, "user namespaces enabled, but no mappings found");
            }
            Namespace::New if !list.iter().any(|mapping| mapping.container == 0) => {
                problems.add(path, "nothing is mapped to the container's id 0, which sets the container up");
            }
            _ => {}
        }
    }
    if namespaces.user == Namespace::Inherit { IdMappings::default() } else { mappings }
}

/// The process's user and groups, and the owners of new filesystems, must be somebody on the host. (What is said of a namespace that is joined may be
/// a dummy, which engines need for other runtimes.)
pub(super) fn check_mapped(config: &Config, problems: &mut Problems) {
    let Config { id_mappings: mappings, process, .. } = config;
    if config.namespaces.user != Namespace::New {
        return;
    }
    let is_mapped = |list: &[IdMapping], id: u32| {
        list.iter().any(|mapping| id >= mapping.container && id - mapping.container < mapping.size)
    };
    let mut check = |path: &str, list: &[IdMapping], id: u32| {
        if !is_mapped(list, id) {
            problems.add(path, format!("{id} is not mapped in the user namespace"));
        }
    };
    check("$.process.user.uid", &mappings.uids, process.user.uid);
    check("$.process.user.gid", &mappings.gids, process.user.gid);
    for (index, &gid) in process.user.additional_gids.iter().enumerate() {
        check(&format!("$.process.user.additionalGids[{index}]"), &mappings.gids, gid);
    }
    for (index, mount) in config.mounts.iter().enumerate() {
        if !matches!(mount.kind, MountKind::Filesystem { .. }) {
            continue;
        }
        if let Some(Idmap { mappings: IdmapMappings::Own(own), .. }) = &mount.idmap {
            for (kind, own, list) in [("uid", &own.uids, &mappings.uids), ("gid", &own.gids, &mappings.gids)]
            {
                if let Some(missing) = own.iter().find_map(|mapping| first_alien(mapping, list)) {
                    let reason =
                        format!("owners: {kind} {missing} of the host is not mapped in the user namespace");
                    problems.add(format_args!("$.mounts[{index}]"), reason);
                }
            }
        }
        for option in mount.data.split(',') {
            for (kind, list) in [("uid", &mappings.uids), ("gid", &mappings.gids)] {
                let id = option.strip_prefix(kind).and_then(|rest| rest.strip_prefix('=')?.parse().ok());
                if id.is_some_and(|id| !is_mapped(list, id)) {
                    let reason = format!("cannot specify {option} mount options for unmapped {kind}");
                    problems.add(format_args!("$.mounts[{index}].options"), reason);
                }
            }
        }
    }
}

/// The first of a mapping's ids of the host that none in the list has.
fn first_alien(mapping: &IdMapping, list: &[IdMapping]) -> Option<u64> {
    let (mut next, end) = (u64::from(mapping.host), u64::from(mapping.host) + u64::from(mapping.size));
    while next < end {
        let around = list
            .iter()
            .map(|known| u64::from(known.host)..u64::from(known.host) + u64::from(known.size))
            .find(|known| known.contains(&next));
        match around {
            Some(around) => next = around.end,
            None => return Some(next),
        }
    }
    None
}

/// One list of mappings, which may not overlap on either side.
pub(super) fn list(
    list: Option<&[LinuxIdMapping]>,
    path: Arguments<'_>,
    problems: &mut Problems,
) -> Vec<IdMapping> {
    let list = list.unwrap_or_default();
    if list.len() > MAPPING_COUNT_MAX {
        problems.add(path, format!("has more than {MAPPING_COUNT_MAX} entries"));
    }
    let of = |mapping: &LinuxIdMapping| IdMapping {
        container: mapping.container_id(),
        host: mapping.host_id(),
        size: mapping.size(),
    };
    let mappings: Vec<IdMapping> = list.iter().map(of).collect();
    for (place, reason) in faults(&mappings) {
        problems.add(format_args!("{path}{place}"), reason);
    }
    mappings
}

/// What the kernel would not take of a list: the place in it, as a JSON path goes on, and why.
///
/// Source: user_namespaces(7), "Defining user and group ID mappings".
pub(super) fn faults(list: &[IdMapping]) -> Vec<(String, String)> {
    /// The kernel takes less than a page at once.
    const TEXT_BYTES_MAX: usize = 4095;
    let mut faults = Vec::new();
    for (index, mapping) in list.iter().enumerate() {
        let IdMapping { container, host, size } = *mapping;
        if size == 0 {
            faults.push((format!("[{index}].size"), String::from("is 0")));
        }
        for (field, start) in [("containerID", container), ("hostID", host)] {
            if start.checked_add(size).is_none() {
                let reason = format!("{start} and {size} more exceed 32 bits");
                faults.push((format!("[{index}].{field}"), reason));
            }
        }
        let overlaps = |left: u32, left_size: u32, right: u32| {
            u64::from(left) < u64::from(right) + u64::from(size)
                && u64::from(right) < u64::from(left) + u64::from(left_size)
        };
        let overlapping = list[..index].iter().position(|known| {
            overlaps(known.container, known.size, container) || overlaps(known.host, known.size, host)
        });
        if let Some(other) = overlapping {
            faults.push((format!("[{index}]"), format!("overlaps with entry {other}")));
        }
    }
    let line = |mapping: &IdMapping| format!("{} {} {}\n", mapping.container, mapping.host, mapping.size);
    let bytes: usize = list.iter().map(|mapping| line(mapping).len()).sum();
    if bytes > TEXT_BYTES_MAX {
        let reason = format!("takes {bytes} bytes as the kernel reads it, more than {TEXT_BYTES_MAX}");
        faults.push((String::new(), reason));
    }
    faults
}

/// The offsets as the kernel reads them, a clock a line.
pub(super) fn time_offsets(
    linux: Option<&Linux>,
    namespaces: &Namespaces,
    problems: &mut Problems,
) -> String {
    const PATH: &str = "$.linux.timeOffsets";
    let mut lines = Vec::new();
    for (clock, offset) in linux.and_then(|linux| linux.time_offsets().as_ref()).into_iter().flatten() {
        if clock != "monotonic" && clock != "boottime" {
            problems.add(PATH, format!("{clock:?} is neither monotonic nor boottime"));
        }
        let nanoseconds = offset.nanosecs().unwrap_or(0);
        if nanoseconds >= 1_000_000_000 {
            problems
                .add(format_args!("{PATH}.{clock}.nanosecs"), format!("{nanoseconds} is a second or more"));
        }
        lines.push(format!("{clock} {} {nanoseconds}\n", offset.secs().unwrap_or(0)));
    }
    if !lines.is_empty() {
        match &namespaces.time {
            Namespace::New => {}
            Namespace::Inherit => {
                problems.add(PATH, "time offsets specified, but time namespace isn't enabled in the config");
            }
            Namespace::Join(path) => {
                problems.add(PATH, format!("the clocks of the time namespace {path} are set already"));
            }
        }
    }
    lines.sort();
    lines.concat()
}
