//! Which controllers a container's limits need.

use std::collections::BTreeSet;
use std::path::Path;

use super::devices::with_defaults;
use super::{Directory, Placement};
use super::{v1, v2};
use crate::config::{Cpu, Memory, Resources};

/// A limit, and who enforces it.
pub(super) struct Need {
    /// Below `linux.resources`.
    pub(super) field: &'static str,
    pub(super) v1: &'static str,
    /// `None`: v2 has nothing like it.
    pub(super) v2: Option<&'static str>,
}

/// What is needed for the limits that are set.
pub(super) fn of(resources: &Resources) -> impl Iterator<Item = Need> {
    let Resources { memory, cpu, network, .. } = resources;
    let has_memory =
        *memory != Memory { check_before_update: memory.check_before_update, ..Memory::default() };
    let has_cpu = *cpu != Cpu { cpus: cpu.cpus.clone(), mems: cpu.mems.clone(), ..Cpu::default() };
    let table = [
        (has_memory, "memory", "memory", Some("memory")),
        (has_cpu, "cpu", "cpu", Some("cpu")),
        (cpu.cpus.is_some(), "cpu.cpus", "cpuset", Some("cpuset")),
        (cpu.mems.is_some(), "cpu.mems", "cpuset", Some("cpuset")),
        (resources.pids_limit.is_some(), "pids", "pids", Some("pids")),
        (resources.block_io != Default::default(), "blockIO", "blkio", Some("io")),
        (!resources.hugepage_limits.is_empty(), "hugepageLimits", "hugetlb", Some("hugetlb")),
        (network.class_id.is_some(), "network.classID", "net_cls", None),
        (!network.priorities.is_empty(), "network.priorities", "net_prio", None),
        (!resources.rdma.is_empty(), "rdma", "rdma", Some("rdma")),
    ];
    table.into_iter().filter(|(is_set, ..)| *is_set).map(|(_, field, v1, v2)| Need { field, v1, v2 })
}

/// What the hierarchies of `placement` have nothing for, and can do without: JSON paths and reasons, to be told as warnings.
pub fn passed_over(placement: &Placement, resources: &Resources) -> Vec<(String, String)> {
    if placement.unified.is_none() || placement.is_hybrid() {
        return Vec::new();
    }
    v2::passed_over(resources).into_iter().map(|(field, reason)| problem(&field, reason)).collect()
}

/// Takes out of an update what engines repeat with each of them, and the container of `placement` cannot have in force, since there is no
/// controller for it: JSON paths and reasons, to be told as warnings. runc takes it without a word.
pub(super) fn drop_unsupported(placement: &Placement, resources: &mut Resources) -> Vec<(String, String)> {
    let is_v2 = placement.unified.is_some() && !placement.is_hybrid();
    let v2 = placement.unified.as_ref().filter(|_| is_v2);
    // Of a cgroup that is gone, the writes will tell.
    let Some(of_v2) = v2.map_or(Some(BTreeSet::new()), |directory| controllers(&directory.absolute())) else {
        return Vec::new();
    };
    let has = |need: &Need| match (is_v2, need.v2) {
        (false, _) => placement.hierarchies.iter().any(|directory| directory.has(need.v1)),
        (true, controller) => controller.is_some_and(|controller| of_v2.contains(controller)),
    };
    let missing: Vec<Need> = of(resources).filter(|need| !has(need)).collect();
    let mut dropped = Vec::new();
    for Need { field, v1, .. } in missing {
        match field {
            "hugepageLimits" => resources.hugepage_limits.clear(),
            "network.classID" => resources.network.class_id = None,
            "network.priorities" => resources.network.priorities.clear(),
            "rdma" => resources.rdma.clear(),
            _ => continue,
        }
        let reason = v2.map_or_else(|| on_host(v1), |directory| lacking(directory, v1));
        dropped.push(problem(field, &format!("is ignored: {reason}")));
    }
    dropped
}

/// The controllers that a cgroup of v2 can be given: it may not be there yet, but what the hierarchy's root has, its parents have or can be given.
fn available_to(directory: &Directory) -> BTreeSet<String> {
    controllers(directory.mountpoint()).unwrap_or_default()
}

/// The controllers that a cgroup of v2 has; `None` where it is gone.
pub(super) fn controllers(path: &str) -> Option<BTreeSet<String>> {
    let list = std::fs::read_to_string(format!("{path}/cgroup.controllers")).ok()?;
    Some(list.split_ascii_whitespace().map(str::to_owned).collect())
}

/// What the hierarchies of `placement` cannot limit: JSON paths and reasons. Nothing is written.
pub fn unsupported(placement: &Placement, resources: &Resources) -> Vec<(String, String)> {
    if let (Some(unified), false) = (&placement.unified, placement.is_hybrid()) {
        return unsupported_by_v2(unified, resources);
    }
    let hierarchies = &placement.hierarchies;
    let mut missing = Vec::new();
    if !resources.unified.is_empty() {
        missing.push(problem("unified", "cannot use unified on cgroup v1"));
    }
    missing.extend(v1::fault_of_swap(&resources.memory).map(|fault| problem("memory.swap", fault)));
    for need in of(resources).filter(|need| !hierarchies.iter().any(|directory| directory.has(need.v1))) {
        missing.push(without_controller(need.field, need.v1));
    }
    if hierarchies.iter().any(|directory| directory.has("hugetlb")) {
        missing.extend(unknown_page_sizes(resources));
    }
    if let Some(directory) = hierarchies.iter().find(|directory| directory.has("blkio")) {
        missing.extend(unknown_weights(directory, resources));
    }
    if hierarchies.iter().any(|directory| directory.has("devices"))
        && let Err(error) = v1::devices::lines(&with_defaults(&resources.devices))
    {
        let text = error.to_string();
        missing.extend(text.split_once(": ").map(|(path, reason)| (path.to_owned(), reason.to_owned())));
    }
    missing
}

fn unsupported_by_v2(directory: &Directory, resources: &Resources) -> Vec<(String, String)> {
    let mut missing: Vec<_> = v2::impossible(resources)
        .into_iter()
        .map(|field| problem(&field, "cgroup v2 has nothing like it"))
        .collect();
    let controllers = available_to(directory);
    let has = |name: &str| controllers.contains(name);
    for need in of(resources) {
        if let Some(name) = need.v2.filter(|name| !has(name)) {
            missing.push(without_controller(need.field, name));
        }
    }
    for file in resources.unified.keys() {
        let controller = file.split('.').next().unwrap_or_default();
        if controller != "cgroup" && !has(controller) {
            missing.push(without_controller(&format!("unified[{file:?}]"), controller));
        }
    }
    if has("hugetlb") {
        missing.extend(unknown_page_sizes(resources));
    }
    missing
}

fn problem(field: &str, reason: &str) -> (String, String) {
    (format!("$.linux.resources.{field}"), reason.to_owned())
}

fn without_controller(field: &str, controller: &str) -> (String, String) {
    problem(field, &on_host(controller))
}

fn on_host(controller: &str) -> String {
    format!("the host has no cgroup controller {controller}")
}

/// Why a cgroup of v2 is without a controller.
pub(super) fn lacking(directory: &Directory, controller: &str) -> String {
    if available_to(directory).contains(controller) {
        // Those above do not give it: processes are in one of them, or it is somebody else's.
        return format!("{} cannot have the cgroup controller {controller}", directory.absolute());
    }
    on_host(controller)
}

/// Weights that no scheduler of this kernel has files for. A hierarchy's root has none in any case: another cgroup has to be there to tell.
fn unknown_weights(directory: &Directory, resources: &Resources) -> Vec<(String, String)> {
    let root = Path::new(directory.mountpoint());
    let container = directory.absolute();
    let above = Path::new(&container).ancestors().take_while(|path| *path != root).find(|path| path.is_dir());
    let beside = || {
        let entries = std::fs::read_dir(root).ok()?.flatten();
        entries.map(|entry| entry.path()).find(|path| path.is_dir())
    };
    let Some(some) = above.map(Path::to_path_buf).or_else(beside) else { return Vec::new() };
    let weights = v1::block_io::weights(&resources.block_io).into_iter();
    let unknown = weights.filter(|weight| !weight.files.iter().any(|file| some.join(file).exists()));
    unknown
        .map(|weight| {
            let reason = v1::block_io::missing(&some.to_string_lossy(), weight.files);
            problem(&format!("blockIO.{}", weight.field), &reason)
        })
        .collect()
}

/// Sizes that the kernel does not have, and so no files for.
fn unknown_page_sizes(resources: &Resources) -> Vec<(String, String)> {
    let sizes = page_sizes();
    let limits = resources.hugepage_limits.iter().enumerate();
    let unknown = limits.filter(|(_, limit)| !sizes.contains(&limit.page_size));
    unknown
        .map(|(index, limit)| {
            let reason = format!("the host has no limit for pages of {}", limit.page_size);
            problem(&format!("hugepageLimits[{index}]"), &reason)
        })
        .collect()
}

/// Such as `2MB`, from names such as `hugepages-2048kB`.
fn page_sizes() -> Vec<String> {
    let entries = std::fs::read_dir("/sys/kernel/mm/hugepages").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| page_size(&name)).collect()
}

fn page_size(name: &str) -> Option<String> {
    let kibibytes: u64 = name.strip_prefix("hugepages-")?.strip_suffix("kB")?.parse().ok()?;
    Some(match kibibytes {
        size if size >= 1 << 20 => format!("{}GB", size >> 20),
        size if size >= 1 << 10 => format!("{}MB", size >> 10),
        size => format!("{size}KB"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_limits_that_are_set_need_a_controller() {
        let mut resources = Resources { pids_limit: Some(0), ..Resources::default() };
        resources.memory.check_before_update = Some(true);
        resources.cpu.mems = Some(String::from("0"));
        let fields: Vec<_> = of(&resources).map(|need| (need.field, need.v1)).collect();
        assert_eq!(fields, [("cpu.mems", "cpuset"), ("pids", "pids")]);
    }

    #[test]
    fn page_sizes_are_in_the_words_of_the_cgroup_files() {
        for (name, expected) in
            [("hugepages-64kB", "64KB"), ("hugepages-2048kB", "2MB"), ("hugepages-1048576kB", "1GB")]
        {
            assert_eq!(page_size(name).as_deref(), Some(expected));
        }
    }
}
