//! Which controllers a container's limits need.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_limits_that_are_set_need_a_controller() {
        let mut resources = Resources { pids_limit: Some(0), ..Resources::default() };
        resources.memory.check_before_update = true;
        resources.cpu.mems = Some(String::from("0"));
        let fields: Vec<_> = of(&resources).map(|need| (need.field, need.v1)).collect();
        assert_eq!(fields, [("cpu.mems", "cpuset"), ("pids", "pids")]);
    }
}
