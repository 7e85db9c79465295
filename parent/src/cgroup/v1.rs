//! cgroup v1: one directory in each hierarchy, each with its own files.

pub(super) mod block_io;
mod cpu;
pub(super) mod devices;
mod memory;
mod stats;

use super::devices::with_defaults;
use super::directory::{make, make_beside};
use super::place::Directory;
use super::version::{MemoryFiles, Setting, V1, Version};
use super::writer::Writer;
use super::{Doors, Made, OomWatch, Stats, files, hugetlb, needs, rdma};
use crate::config::{Memory, Network, Resources};
use crate::descriptors::spend;
use crate::error::{Error, Result};

pub(super) use cpu::fill_cpuset;

impl Version for V1<'_> {
    fn populate(&self, setting: Setting<'_>, resources: &Resources, tree_count: usize) -> Result<Doors> {
        check_controllers(self.0, resources)?;
        let mut doors = Doors::default();
        for directory in self.0 {
            let path = directory.absolute();
            let is_new = if setting.has_manager {
                // With the child in those that it has made.
                make_beside(directory, setting.made)?
            } else {
                make(directory, setting.made)?;
                !setting.made.kept.contains(&path)
            };
            if directory.has("cpuset") {
                let filled = fill_cpuset(&path, is_new)?;
                if setting.made.kept.contains(&path) {
                    setting.made.kept_limits.extend(filled);
                }
            }
            fill(directory, resources, setting.made)?;
            doors.tasks.push(files::open_for_writing(&[&path, "/tasks"].concat())?);
            // Early, while stage1 is busy elsewhere; for further views below.
            if doors.trees.len() < tree_count {
                doors.trees.push(files::open_tree(&path)?);
            }
        }
        for directory in self.0.iter().cycle() {
            if doors.trees.len() >= tree_count {
                break;
            }
            doors.trees.push(files::open_tree(&directory.absolute())?);
        }
        Ok(doors)
    }

    /// v1's controllers are on from the start.
    fn allow_update(&self, _: &Resources) -> Result<()> {
        Ok(())
    }

    fn check_update(&self, change: &Resources) -> Result<()> {
        check_controllers(self.0, change)
    }

    fn limit(
        &self,
        limits: &Resources,
        writer: &dyn Fn(String) -> Writer,
        writers: &mut Vec<Writer>,
    ) -> Result<()> {
        self.0.iter().try_for_each(|directory| {
            let writer = writer(directory.absolute());
            let written = limit(directory, &writer, limits);
            writers.push(writer);
            written
        })
    }

    /// v1 has no delegation.
    fn hand_over(&self, _: u32) -> Result<()> {
        Ok(())
    }

    fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        self.0.iter().for_each(|directory| stats::add_stats(directory, &mut stats));
        stats
    }

    fn watch_oom(&self) -> Result<Option<OomWatch>> {
        self.memory_directory().map(OomWatch::of_v1).transpose()
    }

    fn memory(&self) -> Option<MemoryFiles> {
        Some(MemoryFiles {
            path: self.memory_directory()?.absolute(),
            is_v2: false,
            events: "memory.oom_control",
            limit: "memory.limit_in_bytes",
            peak: "memory.max_usage_in_bytes",
        })
    }
}

impl V1<'_> {
    fn memory_directory(&self) -> Option<&Directory> {
        self.0.iter().find(|directory| directory.has("memory"))
    }
}

/// v1 limits swap only together with memory.
pub(super) fn fault_of_swap(memory: &Memory) -> Option<&'static str> {
    matches!((memory.limit, memory.swap), (Some(-1), Some(1..)))
        .then_some("unable to set swap limit without memory limit")
}

/// A limit that is asked for must have a controller to enforce it.
fn check_controllers(hierarchies: &[Directory], resources: &Resources) -> Result<()> {
    if !resources.unified.is_empty() {
        return Err(Error::new("invalid configuration: cannot use unified on cgroup v1"));
    }
    if let Some(fault) = fault_of_swap(&resources.memory) {
        return Err(Error::new(format!("$.linux.resources.memory.swap: {fault}")));
    }
    let missing =
        needs::of(resources).find(|need| !hierarchies.iter().any(|directory| directory.has(need.v1)));
    match missing {
        Some(need) => Err(Error::new(format!(
            "$.linux.resources.{}: the host has no cgroup controller {}",
            need.field, need.v1
        ))),
        None => Ok(()),
    }
}

/// Fills a directory: its limits, and which devices its processes may use.
fn fill(directory: &Directory, resources: &Resources, made: &mut Made) -> Result<()> {
    let path = directory.absolute();
    let was_there = made.kept.contains(&path);
    let writer = if was_there { Writer::with_undo(path.clone()) } else { Writer::new(path.clone()) };
    let limited = limit(directory, &writer, resources);
    made.kept_limits.extend(writer.into_log());
    limited?;
    if directory.has("devices") {
        if was_there {
            made.kept_limits.extend(devices::undo(&path));
        }
        limit_devices(&path, resources)?;
    }
    Ok(())
}

/// Writes the limits that belong to one hierarchy.
fn limit(directory: &Directory, writer: &Writer, resources: &Resources) -> Result<()> {
    if directory.has("cpuset") {
        cpu::limit_set(writer, &resources.cpu)?;
    }
    if directory.has("memory") {
        memory::limit(writer, &resources.memory)?;
    }
    if directory.has("cpu") {
        cpu::limit(writer, directory, &resources.cpu)?;
    }
    if directory.has("pids")
        && let Some(limit) = resources.pids_limit
    {
        let value = if limit < 0 { String::from("max") } else { limit.to_string() };
        writer.set("pids.max", value)?;
    }
    if directory.has("blkio") {
        block_io::limit(writer, &resources.block_io)?;
    }
    if directory.has("hugetlb") {
        hugetlb::limit(writer, &resources.hugepage_limits, "limit_in_bytes")?;
    }
    if directory.has("rdma") {
        rdma::limit(writer, &resources.rdma)?;
    }
    limit_network(directory, writer, &resources.network)
}

/// The class for packet filters, and the priority on each interface.
fn limit_network(directory: &Directory, writer: &Writer, network: &Network) -> Result<()> {
    if directory.has("net_cls")
        && let Some(class) = network.class_id
    {
        writer.set("net_cls.classid", class)?;
    }
    if directory.has("net_prio") {
        for entry in &network.priorities {
            writer.set_key("net_prio.ifpriomap", &entry.name, &entry.priority.to_string(), "0")?;
        }
    }
    Ok(())
}

fn limit_devices(path: &str, resources: &Resources) -> Result<()> {
    let policy = with_defaults(&resources.devices);
    let (allow, deny) = (format!("{path}/devices.allow"), format!("{path}/devices.deny"));
    if policy.allow_by_default && policy.rules.is_empty() {
        // A new directory has its parent's rules, which is the most it can have; one that was there before may have fewer.
        return files::set(path, "devices.allow", "a");
    }
    let lines = devices::lines(&policy)?;
    let (allow_file, deny_file) = (files::open_for_writing(&allow)?, files::open_for_writing(&deny)?);
    let write = |allowed: bool, line: &str| {
        let (file, name) = if allowed { (&allow_file, &allow) } else { (&deny_file, &deny) };
        rustix::io::write(file, line.as_bytes())
            .map(drop)
            .map_err(|errno| Error::call(format_args!("write {line:?} to {name}"), errno))
    };
    write(policy.allow_by_default, "a")?;
    lines.iter().try_for_each(|line| write(!policy.allow_by_default, line))?;
    [allow_file, deny_file].into_iter().for_each(spend);
    Ok(())
}
