//! cgroup v1: one directory in each hierarchy, each with its own files.

mod block_io;
mod cpu;
mod memory;
mod stats;

use std::os::fd::OwnedFd;

use super::place::Directory;
use super::writer::Writer;
use super::{devices, files, hugetlb, needs, rdma};
use crate::config::{Network, Resources};
use crate::error::{Error, Result};

pub(super) use cpu::copy_cpuset;
pub(super) use stats::add_stats;

/// A limit that is asked for must have a controller to enforce it.
pub(super) fn check_controllers(hierarchies: &[Directory], resources: &Resources) -> Result<()> {
    if !resources.unified.is_empty() {
        return Err(Error::new("invalid configuration: cannot use unified on cgroup v1"));
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

/// Fills a new directory: what it has to have, its limits, and which devices its processes may use. Files that are `done` are the caller's
/// to close.
pub(super) fn fill(directory: &Directory, resources: &Resources, done: &mut Vec<OwnedFd>) -> Result<()> {
    let writer = Writer::new(directory.absolute());
    if directory.has("cpuset") {
        copy_cpuset(writer.path(), done)?;
    }
    limit(directory, &writer, resources)?;
    if directory.has("devices") {
        limit_devices(writer.path(), resources, done)?;
    }
    Ok(())
}

/// Writes the limits that belong to one hierarchy.
pub(super) fn limit(directory: &Directory, writer: &Writer, resources: &Resources) -> Result<()> {
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

fn limit_devices(path: &str, resources: &Resources, done: &mut Vec<OwnedFd>) -> Result<()> {
    let policy = devices::Policy::new(&resources.devices);
    let (allow, deny) = (format!("{path}/devices.allow"), format!("{path}/devices.deny"));
    if policy.allow_by_default && policy.rules.is_empty() {
        // A new directory has its parent's rules, which is the most it can have; one that was there before may have fewer.
        return files::set(path, "devices.allow", "a");
    }
    let (allow_file, deny_file) = (files::open_for_writing(&allow)?, files::open_for_writing(&deny)?);
    let write = |allowed: bool, line: &str| {
        let (file, name) = if allowed { (&allow_file, &allow) } else { (&deny_file, &deny) };
        rustix::io::write(file, line.as_bytes())
            .map(drop)
            .map_err(|errno| Error::call(format_args!("write {line:?} to {name}"), errno))
    };
    write(policy.allow_by_default, "a")?;
    for rule in &policy.rules {
        for line in devices::v1_lines(rule) {
            write(rule.allow, &line)?;
        }
    }
    done.extend([allow_file, deny_file]);
    Ok(())
}
