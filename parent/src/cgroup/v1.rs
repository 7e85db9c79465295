//! cgroup v1: one directory in each hierarchy, each with its own files.

use rustix::io::Errno;

use super::place::Directory;
use super::{devices, files};
use crate::config::{Cpu, Memory, Resources};
use crate::error::{Error, Result};

/// A limit that is asked for must have a controller to enforce it.
pub(super) fn check_controllers(hierarchies: &[Directory], resources: &Resources) -> Result<()> {
    for (controller, field, is_set) in [
        (
            "memory",
            "memory",
            resources.memory
                != Memory { check_before_update: resources.memory.check_before_update, ..Memory::default() },
        ),
        ("cpu", "cpu", cpu_is_set(&resources.cpu)),
        ("cpuset", "cpu.cpus", resources.cpu.cpus.is_some() || resources.cpu.mems.is_some()),
        ("pids", "pids", resources.pids_limit.is_some()),
    ] {
        if is_set && !hierarchies.iter().any(|directory| directory.has(controller)) {
            return Err(Error::new(format!(
                "$.linux.resources.{field}: the host has no cgroup controller {controller}"
            )));
        }
    }
    Ok(())
}

fn cpu_is_set(cpu: &Cpu) -> bool {
    *cpu != Cpu { cpus: cpu.cpus.clone(), mems: cpu.mems.clone(), ..Cpu::default() }
}

/// Writes the limits that belong to one hierarchy.
pub(super) fn limit(directory: &Directory, resources: &Resources) -> Result<()> {
    let path = directory.absolute();
    if directory.has("cpuset") {
        copy_cpuset(&path)?;
        for (file, list) in [("cpuset.cpus", &resources.cpu.cpus), ("cpuset.mems", &resources.cpu.mems)] {
            if let Some(list) = list {
                files::set(&path, file, list)?;
            }
        }
    }
    if directory.has("memory") {
        limit_memory(&path, &resources.memory)?;
    }
    if directory.has("cpu") {
        limit_cpu(&path, &resources.cpu)?;
    }
    if directory.has("pids")
        && let Some(limit) = resources.pids_limit
    {
        let value = if limit < 0 { String::from("max") } else { limit.to_string() };
        files::set(&path, "pids.max", value)?;
    }
    if directory.has("devices") {
        limit_devices(&path, resources)?;
    }
    Ok(())
}

/// A new cpuset has no processor and no memory node, and takes no process then: it gets its parent's.
pub(super) fn copy_cpuset(path: &str) -> Result<()> {
    let parent = &path[..path.rfind('/').unwrap_or_default()];
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let from = format!("{parent}/{file}");
        let value = files::read(&from).map_err(|errno| Error::call(format_args!("read {from}"), errno))?;
        files::set(path, file, value.trim_end())?;
    }
    Ok(())
}

fn limit_memory(path: &str, memory: &Memory) -> Result<()> {
    if let Some(limit) = memory.limit {
        set_memory_limit(path, limit)?;
    }
    // Without a limit for memory, one for both would be left over (runc does the same).
    let swap = memory.swap.or(if memory.limit == Some(-1) { Some(-1) } else { None });
    if let Some(swap) = swap {
        match files::set(path, "memory.memsw.limit_in_bytes", swap) {
            // No swap accounting: lifting a limit that cannot be is done.
            Err(_) if memory.swap.is_none() => {}
            set => set?,
        }
    }
    if let Some(reservation) = memory.reservation {
        files::set(path, "memory.soft_limit_in_bytes", reservation)?;
    }
    if let Some(swappiness) = memory.swappiness {
        files::set(path, "memory.swappiness", swappiness)?;
    }
    if memory.disable_oom_killer == Some(true) {
        files::set(path, "memory.oom_control", 1)?;
    }
    Ok(())
}

fn set_memory_limit(path: &str, limit: i64) -> Result<()> {
    let file = format!("{path}/memory.limit_in_bytes");
    match files::write(&file, &limit.to_string()) {
        Ok(()) => Ok(()),
        Err(Errno::BUSY) => {
            let number =
                |name: &str| files::read(&format!("{path}/{name}")).unwrap_or_default().trim_end().to_owned();
            Err(Error::new(format!(
                "unable to set memory limit to {limit} (current usage: {}, peak usage: {})",
                number("memory.usage_in_bytes"),
                number("memory.max_usage_in_bytes"),
            )))
        }
        Err(errno) => Err(Error::call(format_args!("write \"{limit}\" to {file}"), errno)),
    }
}

fn limit_cpu(path: &str, cpu: &Cpu) -> Result<()> {
    if let Some(shares) = cpu.shares {
        files::set(path, "cpu.shares", shares)?;
    }
    if let Some(period) = cpu.period {
        files::set(path, "cpu.cfs_period_us", period)?;
    }
    if let Some(quota) = cpu.quota {
        files::set(path, "cpu.cfs_quota_us", quota)?;
    }
    if let Some(burst) = cpu.burst {
        files::set(path, "cpu.cfs_burst_us", burst)?;
    }
    if let Some(period) = cpu.realtime_period {
        files::set(path, "cpu.rt_period_us", period)?;
    }
    if let Some(runtime) = cpu.realtime_runtime {
        files::set(path, "cpu.rt_runtime_us", runtime)?;
    }
    if let Some(idle) = cpu.idle {
        files::set(path, "cpu.idle", idle)?;
    }
    Ok(())
}

fn limit_devices(path: &str, resources: &Resources) -> Result<()> {
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
    Ok(())
}
