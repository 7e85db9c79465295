//! What stage1 answers, and what its silence means.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use shared_proto::Report;

use super::held::send_listener;
use super::limits::set_clocks;
use super::{Agent, Launch, Reactor, out_of_turn, words};
use crate::ending;
use crate::error::{Error, Kind, Result};
use crate::plan::Plan;
use crate::signals::LOOK_PAUSE;

impl Launch {
    /// Waits until everything up to the wait for `start` is done.
    pub async fn ready(&mut self, reactor: &Reactor, plan: &Plan<'_>) -> Result<()> {
        if self.is_ready {
            return Ok(());
        }
        match self.expect_report(reactor, plan).await? {
            (Report::Ready, _) => {
                self.child.has_executed_stage1();
                self.is_ready = true;
                Ok(())
            }
            _ => Err(out_of_turn()),
        }
    }

    /// Waits for the moment of the runtime's hooks. stage1 then waits for `send_proceed`.
    pub async fn hooks_due(&mut self, reactor: &Reactor, plan: &Plan<'_>) -> Result<()> {
        match self.expect_report(reactor, plan).await? {
            (Report::HooksDue, _) => Ok(()),
            _ => Err(out_of_turn()),
        }
    }

    /// Waits for what stage1 is going to mount in a container that runs, detached. stage1 then waits for `send_proceed`.
    pub async fn mounting(&mut self, reactor: &Reactor, plan: &Plan<'_>) -> Result<OwnedFd> {
        match self.expect_report(reactor, plan).await? {
            (Report::Mounting, Some(mount)) => Ok(mount),
            _ => Err(out_of_turn()),
        }
    }

    /// With `send_start` before it: waits until the program has been executed, and meanwhile hands the filter's listener to its agent, who may
    /// have to answer for execve itself. Without an agent it blocks: nothing else is waited for then.
    pub async fn executed(
        &mut self,
        reactor: &Reactor,
        plan: &Plan<'_>,
        mut agent: Option<Agent>,
    ) -> Result<()> {
        self.may_block = agent.is_none();
        if plan.bootstrap.reports_ready {
            self.ready(reactor, plan).await?;
        }
        loop {
            match self.next_report(reactor).await? {
                // End of file: the socket was closed on execution, or by a death that is the program's own from now on.
                None if self.socket.was_reset() => return Err(self.how_it_ended(reactor).await),
                None if agent.is_none() => {
                    self.child.has_executed_stage1();
                    self.let_go();
                    return Ok(());
                }
                None => return Err(no_listener()),
                Some((Report::Failed(failure), _)) => return Err(words::failure(plan, &failure)),
                Some((Report::HookFailed { index, status }, Some(output))) => {
                    let hooks = plan.config.map_or(&[][..], |config| &config.hooks.start_container);
                    return Err(words::hook_failure(hooks, index, status, output));
                }
                Some((Report::Listener, Some(listener))) => send_listener(&mut agent, &listener)?,
                Some(_) => return Err(out_of_turn()),
            }
        }
    }

    /// The next report while stage1 must not end.
    ///
    /// Errors: it has failed, or died.
    pub(super) async fn expect_report(
        &mut self,
        reactor: &Reactor,
        plan: &Plan<'_>,
    ) -> Result<(Report, Option<OwnedFd>)> {
        loop {
            match self.next_report(reactor).await? {
                Some((Report::Failed(failure), _)) => return Err(words::failure(plan, &failure)),
                Some((Report::ClocksDue, _)) => {
                    set_clocks(self.pid(), plan)?;
                    self.send_proceed()?;
                }
                Some(report) => return Ok(report),
                None => return Err(self.how_it_ended(reactor).await),
            }
        }
    }

    pub(super) async fn next_report(
        &mut self,
        reactor: &Reactor,
    ) -> Result<Option<(Report, Option<OwnedFd>)>> {
        loop {
            let report = match self.early.pop_front() {
                Some(report) => Some(report),
                None => {
                    if self.heeds_signals {
                        self.await_word_or_end()?;
                    } else if !self.may_block {
                        reactor.readable(self.socket.as_fd()).await;
                    }
                    self.socket.receive_report()?
                }
            };
            match report {
                Some((Report::Warned(warning), _)) => self.warnings.push(warning),
                Some((Report::Console, Some(master))) if self.console.is_none() => {
                    self.console = Some(master)
                }
                Some((Report::Console, _)) => return Err(out_of_turn()),
                report => return Ok(report),
            }
        }
    }

    /// Blocks until stage1 says something, or ends. True if it has said something.
    ///
    /// Errors: meanwhile a signal asks us to end, where those are heeded.
    pub(super) fn await_word_or_end(&self) -> Result<bool> {
        let pause = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK_PAUSE.subsec_nanos()) };
        loop {
            let mut polled =
                [self.socket.as_fd(), self.pidfd()].map(|it| PollFd::from_borrowed_fd(it, PollFlags::IN));
            match rustix::event::poll(&mut polled, self.heeds_signals.then_some(&pause)) {
                Ok(0) => crate::signals::check_interrupted()?,
                Ok(_) => return Ok(!polled[0].revents().is_empty()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::call("wait for stage1", errno)),
            }
        }
    }

    /// stage1 ended without a word: says how.
    pub(super) async fn how_it_ended(&mut self, reactor: &Reactor) -> Error {
        if let Some(errno) = self.child.execution_failure() {
            return Error::call("execute stage1", errno);
        }
        reactor.readable(self.child.pidfd.as_fd()).await;
        let who = self.who;
        match self.wait() {
            Ok(ending::KILLED) => self.killed(),
            Ok(159) => Error::new(format!("{who} was killed by a seccomp filter (SIGSYS)")),
            Ok(code) if code > 128 => Error::new(format!("{who} was killed by signal {}", code - 128)),
            Ok(code) => Error::new(format!("{who} ended with status {code} before it was ready")),
            // Its status went to nobody, since our caller ignores SIGCHLD.
            Err(_) => Error::new(format!("{who} ended before it was ready")),
        }
    }

    /// What is said of one that was killed before its program ran.
    pub fn killed(&self) -> Error {
        Error::of_kind(Kind::Ended, format!("{} was killed (SIGKILL) while it was being set up", self.who))
    }
}

pub(super) fn no_listener() -> Error {
    Error::new(
        "container init ended before it could send the listener of its seccomp filter: the profile must allow sendmsg",
    )
}
