//! Staying with a program until it ends: its signals, its terminal, its exit code.

use std::cell::Cell;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::Signal;

use super::{Created, Executed};
use crate::config::Process;
use crate::error::{Error, Result};
use crate::launch::{Launch, Reactor, block_on};
use crate::notify;
use crate::signals::{Signals, check_ended};
use crate::terminal::{CallersSocket, HostTerminal, Relay, clear_onlcr};

/// How the caller wants the program's terminal, if it has one.
#[derive(Clone, Copy, Debug)]
pub struct TerminalChoice<'a> {
    /// The stream socket of the caller who takes the terminal's master, by SCM_RIGHTS.
    pub socket: Option<&'a std::path::Path>,
    /// Nobody stays with the program.
    pub detaches: bool,
}

/// Where a program's terminal ends on our side.
#[derive(Debug)]
pub(super) enum TerminalEnd {
    None,
    Socket(CallersSocket),
    Host(HostTerminal),
}

impl TerminalEnd {
    /// Errors: the program has a terminal and nobody is there for it, or the other way round, in runc's words; the socket or the host's
    /// terminal cannot be had.
    pub(super) fn choose(process: &Process, choice: TerminalChoice<'_>) -> Result<Self> {
        match (process.terminal.is_some(), choice.detaches, choice.socket) {
            (true, true, None) => {
                Err(Error::new("cannot allocate tty if pinnace will detach without setting console socket"))
            }
            (true, true, Some(path)) => CallersSocket::connect(path)
                .map(TerminalEnd::Socket)
                .map_err(|error| error.context("unable to open console socket")),
            (_, _, Some(_)) => {
                Err(Error::new("cannot use console socket if pinnace will not detach or allocate tty"))
            }
            (true, false, None) => HostTerminal::find().map(TerminalEnd::Host),
            (false, _, None) => Ok(TerminalEnd::None),
        }
    }

    /// Takes the master before the program begins. For the host's terminal, what `Foreground` relays.
    pub(super) fn connect(self, launch: &mut Launch) -> Result<Option<HostRelay>> {
        let mut master = || launch.take_console().ok_or_else(|| Error::new("stage1 sent no terminal"));
        match self {
            TerminalEnd::None => Ok(None),
            TerminalEnd::Socket(socket) => socket.send_master(master()?.as_fd()).map(|()| None),
            TerminalEnd::Host(host) => HostRelay::new(host, master()?).map(Some),
        }
    }
}

/// The container's terminal shown on the host's.
#[derive(Debug)]
pub struct HostRelay {
    /// First, so that the terminal is as it was before anything else is said.
    host: HostTerminal,
    relay: Relay,
}

impl HostRelay {
    fn new(host: HostTerminal, master: OwnedFd) -> Result<Self> {
        clear_onlcr(master.as_fd())?;
        host.resize(master.as_fd());
        host.make_raw()?;
        Ok(Self { host, relay: Relay::new(master)? })
    }
}

impl Created {
    /// Stays with the program until it ends: passes signals, its terminal's bytes and the news of its readiness on. Its exit code, or 128 and
    /// the signal that ended it.
    pub fn stay(&mut self, signals: &Signals) -> Result<i32> {
        self.directory.unlock();
        stay(&self.launch, signals, self.terminal.take(), self.notify.take())
    }

    /// The same without anything to pass on.
    pub fn wait(&self) -> Result<i32> {
        self.directory.unlock();
        self.launch.wait()
    }

    /// The same for whoever blocks signals and has nothing to pass on: one that asks us to end kills the program, which as the first of its pid
    /// namespace need not hear of others.
    ///
    /// Errors: that signal.
    pub fn wait_unless_ended(&self) -> Result<i32> {
        const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        self.directory.unlock();
        loop {
            let mut polled = [PollFd::from_borrowed_fd(self.launch.pidfd(), PollFlags::IN)];
            match rustix::event::poll(&mut polled, Some(&PAUSE)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return self.launch.wait(),
                Err(errno) => return Err(Error::call("wait for the program", errno)),
            }
            if let Err(interrupted) = check_ended("while the program ran") {
                // Ignored, both: it may have ended by itself, and why it has to end is known.
                let _ = rustix::process::pidfd_send_signal(self.launch.pidfd(), Signal::KILL);
                let _ = self.launch.wait();
                return Err(interrupted);
            }
        }
    }
}

impl Executed {
    /// Stays with the program until it ends: passes signals and its terminal's bytes on. Its exit code, or 128 and the signal that ended it.
    pub fn stay(&mut self, signals: &Signals) -> Result<i32> {
        stay(&self.launch, signals, self.terminal.take(), None)
    }
}

fn stay(
    launch: &Launch,
    signals: &Signals,
    terminal: Option<HostRelay>,
    notify: Option<notify::Relay>,
) -> Result<i32> {
    let reactor = Reactor::default();
    let tell = async {
        match &notify {
            Some(notify) => notify.run(&reactor).await,
            None => std::future::pending().await,
        }
    };
    // Before the end, since what was said last is to be passed on, too.
    let ended = smol::future::or(tell, async { reactor.readable(launch.pidfd()).await });
    let Some(HostRelay { host, mut relay }) = terminal else {
        block_on(&reactor, async {
            let forward = async {
                loop {
                    reactor.readable(signals.as_fd()).await;
                    signals.forward(launch.pidfd());
                }
            };
            smol::future::or(ended, forward).await;
        });
        return launch.wait();
    };
    let master = rustix::io::fcntl_dupfd_cloexec(relay.master(), 3)
        .map_err(|errno| Error::call("duplicate the container's terminal", errno))?;
    let asked_to_end = Cell::new(None);
    block_on(&reactor, async {
        let forward = async {
            loop {
                reactor.readable(signals.as_fd()).await;
                let forwarded = signals.forward(launch.pidfd());
                if forwarded.resized {
                    host.resize(master.as_fd());
                }
                asked_to_end.set(forwarded.asks_to_end.or(asked_to_end.get()));
            }
        };
        let bytes = async {
            relay.run(&reactor).await;
            // Both ends are closed, and the program goes on.
            std::future::pending::<()>().await;
        };
        smol::future::or(ended, smol::future::or(forward, bytes)).await;
    });
    let code = launch.wait();
    drop(master);
    drop(host);
    // Whoever says with another code how that went may have lived on, and have much to say.
    let has_obeyed =
        asked_to_end.get().is_some_and(|signal| matches!(code, Ok(code) if code == 128 + signal));
    relay.drain(signals, has_obeyed).and(code)
}
