//! `linux.resources`. Engines write zeros where they mean nothing; a zero is nothing here as well, but for `pids.limit`.

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType, LinuxResources};

use super::super::problems::Problems;
use super::super::{Cpu, DeviceRule, DeviceRuleKind, Memory, Resources};

pub(super) fn check(
    resources: Option<&LinuxResources>,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> Resources {
    let Some(resources) = resources else { return Resources::default() };
    not_implemented(resources, problems);
    let kernel_memory =
        resources.memory().and_then(|memory| nonzero(memory.kernel()).or(nonzero(memory.kernel_tcp())));
    if kernel_memory.is_some() {
        // As runc does: the kernel has dropped them.
        warnings.push(String::from("Kernel memory settings are ignored and will be removed"));
    }
    let rules = resources.devices().iter().flatten().enumerate();
    Resources {
        devices: rules.filter_map(|(index, rule)| device_rule(rule, index, problems)).collect(),
        memory: memory(resources, problems),
        cpu: cpu(resources, problems),
        pids_limit: resources.pids().as_ref().map(|pids| pids.limit()),
    }
}

fn not_implemented(resources: &LinuxResources, problems: &mut Problems) {
    let path = |field: &str| format!("$.linux.resources.{field}");
    if let Some(io) = resources.block_io() {
        let is_list = |list: &Option<Vec<_>>| list.as_ref().is_some_and(|list| !list.is_empty());
        let weights = io.weight_device().as_ref().is_some_and(|list| !list.is_empty());
        for (field, is_set) in [
            ("weight", io.weight().unwrap_or(0) != 0),
            ("leafWeight", io.leaf_weight().unwrap_or(0) != 0),
            ("weightDevice", weights),
            ("throttleReadBpsDevice", is_list(io.throttle_read_bps_device())),
            ("throttleWriteBpsDevice", is_list(io.throttle_write_bps_device())),
            ("throttleReadIOPSDevice", is_list(io.throttle_read_iops_device())),
            ("throttleWriteIOPSDevice", is_list(io.throttle_write_iops_device())),
        ] {
            problems.not_implemented(path(&format!("blockIO.{field}")), is_set);
        }
    }
    let network = resources.network().as_ref();
    for (field, is_set) in [
        ("hugepageLimits", resources.hugepage_limits().as_ref().is_some_and(|list| !list.is_empty())),
        ("network.classID", network.is_some_and(|network| network.class_id().unwrap_or(0) != 0)),
        (
            "network.priorities",
            network.is_some_and(|network| network.priorities().as_ref().is_some_and(|list| !list.is_empty())),
        ),
        ("rdma", resources.rdma().as_ref().is_some_and(|map| !map.is_empty())),
        ("unified", resources.unified().as_ref().is_some_and(|map| !map.is_empty())),
    ] {
        problems.not_implemented(path(field), is_set);
    }
}

fn memory(resources: &LinuxResources, problems: &mut Problems) -> Memory {
    let Some(memory) = resources.memory() else { return Memory::default() };
    let limit = nonzero(memory.limit());
    let swap = nonzero(memory.swap());
    let path = |field: &str| format!("$.linux.resources.memory.{field}");
    for (field, bytes) in [("limit", limit), ("reservation", memory.reservation()), ("swap", swap)] {
        if bytes.is_some_and(|bytes| bytes < -1) {
            problems.add(path(field), "is below -1");
        }
    }
    match (limit, swap) {
        (None, Some(swap)) if swap > 0 => {
            problems.add(path("swap"), "should set memory.limit with memory.swap")
        }
        (Some(limit), Some(swap)) if swap > 0 && swap < limit => {
            problems.add(path("swap"), "memory+swap limit should be >= memory limit");
        }
        _ => {}
    }
    if memory.swappiness().is_some_and(|swappiness| swappiness > 100) {
        problems.add(path("swappiness"), "is above 100");
    }
    Memory {
        limit,
        reservation: nonzero(memory.reservation()),
        swap,
        swappiness: memory.swappiness(),
        disable_oom_killer: memory.disable_oom_killer().filter(|disable| *disable),
        check_before_update: memory.check_before_update().unwrap_or(false),
    }
}

fn cpu(resources: &LinuxResources, problems: &mut Problems) -> Cpu {
    let Some(cpu) = resources.cpu() else { return Cpu::default() };
    let path = |field: &str| format!("$.linux.resources.cpu.{field}");
    let idle = cpu.idle();
    if idle.is_some_and(|idle| idle != 0 && idle != 1) {
        problems.add(path("idle"), "is neither 0 nor 1");
    }
    let list = |list: &Option<String>| list.clone().filter(|list| !list.is_empty());
    for (field, text) in [("cpus", cpu.cpus()), ("mems", cpu.mems())] {
        let allowed = |byte: u8| byte.is_ascii_digit() || b",-:/ ".contains(&byte);
        if text.as_ref().is_some_and(|text| !text.bytes().all(allowed)) {
            problems.add(path(field), "is not a list of numbers");
        }
    }
    Cpu {
        shares: nonzero(cpu.shares()),
        quota: nonzero(cpu.quota()),
        period: nonzero(cpu.period()),
        burst: nonzero(cpu.burst()),
        realtime_runtime: nonzero(cpu.realtime_runtime()),
        realtime_period: nonzero(cpu.realtime_period()),
        cpus: list(cpu.cpus()),
        mems: list(cpu.mems()),
        idle,
    }
}

fn nonzero<T: Default + PartialEq>(number: Option<T>) -> Option<T> {
    number.filter(|number| *number != T::default())
}

fn device_rule(rule: &LinuxDeviceCgroup, index: usize, problems: &mut Problems) -> Option<DeviceRule> {
    let path = |field: &str| format!("$.linux.resources.devices[{index}].{field}");
    let kind = match rule.typ() {
        None | Some(LinuxDeviceType::A) => DeviceRuleKind::All,
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => DeviceRuleKind::Character,
        Some(LinuxDeviceType::B) => DeviceRuleKind::Block,
        Some(LinuxDeviceType::P) => {
            problems.add(path("type"), "invalid cgroup device type \"p\"");
            return None;
        }
    };
    let access = rule.access().as_deref().unwrap_or_default();
    if access.chars().any(|letter| !"rwm".contains(letter)) {
        problems.add(path("access"), format!("{access:?} is not made of r, w and m"));
    }
    // An empty access means all of it for a rule about everything, and nothing at all for any other.
    if access.is_empty() && kind != DeviceRuleKind::All {
        problems.add(path("access"), format!("device access at {index} field cannot be empty"));
    }
    let mut number = |number: Option<i64>, field| match number {
        None | Some(-1) => None,
        Some(written) => u32::try_from(written).ok().or_else(|| {
            problems.add(path(field), format!("{written} is not a device number"));
            None
        }),
    };
    let has = |letter| access.is_empty() || access.contains(letter);
    Some(DeviceRule {
        allow: rule.allow(),
        kind,
        major: number(rule.major(), "major"),
        minor: number(rule.minor(), "minor"),
        read: has('r'),
        write: has('w'),
        mknod: has('m'),
    })
}
