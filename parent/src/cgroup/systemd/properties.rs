//! What a container's limits are called as properties of a systemd unit.
//!
//! systemd writes its properties to the cgroup whenever it likes (`systemctl daemon-reload`): what it is not told it resets. So it is
//! told all that it has a property for. The kernel's files are written behind it, with the exact values.

use std::collections::BTreeMap;

use super::super::devices::{group_names, with_defaults};
use super::super::v2::{general_weight, weight};
use super::message::Value;
use crate::config::{
    BlockIo, Cpu, DeviceNumber, DevicePolicy, DeviceRule, DeviceRuleKind, Memory, Resources, Throttle,
    kernel_bytes,
};

/// A property of a unit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) value: Value,
    /// A systemd that does not know it can do without: the kernel's file is written in any case.
    pub(super) optional: bool,
}

impl Property {
    pub(super) fn required(name: &str, value: Value) -> Self {
        Self { name: name.into(), value, optional: false }
    }

    pub(super) fn optional(name: &str, value: Value) -> Self {
        Self { name: name.into(), value, optional: true }
    }

    pub(super) fn encoded(&self) -> Value {
        Value::Structure(vec![Value::text(&self.name), Value::Variant(Box::new(self.value.clone()))])
    }
}

/// How systemd writes "no limit".
const INFINITY: u64 = u64::MAX;

/// The kernel's period where none is set, in microseconds; and systemd's unit of quotas: it would round itself, downwards.
const PERIOD_USEC: u64 = 100_000;
const QUOTA_STEP_USEC: u64 = 10_000;

/// cgroup v2: limits that `change` sets, with the values of `all`, which holds what belongs to them as well.
/// `has_bfq` tells that the host has that scheduler: its weights are on another scale than the general ones.
pub(super) fn of_v2(change: &Resources, all: &Resources, has_bfq: bool) -> Vec<Property> {
    let mut found = Vec::new();
    let mut push = |name: &str, value: Value| found.push(Property::optional(name, value));
    memory_v2(&change.memory, &mut push);
    if change.cpu.idle == Some(1) {
        // systemd's word for idle, since 252.
        push("CPUWeight", Value::U64(0));
    } else if let Some(shares) = change.cpu.shares {
        push("CPUWeight", Value::U64(weight(shares)));
    } else if change.cpu.idle == Some(0) {
        // Idle no more: the kernel's own weight.
        push("CPUWeight", Value::U64(INFINITY));
    }
    bandwidth(&change.cpu, &all.cpu, &mut push);
    cpu_sets(&change.cpu, &mut push);
    if let Some(limit) = change.pids_limit {
        push("TasksMax", Value::U64(tasks_max(limit)));
    }
    block_io(&change.block_io, has_bfq, &mut push);
    unified_files(&change.unified, &mut push);
    found
}

/// cgroup v1: the few that systemd has.
pub(super) fn of_v1(change: &Resources, all: &Resources, has_bfq: bool) -> Vec<Property> {
    let mut found = Vec::new();
    let mut push = |name: &str, value: Value| found.push(Property::optional(name, value));
    if let Some(limit) = change.memory.limit {
        push("MemoryLimit", Value::U64(bytes(limit)));
    }
    if let Some(shares) = change.cpu.shares {
        push("CPUShares", Value::U64(shares));
    }
    bandwidth(&change.cpu, &all.cpu, &mut push);
    if let Some(limit) = change.pids_limit {
        push("TasksMax", Value::U64(tasks_max(limit)));
    }
    if let Some(weight) = change.block_io.weight {
        /// More it does not take.
        const WEIGHT_MAX: u64 = 1000;
        let weight = if has_bfq { io_weight(weight, true).min(WEIGHT_MAX) } else { weight.into() };
        push("BlockIOWeight", Value::U64(weight));
    }
    found
}

fn bytes(limit: i64) -> u64 {
    u64::try_from(limit).unwrap_or(INFINITY)
}

/// systemd knows no limit of none; one is what the first process needs, so that nobody else can be there either.
fn tasks_max(limit: i64) -> u64 {
    u64::try_from(limit).map_or(INFINITY, |limit| limit.max(1))
}

/// What makes systemd write the same as we do: 10 to 1000 as 1 to 10000 for the general file, and for BFQ's, which takes the weight as it is,
/// what systemd makes that of (it stretches above 100).
fn io_weight(weight: u16, has_bfq: bool) -> u64 {
    match u64::from(weight) {
        weight if has_bfq => weight + weight.saturating_sub(100) * 10,
        weight => general_weight(weight),
    }
}

fn block_io(io: &BlockIo, has_bfq: bool, push: &mut impl FnMut(&str, Value)) {
    if let Some(weight) = io.weight {
        push("IOWeight", Value::U64(io_weight(weight, has_bfq)));
    }
    let weights =
        io.weight_devices.iter().filter_map(|entry| Some((entry.device, io_weight(entry.weight?, has_bfq))));
    push_devices("IODeviceWeight", weights, push);
    for (name, throttles) in
        IO_LIMITS.iter().zip([&io.read_bps, &io.write_bps, &io.read_iops, &io.write_iops])
    {
        // A rate of none is no limit.
        let rate = |rate| if rate == 0 { INFINITY } else { rate };
        push_devices(name, throttles.iter().map(|entry| (entry.device, rate(entry.rate))), push);
    }
}

/// In the order of the configuration's lists.
const IO_LIMITS: [&str; 4] = ["IOReadBandwidthMax", "IOWriteBandwidthMax", "IOReadIOPSMax", "IOWriteIOPSMax"];

/// systemd adds to what it has, device by device.
fn push_devices(
    name: &str,
    entries: impl Iterator<Item = (DeviceNumber, u64)>,
    push: &mut impl FnMut(&str, Value),
) {
    let entries: Vec<Value> = entries
        .map(|(device, number)| {
            Value::Structure(vec![Value::text(format!("/dev/block/{device}")), Value::U64(number)])
        })
        .collect();
    if !entries.is_empty() {
        push(name, Value::Array("(st)".into(), entries));
    }
}

fn memory_v2(memory: &Memory, push: &mut impl FnMut(&str, Value)) {
    if let Some(limit) = memory.limit {
        push("MemoryMax", Value::U64(bytes(limit)));
    }
    if let Some(reservation) = memory.reservation {
        push("MemoryLow", Value::U64(bytes(reservation)));
    }
    if let Some(swap) = memory.swap_alone() {
        push("MemorySwapMax", Value::U64(bytes(swap)));
    }
}

/// Quota and period make one property, so that one alone brings the other.
fn bandwidth(change: &Cpu, all: &Cpu, push: &mut impl FnMut(&str, Value)) {
    if let Some(period) = change.period {
        push("CPUQuotaPeriodUSec", Value::U64(period));
    }
    if change.quota.is_none() && change.period.is_none() {
        return;
    }
    push("CPUQuotaPerSecUSec", Value::U64(per_second(all.quota.unwrap_or(-1), all.period)));
}

fn per_second(quota: i64, period: Option<u64>) -> u64 {
    let period = period.filter(|period| *period > 0).unwrap_or(PERIOD_USEC);
    match u64::try_from(quota) {
        Ok(quota @ 1..) => {
            let exact = u128::from(quota) * 1_000_000 / u128::from(period);
            u64::try_from(exact).map_or(INFINITY, |exact| exact.next_multiple_of(QUOTA_STEP_USEC))
        }
        _ => INFINITY,
    }
}

fn cpu_sets(cpu: &Cpu, push: &mut impl FnMut(&str, Value)) {
    for (name, list) in [("AllowedCPUs", &cpu.cpus), ("AllowedMemoryNodes", &cpu.mems)] {
        // A list that cannot be read here the kernel will refuse, by name.
        if let Some(mask) = list.as_deref().and_then(bit_mask) {
            push(name, Value::Array("y".into(), mask.into_iter().map(Value::Byte).collect()));
        }
    }
}

/// `0-2,7` as bits, the lowest first.
fn bit_mask(list: &str) -> Option<Vec<u8>> {
    /// More processors than any kernel has.
    const NUMBER_MAX: usize = 1 << 16;
    let mut mask = Vec::new();
    for range in list.trim().split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last >= NUMBER_MAX {
            return None;
        }
        mask.resize(mask.len().max(last / 8 + 1), 0);
        (first..=last).for_each(|number| mask[number / 8] |= 1 << (number % 8));
    }
    Some(mask)
}

/// Files of `unified` that systemd has a property for. What it cannot read stays with the kernel, which says what is wrong.
fn unified_files(files: &BTreeMap<String, String>, push: &mut impl FnMut(&str, Value)) {
    for (file, value) in files {
        let name = match file.as_str() {
            "memory.max" => "MemoryMax",
            "memory.high" => "MemoryHigh",
            "memory.low" => "MemoryLow",
            "memory.min" => "MemoryMin",
            "memory.swap.max" => "MemorySwapMax",
            "memory.zswap.max" => "MemoryZSwapMax",
            "pids.max" => "TasksMax",
            "cpu.weight" => "CPUWeight",
            "cpu.weight.nice" => {
                if let Some(weight) = weight_of_nice(value) {
                    push("CPUWeight", Value::U64(weight));
                }
                continue;
            }
            "io.weight" | "io.bfq.weight" => {
                io_weights(value, file == "io.bfq.weight", push);
                continue;
            }
            "cpu.idle" if value.trim() == "1" => {
                push("CPUWeight", Value::U64(0));
                continue;
            }
            "memory.oom.group" => {
                // Scopes have that since 253.
                let policy = if value.trim() == "1" { "kill" } else { "continue" };
                push("OOMPolicy", Value::text(policy));
                continue;
            }
            "cpu.max" => {
                let mut words = value.split_ascii_whitespace();
                let quota = words.next().map_or(-1, |quota| quota.parse().unwrap_or(-1));
                let period = words.next().and_then(|period| period.parse().ok());
                bandwidth(
                    &Cpu { quota: Some(quota), period, ..Cpu::default() },
                    &Cpu { quota: Some(quota), period, ..Cpu::default() },
                    push,
                );
                continue;
            }
            "io.max" => {
                block_io(&io_max(value), false, push);
                continue;
            }
            "cpuset.cpus" | "cpuset.mems" => {
                let is_cpus = file == "cpuset.cpus";
                let list = Some(value.clone());
                let (cpus, mems) = if is_cpus { (list, None) } else { (None, list) };
                cpu_sets(&Cpu { cpus, mems, ..Cpu::default() }, push);
                continue;
            }
            _ => continue,
        };
        if let Some(number) = kernel_bytes(value) {
            push(name, Value::U64(if name == "TasksMax" { tasks_max(number) } else { bytes(number) }));
        }
    }
}

/// The kernel's own weights, a quarter more for each step down (`sched_prio_to_weight` in kernel/sched/core.c).
fn weight_of_nice(text: &str) -> Option<u64> {
    let nice = text.trim().parse::<i32>().ok().filter(|nice| (-20..20).contains(nice))?;
    Some((100.0 * 1.25f64.powi(-nice)).round() as u64)
}

/// Lines `default 50`, or `50` alone, and `8:0 70`.
fn io_weights(text: &str, is_bfq: bool, push: &mut impl FnMut(&str, Value)) {
    let mut devices = Vec::new();
    for line in text.lines() {
        let (key, weight) = line.trim().split_once(' ').unwrap_or(("default", line));
        let Ok(weight) = weight.trim().parse::<u16>() else { continue };
        let weight = if is_bfq { io_weight(weight, true) } else { weight.into() };
        let number = |text: &str| text.parse().ok();
        match key.split_once(':').map(|(major, minor)| (number(major), number(minor))) {
            Some((Some(major), Some(minor))) => devices.push((DeviceNumber { major, minor }, weight)),
            _ if key == "default" => push("IOWeight", Value::U64(weight)),
            _ => {}
        }
    }
    push_devices("IODeviceWeight", devices.into_iter(), push);
}

/// Lines `8:0 rbps=4096 wiops=max`.
fn io_max(text: &str) -> BlockIo {
    let mut io = BlockIo::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let device = words.next().and_then(|device| device.split_once(':'));
        let number = |text: &str| text.parse().ok();
        let Some((Some(major), Some(minor))) = device.map(|(major, minor)| (number(major), number(minor)))
        else {
            continue;
        };
        for (name, rate) in words.filter_map(|word| word.split_once('=')) {
            let list = match name {
                "rbps" => &mut io.read_bps,
                "wbps" => &mut io.write_bps,
                "riops" => &mut io.read_iops,
                "wiops" => &mut io.write_iops,
                _ => continue,
            };
            let rate = rate.parse().unwrap_or(0);
            list.push(Throttle { device: DeviceNumber { major, minor }, rate });
        }
    }
    io
}

/// What takes the limits of `change` back to those of `before`.
pub(super) fn undoing(made: &[Property], before: &[Property]) -> Vec<Property> {
    let old = |property: &Property| before.iter().find(|old| old.name == property.name).cloned();
    let nothing = |property: &Property| {
        let value = match &property.value {
            Value::Array(item, _) => Value::Array(item.clone(), Vec::new()),
            // "Nothing was said" for weights and periods, "no limit" for the others.
            _ if matches!(property.name.as_str(), "MemoryLow" | "MemoryMin") => Value::U64(0),
            _ => Value::U64(INFINITY),
        };
        Property::optional(&property.name, value)
    };
    made.iter()
        .flat_map(|property| match old(property) {
            // Lists of devices are added to: what was not said before goes first.
            Some(old) if matches!(old.value, Value::Array(..)) => vec![nothing(property), old],
            Some(old) => vec![old],
            None => vec![nothing(property)],
        })
        .collect()
}

/// The devices that the unit's processes may use. systemd's program holds beside ours, so where it cannot say all that ours allows
/// (exceptions from everything, numbers without a driver's name), it says nothing.
pub(super) fn of_devices(configured: &DevicePolicy) -> Vec<Property> {
    let policy = with_defaults(configured);
    let allowed: Option<Vec<Value>> = if policy.allow_by_default {
        None
    } else {
        allowed_together(&policy.rules).iter().map(entry).collect()
    };
    let policy = Value::text(if allowed.is_some() { "strict" } else { "auto" });
    let list = Value::Array("(ss)".into(), allowed.unwrap_or_default());
    vec![Property::required("DevicePolicy", policy), Property::required("DeviceAllow", list)]
}

/// What is allowed, one entry for each device with all that any entry allows for it: systemd's own do not add up.
fn allowed_together(rules: &[DeviceRule]) -> Vec<DeviceRule> {
    let allowing = || rules.iter().filter(|rule| rule.allow);
    let holds = |wide: Option<u32>, narrow: Option<u32>| wide.is_none() || wide == narrow;
    let mut together: Vec<DeviceRule> = Vec::new();
    for rule in allowing() {
        let wider = allowing().filter(|wide| {
            wide.kind == rule.kind && holds(wide.major, rule.major) && holds(wide.minor, rule.minor)
        });
        let mut whole = *rule;
        for wide in wider {
            whole.read |= wide.read;
            whole.write |= wide.write;
            whole.mknod |= wide.mknod;
        }
        if !together.contains(&whole) {
            together.push(whole);
        }
    }
    together
}

fn entry(rule: &DeviceRule) -> Option<Value> {
    let (kind, directory) = match rule.kind {
        DeviceRuleKind::Character => ("char", "/dev/char"),
        DeviceRuleKind::Block => ("block", "/dev/block"),
    };
    let name = match (rule.major, rule.minor) {
        (None, None) => format!("{kind}-*"),
        (None, Some(_)) => return None,
        (Some(major), Some(minor)) => format!("{directory}/{major}:{minor}"),
        (Some(major), None) => format!("{kind}-{}", group_names(rule.kind).get(&major)?),
    };
    let access = [(rule.read, 'r'), (rule.write, 'w'), (rule.mknod, 'm')];
    let access: String = access.iter().filter(|(has, _)| *has).map(|(_, letter)| letter).collect();
    Some(Value::Structure(vec![Value::text(name), Value::text(access)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(properties: &[Property]) -> Vec<(&str, u64)> {
        properties
            .iter()
            .map(|property| match property.value {
                Value::U64(number) => (property.name.as_str(), number),
                _ => panic!("{property:?}"),
            })
            .collect()
    }

    #[test]
    fn limits_have_systemds_names_and_units() {
        let memory = Memory { limit: Some(100), reservation: Some(50), swap: Some(300), ..Memory::default() };
        let cpu = Cpu { shares: Some(1024), quota: Some(12_345), period: Some(50_000), ..Cpu::default() };
        let resources = Resources { memory, cpu, pids_limit: Some(0), ..Resources::default() };
        assert_eq!(
            numbers(&of_v2(&resources, &resources, false)),
            [
                ("MemoryMax", 100),
                ("MemoryLow", 50),
                ("MemorySwapMax", 200),
                ("CPUWeight", 100),
                ("CPUQuotaPeriodUSec", 50_000),
                // 246.9 ms a second, rounded up.
                ("CPUQuotaPerSecUSec", 250_000),
                ("TasksMax", 1),
            ]
        );
        assert_eq!(numbers(&of_v1(&resources, &resources, false))[0], ("MemoryLimit", 100));
    }

    #[test]
    fn no_limit_is_infinity_and_a_period_brings_the_quota_in_force() {
        assert_eq!(per_second(-1, None), INFINITY);
        assert_eq!((tasks_max(-1), bytes(-1)), (INFINITY, INFINITY));
        let change =
            Resources { cpu: Cpu { period: Some(200_000), ..Cpu::default() }, ..Resources::default() };
        let mut all = change.clone();
        all.cpu.quota = Some(20_000);
        assert_eq!(
            numbers(&of_v2(&change, &all, false)),
            [("CPUQuotaPeriodUSec", 200_000), ("CPUQuotaPerSecUSec", 100_000)]
        );
    }

    #[test]
    fn an_update_is_taken_back_to_what_was_said_or_to_nothing() {
        let set = |pids| Resources { pids_limit: pids, ..Resources::default() };
        let made = of_v2(&set(Some(7)), &set(Some(7)), false);
        assert_eq!(numbers(&undoing(&made, &of_v2(&set(Some(5)), &set(Some(5)), false))), [("TasksMax", 5)]);
        assert_eq!(numbers(&undoing(&made, &[])), [("TasksMax", INFINITY)]);
    }

    #[test]
    fn lists_become_bits() {
        assert_eq!(bit_mask("0-2,9"), Some(vec![0b111, 0b10]));
        assert_eq!(bit_mask(""), Some(vec![]));
        assert_eq!(bit_mask("2-1"), None);
        assert_eq!(bit_mask("x"), None);
    }

    #[test]
    fn known_files_of_unified_become_properties() {
        let files = [
            ("memory.high", "4096"),
            ("cpu.max", "max 100000"),
            ("pids.max", "max"),
            ("hugetlb.2MB.max", "0"),
            ("memory.max", "64M\n"),
            ("cpu.weight.nice", "5"),
            ("io.weight", "default 50\n8:0 default"),
        ];
        let files = files.iter().map(|(file, value)| (String::from(*file), String::from(*value))).collect();
        let resources = Resources { unified: files, ..Resources::default() };
        assert_eq!(
            numbers(&of_v2(&resources, &resources, false)),
            [
                ("CPUQuotaPeriodUSec", 100_000),
                ("CPUQuotaPerSecUSec", INFINITY),
                ("CPUWeight", 33),
                ("IOWeight", 50),
                ("MemoryHigh", 4096),
                ("MemoryMax", 64 << 20),
                ("TasksMax", INFINITY)
            ]
        );
    }

    #[test]
    fn nice_values_become_the_kernels_weights() {
        for (nice, expected) in [("-20", 8674), ("0", 100), ("1\n", 80), ("19", 1)] {
            assert_eq!(weight_of_nice(nice), Some(expected), "{nice}");
        }
        assert_eq!((weight_of_nice("20"), weight_of_nice("x")), (None, None));
    }

    #[test]
    fn limits_of_disks_are_lists_by_device() {
        let text = "8:0 rbps=4096 wiops=max\n8:16 rbps=7\n";
        let resources = Resources { block_io: io_max(text), ..Resources::default() };
        let files = [(String::from("io.max"), String::from(text))].into();
        let by_unified = Resources { unified: files, ..Resources::default() };
        let entry = |device: &str, rate| {
            Value::Structure(vec![Value::text(format!("/dev/block/{device}")), Value::U64(rate)])
        };
        let list = |name: &str, entries| Property::optional(name, Value::Array("(st)".into(), entries));
        let expected = [
            list("IOReadBandwidthMax", vec![entry("8:0", 4096), entry("8:16", 7)]),
            list("IOWriteIOPSMax", vec![entry("8:0", INFINITY)]),
        ];
        assert_eq!(of_v2(&resources, &resources, false), expected);
        assert_eq!(of_v2(&by_unified, &by_unified, false), expected);
        // Before there was a limit for one of the devices.
        let before = [list("IOReadBandwidthMax", vec![entry("8:0", 1)])];
        let none = |name| list(name, Vec::new());
        let undone = undoing(&expected, &before);
        assert_eq!(undone, [none("IOReadBandwidthMax"), before[0].clone(), none("IOWriteIOPSMax")]);
    }

    #[test]
    fn weights_become_what_systemd_makes_the_same_of() {
        // systemd's way from its own scale to BFQ's.
        let bfq = |weight: u64| if weight <= 100 { weight } else { 100 + (weight - 100) * 900 / 9900 };
        for weight in [10, 100, 101, 123, 1000] {
            assert_eq!(bfq(io_weight(weight, true)), u64::from(weight));
        }
        assert_eq!(io_weight(500, false), 4950);
    }

    #[test]
    fn devices_are_strict_where_systemd_can_say_them() {
        let [policy, list] = &of_devices(&DevicePolicy::default())[..] else { panic!("two properties") };
        assert_eq!(policy.value, Value::text("strict"));
        let Value::Array(_, entries) = &list.value else { panic!("{list:?}") };
        let null = Value::Structure(vec![Value::text("/dev/char/1:3"), Value::text("rwm")]);
        let all = Value::Structure(vec![Value::text("char-*"), Value::text("m")]);
        assert!(entries.contains(&null) && entries.contains(&all), "{entries:?}");
        let everything = DevicePolicy { allow_by_default: true, rules: Vec::new() };
        assert_eq!(of_devices(&everything)[0].value, Value::text("auto"));
    }
}
