//! cgroup v2: one directory, whose files are there once the controllers above it are on.

use rustix::io::Errno;

use super::place::Directory;
use super::{Made, bpf, devices, files};
use crate::config::{Cpu, Memory, Resources};
use crate::error::{Error, Result};

/// Turns on, in every cgroup above the container's, the controllers that it has, as runc does. What is on already is left alone:
/// turning it on once more would take the lock of all thread groups, and wait for a grace period.
///
/// A controller that cannot be turned on is missed only by who limits it: the write of that limit says so.
pub(super) fn enable_controllers(directory: &Directory, made: &mut Made) -> Result<()> {
    let mut above = directory.mountpoint().to_owned();
    for parent in directory.parents().map(Some).chain([None]) {
        enable_below(&above)?;
        let Some(parent) = parent else { break };
        match files::make_directory(&parent) {
            Ok(()) => made.note_parent(parent.clone()),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::call(format_args!("mkdir {parent}"), errno)),
        }
        above = parent;
    }
    Ok(())
}

fn enable_below(path: &str) -> Result<()> {
    let read = |name: &str| {
        let file = format!("{path}/{name}");
        files::read(&file).map_err(|errno| Error::call(format_args!("read {file}"), errno))
    };
    let (available, enabled) = (read("cgroup.controllers")?, read("cgroup.subtree_control")?);
    let is_on = |controller: &str| enabled.split_ascii_whitespace().any(|name| name == controller);
    let missing: Vec<String> = available
        .split_ascii_whitespace()
        .filter(|controller| !is_on(controller))
        .map(|controller| format!("+{controller}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let file = format!("{path}/cgroup.subtree_control");
    if files::write(&file, &missing.join(" ")).is_err() {
        // One that cannot be had must not keep the others out.
        for controller in &missing {
            // Ignored: the write of a limit that needs it says so.
            let _ = files::write(&file, controller);
        }
    }
    Ok(())
}

/// Writes all limits.
pub(super) fn limit(directory: &Directory, resources: &Resources) -> Result<()> {
    let path = directory.absolute();
    limit_memory(&path, &resources.memory)?;
    limit_cpu(&path, &resources.cpu)?;
    if let Some(limit) = resources.pids_limit {
        files::set(&path, "pids.max", max_or(limit))?;
    }
    let policy = devices::Policy::new(&resources.devices);
    if policy.allow_by_default && policy.rules.is_empty() {
        return Ok(());
    }
    bpf::attach_device_policy(&path, &devices::program(&policy))
}

/// -1 is no limit.
fn max_or(limit: i64) -> String {
    if limit < 0 { String::from("max") } else { limit.to_string() }
}

fn limit_memory(path: &str, memory: &Memory) -> Result<()> {
    if memory.check_before_update
        && let Some(limit) = memory.limit.filter(|limit| *limit > 0)
    {
        let usage = files::read(&format!("{path}/memory.current")).unwrap_or_default();
        if usage.trim_end().parse::<i64>().is_ok_and(|usage| usage >= limit) {
            return Err(Error::new(format!("memory limit {limit} is below the usage {}", usage.trim_end())));
        }
    }
    unsupported("memory.swappiness", memory.swappiness.is_some())?;
    unsupported("memory.disableOOMKiller", memory.disable_oom_killer == Some(true))?;
    if let Some(swap) = swap_alone(memory) {
        files::set(path, "memory.swap.max", max_or(swap))?;
    }
    if let Some(limit) = memory.limit {
        files::set(path, "memory.max", max_or(limit))?;
    }
    if let Some(reservation) = memory.reservation {
        files::set(path, "memory.low", max_or(reservation))?;
    }
    Ok(())
}

/// The configuration counts memory and swap together, v2 swap alone.
fn swap_alone(memory: &Memory) -> Option<i64> {
    match (memory.swap?, memory.limit) {
        (-1, _) => Some(-1),
        (both, Some(limit)) if limit > 0 => Some(both - limit),
        (both, _) => Some(both),
    }
}

fn limit_cpu(path: &str, cpu: &Cpu) -> Result<()> {
    unsupported("cpu.realtimeRuntime", cpu.realtime_runtime.is_some())?;
    unsupported("cpu.realtimePeriod", cpu.realtime_period.is_some())?;
    if let Some(idle) = cpu.idle {
        files::set(path, "cpu.idle", idle)?;
    }
    // An idle cgroup has no weight.
    if let Some(shares) = cpu.shares.filter(|_| cpu.idle != Some(1)) {
        files::set(path, "cpu.weight", weight(shares))?;
    }
    // A burst may not exceed the quota that is in force: the larger quota comes first.
    if cpu.quota.is_some() || cpu.period.is_some() {
        let quota =
            cpu.quota.filter(|quota| *quota > 0).map_or(String::from("max"), |quota| quota.to_string());
        let period = cpu.period.unwrap_or(100_000);
        files::set(path, "cpu.max", format!("{quota} {period}"))?;
    }
    if let Some(burst) = cpu.burst {
        files::set(path, "cpu.max.burst", burst)?;
    }
    for (file, list) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if let Some(list) = list {
            files::set(path, file, list)?;
        }
    }
    Ok(())
}

fn unsupported(field: &str, is_set: bool) -> Result<()> {
    if is_set {
        return Err(Error::new(format!("$.linux.resources.{field}: cgroup v2 has nothing like it")));
    }
    Ok(())
}

/// v1's shares as v2's weight: a curve through 2 → 1, 1024 → 100 and 262144 → 10000, as the current runc and crun have it.
fn weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10f64.powf(exponent).ceil() as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights_on_the_current_curve() {
        for (shares, expected) in [(2, 1), (512, 59), (1024, 100), (2048, 174), (262_144, 10_000)] {
            assert_eq!(weight(shares), expected, "{shares}");
        }
    }

    #[test]
    fn swap_is_what_exceeds_the_memory() {
        let memory = |limit, swap| Memory { limit, swap, ..Memory::default() };
        assert_eq!(swap_alone(&memory(Some(100), Some(300))), Some(200));
        assert_eq!(swap_alone(&memory(Some(100), Some(-1))), Some(-1));
        assert_eq!(swap_alone(&memory(Some(100), None)), None);
    }
}
