//! A stage1 that waits for `start`.

use std::os::fd::OwnedFd;

use shared_proto::{Reply, Report};

use super::answers::no_listener;
use super::transport::Socket;
use super::{Agent, out_of_turn, words};
use crate::config::Hook;
use crate::error::{Error, Result};

/// Asks a held stage1 to start its program, and waits until that has been executed.
///
/// `socket` is connected to the listener; `hooks` run in the container before the program. Errors: execve failed, in the kernel's words; a hook failed; the
/// agent of the filter cannot be told.
pub fn start_held(socket: OwnedFd, program: &str, hooks: &[Hook], mut agent: Option<Agent>) -> Result<()> {
    let socket = Socket::from(socket);
    socket.send(Reply::Start { ignored_signals: 0 }, &[])?;
    loop {
        match socket.receive_report()? {
            None if socket.was_reset() => {
                return Err(Error::new("container init ended before it executed the program"));
            }
            None if agent.is_none() => return Ok(()),
            None => return Err(no_listener()),
            Some((Report::Warned(_), _)) => {}
            Some((Report::Failed(failure), _)) => return Err(words::start_failure(program, &failure)),
            Some((Report::HookFailed { index, status }, Some(output))) => {
                return Err(words::hook_failure(hooks, index, status, output));
            }
            Some((Report::Listener, Some(listener))) => send_listener(&mut agent, &listener)?,
            Some(_) => return Err(out_of_turn()),
        }
    }
}

/// Tells the agent of the listener, once.
pub(super) fn send_listener(agent: &mut Option<Agent>, listener: &OwnedFd) -> Result<()> {
    agent.take().ok_or_else(out_of_turn)?.send(listener)
}
