//! From a plan to a running stage1: the only part of the parent that speaks the protocol.
//!
//! ```text
//! Launch::begin   bootstrap into the socket, clone3 straight into execveat of the sealed stage1
//!   (the caller makes cgroups meanwhile; we make the network namespace)
//! send_cgroups, send_network, send_start or send_hold
//! ready, executed stage1's answers
//! ```

mod enter;
mod filesystem;
mod net_devices;
mod netlink;
mod network;
mod notes;
mod reactor;
mod seccomp;
mod spawn;
mod stdio;
mod transport;
mod trees;
mod words;

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use linux_raw_sys::general as uapi;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use sc::syscall;
use shared_proto::bootstrap::{DescriptorSlot, NEW_USER};
use shared_proto::limits::{FRAME_DESCRIPTOR_COUNT_MAX, PROCESSOR_COUNT_MAX};
use shared_proto::{Call, Failure, Reply, Report};

pub use enter::Entrance;
pub use filesystem::{OF_ROOT, refused_option};
pub use notes::Notes;
pub use reactor::{Reactor, block_on};
pub use seccomp::{Agent, NOT_CONNECTED};
pub use stdio::Stdio;

use crate::config::Namespace;
use crate::descriptors::close_all;
use crate::ending;
use crate::error::{Error, Result, check};
use crate::plan::{Plan, UserNamespace, clones_user, early_limit, joined_namespaces};
use net_devices::MovedDevices;
use spawn::{Birth, Child};
use stdio::Standard;
use transport::Socket;

/// Between two looks whether a signal asks us to end.
const HEED_PAUSE_MS: i64 = 100;

/// What a start needs beside its plan.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The cgroup v2 directory to be born in.
    pub cgroup: Option<OwnedFd>,
    /// The socket at which stage1 will listen for `start`, if it is to be held.
    pub listener: Option<OwnedFd>,
    /// Where stage1 notes what it does, if the plan has the slot for it.
    pub notes: Option<&'a Notes>,
    pub stdio: Stdio<'a>,
}

/// A stage1 at work. Dropping it before it was let go ends it.
#[derive(Debug)]
pub struct Launch {
    child: Child,
    /// Its copy, by device and inode.
    stage1: (u64, u64),
    socket: Socket,
    /// Reports that came before it was their turn.
    early: VecDeque<(Report, Option<OwnedFd>)>,
    /// Warnings that came before an answer.
    warnings: Vec<Failure>,
    let_go: bool,
    /// Nothing but the next report is waited for: it may be received without a look whether it is there.
    may_block: bool,
    /// stage1 may be frozen: signals that ask us to end are heard while it says nothing.
    heeds_signals: bool,
    /// What comes back if the container is not let go.
    devices: Option<MovedDevices>,
    is_ready: bool,
    /// The master of the program's terminal.
    console: Option<OwnedFd>,
}

impl Launch {
    /// Sends the plan and clones stage1, which begins at once.
    pub fn begin(plan: &Plan<'_>, surroundings: Surroundings<'_>) -> Result<Self> {
        // Opened right after the cgroup's directory: the three numbers are neighbours, and one call closes them.
        let stage1 = spawn::stage1()?;
        let copy = rustix::fs::fstat(&stage1).map_err(|errno| Error::call("stat stage1", errno))?;
        let (socket, childs_end) = Socket::pair()?;
        let descriptors = bootstrap_descriptors(plan, surroundings.listener)?;
        let lent = descriptors.iter().map(AsFd::as_fd);
        // Their slot is the last one.
        let lent: Vec<BorrowedFd<'_>> = lent.chain(surroundings.notes.map(Notes::descriptor)).collect();
        socket.send_bootstrap(plan, &lent)?;
        drop(descriptors);
        let standard = Standard::open(surroundings.stdio, plan.has_terminal())?;
        let birth = Birth {
            namespaces: spawn::clone_flags(plan.namespaces, plan.bootstrap.loopback_up),
            cgroup: surroundings.cgroup.as_ref().map(AsFd::as_fd),
            stage1: stage1.as_fd(),
            socket: childs_end.as_fd(),
            preserved_count: plan.bootstrap.preserved_count,
            standard: &standard,
        };
        let child = match (&plan.namespaces.user, plan.user_namespace) {
            (Namespace::New, Some(user)) if clones_user(plan.namespaces) => {
                spawn::user_namespace::spawn_new(&birth, &entered_namespaces(plan)?, |pid| {
                    set_host_limits(pid, &user)?;
                    spawn::id_maps::write(pid, user.id_mappings, user.is_privileged)
                })?
            }
            // What is below such a user namespace, stage1 makes when it is there.
            (Namespace::Join(_) | Namespace::New, _) => spawn::spawn(&Birth { namespaces: 0, ..birth })?,
            _ => spawn::spawn(&birth)?,
        };
        close_all([stage1, childs_end].into_iter().chain(surroundings.cgroup));
        // From here on whatever fails ends the child.
        let mut launch = Self::new(child, socket);
        launch.stage1 = (copy.st_dev, copy.st_ino);
        launch.map_ids(plan)?;
        // There is a reader now: however small the socket's buffer is, this comes through.
        let doing = "unable to start container process";
        launch.send_trees(plan).map_err(|error| error.context(doing))?;
        launch.await_birth(plan)?;
        if let (Namespace::Join(_), Some(user)) = (&plan.namespaces.user, plan.user_namespace) {
            set_host_limits(launch.pid(), &user)?;
        }
        Ok(launch)
    }

    /// Opens the trees of the plan's `Sent` steps and hands them over.
    fn send_trees(&self, plan: &Plan<'_>) -> Result<()> {
        for trees in trees::open_sources(plan)?.chunks(FRAME_DESCRIPTOR_COUNT_MAX) {
            let descriptors: Vec<BorrowedFd<'_>> = trees.iter().map(AsFd::as_fd).collect();
            let descriptor_count = u16::try_from(descriptors.len()).unwrap_or(u16::MAX);
            self.socket.send(Reply::Trees { descriptor_count }, &descriptors)?;
        }
        Ok(())
    }

    /// Maps the ids of a user namespace that stage1 makes itself.
    fn map_ids(&mut self, plan: &Plan<'_>) -> Result<()> {
        let Some(user) = plan.user_namespace.filter(|_| plan.bootstrap.unshared & NEW_USER != 0) else {
            return Ok(());
        };
        let reactor = Reactor::default();
        match block_on(&reactor, self.word(&reactor, plan))? {
            (Report::MapsDue, _) => {}
            _ => return Err(out_of_turn()),
        }
        set_host_limits(self.pid(), &user)?;
        spawn::id_maps::write(self.pid(), user.id_mappings, user.is_privileged)?;
        self.send_proceed()
    }

    /// Waits for the process that is to be the container's, where stage1 has to make that one itself.
    fn await_birth(&mut self, plan: &Plan<'_>) -> Result<()> {
        if !plan.bootstrap.born_late {
            return Ok(());
        }
        let reactor = Reactor::default();
        let (pid, pidfd) = block_on(&reactor, self.birth(&reactor, plan))?;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(out_of_turn)?;
        // It ends now. Ignored: its status goes to nobody where our caller ignores SIGCHLD.
        let _ = self.wait();
        self.child.is_succeeded_by(pid, pidfd);
        Ok(())
    }

    /// What the one who ends says of the one who goes on, who may be quicker with words of its own: those are kept for later.
    async fn birth(&mut self, reactor: &Reactor, plan: &Plan<'_>) -> Result<(u32, OwnedFd)> {
        let mut early = VecDeque::new();
        loop {
            self.heed_signals()?;
            let said = async {
                reactor.readable(self.socket.as_fd()).await;
                true
            };
            let ended = async {
                reactor.readable(self.child.pidfd.as_fd()).await;
                false
            };
            let has_said = smol::future::or(said, ended).await || self.socket.has_report();
            let report = if has_said { self.next_report(reactor).await? } else { None };
            match report {
                Some((Report::Born { pid }, Some(pidfd))) => {
                    self.early = early;
                    return Ok((pid, pidfd));
                }
                Some(report) => early.push_back(report),
                None => {
                    let failure = early.iter().find_map(|(report, _)| match report {
                        Report::Failed(failure) => Some(words::failure(plan, failure)),
                        _ => None,
                    });
                    return Err(match failure {
                        Some(error) => error,
                        None => self.death(reactor).await,
                    });
                }
            }
        }
    }

    fn new(child: Child, socket: Socket) -> Self {
        Self {
            child,
            stage1: (0, 0),
            socket,
            early: VecDeque::new(),
            warnings: Vec::new(),
            let_go: false,
            may_block: false,
            heeds_signals: false,
            devices: None,
            is_ready: false,
            console: None,
        }
    }

    /// The child's pid in our pid namespace.
    pub fn pid(&self) -> Pid {
        self.child.pid
    }

    /// The copy of stage1 that the child executes first: the device and the inode of its /proc/PID/exe until then.
    pub fn stage1(&self) -> (u64, u64) {
        self.stage1
    }

    /// A handle to the child.
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.child.pidfd.as_fd()
    }

    /// Lets the child run on every processor that its cgroup allows, whatever our caller was pinned to.
    pub fn use_all_processors(&self) -> Result<()> {
        let all = [u8::MAX; PROCESSOR_COUNT_MAX as usize / 8];
        // SAFETY: the mask is of the length that is passed; the kernel only reads it.
        let set = check(unsafe {
            syscall!(SCHED_SETAFFINITY, self.pid().as_raw_nonzero().get(), all.len(), all.as_ptr())
        });
        match set {
            // It has just ended, or is another user's, whom we may not change: neither has to be told.
            Err(Errno::SRCH | Errno::PERM) => Ok(()),
            set => set.map_err(|errno| Error::call("reset the processor affinity", errno)),
        }
    }

    /// Returns when the child has a memory of its own. Before that the kernel, if it kills the child for want of memory in its cgroup,
    /// kills everybody with the same memory, and so us: a limit must not come earlier.
    pub fn await_own_memory(&self) {
        self.child.await_execution();
    }

    /// Hands over the `tasks` files of the v1 cgroups.
    pub fn send_cgroups(&self, tasks: &[BorrowedFd<'_>]) -> Result<()> {
        let descriptor_count = u16::try_from(tasks.len()).unwrap_or(u16::MAX);
        self.socket.send(Reply::Cgroups { descriptor_count }, tasks)
    }

    /// Makes the network namespace, hands it over, and moves the devices into it; into one that is joined they go too.
    pub fn provide_network(&mut self, plan: &Plan<'_>) -> Result<()> {
        let made = if plan.bootstrap.await_network {
            Some(network::new_namespace(|made| self.socket.send(Reply::Network, &[made]))?)
        } else {
            None
        };
        if !plan.net_devices.is_empty() {
            let namespace = match (&made, plan.namespaces.network.path()) {
                (Some(made), _) => &made.namespace,
                (None, Some(path)) => &open_namespace(path, uapi::CLONE_NEWNET)?,
                (None, None) => {
                    // It came with the clone.
                    let path = format!("/proc/{}/ns/net", self.child.pid.as_raw_nonzero());
                    &open_namespace(&path, uapi::CLONE_NEWNET)?
                }
            };
            self.devices = Some(MovedDevices::move_into(namespace.as_fd(), plan.net_devices)?);
        }
        close_all(made.into_iter().flat_map(|made| [made.namespace].into_iter().chain(made.tools)));
        Ok(())
    }

    /// Lets the program begin as soon as all is ready. `ignored_signals` are ours; the program's shall not be ignored.
    pub fn send_start(&self, ignored_signals: u64) -> Result<()> {
        self.socket.send(Reply::Start { ignored_signals }, &[])
    }

    /// Leaves stage1 waiting at its listener, whatever becomes of us.
    pub fn send_hold(&mut self, ignored_signals: u64) -> Result<()> {
        self.socket.send(Reply::Hold { ignored_signals }, &[])?;
        self.let_go();
        Ok(())
    }

    /// Waits until everything up to the wait for `start` is done.
    pub async fn ready(&mut self, reactor: &Reactor, plan: &Plan<'_>) -> Result<()> {
        if self.is_ready {
            return Ok(());
        }
        match self.word(reactor, plan).await? {
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
        match self.word(reactor, plan).await? {
            (Report::HooksDue, _) => Ok(()),
            _ => Err(out_of_turn()),
        }
    }

    /// Waits for what stage1 is going to mount in a container that runs, detached. stage1 then waits for `send_proceed`.
    pub async fn mounting(&mut self, reactor: &Reactor, plan: &Plan<'_>) -> Result<OwnedFd> {
        match self.word(reactor, plan).await? {
            (Report::Mounting, Some(mount)) => Ok(mount),
            _ => Err(out_of_turn()),
        }
    }

    /// Lets stage1 go on.
    pub fn send_proceed(&self) -> Result<()> {
        self.socket.send(Reply::Proceed, &[])
    }

    /// Whether stage1 has executed the program, or is gone, within so many milliseconds.
    pub fn has_hung_up_within(&self, milliseconds: i64) -> bool {
        let time = Timespec { tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000 };
        let mut polled = [PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::empty())];
        // Interrupted, it has not.
        rustix::event::poll(&mut polled, Some(&time)).is_ok_and(|count| count > 0)
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
                None if self.socket.was_reset() => return Err(self.death(reactor).await),
                None if agent.is_none() => {
                    self.child.has_executed_stage1();
                    self.let_go();
                    return Ok(());
                }
                None => return Err(no_listener()),
                Some((Report::Failed(failure), _)) => return Err(words::failure(plan, &failure)),
                Some((Report::HookFailed { index, status }, Some(output))) => {
                    return Err(words::hook_failure(index, status, output));
                }
                Some((Report::Listener, Some(listener))) => introduce(&mut agent, &listener)?,
                Some(_) => return Err(out_of_turn()),
            }
        }
    }

    /// The master of the program's terminal, which is there as soon as all is ready.
    pub fn take_console(&mut self) -> Option<OwnedFd> {
        self.console.take()
    }

    /// What could not be had and was done without, in words.
    pub fn warnings(&self, plan: &Plan<'_>) -> Vec<String> {
        // What the runtime lacks cannot be ambient either, and is told once.
        let lacks = self.warnings.iter().any(|warning| warning.call == Call::SetCapabilities);
        let is_new = |warning: &&Failure| !lacks || warning.call != Call::RaiseAmbient;
        self.warnings.iter().filter(is_new).map(|warning| words::warning(plan, warning)).collect()
    }

    /// What is left of a program that was let go: its id and its handle.
    ///
    /// Errors: there are too many open files; the program is ended.
    pub fn into_process(mut self) -> Result<(i32, OwnedFd)> {
        match rustix::io::fcntl_dupfd_cloexec(self.pidfd(), 3) {
            Ok(pidfd) => Ok((self.pid().as_raw_pid(), pidfd)),
            Err(errno) => {
                self.end(|| Ok(()));
                Err(Error::call("duplicate a pidfd", errno))
            }
        }
    }

    /// The program's exit code, or 128 and the signal that ended it.
    pub fn wait(&self) -> Result<i32> {
        ending::exit_code(self.pidfd())
    }

    /// Ends a program that was let go already. `kill_others` reaches those who do not end with it.
    pub fn end(&mut self, kill_others: impl FnOnce() -> Result<()>) {
        // Ignored, all three: what has ended by itself needs no killing, and the caller has an error to tell.
        let _ = kill_others();
        let _ = rustix::process::pidfd_send_signal(&self.child.pidfd, Signal::KILL);
        let _ = self.wait();
    }

    /// From now on the container is what it is, whatever becomes of us.
    fn let_go(&mut self) {
        self.let_go = true;
        if let Some(devices) = self.devices.take() {
            devices.keep();
        }
    }

    /// The next report while stage1 must not end.
    ///
    /// Errors: it has failed, or died.
    async fn word(&mut self, reactor: &Reactor, plan: &Plan<'_>) -> Result<(Report, Option<OwnedFd>)> {
        match self.next_report(reactor).await? {
            Some((Report::Failed(failure), _)) => Err(words::failure(plan, &failure)),
            Some(report) => Ok(report),
            None => Err(self.death(reactor).await),
        }
    }

    async fn next_report(&mut self, reactor: &Reactor) -> Result<Option<(Report, Option<OwnedFd>)>> {
        if let Some(report) = self.early.pop_front() {
            return Ok(Some(report));
        }
        loop {
            self.heed_signals()?;
            if !self.may_block {
                reactor.readable(self.socket.as_fd()).await;
            }
            match self.socket.receive_report()? {
                Some((Report::Warned(warning), _)) => self.warnings.push(warning),
                Some((Report::Console, Some(master))) if self.console.is_none() => {
                    self.console = Some(master)
                }
                Some((Report::Console, _)) => return Err(out_of_turn()),
                report => return Ok(report),
            }
        }
    }

    /// Waits for the next word, or the end, of a stage1 that may be frozen.
    ///
    /// Errors: meanwhile a signal asks us to end.
    fn heed_signals(&self) -> Result<()> {
        let pause = Timespec { tv_sec: 0, tv_nsec: HEED_PAUSE_MS * 1_000_000 };
        let is_silent = || {
            let mut polled =
                [self.socket.as_fd(), self.pidfd()].map(|it| PollFd::from_borrowed_fd(it, PollFlags::IN));
            rustix::event::poll(&mut polled, Some(&pause)).is_ok_and(|count| count == 0)
        };
        while self.heeds_signals && is_silent() {
            crate::signals::check_interrupted()?;
        }
        Ok(())
    }

    /// stage1 ended without a word: says how.
    async fn death(&mut self, reactor: &Reactor) -> Error {
        if let Some(errno) = self.child.execution_failure() {
            return Error::call("execute stage1", errno);
        }
        reactor.readable(self.child.pidfd.as_fd()).await;
        match self.wait() {
            Ok(137) => Error::new(
                "container init was killed (SIGKILL) while it was being set up: possibly out of memory, \
                 the memory limit could be too low",
            ),
            Ok(159) => Error::new("container init was killed by a seccomp filter (SIGSYS)"),
            Ok(code) if code > 128 => {
                Error::new(format!("container init was killed by signal {}", code - 128))
            }
            Ok(code) => Error::new(format!("container init ended with status {code} before it was ready")),
            // Its status went to nobody, since our caller ignores SIGCHLD.
            Err(_) => Error::new("container init ended before it was ready"),
        }
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        if !self.let_go {
            // Ignored: it may have ended by itself.
            let _ = rustix::process::pidfd_send_signal(&self.child.pidfd, Signal::KILL);
            // What v1 has frozen dies when it is thawed.
            if !self.heeds_signals {
                let _ = self.wait();
                self.child.has_executed_stage1();
            }
        }
    }
}

/// Asks a held stage1 to start its program, and waits until that has been executed.
///
/// `socket` is connected to the listener. Errors: execve failed, in the kernel's words; the agent of the filter cannot be told.
pub fn start_held(socket: OwnedFd, program: &str, mut agent: Option<Agent>) -> Result<()> {
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
                return Err(words::hook_failure(index, status, output));
            }
            Some((Report::Listener, Some(listener))) => introduce(&mut agent, &listener)?,
            Some(_) => return Err(out_of_turn()),
        }
    }
}

/// Tells the agent of the listener, once.
fn introduce(agent: &mut Option<Agent>, listener: &OwnedFd) -> Result<()> {
    agent.take().ok_or_else(out_of_turn)?.send(listener)
}

fn out_of_turn() -> Error {
    Error::new("stage1 answered out of turn")
}

fn no_listener() -> Error {
    Error::new(
        "container init ended before it could send the listener of its seccomp filter: the profile must allow sendmsg",
    )
}

/// The descriptors for the plan's slots, in the order of travel.
fn bootstrap_descriptors(plan: &Plan<'_>, listener: Option<OwnedFd>) -> Result<Vec<OwnedFd>> {
    let joined = joined_namespaces(plan.namespaces);
    let path_of = |slot| joined.iter().find(|(joined, _)| *joined == slot).and_then(|(_, path)| *path);
    let mut listener = listener;
    let mut descriptors = Vec::new();
    for slot in plan.bootstrap.descriptors.iter() {
        let kind = match slot {
            DescriptorSlot::MountNamespace => uapi::CLONE_NEWNS,
            DescriptorSlot::NetworkNamespace => uapi::CLONE_NEWNET,
            DescriptorSlot::IpcNamespace => uapi::CLONE_NEWIPC,
            DescriptorSlot::UtsNamespace => uapi::CLONE_NEWUTS,
            DescriptorSlot::CgroupNamespace => uapi::CLONE_NEWCGROUP,
            DescriptorSlot::TimeNamespace => uapi::CLONE_NEWTIME,
            DescriptorSlot::PidNamespace => uapi::CLONE_NEWPID,
            DescriptorSlot::UserNamespace => uapi::CLONE_NEWUSER,
            DescriptorSlot::Root => {
                descriptors.push(trees::open_root(plan)?);
                continue;
            }
            DescriptorSlot::Procfs => {
                descriptors.push(open_procfs()?);
                continue;
            }
            DescriptorSlot::Listener => {
                descriptors.extend(listener.take());
                continue;
            }
            // Nobody enters a container that does not exist; notes are lent.
            DescriptorSlot::Init | DescriptorSlot::Trace => continue,
        };
        descriptors.push(open_namespace(path_of(slot).unwrap_or_default(), kind)?);
    }
    Ok(descriptors)
}

/// Existing namespaces that the child of a new user namespace is born in: they may belong to the host, and whoever is in another user namespace
/// cannot join those.
fn entered_namespaces(plan: &Plan<'_>) -> Result<Vec<(OwnedFd, u32)>> {
    let namespaces = plan.namespaces;
    let all = [
        (&namespaces.network, uapi::CLONE_NEWNET),
        (&namespaces.ipc, uapi::CLONE_NEWIPC),
        (&namespaces.uts, uapi::CLONE_NEWUTS),
        (&namespaces.cgroup, uapi::CLONE_NEWCGROUP),
        (&namespaces.time, uapi::CLONE_NEWTIME),
    ];
    let joined = all.into_iter().filter_map(|(namespace, kind)| Some((namespace.path()?, kind)));
    joined.map(|(path, kind)| open_namespace(path, kind).map(|file| (file, kind))).collect()
}

/// Limits and score of a child that could not set them itself: only the host's root may raise the one and lower the other.
fn set_host_limits(pid: Pid, user: &UserNamespace<'_>) -> Result<()> {
    for limit in user.rlimits.iter().filter_map(early_limit) {
        let name = crate::config::rlimit_name(limit.resource).unwrap_or_default();
        let wanted = uapi::rlimit64 { rlim_cur: limit.soft, rlim_max: limit.hard };
        // SAFETY: `wanted` is the structure that the call reads; no old limit is asked for.
        let set = check(unsafe {
            syscall!(
                PRLIMIT64,
                pid.as_raw_nonzero().get(),
                limit.resource,
                &raw const wanted,
                std::ptr::null::<u8>()
            )
        });
        set.map_err(|errno| {
            Error::call(format_args!("unable to start container process: set {name}"), errno)
        })?;
    }
    let Some(score) = user.oom_score_adj else { return Ok(()) };
    let path = format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero());
    let written = rustix::fs::open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|file| rustix::io::write(&file, score.to_string().as_bytes()));
    match written {
        Err(Errno::ACCESS | Errno::PERM) => Err(Error::new(format!(
            "unable to start container process: set oomScoreAdj to {score}: lowering it needs CAP_SYS_RESOURCE"
        ))),
        written => written.map(drop).map_err(|errno| Error::call(format_args!("write {path}"), errno)),
    }
}

/// Whether the namespace file at `path` is there and of a CLONE_NEW* type.
pub fn check_namespace(path: &str, kind: u32) -> Result<()> {
    open_namespace(path, kind).map(drop)
}

/// What shows the processes of our pid namespace.
fn open_procfs() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open("/proc", flags, Mode::empty()).map_err(|errno| Error::call("open /proc", errno))
}

/// Opens a namespace file and checks its type (runtime-spec: another type MUST be an error).
fn open_namespace(path: &str, kind: u32) -> Result<OwnedFd> {
    let opened = rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
        Mode::empty(),
    );
    let file = opened.map_err(|errno| Error::call(format_args!("open namespace {path}"), errno))?;
    match network::namespace_type(file.as_fd()) {
        Ok(found) if found == kind => Ok(file),
        Ok(_) => Err(Error::new(format!("namespace {path}: it is of another type"))),
        Err(_) => Err(Error::new(format!("namespace {path}: it is not a namespace file"))),
    }
}
