//! User and capabilities, in the one order in which each is still allowed.

use shared_proto::{Phase, Step};

use super::{Draft, Request, seccomp, user_namespace};

/// runc's umask where the configuration has none.
const DEFAULT_UMASK: u32 = 0o022;

pub(super) fn plan<'a>(draft: &mut Draft<'a>, request: &Request<'a>) {
    let process = &request.config.process;
    let user = &process.user;
    let needed = seccomp::needed_capabilities(request);
    if let Some(sets) = &process.capabilities {
        // Some forty calls while stage1 would wait for its network: what it has now, this takes away from the program alone.
        draft.push(Phase::Mounts, Step::DropBounding { keep: sets.bounding });
    }
    draft.push(
        Phase::Identity,
        Step::BecomeUser {
            uid: user.uid,
            gid: user.gid,
            groups: &user.additional_gids,
            working_directory: draft.program.cwd,
            keep_groups: request.config.keep_original_groups || user_namespace::groups_are_denied(request),
            keep_capabilities: user.uid != 0 && (process.capabilities.is_some() || needed != 0),
        },
    );
    if let Some(sets) = &process.capabilities {
        let step = Step::SetCapabilities {
            effective: sets.effective | needed,
            permitted: sets.permitted | needed,
            inheritable: sets.inheritable,
            ambient: sets.ambient,
        };
        draft.push(Phase::Identity, step);
    } else if user.uid != 0 && needed != 0 {
        // Without sets a user has none but what is inherited, and keeps what is needed alone. (Of root's nothing was taken.)
        let step = Step::SetCapabilities { effective: needed, permitted: needed, inheritable: 0, ambient: 0 };
        draft.push(Phase::Identity, step);
    }
    draft.push(Phase::Identity, Step::SetUmask { umask: user.umask.unwrap_or(DEFAULT_UMASK) });
    if process.no_new_privileges {
        draft.push(Phase::Lockdown, Step::SetNoNewPrivileges);
    }
}
