//! On which processors this thread and its child are.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::spawn::Child;
use crate::error::{Error, Result};
use crate::host::current_processor;

/// While this lives, this thread stays where it was put, and a child that it makes is born there, until it sets that right itself.
#[derive(Debug)]
pub struct Pinned {
    before: CpuSet,
}

impl Pinned {
    /// To the processor that we are on. `None` where there is no choice.
    ///
    /// For two of which each begins when the other waits. On one processor nobody has to wake another, which takes up to 0.2 ms if that was idle, and
    /// what one has touched is in the other's caches.
    pub fn here() -> Option<Self> {
        let processor = current_processor().filter(|&processor| processor < CpuSet::MAX_CPU)?;
        let mut here = CpuSet::new();
        here.set(processor);
        Self::to(&here).ok()
    }

    fn to(processors: &CpuSet) -> rustix::io::Result<Self> {
        let before = sched_getaffinity(None)?;
        sched_setaffinity(None, processors)?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Fails only if none of them is left, and then the kernel has chosen others.
        let _ = sched_setaffinity(None, &self.before);
    }
}

/// Runs `clone` on these processors, which its child inherits; this thread comes back to its own.
pub(super) fn on_processors(processors: &[u32], clone: impl FnOnce() -> Result<Child>) -> Result<Child> {
    if processors.is_empty() {
        return clone();
    }
    let mut wanted = CpuSet::new();
    for &processor in processors.iter().filter(|&&processor| (processor as usize) < CpuSet::MAX_CPU) {
        wanted.set(processor as usize);
    }
    let failed = |errno| Error::call("unable to set the initial CPU affinity: sched_setaffinity", errno);
    let _there = Pinned::to(&wanted).map_err(failed)?;
    clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stays_on_one_processor_for_a_while() {
        let before = sched_getaffinity(None).unwrap();
        let pinned = Pinned::here().unwrap();
        let there = sched_getaffinity(None).unwrap();
        assert_eq!(there.count(), 1);
        assert!(there.is_set(current_processor().unwrap()));
        drop(pinned);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }
}
