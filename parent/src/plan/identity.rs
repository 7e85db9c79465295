//! Names, kernel parameters, limits: what belongs to the container's namespaces and to its first process.

use shared_proto::{Phase, Step};

use super::{Draft, Request};
use crate::config::Namespace;

pub(super) fn plan<'a>(draft: &mut Draft<'a>, request: &Request<'a>) {
    let config = request.config;
    for sysctl in &config.sysctls {
        draft.push(Phase::Identity, Step::WriteSysctl { name: &sysctl.name, value: &sysctl.value });
    }
    // What the host has to allow, the parent does for a container in a user namespace.
    let has_user_namespace = config.namespaces.user != Namespace::Inherit;
    if let Some(score) = config.process.oom_score_adj.filter(|_| !has_user_namespace) {
        let value = draft.keep(score.to_string());
        draft.push(Phase::Identity, Step::SetOomScoreAdjust { value });
    }
    if let Some(name) = &config.hostname {
        draft.push(Phase::Identity, Step::SetHostname { name });
    }
    if let Some(name) = &config.domainname {
        draft.push(Phase::Identity, Step::SetDomainname { name });
    }
    if config.namespaces.time == Namespace::New {
        draft.push(Phase::Identity, Step::NewTimeNamespace { offsets: &config.time_offsets });
    }
    if !request.no_new_keyring {
        draft.push(Phase::Identity, Step::NewSessionKeyring);
    }
    for limit in config.process.rlimits.iter().filter(|_| !has_user_namespace) {
        let step = Step::SetRlimit { resource: limit.resource, soft: limit.soft, hard: limit.hard };
        draft.push(Phase::Identity, step);
    }
}
