//! The filter for system calls.
//!
//! It is always the last step, with and without noNewPrivileges, so that whatever a profile forbids, stage1 has done its work: only execve
//! follows. Where the promise is not made, the kernel asks for CAP_SYS_ADMIN instead. runc loads the filter early then, and a profile must
//! allow what it does until execve. Here stage1 keeps that one capability until execve, which forms the program's capabilities anew from
//! the inheritable, ambient and bounding sets: what is permitted before does not matter (capabilities(7), "Transformation of capabilities
//! during execve()").

use shared_proto::{LISTENER_BY_SENDMMSG, Phase, Step};

use super::{Draft, Request};
use crate::config::SECCOMP_LISTENER_BY_SENDMMSG;

const _: () = assert!(SECCOMP_LISTENER_BY_SENDMMSG == LISTENER_BY_SENDMMSG);

/// The number of CAP_SYS_ADMIN.
const CAP_SYS_ADMIN: u32 = 21;

/// A compiled profile.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// SECCOMP_FILTER_FLAG_* bits.
    pub flags: u32,
    /// struct sock_filter after struct sock_filter.
    pub program: &'a [u8],
}

pub(super) fn plan<'a>(draft: &mut Draft<'a>, request: &Request<'a>) {
    if let Some(Filter { flags, program }) = request.filter {
        draft.push(Phase::Lockdown, Step::InstallSeccomp { flags, program });
    }
}

/// Capabilities that stage1 needs until execve, beside those that are set.
pub(super) fn needed_capabilities(request: &Request<'_>) -> u64 {
    let needs = request.filter.is_some() && !request.config.process.no_new_privileges;
    if needs { 1 << CAP_SYS_ADMIN } else { 0 }
}
