//! When the process runs, where its memory lies, and as what machine it sees the host.

use shared_proto::{Phase, Scheduler, Step};

use super::Draft;
use crate::config::{self, Config};

pub(super) fn plan<'a>(draft: &mut Draft<'a>, config: &'a Config) {
    if let Some(scheduler) = config.process.scheduler {
        draft.push(Phase::Identity, Step::SetScheduler { scheduler: protocols(scheduler) });
    }
    if let Some(config::IoPriority { class, priority }) = config.process.io_priority {
        draft.push(Phase::Identity, Step::SetIoPriority { class, priority });
    }
    if let Some(domain) = config.personality {
        draft.push(Phase::Identity, Step::SetPersonality { domain });
    }
    if let Some(policy) = &config.memory_policy {
        let (mode, flags) = (policy.mode, policy.flags);
        draft.push(Phase::Identity, Step::SetMemoryPolicy { mode, flags, nodes: &policy.nodes });
    }
}

fn protocols(scheduler: config::Scheduler) -> Scheduler {
    let config::Scheduler { policy, flags, nice, priority, runtime, deadline, period } = scheduler;
    Scheduler { policy, flags, nice, priority, runtime, deadline, period }
}
