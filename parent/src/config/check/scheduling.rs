//! `process.scheduler`, `ioPriority` and `execCPUAffinity`; `linux.personality` and `memoryPolicy`.
//!
//! Numbers are those of linux/sched.h, linux/ioprio.h, linux/personality.h and linux/mempolicy.h.

use oci_spec::runtime::{
    IOPriorityClass, Linux, LinuxPersonalityDomain, LinuxSchedulerFlag, LinuxSchedulerPolicy,
    MemoryPolicyFlagType, MemoryPolicyModeType, Process,
};
use shared_proto::limits::NODE_COUNT_MAX;

use super::super::list;
use super::super::problems::Problems;
use super::super::{ExecCpuAffinity, IoPriority, MemoryPolicy, Scheduler};

/// The highest number of a processor that a kernel may be built for (NR_CPUS).
const CPU_MAX: u32 = 8191;

const SCHED_FIFO: u32 = 1;
const SCHED_RR: u32 = 2;
const SCHED_DEADLINE: u32 = 6;

/// By number.
const POLICIES: [&str; 7] =
    ["SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"];

/// By number; 0 is no class.
const IO_CLASSES: [&str; 4] = ["", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"];

/// By number.
const MEMORY_MODES: [&str; 7] = [
    "MPOL_DEFAULT",
    "MPOL_PREFERRED",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

const MPOL_F_STATIC_NODES: u32 = 1 << 15;
const MPOL_F_RELATIVE_NODES: u32 = 1 << 14;
const MPOL_F_NUMA_BALANCING: u32 = 1 << 13;

const MEMORY_FLAGS: [(MemoryPolicyFlagType, u32, &str); 3] = [
    (MemoryPolicyFlagType::MpolFNumaBalancing, MPOL_F_NUMA_BALANCING, "MPOL_F_NUMA_BALANCING"),
    (MemoryPolicyFlagType::MpolFRelativeNodes, MPOL_F_RELATIVE_NODES, "MPOL_F_RELATIVE_NODES"),
    (MemoryPolicyFlagType::MpolFStaticNodes, MPOL_F_STATIC_NODES, "MPOL_F_STATIC_NODES"),
];

/// The spec's name of a SCHED_* number.
pub fn scheduler_policy_name(policy: u32) -> Option<&'static str> {
    POLICIES.get(policy as usize).copied()
}

/// The spec's name of an IOPRIO_CLASS_* number.
pub fn io_class_name(class: u32) -> Option<&'static str> {
    IO_CLASSES.get(class as usize).copied()
}

/// The spec's name of a MPOL_* number.
pub fn memory_mode_name(mode: u32) -> Option<&'static str> {
    MEMORY_MODES.get(mode as usize).copied()
}

/// Every mode and every flag of `linux.memoryPolicy`, sorted.
pub fn memory_policy_names() -> (Vec<&'static str>, Vec<&'static str>) {
    let mut modes = MEMORY_MODES.to_vec();
    modes.sort_unstable();
    (modes, MEMORY_FLAGS.iter().map(|&(_, _, name)| name).collect())
}

pub(super) fn scheduler(process: &Process, problems: &mut Problems) -> Option<Scheduler> {
    let scheduler = process.scheduler().as_ref()?;
    let policy = match scheduler.policy() {
        LinuxSchedulerPolicy::SchedOther => 0,
        LinuxSchedulerPolicy::SchedFifo => SCHED_FIFO,
        LinuxSchedulerPolicy::SchedRr => SCHED_RR,
        LinuxSchedulerPolicy::SchedBatch => 3,
        LinuxSchedulerPolicy::SchedIso => 4,
        LinuxSchedulerPolicy::SchedIdle => 5,
        LinuxSchedulerPolicy::SchedDeadline => SCHED_DEADLINE,
    };
    let flags = scheduler.flags().iter().flatten().fold(0, |flags, flag| {
        flags
            | match flag {
                LinuxSchedulerFlag::SchedResetOnFork => 0x01,
                LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
                LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
                LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
                LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
                LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
                LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
            }
    });
    let nice = scheduler.nice().unwrap_or(0);
    if !(-20..=19).contains(&nice) {
        problems.add("$.process.scheduler.nice", format!("invalid scheduler.nice: {nice}"));
    }
    let priority = scheduler.priority().unwrap_or(0);
    let is_real_time = matches!(policy, SCHED_FIFO | SCHED_RR);
    if priority != 0 && !is_real_time {
        problems.add(
            "$.process.scheduler.priority",
            "scheduler.priority can only be specified for SchedFIFO or SchedRR policy",
        );
    } else if is_real_time && !(1..=99).contains(&priority) {
        problems.add("$.process.scheduler.priority", format!("{priority} is not between 1 and 99"));
    }
    let times =
        [*scheduler.runtime(), *scheduler.deadline(), *scheduler.period()].map(Option::unwrap_or_default);
    if policy != SCHED_DEADLINE && times != [0; 3] {
        problems.add(
            "$.process.scheduler",
            "scheduler runtime/deadline/period can only be specified for SchedDeadline policy",
        );
    }
    let [runtime, deadline, period] = times;
    if policy == SCHED_DEADLINE {
        check_deadline(times, problems);
    }
    Some(Scheduler { policy, flags, nice, priority: priority.unsigned_abs(), runtime, deadline, period })
}

/// Nanoseconds; a period of 0 is the deadline.
///
/// Source: sched(7), "Deadline scheduling".
fn check_deadline([runtime, deadline, period]: [u64; 3], problems: &mut Problems) {
    const RUNTIME_MIN: u64 = 1024;
    if runtime < RUNTIME_MIN {
        problems.add("$.process.scheduler.runtime", format!("is below {RUNTIME_MIN} ns"));
    }
    if deadline < runtime {
        problems.add("$.process.scheduler.deadline", "is shorter than the runtime");
    }
    if period != 0 && period < deadline {
        problems.add("$.process.scheduler.period", "is shorter than the deadline");
    }
}

pub(super) fn io_priority(process: &Process, problems: &mut Problems) -> Option<IoPriority> {
    let io_priority = process.io_priority().as_ref()?;
    let class = match io_priority.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    let priority = match io_priority.priority() {
        priority @ 0..=7 => priority as u32,
        other => {
            problems.add("$.process.ioPriority.priority", format!("invalid ioPriority.Priority: {other}"));
            0
        }
    };
    Some(IoPriority { class, priority })
}

/// The first process is not concerned, but what is wrong shall be known before somebody needs `exec`.
pub(super) fn exec_cpu_affinity(process: &Process, problems: &mut Problems) -> ExecCpuAffinity {
    let Some(affinity) = process.exec_cpu_affinity() else { return ExecCpuAffinity::default() };
    let mut cpus = |text: &Option<String>, field: &str| {
        list::numbers(text.as_deref().unwrap_or_default(), CPU_MAX).unwrap_or_else(|reason| {
            problems.add(format_args!("$.process.execCPUAffinity.{field}"), reason);
            Vec::new()
        })
    };
    let initial = cpus(affinity.initial(), "initial");
    let last = cpus(affinity.cpu_affinity_final(), "final");
    ExecCpuAffinity { initial, last }
}

pub(super) fn personality(linux: Option<&Linux>, warnings: &mut Vec<String>) -> Option<u32> {
    let personality = linux?.personality().as_ref()?;
    let flags = personality.flags().as_deref().unwrap_or_default();
    if !flags.is_empty() {
        warnings.push(format!("ignoring unsupported personality flags: {flags:?}, as none is defined"));
    }
    Some(match personality.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    })
}

pub(super) fn memory_policy(linux: Option<&Linux>, problems: &mut Problems) -> Option<MemoryPolicy> {
    use MemoryPolicyModeType as Mode;

    let policy = linux?.memory_policy().as_ref()?;
    let mode = match policy.mode() {
        Mode::MpolDefault => 0,
        Mode::MpolPreferred => 1,
        Mode::MpolBind => 2,
        Mode::MpolInterleave => 3,
        Mode::MpolLocal => 4,
        Mode::MpolPreferredMany => 5,
        Mode::MpolWeightedInterleave => 6,
    };
    let name = memory_mode_name(mode).unwrap_or_default();
    let written = policy.nodes().as_deref().unwrap_or_default();
    let nodes = match list::numbers(written, NODE_COUNT_MAX - 1) {
        Ok(nodes) => {
            let problem = match policy.mode() {
                Mode::MpolDefault | Mode::MpolLocal if !nodes.is_empty() => {
                    Some(format!("memory policy mode {name} requires 0 nodes but got {}", nodes.len()))
                }
                Mode::MpolDefault | Mode::MpolLocal | Mode::MpolPreferred => None,
                _ if nodes.is_empty() => {
                    Some(format!("memory policy mode {name} requires at least one node but got 0"))
                }
                _ => None,
            };
            if let Some(reason) = problem {
                problems.add("$.linux.memoryPolicy.nodes", reason);
            }
            nodes
        }
        Err(reason) => {
            problems.add("$.linux.memoryPolicy.nodes", reason);
            Vec::new()
        }
    };
    let written = policy.flags().as_deref().unwrap_or_default();
    let set = MEMORY_FLAGS.iter().filter(|(flag, ..)| written.contains(flag));
    let flags = set.fold(0, |flags, (_, bit, _)| flags | bit);
    let both = MPOL_F_RELATIVE_NODES | MPOL_F_STATIC_NODES;
    if flags & both == both {
        problems.add(
            "$.linux.memoryPolicy.flags",
            "MPOL_F_RELATIVE_NODES and MPOL_F_STATIC_NODES exclude each other",
        );
    }
    let balances = matches!(policy.mode(), Mode::MpolBind | Mode::MpolPreferredMany);
    if flags & MPOL_F_NUMA_BALANCING != 0 && !balances {
        problems.add(
            "$.linux.memoryPolicy.flags",
            format!("MPOL_F_NUMA_BALANCING goes with MPOL_BIND and MPOL_PREFERRED_MANY, not with {name}"),
        );
    }
    Some(MemoryPolicy { mode, flags, nodes })
}
