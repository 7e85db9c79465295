//! `linux.resources`: what is `None`, or an empty list, is left as the kernel has it. Engines write zeros that mean the same.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Not kept: an update never touches them.
    #[serde(skip)]
    pub devices: DevicePolicy,
    #[serde(skip_serializing_if = "is_default")]
    pub memory: Memory,
    #[serde(skip_serializing_if = "is_default")]
    pub cpu: Cpu,
    /// -1 is no limit; 0 is a limit.
    #[serde(skip_serializing_if = "is_default")]
    pub pids_limit: Option<i64>,
    #[serde(skip_serializing_if = "is_default")]
    pub block_io: BlockIo,
    #[serde(skip_serializing_if = "is_default")]
    pub hugepage_limits: Vec<HugepageLimit>,
    #[serde(skip_serializing_if = "is_default")]
    pub network: Network,
    /// By the device's name; each has at least one limit.
    #[serde(skip_serializing_if = "is_default")]
    pub rdma: BTreeMap<String, RdmaLimit>,
    /// Files of cgroup v2 with what is to be written to them, line by line.
    #[serde(skip_serializing_if = "is_default")]
    pub unified: BTreeMap<String, String>,
}

impl Resources {
    /// Whether any limit is asked for, device rules apart, which every engine writes.
    pub fn has_limits(&self) -> bool {
        *self != Self { devices: self.devices.clone(), ..Self::default() }
    }

    /// Whether memory is limited, which the kernel may kill for.
    pub fn limit_memory(&self) -> bool {
        self.memory.limit.is_some()
            || self.memory.swap.is_some()
            || self.unified.keys().any(|file| file.starts_with("memory."))
    }
}

/// Whether there is nothing to say of a part. Two starts of the same limits write the same record.
fn is_default<T: Default + PartialEq>(part: &T) -> bool {
    *part == T::default()
}

/// Bytes; -1 is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub limit: Option<i64>,
    pub reservation: Option<i64>,
    /// Memory and swap together.
    pub swap: Option<i64>,
    /// 0 to 100.
    pub swappiness: Option<u64>,
    pub disable_oom_killer: Option<bool>,
    /// Refuse a limit that is lower than what is used (v2; v1's kernel does it): where an update says nothing of it, the configuration does.
    pub check_before_update: Option<bool>,
}

impl Memory {
    /// The limit of swap alone, which v2 has. No limit for memory is none for swap, as on v1.
    pub fn swap_alone(&self) -> Option<i64> {
        match (self.swap, self.limit) {
            (None, Some(-1)) | (Some(-1), _) => Some(-1),
            (None, _) => None,
            (Some(both), Some(limit)) if limit > 0 => Some(both - limit),
            (Some(both), _) => Some(both),
        }
    }

    /// Takes what leaves the limit of swap alone as it was, after that of memory has changed.
    pub(super) fn hold_swap(&mut self, alone: Option<i64>) {
        self.swap = match (self.swap, self.limit) {
            (Some(both), Some(limit @ 1..)) if both != -1 => alone.map(|alone| limit.saturating_add(alone)),
            (Some(-1), _) => Some(-1),
            _ => None,
        }
    }

    /// What is wrong with the limit of memory and swap beside that of memory, on either version of cgroups.
    pub(super) fn fault_of_swap(&self) -> Option<&'static str> {
        match (self.limit, self.swap) {
            (None, Some(1..)) => Some("should set memory.limit with memory.swap"),
            (Some(limit), Some(swap @ 1..)) if swap < limit => {
                Some("memory+swap limit should be >= memory limit")
            }
            _ => None,
        }
    }
}

/// Times in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    pub shares: Option<u64>,
    pub quota: Option<i64>,
    pub period: Option<u64>,
    pub burst: Option<u64>,
    pub realtime_runtime: Option<i64>,
    pub realtime_period: Option<u64>,
    /// Lists such as `0-2,7`.
    pub cpus: Option<String>,
    pub mems: Option<String>,
    /// 0 or 1.
    pub idle: Option<i64>,
}

/// Weights are from 10 to 1000.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockIo {
    pub weight: Option<u16>,
    pub leaf_weight: Option<u16>,
    pub weight_devices: Vec<WeightDevice>,
    /// Bytes a second.
    pub read_bps: Vec<Throttle>,
    pub write_bps: Vec<Throttle>,
    /// Operations a second.
    pub read_iops: Vec<Throttle>,
    pub write_iops: Vec<Throttle>,
}

impl BlockIo {
    /// The four lists of throttles with the spec's names.
    pub fn throttles(&self) -> [(&'static str, &[Throttle]); 4] {
        [
            ("throttleReadBpsDevice", &self.read_bps),
            ("throttleWriteBpsDevice", &self.write_bps),
            ("throttleReadIOPSDevice", &self.read_iops),
            ("throttleWriteIOPSDevice", &self.write_iops),
        ]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceNumber {
    pub major: u32,
    pub minor: u32,
}

/// As every file of cgroups has it: `8:0`.
impl fmt::Display for DeviceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.major, self.minor)
    }
}

/// At least one of the weights is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightDevice {
    pub device: DeviceNumber,
    pub weight: Option<u16>,
    pub leaf_weight: Option<u16>,
}

/// 0 takes the limit away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    pub device: DeviceNumber,
    pub rate: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HugepageLimit {
    /// `2MB`, `1GB`.
    pub page_size: String,
    /// Bytes; 0 is a limit.
    pub bytes: u64,
}

/// cgroup v1 alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    pub class_id: Option<u32>,
    pub priorities: Vec<InterfacePriority>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfacePriority {
    pub name: String,
    pub priority: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RdmaLimit {
    pub hca_handles: Option<u32>,
    pub hca_objects: Option<u32>,
}

/// Which devices may be used. What the runtime itself allows every container is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DevicePolicy {
    /// What holds where no rule speaks.
    pub allow_by_default: bool,
    /// In the order of the file.
    pub rules: Vec<DeviceRule>,
}

/// One entry of `linux.resources.devices` that is about character or block devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    pub allow: bool,
    pub kind: DeviceRuleKind,
    /// `None` is any number.
    pub major: Option<u32>,
    pub minor: Option<u32>,
    pub read: bool,
    pub write: bool,
    pub mknod: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceRuleKind {
    Character,
    Block,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_is_what_exceeds_the_memory() {
        let alone = |limit, swap| Memory { limit, swap, ..Memory::default() }.swap_alone();
        assert_eq!(alone(Some(100), Some(300)), Some(200));
        assert_eq!(alone(Some(100), Some(100)), Some(0));
        assert_eq!(alone(Some(100), Some(-1)), Some(-1));
        assert_eq!(alone(Some(-1), None), Some(-1));
        assert_eq!(alone(Some(100), None), None);
    }
}
