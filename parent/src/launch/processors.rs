//! On which processors this thread and its child are.

use rustix::thread::CpuSet;

use super::spawn::Child;
use crate::error::{Error, Result};

/// While this lives, this thread stays on the processor where it is, and a child that it makes is born there, until it sets that right itself.
///
/// For two of which each begins when the other waits. On one processor nobody has to wake another, which takes up to 0.2 ms if that was idle, and
/// what one has touched is in the other's caches.
#[derive(Debug)]
pub struct OneProcessor {
    before: CpuSet,
}

impl OneProcessor {
    /// `None` where there is no choice.
    pub fn stay() -> Option<Self> {
        let before = rustix::thread::sched_getaffinity(None).ok()?;
        let mut here = CpuSet::new();
        here.set(rustix::thread::sched_getcpu());
        rustix::thread::sched_setaffinity(None, &here).ok()?;
        Some(Self { before })
    }
}

impl Drop for OneProcessor {
    fn drop(&mut self) {
        // Fails only if none of them is left, and then the kernel has chosen others.
        let _ = rustix::thread::sched_setaffinity(None, &self.before);
    }
}

/// Runs `clone` on these processors, which its child inherits; this thread comes back to its own.
pub(super) fn on_processors(processors: &[u32], clone: impl FnOnce() -> Result<Child>) -> Result<Child> {
    if processors.is_empty() {
        return clone();
    }
    let failed = |errno| Error::call("unable to set the initial CPU affinity: sched_setaffinity", errno);
    let own = rustix::thread::sched_getaffinity(None).map_err(failed)?;
    let mut wanted = CpuSet::new();
    for &processor in processors.iter().filter(|&&processor| (processor as usize) < CpuSet::MAX_CPU) {
        wanted.set(processor as usize);
    }
    rustix::thread::sched_setaffinity(None, &wanted).map_err(failed)?;
    let cloned = clone();
    match (rustix::thread::sched_setaffinity(None, &own).map_err(failed), cloned) {
        (Ok(()), cloned) => cloned,
        (Err(error), Ok(child)) => {
            child.end();
            Err(error)
        }
        (Err(error), Err(_)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use rustix::thread::sched_getaffinity;

    use super::*;

    #[test]
    fn a_thread_stays_on_one_processor_for_a_while() {
        let before = sched_getaffinity(None).unwrap();
        let stay = OneProcessor::stay().unwrap();
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        drop(stay);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }
}
