//! The parent's part of a creation, while stage1 works.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::Signal;

use super::super::foreground::{HostRelay, TerminalEnd};
use super::super::{hooks, rootless};
use super::{Creation, DEATH_FOR_MEMORY, out_of_memory};
use crate::cgroup::Cgroups;
use crate::config::{Config, HookPoint};
use crate::descriptors::close_spent;
use crate::error::{Error, Kind, Result};
use crate::intel_rdt::{self, Groups};
use crate::launch::{Launch, Notes, Reactor, Surroundings, block_on};
use crate::notify;
use crate::plan::Plan;
use crate::signals::{self, LOOK_PAUSE};
use crate::state::{Inherited, Init, PidFile, Record, START_SOCKET, StateDirectory};
use crate::terminal::CallersSocket;

/// What the container's processes are put into.
pub(super) struct Places<'a> {
    pub(super) cgroups: &'a mut Cgroups,
    pub(super) rdt_groups: Option<&'a mut Groups>,
    pub(super) terminal: TerminalEnd,
    pub(super) pidfd_socket: Option<CallersSocket>,
    /// What `exec` will need.
    pub(super) basis: Vec<u8>,
    pub(super) notes: Option<&'a Notes>,
}

/// What `launch` has made.
pub(super) struct Launched {
    pub(super) launch: Launch,
    pub(super) terminal: Option<HostRelay>,
    pub(super) notify: Option<notify::Relay>,
    pub(super) warnings: Vec<String>,
}

/// Starts stage1, does the parent's part while it works, and waits for it. A `Launch` that is dropped on the way ends it.
pub(super) fn launch(
    creation: &Creation<'_>,
    record: &Record,
    config: &Config,
    plan: &Plan<'_>,
    directory: &StateDirectory,
    places: Places<'_>,
) -> Result<Launched> {
    let Places { cgroups, mut rdt_groups, terminal, pidfd_socket, basis, notes } = places;
    let trace = creation.trace;
    if let (Some(groups), Some(config)) = (&mut rdt_groups, &config.intel_rdt) {
        groups.prepare(config)?;
    }
    let born_in = cgroups.prepare()?;
    let notify = match creation.notify_socket {
        None => None,
        Some(host) => {
            directory.make_notify_directory()?;
            // Else `start` will listen.
            if creation.hold { None } else { super::super::notify::relay(directory, host)? }
        }
    };
    let listener = if creation.hold { Some(listen(directory)?) } else { None };
    let cgroup = born_in.as_ref().map(AsFd::as_fd);
    let surroundings = Surroundings { cgroup, listener, notes, stdio: creation.stdio };
    let mut launch = trace.span("send the plan, clone stage1", || Launch::begin(plan, surroundings))?;
    let log = creation.log;
    log.debug(|| format!("stage1 started with pid {}", launch.pid()));

    if cgroups.limits_before_entry(&config.resources) {
        launch.await_own_memory()?;
    }
    // What stage1 waits for comes first. The rest only has to be there when the program begins.
    let network_first = !plan.bootstrap.await_cgroups;
    if network_first {
        trace.span("make the network namespace", || launch.provide_network(plan))?;
    }
    let doors = trace.span("make and limit the cgroups", || {
        cgroups.adopt(launch.pid(), &config.resources, &config.annotations)?;
        cgroups.populate(&config.resources, plan.cgroup_tree_count(), born_in)
    })?;
    if let Some(uid) = rootless::cgroup_owner(config) {
        cgroups.hand_over(uid)?;
    }
    if plan.bootstrap.await_cgroups {
        launch.send_cgroups(&doors.descriptors())?;
    }
    drop(doors);
    log.debug(|| String::from("cgroups made and limited"));
    if !network_first {
        trace.span("make the network namespace", || launch.provide_network(plan))?;
    }
    let pid = launch.pid().as_raw_pid();
    let mut rdt_made = intel_rdt::Made::default();
    if let Some(groups) = rdt_groups {
        groups.attach(pid)?;
        rdt_made = groups.made();
    }
    let inherited = Inherited::read()?;
    if !inherited.has_all_processors {
        launch.use_all_processors()?;
    }
    if inherited.ignores(Signal::CHILD) && creation.owns_process {
        // Else the kernel would throw the exit code away.
        signals::reset(Signal::CHILD)?;
    }
    let init = Init {
        stage1: launch.stage1(),
        cgroups: cgroups.made(),
        intel_rdt: rdt_made,
        basis,
        ..Init::of(pid, launch.pidfd(), directory)?
    };
    let mut pid_file = creation.pid_file.map(|path| PidFile::prepare(path, pid)).transpose()?;

    let reactor = Reactor::default();
    if let Some(socket) = pidfd_socket {
        socket.send(b"standard", launch.pidfd())?;
    }
    if plan.bootstrap.await_hooks {
        // They may unmount what we have mounts of.
        close_spent();
        trace.wait("wait for stage1", || block_on(&reactor, launch.hooks_due(&reactor, plan)))?;
        interruptible(creation, || {
            trace.span("run hooks", || hooks::create(creation, config, record, cgroups, &launch))?;
            if creation.owns_process { signals::check_interrupted() } else { Ok(()) }
        })?;
        log.debug(|| String::from("hooks run"));
        launch.send_proceed()?;
    }
    let last = Last {
        creation,
        record,
        config,
        plan,
        directory,
        cgroups,
        terminal,
        init,
        ignored_signals: inherited.ignored_signals,
    };
    let relay = if creation.hold {
        last.hold(&mut launch, pid_file.as_mut()).map(|()| None)?
    } else {
        last.start(&mut launch, pid_file.as_mut())?
    };
    if let Some(pid_file) = pid_file {
        pid_file.keep();
    }
    let warnings = launch.warnings(plan);
    Ok(Launched { launch, terminal: relay, notify, warnings })
}

/// What the last part of a creation needs: stage1 is on its way, and the program has not begun.
struct Last<'a, 'p> {
    creation: &'a Creation<'a>,
    record: &'a Record,
    config: &'a Config,
    plan: &'a Plan<'p>,
    directory: &'a StateDirectory,
    cgroups: &'a Cgroups,
    terminal: TerminalEnd,
    init: Init,
    ignored_signals: u64,
}

impl Last<'_, '_> {
    /// Leaves stage1 waiting for `start`. The record of init ends the creation; until `Hold` comes stage1 ends with us, so that nobody needs it earlier.
    fn hold(self, launch: &mut Launch, pid_file: Option<&mut PidFile<'_>>) -> Result<()> {
        let Creation { trace, log, .. } = self.creation;
        close_spent();
        let reactor = Reactor::default();
        trace.wait("wait for stage1", || block_on(&reactor, launch.ready(&reactor, self.plan)))?;
        log.debug(|| String::from("stage1 is ready"));
        self.terminal.connect(launch)?;
        trace.span("write the record of init", || self.directory.write_init(&self.init))?;
        self.cgroups.end_oom_kills(&self.config.resources)?;
        pid_file.map_or(Ok(()), PidFile::publish)?;
        launch.send_hold(self.ignored_signals)?;
        log.debug(|| String::from("the container waits for its start"));
        check_memory(self.cgroups, self.record, launch)
            .inspect_err(|_| launch.end(|| self.cgroups.kill_all()))
    }

    /// Has the program begin, and waits for its execution. What comes back is its terminal, if that is shown on ours.
    fn start(self, launch: &mut Launch, pid_file: Option<&mut PidFile<'_>>) -> Result<Option<HostRelay>> {
        let Creation { trace, log, id, owns_process, .. } = self.creation;
        let (record, pid) = (self.record, self.init.pid);
        let reactor = Reactor::default();
        trace.span("write the record of init", || self.directory.write_init(&self.init))?;
        let agent = super::super::seccomp::agent(record, id, (pid, pid), "creating")?;
        let mut relay = None;
        if self.plan.bootstrap.reports_ready {
            trace.wait("wait for stage1", || block_on(&reactor, launch.ready(&reactor, self.plan)))?;
            // Who looks at a terminal wants to see all of it.
            relay = self.terminal.connect(launch)?;
        }
        close_spent();
        // Said beforehand, stage1 need not wait for us when it is ready.
        launch.send_start(self.ignored_signals)?;
        let hooks = self.config.hooks.at(HookPoint::StartContainer);
        if *owns_process && agent.is_none() && !hooks.is_empty() {
            interruptible(self.creation, || {
                trace.wait("wait for startContainer hooks", || await_hooks(launch, self.cgroups))
            })?;
        }
        trace.wait("wait for the program's execution", || {
            block_on(&reactor, launch.executed(&reactor, self.plan, agent))
        })?;
        log.debug(|| format!("program executed: {}", record.program));
        let done = check_memory(self.cgroups, record, launch)
            .and_then(|()| pid_file.map_or(Ok(()), PidFile::publish))
            .and_then(|()| self.cgroups.end_oom_kills(&self.config.resources))
            .and_then(|()| match record.hooks.poststart.is_empty() {
                true => Ok(()),
                false => interruptible(self.creation, || hooks::poststart(record, id, pid, *owns_process)),
            });
        if let Err(error) = done {
            launch.end(|| self.cgroups.kill_all());
            return Err(error);
        }
        Ok(relay)
    }
}

/// Under a limit that may be too low for a start the kernel kills when it likes, also when stage1 has said its last word: that is a failed start
/// all the same.
fn check_memory(cgroups: &Cgroups, record: &Record, launch: &Launch) -> Result<()> {
    let is_killed =
        || launch.was_killed_within(DEATH_FOR_MEMORY) && out_of_memory(cgroups, record, true).is_some();
    if cgroups.has_little_memory(&record.resources) && is_killed() { Err(launch.killed()) } else { Ok(()) }
}

/// Has a signal that asks us to end wait for who looks for it, and so ends hooks and the creation with them. It stays blocked then: what was made is to
/// be taken away, and the error told.
fn interruptible(creation: &Creation<'_>, hooks: impl FnOnce() -> Result<()>) -> Result<()> {
    let mask = if creation.owns_process { Some(signals::Mask::block_enders()?) } else { None };
    hooks().inspect_err(|error| {
        if let Kind::Interrupted(_) = error.kind() {
            std::mem::forget(mask);
        }
    })
}

/// Waits while stage1 runs hooks, which may take as long as they like, and heeds who asks us to end.
fn await_hooks(launch: &Launch, cgroups: &Cgroups) -> Result<()> {
    while !launch.has_hung_up_within(LOOK_PAUSE) {
        signals::check_interrupted().inspect_err(|_| {
            // Ignored: stage1 ends with `launch`, and what its hooks leave keeps the cgroups from being removed, which says so.
            let _ = cgroups.kill_all();
        })?;
    }
    Ok(())
}

/// The socket at which `start` will call. Its path is short whatever the state root's is: it goes through our own descriptor.
fn listen(directory: &StateDirectory) -> Result<OwnedFd> {
    let failed = |errno| Error::call("listen for start", errno);
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(failed)?;
    let address = SocketAddrUnix::new(start_socket_path(directory)).map_err(failed)?;
    rustix::net::bind(&socket, &address).map_err(failed)?;
    rustix::net::listen(&socket, 1).map_err(failed)?;
    Ok(socket)
}

/// The start socket by way of an open state directory.
pub(in crate::container) fn start_socket_path(directory: &StateDirectory) -> PathBuf {
    use std::os::fd::AsRawFd;

    PathBuf::from(format!("/proc/self/fd/{}/{START_SOCKET}", directory.as_fd().as_raw_fd()))
}
