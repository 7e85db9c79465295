//! From a plan to a running stage1: the only part of the parent that speaks the protocol.
//!
//! ```text
//! Launch::begin   bootstrap into the socket, clone3 straight into execveat of the sealed stage1
//!   (the caller makes cgroups meanwhile; we make the network namespace)
//! send_cgroups, send_network, send_start or send_hold
//! ready, executed stage1's answers
//! ```

mod answers;
mod enter;
mod filesystem;
mod held;
mod limits;
mod namespace_files;
mod net_devices;
mod netlink;
#[allow(unsafe_code)]
mod network;
mod notes;
mod processors;
#[allow(unsafe_code)]
mod reactor;
mod seccomp;
#[allow(unsafe_code)]
mod spawn;
mod stdio;
mod transport;
#[allow(unsafe_code)]
mod trees;
mod words;

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use linux_raw_sys::general as uapi;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use sc::syscall;
use shared_proto::bootstrap::NEW_USER;
use shared_proto::limits::{FRAME_DESCRIPTOR_COUNT_MAX, PROCESSOR_COUNT_MAX};
use shared_proto::{Call, Failure, Reply, Report};

pub use enter::Entrance;
pub use filesystem::refused_option;
pub use held::start_held;
pub use namespace_files::check_namespace;
pub use notes::Notes;
pub use processors::Pinned;
pub use reactor::{Reactor, block_on};
pub use seccomp::{Agent, NOT_CONNECTED};
pub use stdio::Stdio;
pub use trees::OWNERS_OF_ROOT;

use crate::config::Namespace;
use crate::descriptors::{close_all, spend};
use crate::ending::{self, Ending};
use crate::error::{Error, Result, check};
use crate::plan::{Plan, clones_user};
use crate::signals::LOOK_PAUSE;
use limits::{set_limits, set_score};
use namespace_files::{bootstrap_descriptors, entered_namespaces, open_namespace, user_namespace_of_owners};
use net_devices::MovedDevices;
use spawn::{Birth, Child};
use stdio::Standard;
use transport::Socket;

/// What a start needs beside its plan.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The cgroup v2 directory to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
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
    /// The child, in an error.
    who: &'static str,
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
    /// stage1 may be frozen, now or later: signals that ask us to end are heard while it says nothing.
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
        let stage1 = spawn::stage1()?;
        let copy = rustix::fs::fstat(&stage1).map_err(|errno| Error::call("stat stage1", errno))?;
        let (socket, childs_end) = Socket::pair()?;
        let descriptors = bootstrap_descriptors(plan, surroundings.listener)?;
        let lent = descriptors.iter().map(AsFd::as_fd);
        // Their slot is the last one.
        let lent: Vec<BorrowedFd<'_>> = lent.chain(surroundings.notes.map(Notes::descriptor)).collect();
        let joining = plan.user_namespace.filter(|_| plan.namespaces.user.path().is_some());
        let waits = joining.is_some_and(|user| user.oom_score_adj.is_some());
        if !waits {
            socket.send_bootstrap(plan, &lent)?;
        }
        let standard = Standard::open(surroundings.stdio, plan.has_terminal())?;
        let birth = Birth {
            namespaces: spawn::clone_flags(plan.namespaces, plan.bootstrap.loopback_up)
                & !u64::from(plan.bootstrap.unshared),
            cgroup: surroundings.cgroup,
            stage1: stage1.as_fd(),
            socket: childs_end.as_fd(),
            preserved_count: plan.bootstrap.preserved_count,
            standard: &standard,
        };
        let mut owner = None;
        let child = match (&plan.namespaces.user, plan.user_namespace) {
            (Namespace::New, Some(user)) if clones_user(plan.namespaces) => {
                spawn::user_namespace::spawn_new(&birth, &entered_namespaces(plan)?, |pid| {
                    set_limits(plan, pid, &user)?;
                    set_score(plan, pid, &user)?;
                    // While it can be looked at: it is about to become another user.
                    owner = user_namespace_of_owners(plan, pid)?;
                    spawn::id_maps::write(pid, user.id_mappings, user.is_privileged)
                })?
            }
            // What is below such a user namespace, stage1 makes when it is there.
            (Namespace::Join(_) | Namespace::New, _) => spawn::spawn(&Birth { namespaces: 0, ..birth })?,
            _ => spawn::spawn(&birth)?,
        };
        close_all([stage1, childs_end]);
        // From here on whatever fails ends the child.
        let mut launch = Self::new(child, "container init", socket);
        launch.stage1 = (copy.st_dev, copy.st_ino);
        if waits {
            launch.set_score_first(plan)?;
            launch.socket.send_bootstrap(plan, &lent)?;
        }
        drop(descriptors);
        launch.map_ids(plan)?;
        if owner.is_none() {
            owner = user_namespace_of_owners(plan, launch.pid())?;
        }
        // There is a reader now: however small the socket's buffer is, this comes through.
        let doing = "unable to start container process";
        launch.send_trees(plan, owner.as_ref().map(AsFd::as_fd)).map_err(|error| error.context(doing))?;
        launch.await_birth(plan)?;
        if let Some(user) = joining {
            set_limits(plan, launch.pid(), &user)?;
        }
        Ok(launch)
    }

    /// Sets the score of a stage1 that has had no message yet, and so waits where it was born.
    fn set_score_first(&self, plan: &Plan<'_>) -> Result<()> {
        // The kernel gives all who share a memory the same score.
        self.await_own_memory()?;
        plan.user_namespace.map_or(Ok(()), |user| set_score(plan, self.pid(), &user))
    }

    /// Opens what the plan's steps wait for and hands it over. `within` is the container's user namespace, or a process in it.
    fn send_trees(&self, plan: &Plan<'_>, within: Option<BorrowedFd<'_>>) -> Result<()> {
        for trees in trees::open_sources(plan, within)?.chunks(FRAME_DESCRIPTOR_COUNT_MAX) {
            let descriptors: Vec<BorrowedFd<'_>> = trees.iter().map(AsFd::as_fd).collect();
            self.socket.send(Reply::Trees { descriptor_count: count(&descriptors)? }, &descriptors)?;
        }
        Ok(())
    }

    /// Maps the ids of a user namespace that stage1 makes itself.
    fn map_ids(&mut self, plan: &Plan<'_>) -> Result<()> {
        let Some(user) = plan.user_namespace.filter(|_| plan.bootstrap.unshared & NEW_USER != 0) else {
            return Ok(());
        };
        let reactor = Reactor::default();
        match block_on(&reactor, self.expect_report(&reactor, plan))? {
            (Report::MapsDue, _) => {}
            _ => return Err(out_of_turn()),
        }
        set_limits(plan, self.pid(), &user)?;
        set_score(plan, self.pid(), &user)?;
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
            let has_said = self.await_word_or_end()? || self.socket.has_report();
            let report = if has_said { self.socket.receive_report()? } else { None };
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
                        None => self.how_it_ended(reactor).await,
                    });
                }
            }
        }
    }

    fn new(child: Child, who: &'static str, socket: Socket) -> Self {
        Self {
            child,
            who,
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
    #[allow(unsafe_code)]
    pub fn use_all_processors(&self) -> Result<()> {
        // rustix's CpuSet ends at 1024.
        let all = [u8::MAX; PROCESSOR_COUNT_MAX as usize / 8];
        // SAFETY: the mask is of the length that is passed; the kernel only reads it.
        let set = check(unsafe {
            syscall!(SCHED_SETAFFINITY, self.pid().as_raw_nonzero().get(), all.len(), all.as_ptr())
        });
        match set {
            // ESRCH: it has exited. EPERM: it belongs to another user. EINVAL: it came into a cpuset at the same moment, and has all of that. All are harmless.
            Err(Errno::SRCH | Errno::PERM | Errno::INVAL) => Ok(()),
            set => set.map_err(|errno| Error::call("reset the processor affinity", errno)),
        }
    }

    /// Returns when the child has a memory of its own. Before that the kernel, if it kills the child for want of memory in its cgroup,
    /// kills everybody with the same memory, and so us: a limit must not come earlier.
    ///
    /// Errors: meanwhile a signal asks us to end.
    pub fn await_own_memory(&self) -> Result<()> {
        let look = || if self.heeds_signals { crate::signals::check_interrupted() } else { Ok(()) };
        self.child.await_execution(look)
    }

    /// Hands over the `tasks` files of the v1 cgroups.
    pub fn send_cgroups(&self, tasks: &[BorrowedFd<'_>]) -> Result<()> {
        self.socket.send(Reply::Cgroups { descriptor_count: count(tasks)? }, tasks)
    }

    /// Makes the network namespace, hands it over, and moves the devices into it; into one that is joined they go too.
    pub fn provide_network(&mut self, plan: &Plan<'_>) -> Result<()> {
        let made = if plan.bootstrap.await_network {
            let hand_over = |made: BorrowedFd<'_>| self.socket.send(Reply::Network, &[made]);
            Some(network::new_namespace(self.socket.as_fd(), hand_over)?)
        } else {
            None
        };
        if !plan.net_devices.is_empty() {
            let namespace = match (&made, plan.namespaces.network.path()) {
                (Some(made), _) => made,
                (None, Some(path)) => &open_namespace(path, uapi::CLONE_NEWNET)?,
                (None, None) => {
                    // It came with the clone.
                    let path = format!("/proc/{}/ns/net", self.child.pid.as_raw_nonzero());
                    &open_namespace(&path, uapi::CLONE_NEWNET)?
                }
            };
            self.devices = Some(MovedDevices::move_into(namespace.as_fd(), plan.net_devices)?);
        }
        made.into_iter().for_each(spend);
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

    /// Lets stage1 go on.
    pub fn send_proceed(&self) -> Result<()> {
        self.socket.send(Reply::Proceed, &[])
    }

    /// Whether stage1 has executed the program, or is gone, within this time.
    pub fn has_hung_up_within(&self, time: Duration) -> bool {
        is_ready_within(time, self.socket.as_fd(), PollFlags::empty())
    }

    /// Whether it is killed (SIGKILL) within this time. It stays to be waited for.
    pub fn was_killed_within(&self, time: Duration) -> bool {
        self.has_ended_within(time) && matches!(ending::peek(self.pidfd()), Ok(Ending::Code(ending::KILLED)))
    }

    fn has_ended_within(&self, time: Duration) -> bool {
        is_ready_within(time, self.pidfd(), PollFlags::IN)
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
}

impl Drop for Launch {
    fn drop(&mut self) {
        if !self.let_go {
            // Ignored: it may have ended by itself.
            let _ = rustix::process::pidfd_send_signal(&self.child.pidfd, Signal::KILL);
            // What v1 has frozen dies when it is thawed, and who heeds signals does not wait for that.
            if !self.heeds_signals || self.has_ended_within(LOOK_PAUSE) {
                let _ = self.wait();
                self.child.has_executed_stage1();
            }
        }
    }
}

fn is_ready_within(time: Duration, descriptor: BorrowedFd<'_>, events: PollFlags) -> bool {
    let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
    let mut polled = [PollFd::from_borrowed_fd(descriptor, events)];
    // Interrupted, it is not.
    rustix::event::poll(&mut polled, Some(&time)).is_ok_and(|count| count > 0)
}

fn out_of_turn() -> Error {
    Error::new("stage1 answered out of turn")
}

/// How many travel with one frame.
///
/// Errors: there is no room for them, on a host with very many cgroup hierarchies.
fn count(descriptors: &[BorrowedFd<'_>]) -> Result<u16> {
    const _: () = assert!(FRAME_DESCRIPTOR_COUNT_MAX <= u16::MAX as usize);
    if descriptors.len() > FRAME_DESCRIPTOR_COUNT_MAX {
        return Err(Error::call("send to stage1", Errno::TOOMANYREFS));
    }
    Ok(descriptors.len() as u16)
}
