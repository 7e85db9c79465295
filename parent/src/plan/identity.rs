//! Names, kernel parameters, limits: what belongs to the container's namespaces and to its first process.

use linux_raw_sys::general::RLIMIT_NOFILE;
use shared_proto::{Phase, Step};

use super::{Draft, Request};
use crate::config::{Namespace, Rlimit};

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
        // Hooks of the runtime are in it.
        draft.push(Phase::Views, Step::NewTimeNamespace { offsets: &config.time_offsets });
    }
    if !request.no_new_keyring {
        draft.push(Phase::Identity, Step::NewSessionKeyring);
    }
    for limit in config.process.rlimits.iter().filter(|_| !has_user_namespace).filter_map(early_limit) {
        let Rlimit { resource, soft, hard } = limit;
        draft.push(Phase::Identity, Step::SetRlimit { resource, soft, hard });
    }
}

/// A limit as far as it can be set before stage1 has done its work: what would be too few for stage1 comes late.
pub fn early_limit(limit: &Rlimit) -> Option<Rlimit> {
    if !is_late(limit) {
        return Some(*limit);
    }
    let Rlimit { resource, hard, .. } = *limit;
    (hard >= OPEN_FILES_OF_STAGE1).then_some(Rlimit { resource, soft: OPEN_FILES_OF_STAGE1, hard })
}

/// The limits that wait until stage1 opens nothing any more. Lowering them needs no privilege.
pub(super) fn plan_late<'a>(draft: &mut Draft<'a>, request: &Request<'a>) {
    for limit in request.config.process.rlimits.iter().filter(|limit| is_late(limit)) {
        let Rlimit { resource, soft, hard } = *limit;
        draft.push(Phase::Lockdown, Step::SetRlimit { resource, soft, hard });
    }
}

/// Open files that stage1 may need between its limits and the program: the one who calls `start`, procfs, places for Landlock.
const OPEN_FILES_OF_STAGE1: u64 = 64;

fn is_late(limit: &Rlimit) -> bool {
    limit.resource == RLIMIT_NOFILE && limit.soft < OPEN_FILES_OF_STAGE1
}
