//! The program's terminal, and whose its standard streams are.

use shared_proto::{Phase, Step};

use super::{Draft, Request};
use crate::config::{Namespace, Terminal};

/// Without a mount namespace of its own the container's /dev/console would be the host's.
pub(super) fn plan<'a>(draft: &mut Draft<'a>, request: &Request<'a>) {
    let bind = request.config.namespaces.mount != Namespace::Inherit;
    open(draft, request, bind);
}

/// The same for a process in a container that exists, which has its /dev/console already, or has none.
pub(super) fn plan_late<'a>(draft: &mut Draft<'a>, request: &Request<'a>) {
    open(draft, request, false);
}

fn open<'a>(draft: &mut Draft<'a>, request: &Request<'a>, bind: bool) {
    let uid = request.config.process.user.uid;
    match request.config.process.terminal {
        Some(Terminal { width, height }) => {
            draft.push(Phase::Views, Step::OpenConsole { uid, width, height, bind });
        }
        // Root may open them anyhow.
        None if uid != 0 => draft.push(Phase::Identity, Step::OwnStreams { uid, files: request.detaches }),
        None => {}
    }
}
