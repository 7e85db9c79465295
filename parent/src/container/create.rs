//! From a bundle to a container that waits for its start, or begins at once.

mod launching;

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

pub(super) use launching::start_socket_path;
use launching::{Launched, Places, launch};

use super::bundle::{Bundle, load_bundle};
use super::delete::destroy;
use super::foreground::{HostRelay, TerminalChoice, TerminalEnd};
use super::hooks::poststop;
use super::{devices, rootless, symlinks};
use crate::cgroup::{self, Cgroups, ManagerKind, Placement};
use crate::config::{Basis, Config, Hooks, KeptFilter, MountKind, Namespace};
use crate::descriptors::{Sweep, close_spent};
use crate::error::{Error, Kind, Result};
use crate::host::{self, HostFacts, Questions};
use crate::intel_rdt::{self, Groups};
use crate::launch::{Launch, Notes, Stdio};
use crate::log::{Log, rfc3339_nanoseconds};
use crate::notify;
use crate::plan::{self, Filter, Request, Store};
use crate::seccomp;
use crate::signals;
use crate::state::{Record, SeccompListener, StateDirectory, StateRoot, check_id};
use crate::terminal::CallersSocket;
use crate::trace::Trace;

/// runc's words. A container without a process can be created, but not started (runtime-spec config.md "Process").
pub(super) const NO_PROGRAM: &str = "config.json: $.process: process property must not be empty";

/// How long a first process whose memory is too little for a start (`Cgroups::has_little_memory`) may live on after it.
pub(super) const DEATH_FOR_MEMORY: Duration = Duration::from_millis(200);

/// What the caller of `create` and `run` decides: [`Creation::new`], and then the fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
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
    /// waits and asks to end it ends the creation. Without, signals are the caller's; while it ignores SIGCHLD the kernel forgets how children end,
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

/// What this configuration makes worth asking of the host.
pub fn questions(config: &Config) -> Questions {
    let shows_all = |is_it: fn(&MountKind) -> bool| {
        config.namespaces.cgroup == Namespace::Inherit && config.mounts.iter().any(|mount| is_it(&mount.kind))
    };
    Questions {
        apparmor: config.process.apparmor_profile.is_some(),
        selinux: config.process.selinux_label.is_some() || config.mount_label.is_some(),
        landlock: config.landlock.is_some(),
        kcore: true,
        all_cgroups: shows_all(|kind| matches!(kind, MountKind::Cgroup { .. })),
        all_unified_cgroups: shows_all(|kind| matches!(kind, MountKind::Cgroup { is_unified: true })),
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
        detaches: creation.hold || creation.terminal.detaches,
        preserved_count: creation.preserved_count,
        takes_notes: creation.trace.is_on(),
        is_entered: false,
        shows_process: creation.pidfd_socket.is_some(),
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
        match self.directory.lock() {
            Err(error) if error.kind() == Kind::NoSuchContainer => return Ok(Vec::new()),
            locked => locked?,
        }
        destroy(&self.cgroups, self.rdt_groups.as_ref(), &self.directory, self.own_pid_namespace)?;
        Ok(poststop(&self.record, &self.id))
    }
}

/// Creates a container. With `hold` it waits for `start` when this returns; without, its program has been executed.
///
/// Whatever fails, nothing is left behind.
pub fn create(root: &StateRoot, creation: &Creation<'_>) -> Result<Created> {
    let _sweep = Sweep::begin();
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
        signals::reset(Signal::CHILD)?;
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
    let notes = if trace.is_on() { Some(Notes::new(&plan)?) } else { None };
    let log = creation.log;
    log.debug(|| format!("bundle {}: plan of {} steps", bundle.path, plan.steps.len()));
    let directory = trace.span("claim the id", || root.create(creation.id, &record))?;
    log.debug(|| format!("container {}: id claimed in {}", creation.id, root.path().display()));
    let mut cgroups = Cgroups::begin(placement.clone());
    let mut rdt_groups = rdt.map(|rdt| Groups::open(rdt, intel_rdt::Made::default()));
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
            let passed_over = cgroup::passed_over(&placement, &bundle.config.resources);
            warnings.extend(passed_over.iter().map(|(path, reason)| format!("{path} {reason}")));
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
            // Hooks that come now may unmount the bundle.
            close_spent();
            let report = out_of_memory(&cgroups, &record, error.kind() == Kind::Ended);
            let error = match report {
                Some(report) => error.because(report),
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

/// What is known of a want of memory in a creation, and guessed where the first process was killed.
fn out_of_memory(cgroups: &Cgroups, record: &Record, was_killed: bool) -> Option<String> {
    let limits = &record.resources;
    let guess = || cgroups.perhaps_out_of_memory(limits).filter(|_| was_killed);
    cgroups.out_of_memory_since(0, limits).or_else(guess)
}

/// Adapts the bundle to who asks and to what binds find, and decides where the cgroups are.
pub fn place(bundle: &mut Bundle, host: &HostFacts, creation: &Creation<'_>) -> Result<Placement> {
    rootless::adapt(&mut bundle.config, host)?;
    symlinks::copy(&mut bundle.config.mounts, &bundle.path, &bundle.config.namespaces.mount)?;
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
            // Those before them are over when the record is read again.
            prestart: Vec::new(),
            create_runtime: Vec::new(),
            create_container: Vec::new(),
            ..bundle.config.hooks.clone()
        },
        created: rfc3339_nanoseconds(host::now()),
        annotations: bundle.config.annotations.clone(),
        owner: host.uid,
        program: bundle.config.process.args.first().cloned().unwrap_or_default(),
        own_pid_namespace: bundle.config.namespaces.pid == Namespace::New,
        cgroups: placement,
        intel_rdt,
        resources: bundle.config.resources.clone().settled(),
        added_mounts: Vec::new(),
        seccomp_listener: bundle.config.seccomp.as_ref().and_then(|profile| profile.listener.as_ref()).map(
            |listener| SeccompListener { path: listener.path.clone(), metadata: listener.metadata.clone() },
        ),
    }
}
