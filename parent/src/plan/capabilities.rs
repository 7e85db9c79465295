//! User and capabilities, in the one order in which each is still allowed.

use shared_proto::{Phase, Step};

use super::{Draft, Request, user_namespace};

/// runc's umask where the configuration has none.
const DEFAULT_UMASK: u32 = 0o022;

pub(super) fn plan<'a>(draft: &mut Draft<'a>, request: &Request<'a>) {
    let process = &request.config.process;
    let user = &process.user;
    if let Some(sets) = &process.capabilities {
        draft.push(Phase::Identity, Step::DropBounding { keep: sets.bounding });
    }
    draft.push(
        Phase::Identity,
        Step::BecomeUser {
            uid: user.uid,
            gid: user.gid,
            groups: &user.additional_gids,
            working_directory: &process.cwd,
            groups_are_denied: user_namespace::groups_are_denied(request),
            keep_capabilities: user.uid != 0 && process.capabilities.is_some(),
        },
    );
    if let Some(sets) = &process.capabilities {
        let step = Step::SetCapabilities {
            effective: sets.effective,
            permitted: sets.permitted,
            inheritable: sets.inheritable,
            ambient: sets.ambient,
        };
        draft.push(Phase::Identity, step);
    }
    draft.push(Phase::Identity, Step::SetUmask { umask: user.umask.unwrap_or(DEFAULT_UMASK) });
    if process.no_new_privileges {
        draft.push(Phase::Lockdown, Step::SetNoNewPrivileges);
    }
}
