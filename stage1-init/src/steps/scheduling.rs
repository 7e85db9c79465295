//! When the process runs, where its memory lies, and as what machine it sees the host.

use shared_proto::{Call, Scheduler};
use zerocopy::little_endian::U32;

use crate::kernel::{At, Errno, Fault, Kernel, NodeMask, ProcessorMask};

/// Bits of a priority below its class (linux/ioprio.h).
const IOPRIO_CLASS_SHIFT: u32 = 13;

/// Source: sched_setattr(2), Linux 3.14.
pub(super) fn scheduler<K: Kernel>(kernel: &mut K, scheduler: &Scheduler) -> Result<(), Fault> {
    kernel.set_scheduler(scheduler).at(Call::SetScheduler)
}

/// Source: ioprio_set(2).
pub(super) fn io_priority<K: Kernel>(kernel: &mut K, class: u32, priority: u32) -> Result<(), Fault> {
    kernel.set_io_priority(class << IOPRIO_CLASS_SHIFT | priority).at(Call::SetIoPriority)
}

/// Source: personality(2); the program keeps it.
pub(super) fn personality<K: Kernel>(kernel: &mut K, domain: u32) -> Result<(), Fault> {
    kernel.set_personality(domain).at(Call::SetPersonality)
}

/// Source: sched_setaffinity(2); the program keeps it.
///
/// Errors: EINVAL if the container's cpuset has none of them.
pub(super) fn affinity<K: Kernel>(kernel: &mut K, processors: &[U32]) -> Result<(), Fault> {
    let others = if processors.is_empty() { u64::MAX } else { 0 };
    let mut mask: ProcessorMask = [others; size_of::<ProcessorMask>() / 8];
    for processor in processors {
        // The decoder has checked that each is below the mask's size.
        if let Some(word) = mask.get_mut(processor.get() as usize / 64) {
            *word |= 1 << (processor.get() % 64);
        }
    }
    match kernel.set_affinity(&mask) {
        // Its cpuset was changed at the same moment: the kernel has given it all of that.
        Err(Errno::INVAL) if processors.is_empty() => Ok(()),
        set => set.at(Call::SetAffinity),
    }
}

/// Source: set_mempolicy(2); the program keeps it.
///
/// Errors: EINVAL for a node that the machine does not have, or that the container's cpuset keeps away.
pub(super) fn memory_policy<K: Kernel>(
    kernel: &mut K,
    mode: u32,
    flags: u32,
    nodes: &[U32],
) -> Result<(), Fault> {
    let mut mask = NodeMask::default();
    for node in nodes {
        // The decoder has checked that each is below the mask's size.
        if let Some(word) = mask.get_mut(node.get() as usize / 64) {
            *word |= 1 << (node.get() % 64);
        }
    }
    kernel.set_memory_policy(mode | flags, &mask).at(Call::SetMemoryPolicy)
}
