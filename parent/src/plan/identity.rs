//! Names, kernel parameters, limits: what belongs to the container's namespaces and to its first process.

use shared_proto::{Phase, Step};

use super::{Draft, Request};

pub(super) fn plan<'a>(draft: &mut Draft<'a>, request: &Request<'a>) {
    let config = request.config;
    for sysctl in &config.sysctls {
        draft.push(Phase::Identity, Step::WriteSysctl { name: &sysctl.name, value: &sysctl.value });
    }
    if let Some(score) = config.process.oom_score_adj {
        let value = draft.keep(score.to_string());
        draft.push(Phase::Identity, Step::SetOomScoreAdjust { value });
    }
    if let Some(name) = &config.hostname {
        draft.push(Phase::Identity, Step::SetHostname { name });
    }
    if let Some(name) = &config.domainname {
        draft.push(Phase::Identity, Step::SetDomainname { name });
    }
    if !request.no_new_keyring {
        draft.push(Phase::Identity, Step::NewSessionKeyring);
    }
    for limit in &config.process.rlimits {
        let step = Step::SetRlimit { resource: limit.resource, soft: limit.soft, hard: limit.hard };
        draft.push(Phase::Identity, step);
    }
}
