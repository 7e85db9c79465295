//! From a bundle to a container that waits for its start, or begins at once.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::rootless;
use crate::cgroup::{self, Cgroups, Placement};
use crate::config::{self, Config, Namespace};
use crate::error::{Error, Result};
use crate::host::{HostFacts, Questions};
use crate::intel_rdt::{self, Groups};
use crate::launch::{Launch, Reactor, Surroundings, block_on};
use crate::log::rfc3339_nanoseconds;
use crate::plan::{self, Filter, Plan, Request, Store};
use crate::seccomp;
use crate::state::{
    Init, ProcessFacts, Record, START_SOCKET, SeccompListener, StateDirectory, StateRoot, check_id,
    write_pid_file,
};

/// runc's words. A container without a process can be created, but not started (runtime-spec config.md "Process").
pub(super) const NO_PROGRAM: &str = "config.json: $.process: process property must not be empty";

/// What the caller of `create` and `run` decides.
#[derive(Clone, Debug)]
pub struct Creation<'a> {
    pub id: &'a str,
    /// The bundle directory; `None` is the working directory.
    pub bundle: Option<&'a Path>,
    pub pid_file: Option<&'a Path>,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    /// The program waits for `start` by another process.
    pub hold: bool,
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
pub fn load_bundle(bundle: Option<&Path>) -> Result<Bundle> {
    let (mut bundle, directory) = open_bundle(bundle)?;
    check_rootfs(&directory, &bundle.config.root.path)?;
    // Without a symlink on the way, what the text means is what the kernel finds.
    bundle.rootfs = config::clean_path(&bundle.rootfs);
    Ok(bundle)
}

/// The same without a look at the root file system, for a plan that nobody carries out.
pub fn load_bundle_unchecked(bundle: Option<&Path>) -> Result<Bundle> {
    open_bundle(bundle).map(|(bundle, _)| bundle)
}

/// A bundle whose root file system's path is as it is written, made absolute.
fn open_bundle(bundle: Option<&Path>) -> Result<(Bundle, OwnedFd)> {
    let directory = open_directory(bundle)?;
    let path = real_path(&directory)?;
    let config = config::load(directory.as_fd())?;
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

/// Errors: the root file system is not a directory, or a symlink leads to it, which could be led elsewhere later (runc refuses these too).
pub(super) fn check_rootfs(bundle: &OwnedFd, path: &str) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat2(bundle, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Ok(_) => Ok(()),
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
    creation: &Creation<'_>,
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
        bundle: &bundle.path,
        no_pivot: creation.no_pivot,
        no_new_keyring: creation.no_new_keyring,
        hold: creation.hold,
    }
}

/// A container whose stage1 is at work, or held.
#[derive(Debug)]
pub struct Created {
    pub launch: Launch,
    pub cgroups: Cgroups,
    /// Its groups in resctrl, if it has any.
    pub rdt_groups: Option<Groups>,
    pub directory: StateDirectory,
    pub own_pid_namespace: bool,
    /// What should be said although all went well.
    pub warnings: Vec<String>,
}

/// Creates a container. With `hold` it waits for `start` when this returns; without, its program has been executed.
///
/// Whatever fails, nothing is left behind.
pub fn create(root: &StateRoot, creation: &Creation<'_>) -> Result<Created> {
    check_id(creation.id)?;
    let mut bundle = load_bundle(creation.bundle)?;
    if !creation.hold && !bundle.config.has_program() {
        return Err(Error::new(NO_PROGRAM));
    }
    let host = HostFacts::read(questions(&bundle.config))?;
    let placement = place(&mut bundle, &host, creation.id)?;
    let profile = bundle.config.seccomp.as_ref();
    let program = profile.map(|profile| seccomp::program(profile, &root.seccomp_cache())).transpose()?;
    let filter = super::filter(&bundle.config, program.as_deref());
    let store = Store::default();
    let plan = plan::plan(&plan_request(creation, &bundle, &host, &placement, filter), &store)?;

    let rdt =
        bundle.config.intel_rdt.as_ref().map(|config| intel_rdt::place(config, creation.id)).transpose()?;

    let directory = root.create(creation.id)?;
    let mut cgroups = Cgroups::open(placement.clone(), cgroup::Made::default());
    let mut rdt_groups = rdt.clone().map(|rdt| Groups::open(rdt, intel_rdt::Made::default()));
    let places = Places { cgroups: &mut cgroups, rdt_groups: rdt_groups.as_mut() };
    let record = record(&bundle, &host, placement.clone(), rdt);
    let made = directory
        .write_record(&record)
        .and_then(|()| launch(creation, &record, &bundle.config, &plan, &directory, places));
    match made {
        Ok((launch, plan_warnings)) => {
            let mut warnings = bundle.config.warnings.clone();
            warnings.extend(plan_warnings);
            let own_pid_namespace = bundle.config.namespaces.pid == Namespace::New;
            Ok(Created { launch, cgroups, rdt_groups, directory, own_pid_namespace, warnings })
        }
        Err(error) => {
            let error = match cgroups.out_of_memory() {
                Some(report) => Error::of_kind(error.kind(), format!("{error}: {report}")),
                None => error,
            };
            // Ignored: the first error is the one to tell; what cannot be removed now, `delete --force` will name.
            let _ = cgroups.destroy();
            let _ = rdt_groups.map(|groups| groups.destroy());
            let _ = directory.remove();
            Err(error)
        }
    }
}

/// Adapts the bundle to who asks, and decides where the cgroups are.
pub fn place(bundle: &mut Bundle, host: &HostFacts, id: &str) -> Result<Placement> {
    rootless::adapt(&mut bundle.config, host);
    let placement = cgroup::place(&host.cgroups, bundle.config.cgroups_path.as_deref(), id)?;
    rootless::place(placement, &bundle.config, host)
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
        created: rfc3339_nanoseconds(SystemTime::now()),
        annotations: bundle.config.annotations.clone(),
        owner: host.uid,
        program: bundle.config.process.args.first().cloned().unwrap_or_default(),
        own_pid_namespace: bundle.config.namespaces.pid == Namespace::New,
        cgroups: placement,
        intel_rdt,
        resources: bundle.config.resources.clone(),
        seccomp_listener: bundle.config.seccomp.as_ref().and_then(|profile| profile.listener.as_ref()).map(
            |listener| SeccompListener { path: listener.path.clone(), metadata: listener.metadata.clone() },
        ),
    }
}

/// What the container's processes are put into.
struct Places<'a> {
    cgroups: &'a mut Cgroups,
    rdt_groups: Option<&'a mut Groups>,
}

/// Starts stage1, does the parent's part while it works, and waits for it. A `Launch` that is dropped on the way ends it.
fn launch(
    creation: &Creation<'_>,
    record: &Record,
    config: &Config,
    plan: &Plan<'_>,
    directory: &StateDirectory,
    places: Places<'_>,
) -> Result<(Launch, Vec<String>)> {
    let Places { cgroups, mut rdt_groups } = places;
    if let (Some(groups), Some(config)) = (&mut rdt_groups, &config.intel_rdt) {
        groups.prepare(config)?;
    }
    let born_in = cgroups.prepare()?;
    let listener = if creation.hold { Some(listen(directory)?) } else { None };
    let surroundings = Surroundings { cgroup: born_in.as_ref().map(AsFd::as_fd), listener };
    let mut launch = Launch::begin(plan, surroundings)?;

    let doors = cgroups.populate(&config.resources, plan.has_cgroup_trees())?;
    if plan.bootstrap.await_cgroups {
        launch.send_cgroups(&doors.descriptors())?;
    }
    drop(doors);
    launch.provide_network(plan)?;
    let pid = launch.pid().as_raw_pid();
    let mut rdt_made = intel_rdt::Made::default();
    if let Some(groups) = rdt_groups {
        groups.attach(pid)?;
        rdt_made = groups.made();
    }
    // A child that is gone already says why on its socket.
    let facts = ProcessFacts::read(pid).unwrap_or(ProcessFacts { start_time: 0, ignored_signals: 0 });
    directory.write_init(&Init {
        pid,
        start_time: facts.start_time,
        cgroups: cgroups.made(),
        intel_rdt: rdt_made,
    })?;
    if let Some(path) = creation.pid_file {
        write_pid_file(path, pid)?;
    }
    let mut agent = None;
    if !creation.hold {
        agent = super::seccomp::agent(record, creation.id, pid, "creating")?;
        // Said beforehand, stage1 need not wait for us when it is ready.
        launch.send_start(facts.ignored_signals)?;
    }

    let reactor = Reactor::default();
    let executed = block_on(&reactor, async {
        if !creation.hold {
            return launch.executed(&reactor, plan, agent).await;
        }
        launch.ready(&reactor, plan).await?;
        launch.send_hold(facts.ignored_signals)
    });
    if let (Err(_), Some(path)) = (&executed, creation.pid_file) {
        // Ignored: the error that matters is the first one.
        let _ = std::fs::remove_file(path);
    }
    executed?;
    let warnings = launch.warnings(plan);
    Ok((launch, warnings))
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
