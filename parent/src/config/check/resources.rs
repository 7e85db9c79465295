//! `linux.resources`. Engines write zeros where they mean nothing; a zero is nothing here as well, but for `pids.limit` and what is
//! in lists.

use std::fmt::{Arguments, Display};

use oci_spec::runtime::{
    LinuxBlockIo, LinuxDeviceCgroup, LinuxDeviceType, LinuxResources, LinuxThrottleDevice, LinuxWeightDevice,
};

use super::super::problems::Problems;
use super::super::{
    BlockIo, Cpu, DeviceNumber, DevicePolicy, DeviceRule, DeviceRuleKind, HugepageLimit, InterfacePriority,
    Memory, Network, RdmaLimit, Resources, Throttle, WeightDevice,
};

/// The kernel has 12 bits for the major number and 20 for the minor.
const MAJOR_MAX: i64 = 0xfff;
const MINOR_MAX: i64 = 0xf_ffff;

/// The kernel's verifier of v2's program bears with 8,192 jumps whose other ends it has not seen yet (BPF_COMPLEXITY_LIMIT_JMP_SEQ), and a rule
/// has two of them.
const DEVICE_RULE_COUNT_MAX: usize = 2048;

pub(super) fn check(
    resources: Option<&LinuxResources>,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> Resources {
    let Some(resources) = resources else { return Resources::default() };
    let mut found = Found { base: "$.linux.resources", problems };
    let checked = check_each(resources, &mut found, warnings);
    if let Some(fault) = checked.memory.fault_of_swap() {
        found.add("memory.swap", fault);
    }
    checked
}

/// Resources that stand alone. What they leave out is still in force, so they are not compared with each other.
pub(in super::super) fn check_update(
    resources: &LinuxResources,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> Resources {
    check_each(resources, &mut Found { base: "$", problems }, warnings)
}

fn check_each(resources: &LinuxResources, found: &mut Found<'_>, warnings: &mut Vec<String>) -> Resources {
    let kernel_memory =
        resources.memory().and_then(|memory| nonzero(memory.kernel()).or(nonzero(memory.kernel_tcp())));
    if kernel_memory.is_some() {
        // As runc does: the kernel has dropped them.
        warnings.push(String::from("Kernel memory settings are ignored and will be removed"));
    }
    Resources {
        devices: device_policy(resources, found, warnings),
        memory: memory(resources, found),
        cpu: cpu(resources, found),
        pids_limit: pids_limit(resources, found),
        block_io: resources.block_io().as_ref().map(|io| block_io(io, found)).unwrap_or_default(),
        hugepage_limits: hugepage_limits(resources, found),
        network: network(resources, found),
        rdma: rdma(resources, found),
        unified: unified(resources, found),
    }
}

/// Where problems go, and what the paths of all of them begin with.
struct Found<'p> {
    base: &'static str,
    problems: &'p mut Problems,
}

impl Found<'_> {
    fn add(&mut self, field: impl Display, reason: impl Into<String>) {
        self.problems.add(format_args!("{}.{field}", self.base), reason);
    }

    /// What is no part of a line in a file of cgroups.
    fn check_word(&mut self, field: impl Display, word: &str) {
        if word.is_empty() || word.contains(|letter: char| letter.is_whitespace() || letter.is_control()) {
            self.add(field, format!("{word:?} is not a name"));
        }
    }
}

fn pids_limit(resources: &LinuxResources, found: &mut Found<'_>) -> Option<i64> {
    /// PID_MAX_LIMIT of linux/threads.h.
    const PIDS_MAX: i64 = 4 << 20;
    let limit = resources.pids().as_ref()?.limit();
    if limit > PIDS_MAX {
        found.add("pids.limit", format!("{limit} is above {PIDS_MAX}, of which the kernel has no more"));
    }
    Some(limit)
}

fn memory(resources: &LinuxResources, found: &mut Found<'_>) -> Memory {
    let Some(memory) = resources.memory() else { return Memory::default() };
    let limit = nonzero(memory.limit());
    let swap = nonzero(memory.swap());
    for (field, bytes) in [("limit", limit), ("reservation", memory.reservation()), ("swap", swap)] {
        if bytes.is_some_and(|bytes| bytes < -1) {
            found.add(format_args!("memory.{field}"), "is below -1");
        }
    }
    // -1, which runc takes for "not set".
    let swappiness = memory.swappiness().filter(|swappiness| *swappiness != u64::MAX);
    if swappiness.is_some_and(|swappiness| swappiness > 100) {
        found.add("memory.swappiness", "is above 100");
    }
    Memory {
        limit,
        reservation: nonzero(memory.reservation()),
        swap,
        swappiness,
        disable_oom_killer: memory.disable_oom_killer().filter(|disable| *disable),
        check_before_update: memory.check_before_update(),
    }
}

fn cpu(resources: &LinuxResources, found: &mut Found<'_>) -> Cpu {
    let Some(cpu) = resources.cpu() else { return Cpu::default() };
    let idle = cpu.idle();
    if idle.is_some_and(|idle| idle != 0 && idle != 1) {
        found.add("cpu.idle", "is neither 0 nor 1");
    }
    let list = |list: &Option<String>| list.clone().filter(|list| !list.is_empty());
    for (field, text) in [("cpus", cpu.cpus()), ("mems", cpu.mems())] {
        let allowed = |byte: u8| byte.is_ascii_digit() || b",-:/ ".contains(&byte);
        let begins_and_ends = |text: &str| {
            text.split(',').all(|part| {
                let part = part.trim();
                part.is_empty()
                    || part.starts_with(|c: char| c.is_ascii_digit())
                        && part.ends_with(|c: char| c.is_ascii_digit())
            })
        };
        if text.as_ref().is_some_and(|text| !text.bytes().all(allowed) || !begins_and_ends(text)) {
            found.add(format_args!("cpu.{field}"), "is not a list of numbers");
        }
    }
    // Source: kernel/sched/core.c, tg_set_cfs_bandwidth; both versions of cgroups.
    if nonzero(cpu.period()).is_some_and(|period| !(1_000..=1_000_000).contains(&period)) {
        found.add("cpu.period", "is not between 1000 and 1000000 microseconds");
    }
    if nonzero(cpu.quota()).is_some_and(|quota| (1..1_000).contains(&quota)) {
        found.add("cpu.quota", "is below 1000 microseconds");
    }
    // MAX_BW of the kernel's scheduler.
    if cpu.quota().is_some_and(|quota| quota >= 1 << 44) {
        found.add("cpu.quota", "is not below 2^44 microseconds");
    }
    // None is what a burst of 0 means, and the only way back to that.
    let (quota, burst) = (nonzero(cpu.quota()), cpu.burst());
    if let (Some(quota @ 1..), Some(burst)) = (quota, burst)
        && burst > quota.unsigned_abs()
    {
        found.add("cpu.burst", format!("{burst} is above the quota, {quota}"));
    }
    Cpu {
        shares: nonzero(cpu.shares()),
        quota,
        period: nonzero(cpu.period()),
        burst,
        realtime_runtime: nonzero(cpu.realtime_runtime()),
        realtime_period: nonzero(cpu.realtime_period()),
        cpus: list(cpu.cpus()),
        mems: list(cpu.mems()),
        idle,
    }
}

fn block_io(io: &LinuxBlockIo, found: &mut Found<'_>) -> BlockIo {
    let mut throttles = |list: &Option<Vec<LinuxThrottleDevice>>, field: &str| -> Vec<Throttle> {
        let entries = list.iter().flatten().enumerate();
        let throttle = |(index, entry): (usize, &LinuxThrottleDevice)| {
            let place = format_args!("blockIO.{field}[{index}]");
            Throttle { device: device_number(entry.major(), entry.minor(), place, found), rate: entry.rate() }
        };
        entries.map(throttle).collect()
    };
    let (read_bps, write_bps) = (
        throttles(io.throttle_read_bps_device(), "throttleReadBpsDevice"),
        throttles(io.throttle_write_bps_device(), "throttleWriteBpsDevice"),
    );
    let (read_iops, write_iops) = (
        throttles(io.throttle_read_iops_device(), "throttleReadIOPSDevice"),
        throttles(io.throttle_write_iops_device(), "throttleWriteIOPSDevice"),
    );
    let devices = io.weight_device().iter().flatten().enumerate();
    BlockIo {
        weight: weight(io.weight(), "blockIO.weight", found),
        leaf_weight: weight(io.leaf_weight(), "blockIO.leafWeight", found),
        weight_devices: devices.map(|(index, device)| weight_device(device, index, found)).collect(),
        read_bps,
        write_bps,
        read_iops,
        write_iops,
    }
}

fn weight_device(entry: &LinuxWeightDevice, index: usize, found: &mut Found<'_>) -> WeightDevice {
    let place = format_args!("blockIO.weightDevice[{index}]");
    if entry.weight().is_none() && entry.leaf_weight().is_none() {
        found.add(place, "has neither weight nor leafWeight");
    }
    WeightDevice {
        device: device_number(entry.major(), entry.minor(), place, found),
        weight: weight(entry.weight(), format_args!("{place}.weight"), found),
        leaf_weight: weight(entry.leaf_weight(), format_args!("{place}.leafWeight"), found),
    }
}

fn weight(weight: Option<u16>, field: impl Display, found: &mut Found<'_>) -> Option<u16> {
    let weight = nonzero(weight)?;
    if !(10..=1000).contains(&weight) {
        found.add(field, format!("{weight} is not between 10 and 1000"));
    }
    Some(weight)
}

fn device_number(major: i64, minor: i64, place: Arguments<'_>, found: &mut Found<'_>) -> DeviceNumber {
    let mut number = |number: i64, field: &str, max: i64| {
        if !(0..=max).contains(&number) {
            found.add(format_args!("{place}.{field}"), format!("{number} is not between 0 and {max}"));
        }
        number as u32
    };
    DeviceNumber { major: number(major, "major", MAJOR_MAX), minor: number(minor, "minor", MINOR_MAX) }
}

/// 0 is a limit here: the kubelet forbids with it what a pod did not ask for.
fn hugepage_limits(resources: &LinuxResources, found: &mut Found<'_>) -> Vec<HugepageLimit> {
    let mut limits: Vec<HugepageLimit> = Vec::new();
    for (index, entry) in resources.hugepage_limits().iter().flatten().enumerate() {
        let page_size = entry.page_size();
        if !is_page_size(page_size) {
            let reason = format!("{page_size:?} is not a size such as 64KB, 2MB or 1GB");
            found.add(format_args!("hugepageLimits[{index}].pageSize"), reason);
        }
        let bytes = u64::try_from(entry.limit()).unwrap_or_else(|_| {
            found.add(format_args!("hugepageLimits[{index}].limit"), "is negative");
            0
        });
        limits.push(HugepageLimit { page_size: page_size.clone(), bytes });
    }
    limits
}

/// A number without leading zeros, and KB, MB or GB: it becomes part of a file's name.
fn is_page_size(text: &str) -> bool {
    let number = ["KB", "MB", "GB"].iter().find_map(|unit| text.strip_suffix(unit)).unwrap_or_default();
    !number.is_empty() && !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn network(resources: &LinuxResources, found: &mut Found<'_>) -> Network {
    let Some(network) = resources.network() else { return Network::default() };
    let mut priorities = Vec::new();
    for (index, entry) in network.priorities().iter().flatten().enumerate() {
        found.check_word(format_args!("network.priorities[{index}].name"), entry.name());
        priorities.push(InterfacePriority { name: entry.name().clone(), priority: entry.priority() });
    }
    Network { class_id: nonzero(network.class_id()), priorities }
}

fn rdma(resources: &LinuxResources, found: &mut Found<'_>) -> std::collections::BTreeMap<String, RdmaLimit> {
    let devices = resources.rdma().iter().flatten();
    devices
        .map(|(name, limit)| {
            found.check_word(format_args!("rdma[{name:?}]"), name);
            let limit = RdmaLimit { hca_handles: limit.hca_handles(), hca_objects: limit.hca_objects() };
            if limit.hca_handles.is_none() && limit.hca_objects.is_none() {
                found.add(format_args!("rdma[{name:?}]"), "has neither hcaHandles nor hcaObjects");
            }
            (name.clone(), limit)
        })
        .collect()
}

/// Files of v2 by which a start would hang or fail, or whatever processes they name would become the container's.
const NO_LIMITS: [&str; 6] = [
    "cgroup.freeze",
    "cgroup.kill",
    "cgroup.procs",
    "cgroup.subtree_control",
    "cgroup.threads",
    "cgroup.type",
];

/// Files of v2 whose list may be empty: the cgroup has what those above it have, then.
const LISTS: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];

/// An empty value says nothing, as for runc: the kernel takes an empty line for a zero in some files, and a memory limit of that kills.
fn unified(resources: &LinuxResources, found: &mut Found<'_>) -> std::collections::BTreeMap<String, String> {
    let files = resources.unified().iter().flatten();
    let says_something =
        |(name, value): &(&String, &String)| !value.trim().is_empty() || LISTS.contains(&name.as_str());
    files
        .inspect(|(name, _)| {
            if name.contains('/') {
                let reason = format!("unified resource {name:?} must be a file name (no slashes)");
                found.add(format_args!("unified[{name:?}]"), reason);
            } else if NO_LIMITS.contains(&name.as_str()) {
                found.add(
                    format_args!("unified[{name:?}]"),
                    "is no limit: it moves, stops or kills processes, or keeps them out",
                );
            } else if !name.split_once('.').is_some_and(|(controller, file)| {
                !controller.is_empty() && !file.is_empty() && !name.contains('\0')
            }) {
                let reason = format!("unified resource {name:?} must be in the form CONTROLLER.PARAMETER");
                found.add(format_args!("unified[{name:?}]"), reason);
            }
        })
        .filter(says_something)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn nonzero<T: Default + PartialEq>(number: Option<T>) -> Option<T> {
    number.filter(|number| *number != T::default())
}

/// A rule about all types is about everything, and ends what was said before: so has v1's kernel it (devices.rst, "User Interface"), and runc on
/// both versions.
fn device_policy(
    resources: &LinuxResources,
    found: &mut Found<'_>,
    warnings: &mut Vec<String>,
) -> DevicePolicy {
    let mut policy = DevicePolicy::default();
    for (index, written) in resources.devices().iter().flatten().enumerate() {
        let kind = match written.typ() {
            None | Some(LinuxDeviceType::A) => None,
            Some(LinuxDeviceType::C) => Some(DeviceRuleKind::Character),
            Some(LinuxDeviceType::B) => Some(DeviceRuleKind::Block),
            Some(LinuxDeviceType::P | LinuxDeviceType::U) => {
                let name = if written.typ() == Some(LinuxDeviceType::P) { "p" } else { "u" };
                found.add(
                    format_args!("devices[{index}].type"),
                    format!("invalid cgroup device type {name:?}"),
                );
                continue;
            }
        };
        let access = device_access(written, index, found);
        let [major, minor] = device_numbers(written, index, found);
        let allow = written.allow();
        if let Some(kind) = kind {
            // An empty access means nothing at all, but for a rule about everything.
            if access.is_empty() {
                let reason = format!("device access at {index} field cannot be empty");
                found.add(format_args!("devices[{index}].access"), reason);
            }
            let has = |letter| access.contains(letter);
            let (read, write, mknod) = (has('r'), has('w'), has('m'));
            policy.rules.push(DeviceRule { allow, kind, major, minor, read, write, mknod });
            continue;
        }
        let is_whole = access.is_empty() || "rwm".chars().all(|letter| access.contains(letter));
        if !is_whole || major.is_some() || minor.is_some() {
            warnings.push(format!(
                "{}.devices[{index}] is about everything, as its type is: numbers and access are ignored",
                found.base
            ));
        }
        policy = DevicePolicy { allow_by_default: allow, rules: Vec::new() };
    }
    let count = policy.rules.len();
    if count > DEVICE_RULE_COUNT_MAX {
        found.add("devices", format!("{count} rules are more than {DEVICE_RULE_COUNT_MAX}"));
    }
    policy
}

fn device_access<'r>(rule: &'r LinuxDeviceCgroup, index: usize, found: &mut Found<'_>) -> &'r str {
    let access = rule.access().as_deref().unwrap_or_default();
    if access.chars().any(|letter| !"rwm".contains(letter)) {
        found.add(format_args!("devices[{index}].access"), format!("{access:?} is not made of r, w and m"));
    }
    access
}

/// `None` is any number.
fn device_numbers(rule: &LinuxDeviceCgroup, index: usize, found: &mut Found<'_>) -> [Option<u32>; 2] {
    [(rule.major(), "major"), (rule.minor(), "minor")].map(|(number, field)| match number {
        None | Some(-1) => None,
        Some(written) => u32::try_from(written).ok().or_else(|| {
            found.add(format_args!("devices[{index}].{field}"), format!("{written} is not a device number"));
            None
        }),
    })
}
