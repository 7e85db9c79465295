//! Limits, priorities and processors that the kernel would refuse: more than the runtime itself may have, or what the host lacks.

use std::fs;
use std::path::Path;

use linux_raw_sys::general as uapi;
use rustix::process::{Resource, getrlimit};
use rustix::time::ClockId;

use super::Findings;

use crate::config::{self, Config, DeviceNumber, Namespace, rlimit_name};
use crate::host::{CgroupHost, HostFacts, may_raise_limits, own_capabilities};

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let is_limited = !may_raise_limits();
    check_rlimits(config, is_limited, findings);
    if is_limited {
        check_oom_score(config, findings);
    }
    check_deadline(config, findings);
    check_priorities(config, is_mapped_or_lacks_nice(config), findings);
    check_time_offsets(config, findings);
}

/// What is judged by the host's own user namespace, of which the container's root has nothing if it has another.
fn is_mapped_or_lacks_nice(config: &Config) -> bool {
    config.namespaces.user != Namespace::Inherit || own_capabilities() & 1 << uapi::CAP_SYS_NICE == 0
}

/// Source: sched_setattr(2), ioprio_set(2).
fn check_priorities(config: &Config, is_ordinary: bool, findings: &mut Findings) {
    const SCHED_ISO: u32 = 4;
    /// Those of real time.
    const REAL_TIME: [u32; 3] = [1, 2, 6];
    const IO_REAL_TIME: u32 = 1;
    if let Some(scheduler) = &config.process.scheduler {
        if scheduler.policy == SCHED_ISO {
            findings.error("$.process.scheduler.policy", "no kernel has SCHED_ISO");
        }
        // A limit may allow it to anybody, and the container may get that.
        let is_allowed = |name: &str| {
            let own = resource(name).is_some_and(|kind| getrlimit(kind).current != Some(0));
            own || config.process.rlimits.iter().any(|limit| rlimit_name(limit.resource) == Some(name))
        };
        let is_refused = is_ordinary
            && (scheduler.nice < 0 && !is_allowed("RLIMIT_NICE")
                || REAL_TIME.contains(&scheduler.policy) && !is_allowed("RLIMIT_RTPRIO"));
        if is_refused {
            findings.error("$.process.scheduler", "needs CAP_SYS_NICE in the host's user namespace");
        }
    }
    if is_ordinary && config.process.io_priority.is_some_and(|priority| priority.class == IO_REAL_TIME) {
        findings
            .error("$.process.ioPriority", "IOPRIO_CLASS_RT needs CAP_SYS_NICE in the host's user namespace");
    }
}

/// No clock of the container may be before its beginning, or too far ahead.
///
/// Source: proc_timens_set_offset of the kernel's kernel/time/namespace.c.
fn check_time_offsets(config: &Config, findings: &mut Findings) {
    /// Half of KTIME_SEC_MAX.
    const SECONDS_MAX: i64 = i64::MAX / 1_000_000_000 / 2;
    for line in config.time_offsets.lines() {
        let mut words = line.split(' ');
        let (Some(clock), Some(Ok(offset))) = (words.next(), words.next().map(str::parse::<i64>)) else {
            continue;
        };
        let id = if clock == "monotonic" { ClockId::Monotonic } else { ClockId::Boottime };
        let now = rustix::time::clock_gettime(id).tv_sec;
        if !(0..=SECONDS_MAX).contains(&now.saturating_add(offset)) {
            let reason = format!("the clock is at {now} s here, and {offset} more is out of its range");
            findings.error(format!("$.linux.timeOffsets.{clock}.secs"), reason);
        }
    }
}

fn check_rlimits(config: &Config, is_limited: bool, findings: &mut Findings) {
    let open_files = number("/proc/sys/fs/nr_open");
    for (index, limit) in config.process.rlimits.iter().enumerate() {
        let path = format!("$.process.rlimits[{index}].hard");
        let name = rlimit_name(limit.resource);
        let own = name.and_then(resource).and_then(|kind| getrlimit(kind).maximum);
        if let Some(own) = own.filter(|own| is_limited && limit.hard > *own) {
            findings.error(path, format!("raising it above {own} needs CAP_SYS_RESOURCE"));
        } else if let Some(most) = open_files.filter(|_| name == Some("RLIMIT_NOFILE"))
            && limit.hard > most
        {
            findings.error(path, format!("is above /proc/sys/fs/nr_open, which is {most}"));
        }
    }
}

/// What the kernel compares with is the lowest score that somebody privileged has given us, which it does not tell.
fn check_oom_score(config: &Config, findings: &mut Findings) {
    const PATH: &str = "$.process.oomScoreAdj";
    let own = fs::read_to_string("/proc/self/oom_score_adj").ok();
    let own = own.and_then(|text| text.trim().parse::<i32>().ok()).unwrap_or(0);
    match config.process.oom_score_adj.filter(|&score| score < own) {
        Some(score) if score < 0 => {
            findings.error(PATH, format!("lowering it below {own} needs CAP_SYS_RESOURCE"));
        }
        Some(_) => findings.warning(PATH, format!("lowering it below {own} may need CAP_SYS_RESOURCE")),
        None => {}
    }
}

/// The bounds of a period are the host's.
fn check_deadline(config: &Config, findings: &mut Findings) {
    let Some(scheduler) = config.process.scheduler.filter(|scheduler| scheduler.deadline != 0) else {
        return;
    };
    let period = if scheduler.period == 0 { scheduler.deadline } else { scheduler.period };
    let bound = |name: &str| number(&format!("/proc/sys/kernel/sched_deadline_period_{name}_us"));
    if let (Some(least), Some(most)) = (bound("min"), bound("max"))
        && !(least..=most).contains(&(period / 1000))
    {
        let reason =
            format!("a period of {period} ns is not between {least} and {most} µs, this host's bounds");
        findings.error("$.process.scheduler.period", reason);
    }
}

/// What the container's cgroups are to have of the host.
pub(super) fn check_resources(config: &Config, host: &HostFacts, findings: &mut Findings) {
    // v1 takes what can be used now, v2 what could be.
    let which = if matches!(host.cgroups, CgroupHost::V1 { .. }) { "online" } else { "possible" };
    let cpu = &config.resources.cpu;
    for (field, list, kind) in [("cpus", &cpu.cpus, "cpu"), ("mems", &cpu.mems, "node")] {
        let Ok(text) = fs::read_to_string(format!("/sys/devices/system/{kind}/{which}")) else { continue };
        let (Ok(there), Some(Ok(wanted))) = (numbers(&text), list.as_deref().map(numbers)) else { continue };
        if let Some(missing) = wanted.iter().find(|number| !there.contains(number)) {
            let reason = format!("{missing} is not there: the host has {}", text.trim());
            findings.error(format!("$.linux.resources.cpu.{field}"), reason);
        }
    }
    // runc's words; v2 has a curve from one to the other.
    let shares = cpu.shares.filter(|_| matches!(host.cgroups, CgroupHost::V1 { .. }));
    for (is_wrong, reason) in [
        (shares.is_some_and(|shares| shares < 2), "the minimum allowed cpu-shares is 2"),
        (shares.is_some_and(|shares| shares > 262_144), "the maximum allowed cpu-shares is 262144"),
    ] {
        if is_wrong {
            findings.error("$.linux.resources.cpu.shares", reason);
        }
    }
    let io = &config.resources.block_io;
    for (field, throttles) in [
        ("throttleReadBpsDevice", &io.read_bps),
        ("throttleWriteBpsDevice", &io.write_bps),
        ("throttleReadIOPSDevice", &io.read_iops),
        ("throttleWriteIOPSDevice", &io.write_iops),
    ] {
        check_devices(field, throttles.iter().map(|throttle| throttle.device), findings);
    }
    check_devices("weightDevice", io.weight_devices.iter().map(|entry| entry.device), findings);
}

fn check_devices(field: &str, devices: impl Iterator<Item = DeviceNumber>, findings: &mut Findings) {
    for (index, device) in devices.enumerate() {
        if !Path::new(&format!("/sys/dev/block/{device}")).exists() {
            let path = format!("$.linux.resources.blockIO.{field}[{index}]");
            findings.error(path, format!("the host has no block device {device}"));
        }
    }
}

/// The highest number of a processor or a memory node that a kernel may be built for.
const NUMBER_MAX: u32 = 8191;

pub(super) fn numbers(list: &str) -> Result<Vec<u32>, String> {
    config::number_list(list, NUMBER_MAX)
}

fn number(file: &str) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "RLIMIT_CPU" => Resource::Cpu,
        "RLIMIT_FSIZE" => Resource::Fsize,
        "RLIMIT_DATA" => Resource::Data,
        "RLIMIT_STACK" => Resource::Stack,
        "RLIMIT_CORE" => Resource::Core,
        "RLIMIT_RSS" => Resource::Rss,
        "RLIMIT_NPROC" => Resource::Nproc,
        "RLIMIT_NOFILE" => Resource::Nofile,
        "RLIMIT_MEMLOCK" => Resource::Memlock,
        "RLIMIT_AS" => Resource::As,
        "RLIMIT_LOCKS" => Resource::Locks,
        "RLIMIT_SIGPENDING" => Resource::Sigpending,
        "RLIMIT_MSGQUEUE" => Resource::Msgqueue,
        "RLIMIT_NICE" => Resource::Nice,
        "RLIMIT_RTPRIO" => Resource::Rtprio,
        "RLIMIT_RTTIME" => Resource::Rttime,
        _ => return None,
    })
}
