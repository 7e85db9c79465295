//! One more process in a container: what it is, and its way in.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::create::questions;
use super::foreground::{HostRelay, TerminalChoice, TerminalEnd};
use super::{Container, seccomp};
use crate::cgroup::SubCgroups;
use crate::config::{self, Basis, ExecCpuAffinity, Process, Program, User};
use crate::descriptors::Sweep;
use crate::error::{Error, Kind, Result};
use crate::host::{HostFacts, Questions};
use crate::launch::{Entrance, Launch, Notes, Pinned, Reactor, Stdio, block_on};
use crate::plan::{self, Entry, Filter, Plan, Request, Store};
use crate::signals::{LOOK_PAUSE, check_interrupted};
use crate::state::{Inherited, PidFile};
use crate::terminal::CallersSocket;
use crate::trace::Trace;

/// What the caller of `exec` decides.
#[derive(Debug)]
pub struct Execution<'a> {
    /// The whole process as JSON; the changes below are then not looked at.
    pub process: Option<&'a [u8]>,
    /// What differs from the container's own process.
    pub changes: ProcessChanges<'a>,
    /// Where the program's terminal ends, if it has one.
    pub terminal: TerminalChoice<'a>,
    /// The process's id is written here.
    pub pid_file: Option<&'a Path>,
    /// A stream socket that is sent a pidfd of the process.
    pub pidfd_socket: Option<&'a Path>,
    /// Descriptors above standard error that the program keeps.
    pub preserved_count: u32,
    /// Cgroups below the container's: `PATH` on v2, `CONTROLLER,…:PATH` on v1.
    pub cgroups: &'a [String],
    /// A paused container is no error; the process begins when it is resumed.
    pub ignore_paused: bool,
    /// Whoever asks the calling thread to end, by a signal that it blocks, is heard while a paused container keeps it waiting.
    pub heeds_signals: bool,
    /// The program's standard descriptors.
    pub stdio: Stdio<'a>,
    /// Who is told how long that takes.
    pub trace: &'a Trace,
}

/// What differs from the container's own process.
#[derive(Debug, Default)]
pub struct ProcessChanges<'a> {
    /// The program and its arguments.
    pub args: &'a [OsString],
    /// The working directory, absolute.
    pub cwd: Option<&'a OsStr>,
    /// `NAME=VALUE`, beside the container's own environment.
    pub env: &'a [OsString],
    /// The program gets a terminal of its own.
    pub has_terminal: bool,
    /// `UID[:GID]`.
    pub user: Option<&'a str>,
    /// Numbers of more groups.
    pub additional_gids: &'a [String],
    /// The SELinux label.
    pub process_label: Option<&'a str>,
    /// The AppArmor profile.
    pub apparmor: Option<&'a str>,
    /// Whether its execve can give it more privileges than it has.
    pub no_new_privileges: Option<bool>,
    /// Names of capabilities to have beside the container's.
    pub capabilities: &'a [String],
}

/// A process that has been executed in the container.
#[derive(Debug)]
pub struct Executed {
    pub(super) launch: Launch,
    pub(super) terminal: Option<HostRelay>,
    /// What should be said although all went well.
    pub warnings: Vec<String>,
}

impl Executed {
    /// The process's id on the host, and a handle to it, which is left to itself.
    pub(crate) fn into_process(self) -> Result<(i32, OwnedFd)> {
        self.launch.into_process()
    }
}

/// Executes a process in the container. Returns once its program runs.
pub fn exec(container: &Container, execution: &Execution<'_>) -> Result<Executed> {
    let limits_memory = container.record.resources.limit_memory();
    let killed_before = if limits_memory { container.cgroups().oom_kill_count() } else { None };
    execute(container, execution).map_err(|error| {
        let report = match error.kind() {
            Kind::Ended => killed_before.and_then(|count| {
                container.cgroups().out_of_memory_since(count, &container.record.resources)
            }),
            _ => None,
        };
        let error = match report {
            Some(report) => return error.because(report),
            None => error,
        };
        // It has stopped meanwhile, and taken the process with it, whatever that looked like.
        if has_stopped(container, error.kind() == Kind::Ended) { stopped() } else { error }
    })
}

/// Whether the first process has ended, or is about to: it may have to wait for whoever reaps the other processes of its pid namespace. Of a cgroup
/// that is killed, any may be the first to go: where something has ended already, that is worth a moment.
fn has_stopped(container: &Container, something_has_ended: bool) -> bool {
    const MOMENT: Duration = Duration::from_millis(300);
    const PAUSE: Duration = Duration::from_millis(5);
    let is_over = || match (&container.init, container.init_handle()) {
        (Some(init), Ok(Some(_))) => init.is_ending(),
        (_, handle) => handle.is_ok(),
    };
    let since = Instant::now();
    while !is_over() {
        if !something_has_ended || since.elapsed() > MOMENT {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
    true
}

fn stopped() -> Error {
    Error::of_kind(Kind::NotRunning, "cannot exec in a stopped container")
}

fn execute(container: &Container, execution: &Execution<'_>) -> Result<Executed> {
    let (Some(init), Some(handle)) = (&container.init, container.init_handle()?) else {
        return Err(stopped());
    };
    if !execution.ignore_paused && container.cgroups().is_frozen() {
        return Err(Error::of_kind(
            Kind::Paused,
            "cannot exec in a paused container (use --ignore-paused to override)",
        ));
    }
    let mut basis: Basis = serde_json::from_slice(&init.basis)
        .map_err(|error| Error::new(format!("the container's process is not kept: {error}")))?;
    let mut warnings = Vec::new();
    match execution.process {
        Some(text) => {
            let process;
            (process, warnings) = config::parse_process(text)?;
            basis.process = completed(process, basis.process);
        }
        None => change(&mut basis.process, &execution.changes, &mut warnings)?,
    }
    let mut program = Program::of(&basis.process);
    if execution.process.is_none() {
        change_program(&mut program, &execution.changes)?;
    }
    let terminal = TerminalEnd::choose(&basis.process, execution.terminal)?;
    let pidfd_socket = execution.pidfd_socket.map(CallersSocket::connect).transpose()?;
    let sub_cgroups = SubCgroups::parse(execution.cgroups)?;

    let compiled = match &basis.filter {
        Some(filter) => {
            Some(filter.program().ok_or_else(|| Error::new("the container's seccomp filter is damaged"))?)
        }
        None => None,
    };
    let filter = basis.filter.as_ref().zip(compiled.as_deref());
    let filter = filter.map(|(kept, program)| Filter { flags: kept.flags, program });
    let (namespaces, no_new_keyring, sends_root) =
        (basis.namespaces.clone(), basis.no_new_keyring, basis.has_other_root);
    let config = basis.clone().into_config();
    let host = HostFacts::read_without_cgroups(Questions { kcore: false, ..questions(&config) })?;
    let request = Request {
        config: &config,
        host: &host,
        filter,
        placement: &container.record.cgroups,
        root: "/",
        id: &container.id,
        bundle: "/",
        no_pivot: false,
        no_new_keyring,
        hold: false,
        detaches: execution.terminal.detaches,
        preserved_count: execution.preserved_count,
        takes_notes: execution.trace.is_on(),
        is_entered: true,
        shows_process: execution.pidfd_socket.is_some(),
    };
    let store = Store::default();
    let entry = Entry { namespaces: &namespaces, sends_root };
    let trace = execution.trace;
    let plan = trace.span("plan", || plan::plan_exec(&request, program, &entry, &store))?;
    let notes = if trace.is_on() { Some(Notes::new(&plan)?) } else { None };

    if execution.ignore_paused {
        await_thaw(container, execution.heeds_signals)?;
    }
    // Closed together when the program runs.
    let _sweep = Sweep::begin();
    // Until then stage1 and we wait for each other in turns.
    let pinned = Pinned::here();
    let way_in = container.cgroups().way_in(&sub_cgroups)?;
    let root = if sends_root { Some(open_root(init.pid)?) } else { None };
    let enter = |cgroup: Option<&OwnedFd>, init: OwnedFd| {
        Launch::enter(
            &plan,
            Entrance {
                init,
                cgroup: cgroup.map(AsFd::as_fd),
                tasks: &way_in.doors.descriptors(),
                root: root.as_ref().map(AsFd::as_fd),
                processors: &config.process.exec_cpu_affinity.initial,
                notes: notes.as_ref(),
                stdio: execution.stdio,
                heeds_signals: execution.heeds_signals,
            },
        )
    };
    let enter = |cgroup: Option<&OwnedFd>, init: OwnedFd| {
        trace.span("send the plan, clone stage1, wait for its birth inside", || enter(cgroup, init))
    };
    // An init such as systemd moves itself out of the way of the controllers: then its own cgroup is the place.
    let elsewhere = || container.cgroups().unified_of(init.pid);
    let mut needs_attaching = false;
    let mut launch = match enter(way_in.unified.as_ref(), handle) {
        // Outside of the user's own part of the tree; the program begins later than that is mended.
        Err(error) if error.kind() == Kind::CgroupForbidden && container.cgroups().has_manager() => {
            needs_attaching = true;
            enter(None, init.handle()?.ok_or(error)?)?
        }
        Err(error) if error.kind() == Kind::CgroupBusy => {
            let handle = init.handle()?.ok_or(error)?;
            enter(elsewhere()?.as_ref(), handle)?
        }
        entered => entered?,
    };
    if needs_attaching {
        container.cgroups().attach(launch.pid(), &sub_cgroups)?;
    }
    drop(way_in);
    let inherited = Inherited::read()?;
    let pid = launch.pid().as_raw_pid();
    let agent = seccomp::agent(&container.record, &container.id, (pid, init.pid), "running")?;
    // What can fail comes before the program runs, as far as it may.
    let pid_file = execution.pid_file.map(|path| PidFile::prepare(path, pid)).transpose()?;
    if let Some(socket) = pidfd_socket {
        socket.send(b"setns", launch.pidfd())?;
    }
    let begun = trace.wait("wait for the program's execution", || {
        begin(&mut launch, &plan, terminal, agent, inherited.ignored_signals)
    });
    if let Some(notes) = &notes {
        trace.add(notes.spans(&plan));
    }
    drop(pinned);
    let relay = begun?;
    if let Some(mut pid_file) = pid_file {
        if let Err(error) = pid_file.publish() {
            launch.end(|| Ok(()));
            return Err(error);
        }
        pid_file.keep();
    }
    warnings.extend(launch.warnings(&plan));
    Ok(Executed { launch, terminal: relay, warnings })
}

/// Waits until the container is not paused any more. A process that is made before is frozen, and v1's do not even die: it would keep open what
/// it has of the caller's, such as a pipe at whose other end somebody waits, when the caller has given up.
fn await_thaw(container: &Container, heeds_signals: bool) -> Result<()> {
    while container.cgroups().is_frozen() {
        if heeds_signals {
            check_interrupted()?;
        }
        std::thread::sleep(LOOK_PAUSE);
    }
    Ok(())
}

/// Lets the program begin, and waits until it has been executed.
fn begin(
    launch: &mut Launch,
    plan: &Plan<'_>,
    terminal: TerminalEnd,
    agent: Option<crate::launch::Agent>,
    ignored_signals: u64,
) -> Result<Option<HostRelay>> {
    let reactor = Reactor::default();
    block_on(&reactor, async {
        if !plan.has_terminal() {
            // Said beforehand, stage1 need not wait for us when it is ready.
            launch.send_start(ignored_signals)?;
            return launch.executed(&reactor, plan, agent).await.map(|()| None);
        }
        launch.ready(&reactor, plan).await?;
        let relay = terminal.connect(launch)?;
        launch.send_start(ignored_signals)?;
        launch.executed(&reactor, plan, agent).await.map(|()| relay)
    })
}

/// The container's root, where it is not that of its mount namespace.
pub(super) fn open_root(pid: i32) -> Result<OwnedFd> {
    let path = format!("/proc/{pid}/root");
    rustix::fs::open(path.as_str(), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::call(format_args!("open {path}"), errno))
}

/// A process that somebody has written down. Where it says nothing, what confines the container's own process holds for it as well, as with runc:
/// the runtime's own, which would count then, is nobody's in there. An empty object of capabilities says something.
fn completed(process: Process, containers: Process) -> Process {
    let says_affinity = process.exec_cpu_affinity != ExecCpuAffinity::default();
    Process {
        user: User { umask: process.user.umask.or(containers.user.umask), ..process.user },
        capabilities: process.capabilities.or(containers.capabilities),
        oom_score_adj: process.oom_score_adj.or(containers.oom_score_adj),
        scheduler: process.scheduler.or(containers.scheduler),
        io_priority: process.io_priority.or(containers.io_priority),
        exec_cpu_affinity: if says_affinity {
            process.exec_cpu_affinity
        } else {
            containers.exec_cpu_affinity
        },
        apparmor_profile: process.apparmor_profile.or(containers.apparmor_profile),
        selinux_label: process.selinux_label.or(containers.selinux_label),
        ..process
    }
}

/// Makes of the container's own process what was asked for. Texts are runc's.
fn change(process: &mut Process, changes: &ProcessChanges<'_>, warnings: &mut Vec<String>) -> Result<()> {
    if changes.args.is_empty() {
        return Err(Error::new("exec args cannot be empty"));
    }
    // The container's own terminal is not this program's.
    process.terminal = changes.has_terminal.then(|| process.terminal.unwrap_or_default());
    if let Some(user) = changes.user.filter(|user| !user.is_empty()) {
        (process.user.uid, process.user.gid) = parse_user(user, process.user.gid)?;
    }
    for gid in changes.additional_gids {
        let gid = parse_id(gid)
            .ok_or_else(|| Error::new(format!("additional-gids must be a positive number {gid}")))?;
        process.user.additional_gids.push(gid);
    }
    let label = |text: Option<&str>, kept: &mut Option<String>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            *kept = Some(text.to_owned());
        }
    };
    label(changes.process_label, &mut process.selinux_label);
    label(changes.apparmor, &mut process.apparmor_profile);
    process.no_new_privileges = changes.no_new_privileges.unwrap_or(process.no_new_privileges);
    add_capabilities(process, changes.capabilities, warnings);
    Ok(())
}

/// The same for what is executed.
fn change_program<'a>(program: &mut Program<'a>, changes: &ProcessChanges<'a>) -> Result<()> {
    program.arguments = changes.args.iter().map(|argument| argument.as_bytes()).collect();
    if let Some(cwd) = changes.cwd.filter(|cwd| !cwd.is_empty()) {
        program.cwd = cwd.as_bytes();
        if !program.cwd.starts_with(b"/") {
            return Err(Error::new("Cwd must be an absolute path"));
        }
    }
    program.add_env(changes.env).map_err(|problems| {
        let first = problems.0.first().map(|problem| problem.reason.clone()).unwrap_or_default();
        Error::new(first)
    })
}

/// Numbers only: a name would be looked up in a file of the image (CVE-2016-3697). The group stays where none is named.
fn parse_user(text: &str, gid: u32) -> Result<(u32, u32)> {
    let (uid, named) = match text.split_once(':') {
        Some((uid, gid)) => (uid, Some(gid)),
        None => (text, None),
    };
    let gid = match named {
        Some(named) => {
            parse_id(named).ok_or_else(|| Error::new(format!("bad gid: {named:?} is not a number")))?
        }
        None => gid,
    };
    let uid = parse_id(uid).ok_or_else(|| Error::new(format!("bad uid: {uid:?} is not a number")))?;
    Ok((uid, gid))
}

/// Decimal digits, below the number that the kernel takes for none (CVE-2024-40635: nothing wraps around).
fn parse_id(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| is_number && *id != u32::MAX)
}

/// Adds to the bounding, effective and permitted sets, and to the ambient one what is inheritable already. Nothing becomes inheritable
/// (CVE-2022-29162). A process without sets has all that there are.
fn add_capabilities(process: &mut Process, names: &[String], warnings: &mut Vec<String>) {
    let (mut added, mut unknown) = (0, Vec::new());
    for name in names {
        match config::capability_number(name) {
            Some(number) => added |= 1 << number,
            None => unknown.push(name.as_str()),
        }
    }
    if !unknown.is_empty() {
        warnings.push(format!("ignoring unknown or unavailable capabilities: [{}]", unknown.join(" ")));
    }
    if let Some(sets) = &mut process.capabilities {
        sets.bounding |= added;
        sets.effective |= added;
        sets.permitted |= added;
        sets.ambient |= added & sets.inheritable;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_numbers() {
        for (text, expected) in
            [("5", (5, 9)), ("5:6", (5, 6)), ("0:0", (0, 0)), ("4294967294", (4_294_967_294, 9))]
        {
            assert_eq!(parse_user(text, 9).unwrap(), expected, "{text}");
        }
        for text in [
            "root",
            "",
            ":",
            ":5",
            "5:",
            "5:users",
            "-1",
            "+5",
            "4294967295",
            "4294967296",
            "1 ",
            "0x1",
            "1:2:3",
        ] {
            assert!(parse_user(text, 9).is_err(), "{text:?}");
        }
        assert!(parse_user("root", 0).unwrap_err().to_string().starts_with("bad uid: "));
        assert!(parse_user("1:x", 0).unwrap_err().to_string().starts_with("bad gid: "));
    }
}
