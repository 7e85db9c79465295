//! From a bundle to a container that waits for its start, or begins at once.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::process::Signal;

use super::delete::destroy;
use super::foreground::{HostRelay, TerminalChoice, TerminalEnd};
use super::{devices, rootless};
use crate::cgroup::{self, Cgroups, ManagerKind, Placement};
use crate::config::{self, Basis, Config, HookPoint, HookState, Hooks, KeptFilter, Namespace};
use crate::descriptors::close_all;
use crate::error::{Error, Result};
use crate::hooks;
use crate::host::{HostFacts, Questions, is_own_namespace};
use crate::intel_rdt::{self, Groups};
use crate::launch::{Launch, Notes, Reactor, Stdio, Surroundings, block_on};
use crate::log::{Log, rfc3339_nanoseconds};
use crate::notify;
use crate::plan::{self, Filter, Plan, Request, Store};
use crate::seccomp;
use crate::state::{
    Init, PidFile, ProcessFacts, Record, START_SOCKET, SeccompListener, StateDirectory, StateRoot, check_id,
};
use crate::terminal::CallersSocket;
use crate::trace::Trace;

/// runc's words. A container without a process can be created, but not started (runtime-spec config.md "Process").
pub(super) const NO_PROGRAM: &str = "config.json: $.process: process property must not be empty";

/// What the caller of `create` and `run` decides.
#[derive(Clone, Debug)]
pub struct Creation<'a> {
    /// Letters, digits, `_`, `+`, `-`, `.`; at most 255.
    pub id: &'a str,
    /// The bundle directory; `None` is the working directory.
    pub bundle: Option<&'a Path>,
    /// The first process's id is written here.
    pub pid_file: Option<&'a Path>,
    /// The root is reached by chroot: for a root file system that cannot be pivoted into, such as the initial ramdisk.
    pub no_pivot: bool,
    /// The container stays in the caller's session keyring.
    pub no_new_keyring: bool,
    /// Who makes the cgroups.
    pub manager: ManagerKind,
    /// Whether it does without the cgroups that cannot be written; `None`: if the caller is not the host's root.
    pub forgives_cgroups: Option<bool>,
    /// The program waits for `start` by another process.
    pub hold: bool,
    /// Who is told what is done, with `--debug`.
    pub log: &'a Log,
    /// Who is told how long that takes, with `--trace`.
    pub trace: &'a Trace,
    /// Where the program's terminal ends, if the configuration has one.
    pub terminal: TerminalChoice<'a>,
    /// Descriptors above standard error that the program keeps.
    pub preserved_count: u32,
    /// The configuration's name in the bundle.
    pub config: &'a Path,
    /// What the program's environment gets beside that of the configuration.
    pub environment: &'a [String],
    /// A stream socket that is sent a pidfd of the first process.
    pub pidfd_socket: Option<&'a Path>,
    /// The service manager's socket, which is to be told when the container is ready.
    pub notify_socket: Option<&'a OsStr>,
    /// The program's standard descriptors.
    pub stdio: Stdio<'a>,
    /// The process is this container's alone, as a command's is: SIGCHLD gets its default disposition where that is needed, and a blocked signal that
    /// waits and asks to end it ends the creation. Without, signals are the caller's; while he ignores SIGCHLD the kernel forgets how children end,
    /// and hooks and newuidmap(1) count as failed.
    pub owns_process: bool,
}

impl<'a> Creation<'a> {
    /// What a caller gets who asks for nothing.
    pub fn new(id: &'a str, log: &'a Log, trace: &'a Trace) -> Self {
        Self {
            id,
            bundle: None,
            pid_file: None,
            no_pivot: false,
            no_new_keyring: false,
            manager: ManagerKind::Cgroupfs,
            forgives_cgroups: None,
            hold: false,
            terminal: TerminalChoice { socket: None, detaches: false },
            preserved_count: 0,
            config: Path::new("config.json"),
            environment: &[],
            pidfd_socket: None,
            trace,
            notify_socket: None,
            stdio: Stdio::Inherit,
            owns_process: false,
            log,
        }
    }
}

/// A bundle, read and checked.
#[derive(Debug)]
pub struct Bundle {
    /// Absolute, without symlinks; so is `rootfs`.
    pub path: String,
    pub rootfs: String,
    pub config: Config,
}

/// Reads and checks a bundle: config.json and the root file system, which must be there.
pub fn load_bundle(bundle: Option<&Path>, config: &Path) -> Result<Bundle> {
    let (mut bundle, directory) = open_bundle(bundle, config)?;
    let rootfs = check_rootfs(&directory, &bundle.config.root.path)?;
    close_all([directory, rootfs]);
    // Without a symlink on the way, what the text means is what the kernel finds.
    bundle.rootfs = config::clean_path(&bundle.rootfs);
    Ok(bundle)
}

/// The same without a look at the root file system, for a plan that nobody carries out.
pub fn load_bundle_unchecked(bundle: Option<&Path>, config: &Path) -> Result<Bundle> {
    open_bundle(bundle, config).map(|(bundle, _)| bundle)
}

/// A bundle whose root file system's path is as it is written, made absolute.
fn open_bundle(bundle: Option<&Path>, config: &Path) -> Result<(Bundle, OwnedFd)> {
    let directory = open_directory(bundle)?;
    let path = real_path(&directory)?;
    let config = config::load(directory.as_fd(), config, &is_own_namespace)?;
    let rootfs = rootfs_path(&path, &config);
    Ok((Bundle { path, rootfs, config }, directory))
}

pub(super) fn open_directory(bundle: Option<&Path>) -> Result<OwnedFd> {
    let given = bundle.unwrap_or(Path::new("."));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(given, flags, Mode::empty())
        .map_err(|errno| Error::call(format_args!("chdir {}", given.display()), errno))
}

/// `root.path`, made absolute.
pub(super) fn rootfs_path(bundle: &str, config: &Config) -> String {
    match config.root.path.strip_prefix('/') {
        Some(_) => config.root.path.clone(),
        None => format!("{bundle}/{}", config.root.path),
    }
}

/// The root file system, opened as a path.
///
/// Errors: it is not a directory, or a symlink leads to it, which could be led elsewhere later (runc refuses these too).
pub(super) fn check_rootfs(bundle: &OwnedFd, path: &str) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat2(bundle, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(rootfs) => Ok(rootfs),
        Err(Errno::LOOP) => Err(Error::new("invalid rootfs: not an absolute path, or a symlink")),
        Err(errno) => Err(Error::call(format_args!("invalid rootfs: stat {path}"), errno)),
    }
}

/// The path behind an open directory, as the kernel knows it.
pub(super) fn real_path(directory: &OwnedFd) -> Result<String> {
    use std::os::fd::AsRawFd;

    let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let path = rustix::fs::readlink(&link, Vec::new())
        .map_err(|errno| Error::call(format_args!("readlink {link}"), errno))?;
    path.into_string().map_err(|_| Error::new("the bundle's path is not UTF-8"))
}

/// What this configuration makes worth asking of the host.
pub fn questions(config: &Config) -> Questions {
    Questions {
        apparmor: config.process.apparmor_profile.is_some(),
        selinux: config.process.selinux_label.is_some() || config.mount_label.is_some(),
        landlock: config.landlock.is_some(),
    }
}

/// The plan's request for a bundle.
pub fn plan_request<'a>(
    creation: &Creation<'a>,
    bundle: &'a Bundle,
    host: &'a HostFacts,
    placement: &'a Placement,
    filter: Option<Filter<'a>>,
) -> Request<'a> {
    Request {
        config: &bundle.config,
        host,
        filter,
        placement,
        root: &bundle.rootfs,
        id: creation.id,
        bundle: &bundle.path,
        no_pivot: creation.no_pivot,
        no_new_keyring: creation.no_new_keyring,
        hold: creation.hold,
        preserved_count: creation.preserved_count,
        takes_notes: creation.trace.is_on(),
        is_entered: false,
    }
}

/// A container that was created, and with its program executed unless it is held. Others are kept out of it until this is dropped, or one of the
/// functions that wait is called.
#[derive(Debug)]
pub struct Created {
    id: String,
    pub(super) launch: Launch,
    cgroups: Cgroups,
    /// Its groups in resctrl, if it has any.
    rdt_groups: Option<Groups>,
    pub(super) directory: StateDirectory,
    own_pid_namespace: bool,
    record: Record,
    /// The program's terminal, if it is shown on ours.
    pub(super) terminal: Option<HostRelay>,
    /// Hears of the container's readiness, if somebody is to be told.
    pub(super) notify: Option<notify::Relay>,
    /// What should be said although all went well.
    pub warnings: Vec<String>,
}

impl Created {
    /// The first process's id on the host, and a handle to it. The container is left to itself.
    pub(crate) fn into_process(self) -> Result<(i32, OwnedFd)> {
        self.launch.into_process()
    }

    /// When it was created, as its record says.
    pub(crate) fn created(&self) -> &str {
        &self.record.created
    }

    /// For who leaves: waits until the container is ready and the service manager knows of that, if that was asked for.
    ///
    /// Errors: the service manager cannot be told, or does not read.
    pub fn tell_readiness(&self) -> Result<()> {
        let Some(notify) = &self.notify else { return Ok(()) };
        self.directory.unlock();
        notify.wait(self.launch.pidfd(), self.launch.pid().as_raw_pid())
    }

    /// Takes everything away, the program having ended, and runs the hooks for that. Returns what should be said although all went well. A `delete`
    /// from elsewhere may have been quicker.
    pub fn remove(&self) -> Result<Vec<String>> {
        if self.directory.lock().is_err() {
            return Ok(Vec::new());
        }
        destroy(&self.cgroups, self.rdt_groups.as_ref(), &self.directory, self.own_pid_namespace)?;
        Ok(poststop(&self.record, &self.id))
    }
}

/// Creates a container. With `hold` it waits for `start` when this returns; without, its program has been executed.
///
/// Whatever fails, nothing is left behind.
pub fn create(root: &StateRoot, creation: &Creation<'_>) -> Result<Created> {
    check_id(creation.id)?;
    let trace = creation.trace;
    let mut bundle =
        trace.span("read and check config.json", || load_bundle(creation.bundle, creation.config))?;
    trace.within(&bundle.config.annotations);
    if !creation.hold && !bundle.config.has_program() {
        return Err(Error::new(NO_PROGRAM));
    }
    bundle.config.process.add_env(creation.environment)?;
    if creation.notify_socket.is_some() {
        bundle.config.process.add_env(&[String::from(notify::ENVIRONMENT)])?;
        bundle.config.mounts.push(super::notify::mount(root.notify_path(creation.id)?));
    }
    let terminal = TerminalEnd::choose(&bundle.config.process, creation.terminal)?;
    let pidfd_socket = creation.pidfd_socket.map(CallersSocket::connect).transpose()?;
    let host = trace.span("ask the host", || HostFacts::read(questions(&bundle.config)))?;
    if host.uid != 0 && creation.owns_process {
        // Before newuidmap is waited for; root asks no helper before it is known below whether that is needed.
        crate::signals::reset(Signal::CHILD)?;
    }
    let placement = place(&mut bundle, &host, creation)?;
    devices::others_on_host(&bundle.config, &host).none()?;
    let profile = bundle.config.seccomp.as_ref();
    let compiled = || profile.map(|profile| seccomp::program(profile, &root.seccomp_cache())).transpose();
    let program = if profile.is_some() { trace.span("compile the seccomp filter", compiled)? } else { None };
    super::seccomp::check_listener(&bundle.config)?;
    let filter = super::filter(&bundle.config, program.as_deref());
    let store = Store::default();
    let request = plan_request(creation, &bundle, &host, &placement, filter);
    let plan = trace.span("plan", || plan::plan(&request, &store))?;

    let rdt =
        bundle.config.intel_rdt.as_ref().map(|config| intel_rdt::place(config, creation.id)).transpose()?;

    let record = record(&bundle, &host, placement.clone(), rdt.clone());
    let kept_filter = filter.map(|filter| KeptFilter::new(filter.flags, filter.program));
    let basis = Basis::new(&bundle.config, kept_filter, creation.no_new_keyring, creation.no_pivot);
    let basis = serde_json::to_vec(&basis).map_err(|error| Error::new(format!("keep process: {error}")))?;
    let log = creation.log;
    log.debug(|| format!("bundle {}: plan of {} steps", bundle.path, plan.steps.len()));
    let directory = trace.span("claim the id", || root.create(creation.id, &record))?;
    log.debug(|| format!("container {}: id claimed in {}", creation.id, root.path().display()));
    let mut cgroups = Cgroups::begin(placement.clone());
    let mut rdt_groups = rdt.map(|rdt| Groups::open(rdt, intel_rdt::Made::default()));
    let notes = if trace.is_on() { Some(Notes::new(&plan)?) } else { None };
    let places = Places {
        cgroups: &mut cgroups,
        rdt_groups: rdt_groups.as_mut(),
        terminal,
        pidfd_socket,
        basis,
        notes: notes.as_ref(),
    };
    let launched = launch(creation, &record, &bundle.config, &plan, &directory, places);
    if let Some(notes) = notes {
        trace.add(notes.spans(&plan));
    }
    match launched {
        Ok(Launched { launch, terminal, notify, warnings: plan_warnings }) => {
            let mut warnings = bundle.config.warnings.clone();
            warnings.extend(plan_warnings);
            let own_pid_namespace = bundle.config.namespaces.pid == Namespace::New;
            Ok(Created {
                id: creation.id.to_owned(),
                launch,
                cgroups,
                rdt_groups,
                directory,
                own_pid_namespace,
                terminal,
                notify,
                record,
                warnings,
            })
        }
        Err(error) => {
            let error = match cgroups.out_of_memory() {
                Some(report) => Error::of_kind(error.kind(), format!("{error}: {report}")),
                None => error,
            };
            log.debug(|| format!("container {}: failed, removing what was made", creation.id));
            let removed = cgroups
                .destroy()
                .and(rdt_groups.map_or(Ok(()), |groups| groups.destroy()))
                // The record stays where it still tells `delete` of something.
                .and_then(|()| directory.remove());
            let mut warnings = poststop(&record, creation.id);
            if let Err(left) = removed {
                warnings.push(format!("unable to destroy container: {left}"));
            }
            Err(error.with_warnings(warnings))
        }
    }
}

/// Adapts the bundle to who asks, and decides where the cgroups are.
pub fn place(bundle: &mut Bundle, host: &HostFacts, creation: &Creation<'_>) -> Result<Placement> {
    rootless::adapt(&mut bundle.config, host)?;
    let config = &bundle.config;
    let (path, id) = (config.cgroups_path.as_deref(), creation.id);
    let forgives = creation.forgives_cgroups.unwrap_or(!host.is_privileged());
    match creation.manager {
        ManagerKind::Cgroupfs => {
            let placement = cgroup::place(&host.cgroups, path, id)?;
            if forgives { rootless::place(placement, config, host) } else { Ok(placement) }
        }
        ManagerKind::Systemd => cgroup::place_scope(&host.cgroups, path, id, forgives.then_some(host.uid)),
        ManagerKind::Disabled if config.resources.has_limits() => {
            Err(Error::new("$.linux.resources: limits cannot be set with the cgroup manager disabled"))
        }
        ManagerKind::Disabled => Ok(cgroup::place_nowhere()),
    }
}

fn record(
    bundle: &Bundle,
    host: &HostFacts,
    placement: Placement,
    intel_rdt: Option<intel_rdt::Placement>,
) -> Record {
    Record {
        oci_version: bundle.config.oci_version.clone(),
        bundle: bundle.path.clone(),
        rootfs: bundle.rootfs.clone(),
        hooks: Hooks {
            poststart: bundle.config.hooks.poststart.clone(),
            poststop: bundle.config.hooks.poststop.clone(),
            ..Hooks::default()
        },
        created: rfc3339_nanoseconds(SystemTime::now()),
        annotations: bundle.config.annotations.clone(),
        owner: host.uid,
        program: bundle.config.process.args.first().cloned().unwrap_or_default(),
        own_pid_namespace: bundle.config.namespaces.pid == Namespace::New,
        cgroups: placement,
        intel_rdt,
        resources: bundle.config.resources.clone(),
        added_mounts: Vec::new(),
        seccomp_listener: bundle.config.seccomp.as_ref().and_then(|profile| profile.listener.as_ref()).map(
            |listener| SeccompListener { path: listener.path.clone(), metadata: listener.metadata.clone() },
        ),
    }
}

/// What the container's processes are put into.
struct Places<'a> {
    cgroups: &'a mut Cgroups,
    rdt_groups: Option<&'a mut Groups>,
    terminal: TerminalEnd,
    pidfd_socket: Option<CallersSocket>,
    /// What `exec` will need.
    basis: Vec<u8>,
    notes: Option<&'a Notes>,
}

/// What `launch` has made.
struct Launched {
    launch: Launch,
    terminal: Option<HostRelay>,
    notify: Option<notify::Relay>,
    warnings: Vec<String>,
}

/// Starts stage1, does the parent's part while it works, and waits for it. A `Launch` that is dropped on the way ends it.
fn launch(
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
            if creation.hold { None } else { super::notify::relay(directory, host)? }
        }
    };
    let listener = if creation.hold { Some(listen(directory)?) } else { None };
    let surroundings = Surroundings { cgroup: born_in, listener, notes, stdio: creation.stdio };
    let mut launch = trace.span("send the plan, clone stage1", || Launch::begin(plan, surroundings))?;
    let log = creation.log;
    log.debug(|| format!("stage1 started with pid {}", launch.pid()));

    if cgroups.limits_before_entry(&config.resources) {
        launch.await_own_memory();
    }
    let doors = trace.span("make and limit the cgroups", || {
        cgroups.adopt(launch.pid(), &config.resources, &config.annotations)?;
        cgroups.populate(&config.resources, plan.cgroup_tree_count())
    })?;
    if let Some(uid) = rootless::cgroup_owner(config) {
        cgroups.hand_over(uid)?;
    }
    if plan.bootstrap.await_cgroups {
        launch.send_cgroups(&doors.descriptors())?;
    }
    drop(doors);
    log.debug(|| String::from("cgroups made and limited"));
    trace.span("make the network namespace", || launch.provide_network(plan))?;
    let pid = launch.pid().as_raw_pid();
    let mut rdt_made = intel_rdt::Made::default();
    if let Some(groups) = rdt_groups {
        groups.attach(pid)?;
        rdt_made = groups.made();
    }
    // A child that is gone already says why on its socket.
    let gone = ProcessFacts { start_time: 0, ignored_signals: 0, has_all_processors: true };
    let facts = ProcessFacts::read(pid)?.unwrap_or(gone);
    if !facts.has_all_processors {
        launch.use_all_processors()?;
    }
    if facts.ignores(Signal::CHILD) && creation.owns_process {
        // Else the kernel would throw the exit code away.
        crate::signals::reset(Signal::CHILD)?;
    }
    let init = Init {
        pid,
        start_time: facts.start_time,
        stage1: launch.stage1(),
        cgroups: cgroups.made(),
        intel_rdt: rdt_made,
        basis,
    };
    let mut pid_file = creation.pid_file.map(|path| PidFile::prepare(path, pid)).transpose()?;

    let reactor = Reactor::default();
    if let Some(socket) = pidfd_socket {
        socket.send(b"standard", launch.pidfd())?;
    }
    if plan.bootstrap.await_hooks {
        trace.wait("wait for stage1", || block_on(&reactor, launch.hooks_due(&reactor, plan)))?;
        trace.span("run hooks", || run_hooks(creation, config, record, cgroups, &launch))?;
        if creation.owns_process {
            crate::signals::check_interrupted()?;
        }
        log.debug(|| String::from("hooks run"));
        launch.send_proceed()?;
    }
    let mut relay = None;
    if creation.hold {
        // The record of init ends the creation; until `Hold` comes stage1 ends with us, so that nobody needs it earlier.
        trace.wait("wait for stage1", || block_on(&reactor, launch.ready(&reactor, plan)))?;
        log.debug(|| String::from("stage1 is ready"));
        terminal.connect(&mut launch)?;
        trace.span("write the record of init", || directory.write_init(&init))?;
        pid_file.as_mut().map_or(Ok(()), PidFile::publish)?;
        launch.send_hold(facts.ignored_signals)?;
        log.debug(|| String::from("the container waits for its start"));
    } else {
        trace.span("write the record of init", || directory.write_init(&init))?;
        let agent = super::seccomp::agent(record, creation.id, pid, "creating")?;
        if plan.has_terminal() {
            // Who looks at a terminal wants to see all of it.
            trace.wait("wait for stage1", || block_on(&reactor, launch.ready(&reactor, plan)))?;
            relay = terminal.connect(&mut launch)?;
        }
        // Said beforehand, stage1 need not wait for us when it is ready.
        launch.send_start(facts.ignored_signals)?;
        if creation.owns_process && agent.is_none() && !config.hooks.at(HookPoint::StartContainer).is_empty()
        {
            trace.wait("wait for startContainer hooks", || await_hooks(&launch, cgroups))?;
        }
        trace.wait("wait for the program's execution", || {
            block_on(&reactor, launch.executed(&reactor, plan, agent))
        })?;
        log.debug(|| format!("program executed: {}", record.program));
        let done = pid_file
            .as_mut()
            .map_or(Ok(()), PidFile::publish)
            .and_then(|()| poststart(record, creation.id, pid));
        if let Err(error) = done {
            launch.end(|| cgroups.kill_all());
            return Err(error);
        }
    }
    if let Some(pid_file) = pid_file {
        pid_file.keep();
    }
    let warnings = launch.warnings(plan);
    Ok(Launched { launch, terminal: relay, notify, warnings })
}

/// The hooks of a container that is being created: stage1 is in its namespaces, and has not left the host's tree.
fn run_hooks(
    creation: &Creation<'_>,
    config: &Config,
    record: &Record,
    cgroups: &Cgroups,
    launch: &Launch,
) -> Result<()> {
    let (state, pid) = (hook_state(record, creation.id), launch.pid().as_raw_pid());
    let heeds_signals = creation.owns_process;
    for point in [HookPoint::Prestart, HookPoint::CreateRuntime] {
        hooks::run(
            point,
            config.hooks.at(point),
            &state,
            "creating",
            pid,
            hooks::Place::Host,
            heeds_signals,
        )?;
    }
    let point = HookPoint::CreateContainer;
    if config.hooks.at(point).is_empty() {
        return Ok(());
    }
    let cgroups = cgroups.entrances()?;
    let (init, rootfs) = (launch.pidfd(), record.rootfs.as_str());
    let place = hooks::Place::Container { init, pid, rootfs, cgroups: &cgroups };
    hooks::run(point, config.hooks.at(point), &state, "creating", pid, place, heeds_signals)
}

/// Waits while stage1 runs hooks, which may take as long as they like, and heeds who asks us to end.
fn await_hooks(launch: &Launch, cgroups: &Cgroups) -> Result<()> {
    while !launch.has_hung_up_within(LOOK_PAUSE_MS) {
        crate::signals::check_interrupted().inspect_err(|_| {
            // Ignored: stage1 ends with `launch`, and what its hooks leave keeps the cgroups from being removed, which says so.
            let _ = cgroups.kill_all();
        })?;
    }
    Ok(())
}

/// Between two looks whether we are asked to end.
const LOOK_PAUSE_MS: i64 = 100;

/// The hooks of a container whose program has been executed. If one fails the container must not live on.
pub(super) fn poststart(record: &Record, id: &str, pid: i32) -> Result<()> {
    let (point, state) = (HookPoint::Poststart, hook_state(record, id));
    hooks::run(point, record.hooks.at(point), &state, "running", pid, hooks::Place::Host, false)
}

/// The hooks of a container that is gone: what they fail with should be said, and nothing more.
pub fn poststop(record: &Record, id: &str) -> Vec<String> {
    let (point, state) = (HookPoint::Poststop, hook_state(record, id));
    hooks::run_all(point, record.hooks.at(point), &state, "stopped")
}

fn hook_state<'a>(record: &'a Record, id: &'a str) -> HookState<'a> {
    HookState {
        oci_version: &record.oci_version,
        id,
        bundle: &record.bundle,
        annotations: &record.annotations,
    }
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
pub(super) fn start_socket_path(directory: &StateDirectory) -> PathBuf {
    use std::os::fd::AsRawFd;

    PathBuf::from(format!("/proc/self/fd/{}/{START_SOCKET}", directory.as_fd().as_raw_fd()))
}
