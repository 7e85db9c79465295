//! Config + HostFacts → Plan: everything that stage1 will do, decided and in order, before anything happens.
//!
//! Pure: no files, no processes. One file per feature, named as stage1's `steps/`; `show.rs` prints a plan.

mod capabilities;
mod cgroups;
mod console;
mod devices;
mod exec;
mod hooks;
mod identity;
mod keep;
mod landlock;
mod live_mounts;
mod lsm;
mod masks;
mod mounts;
pub mod origin;
mod root;
mod scheduling;
mod seccomp;
pub mod show;
#[cfg(test)]
mod tests;
mod user_namespace;

use std::fmt;

use shared_proto::bootstrap::{Bootstrap, DescriptorSlot, DescriptorSlots, PhasedStep};
use shared_proto::limits::{EARLY_BIND_COUNT_MAX, FRAME_DESCRIPTOR_COUNT_MAX, STEP_COUNT_MAX};
use shared_proto::{BindOrigin, Phase, Planned, Step, order};

use crate::cgroup::Placement;
use crate::config::{Config, Idmap, Namespace, Namespaces, NetDevice, Program, leads_up};
use crate::error::{Error, Result};
use crate::host::HostFacts;
pub use devices::bound_devices;
pub use exec::{Entry, plan_exec};
pub use identity::early_limit;
use keep::Keep;
pub use landlock::ABI_MIN as LANDLOCK_ABI_MIN;
pub use live_mounts::{plan_mount, plan_unmount};
pub use seccomp::Filter;
pub use user_namespace::{UserNamespace, clones_user, id_maps_deny_groups};

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub config: &'a Config,
    pub host: &'a HostFacts,
    /// The compiled `linux.seccomp`; present if, and only if, the configuration has one.
    pub filter: Option<Filter<'a>>,
    /// Where the container's cgroups will be.
    pub placement: &'a Placement,
    /// The root file system: absolute, without symlinks.
    pub root: &'a str,
    pub id: &'a str,
    /// The bundle: absolute; relative bind sources mean it.
    pub bundle: &'a str,
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// `--no-new-keyring`.
    pub no_new_keyring: bool,
    /// Another process will call `start`.
    pub hold: bool,
    /// Our caller does not stay with the program.
    pub detaches: bool,
    /// Descriptors above standard error that the program keeps.
    pub preserved_count: u32,
    /// Somebody gets a handle to the process before it is ready, and may look for its namespaces.
    pub shows_process: bool,
    /// stage1 is to note what it does, and when.
    pub takes_notes: bool,
    /// The container exists: paths of the host cannot be looked up from where stage1 is.
    pub is_entered: bool,
}

/// An ordered list of steps, and what the skeleton around them needs.
#[derive(Debug)]
pub struct Plan<'a> {
    pub bootstrap: Bootstrap<Planned<'a>>,
    pub steps: Vec<PhasedStep<Planned<'a>>>,
    pub program: Program<'a>,
    pub namespaces: &'a Namespaces,
    pub user_namespace: Option<UserNamespace<'a>>,
    /// What the parent opens for the bind steps whose origin is `Sent`, and the filesystems with owners of their own, in their order.
    pub sent: Vec<Sent<'a>>,
    /// Where steps come from; `None` for what is not of a config.json.
    pub config: Option<&'a Config>,
    /// Moved into the network namespace by the parent.
    pub net_devices: &'a [NetDevice],
}

/// What the parent opens for a mount.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// Of a new filesystem: what its mount shows.
    pub source: &'a str,
    pub target: &'a str,
    pub kind: SentKind<'a>,
    pub idmap: Option<&'a Idmap>,
}

#[derive(Clone, Copy, Debug)]
pub enum SentKind<'a> {
    /// The tree at `source`.
    Tree { recursive: bool, nofollow: bool },
    /// A new filesystem.
    Filesystem(NewFilesystem<'a>),
    /// The user namespace of `idmap`, for a filesystem that stage1 makes.
    Owners,
}

/// A filesystem that the parent makes.
#[derive(Clone, Copy, Debug)]
pub struct NewFilesystem<'a> {
    pub fstype: &'a str,
    /// Words and `key=value` with commas between them.
    pub data: &'a str,
    /// SELinux's context for all files.
    pub label: Option<&'a str>,
    /// MS_* bits of the superblock.
    pub superblock: u32,
    /// MOUNT_ATTR_* bits.
    pub attributes: u32,
    /// A namespace to mount it in, and its CLONE_NEW* flag.
    pub within: Option<(&'a str, u32)>,
}

impl Plan<'_> {
    /// Whether stage1 will send the master of a terminal before it is ready.
    pub fn has_terminal(&self) -> bool {
        self.steps.iter().any(|phased| matches!(phased.step, Step::OpenConsole { .. }))
    }

    /// How many trees steps mount that the parent sends with the cgroups, in the order of the hierarchies, perhaps several times over.
    pub fn cgroup_tree_count(&self) -> usize {
        let is_sent =
            |step: &Step<Planned<'_>>| matches!(step, Step::BindMount { origin: BindOrigin::Parent, .. });
        self.steps.iter().filter(|phased| is_sent(&phased.step)).count()
    }
}

/// Text that plans make themselves.
#[derive(Debug, Default)]
pub struct Store {
    texts: Keep<String>,
    lists: Keep<Vec<String>>,
}

/// Decides everything of one start. `store` keeps what is not in the configuration already.
///
/// Errors: more steps or bind sources than the protocol carries; something that the host cannot enforce.
pub fn plan<'a>(request: &Request<'a>, store: &'a Store) -> Result<Plan<'a>> {
    let config = request.config;
    if let Some(first) = unsupported(config, request.host).into_iter().next() {
        return Err(Error::new(first.to_string()));
    }
    let program = Program::of(&config.process);
    let mut draft = Draft { steps: Vec::with_capacity(64), sent: Vec::new(), program, store };

    let places = mounts::plan(&mut draft, request)?;
    devices::plan(&mut draft, request, &places);
    console::plan(&mut draft, request);
    masks::plan(&mut draft, request, &places);
    root::plan_finish(&mut draft, config);
    lsm::plan(&mut draft, request);
    identity::plan(&mut draft, request);
    scheduling::plan(&mut draft, config);
    // Before what locks the program down: a hook is locked down by itself.
    hooks::plan(&mut draft, request);
    capabilities::plan(&mut draft, request);
    landlock::plan(&mut draft, request);
    identity::plan_late(&mut draft, request);
    seccomp::plan(&mut draft, request);

    let steps = draft.steps();
    check_bounds(&steps)?;
    Ok(Plan {
        bootstrap: root::plan_bootstrap(request, &draft.program),
        steps,
        program: draft.program,
        namespaces: &config.namespaces,
        user_namespace: user_namespace::plan(request),
        sent: draft.sent,
        config: Some(config),
        net_devices: &config.net_devices,
    })
}

/// What a configuration asks of a host that does not have it.
#[derive(Clone, Debug)]
pub struct Unsupported {
    /// The JSON path of who asks.
    pub path: &'static str,
    pub reason: String,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.reason)
    }
}

/// What nobody on this host would enforce.
pub fn unsupported(config: &Config, host: &HostFacts) -> Vec<Unsupported> {
    let mut missing = lsm::unsupported(config, host.security);
    missing.extend(landlock::unsupported(config, host.security));
    missing
}

/// A plan in the making.
struct Draft<'a> {
    steps: Vec<PhasedStep<Planned<'a>>>,
    sent: Vec<Sent<'a>>,
    program: Program<'a>,
    store: &'a Store,
}

impl<'a> Draft<'a> {
    fn push(&mut self, phase: Phase, step: Step<Planned<'a>>) {
        debug_assert!(Phase::WITH_STEPS.contains(&phase), "{phase:?} has no steps");
        self.steps.push(PhasedStep { phase, step });
    }

    /// Phase by phase. Within one, the order of the draft is the order of the plan.
    fn steps(&self) -> Vec<PhasedStep<Planned<'a>>> {
        let in_phase = |phase| self.steps.iter().filter(move |phased| phased.phase == phase);
        Phase::WITH_STEPS.into_iter().flat_map(in_phase).copied().collect()
    }

    fn keep(&self, text: String) -> &'a str {
        self.store.texts.keep(text)
    }

    fn keep_list(&self, list: Vec<String>) -> &'a [String] {
        self.store.lists.keep(list)
    }
}

/// Where mounts are, by when they are mounted, and what else says when something can be done at a path.
#[derive(Default)]
struct Places<'a> {
    /// Mounts from before the joins.
    early: Vec<(&'a str, Content)>,
    /// What waits for the network and the cgroups: mounts, and what is made in them.
    waiting: Vec<&'a str>,
    /// The container's network namespace comes with the joins.
    network_waits: bool,
    /// A waiting mount lies in another one, whose symlinks may lead it anywhere.
    links_wait: bool,
    /// There are waiting mounts outside of /sys.
    others_wait: bool,
    /// The runtime's hooks come behind the views, and may change whatever they like.
    hooks_wait: bool,
}

/// What is in an early mount.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    /// The kernel's files.
    Proc,
    /// What steps make there: no image has put a symlink into it.
    Made,
    Others,
}

impl Places<'_> {
    /// When something can be made at `path`: before the joins if it lies in a new filesystem, so that its place is certain, and nothing that waits
    /// will lie over it, on it, or in it. Where an image's symlink leads a mount, stage1 sees, and has all of it wait.
    fn phase_of(&self, path: &str) -> Phase {
        let is_certain = self.topmost(path).is_some_and(|(_, content)| content != Content::Others);
        if is_certain && !self.links_wait && !self.is_touched(path) { Phase::Mounts } else { Phase::Views }
    }

    /// When `path` can be covered: before the joins if it is the kernel's own, and all is there that could lie over it, on it, or in it.
    fn cover_phase(&self, path: &str) -> Phase {
        if self.hooks_wait {
            return self.final_phase();
        }
        let Some((procfs, Content::Proc)) = self.topmost(path) else { return Phase::Views };
        let is_networks = self.network_waits && may_be_the_networks(&path[procfs.len()..]);
        let is_led = self.links_wait || leads_up(path);
        let is_there = !is_networks && !is_led && !self.is_touched(path);
        if is_there { Phase::Mounts } else { Phase::Views }
    }

    /// When all is there that the container begins with, but for its root's being read-only.
    fn final_phase(&self) -> Phase {
        if self.hooks_wait { Phase::Identity } else { Phase::Views }
    }

    /// The early mount in which `path` lies, as far as its text tells.
    fn topmost(&self, path: &str) -> Option<(&str, Content)> {
        // The last one lies on top of the others.
        self.early.iter().rev().copied().find(|(mount, _)| lies_in(path, mount))
    }

    fn is_touched(&self, path: &str) -> bool {
        self.waiting.iter().any(|mount| lies_in(path, mount) || lies_in(mount, path))
    }
}

/// Whether a path in a procfs may show something else when the network namespace is another: kernel parameters, and what is a process's.
fn may_be_the_networks(path: &str) -> bool {
    let is_process = path.trim_start_matches('/').starts_with(|first: char| first.is_ascii_digit());
    is_process || ["/sys/net", "/net", "/self", "/thread-self"].iter().any(|place| lies_in(path, place))
}

/// Whether `path` is `directory` or lies below it.
fn lies_in(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Hierarchies of cgroup v1 that a host has: as many as there are controllers, and systemd's.
const HIERARCHY_COUNT_MAX: usize = 16;

fn check_bounds(steps: &[PhasedStep<Planned<'_>>]) -> Result<()> {
    if steps.len() > STEP_COUNT_MAX {
        return Err(Error::new(format!("the plan has {} steps, more than {STEP_COUNT_MAX}", steps.len())));
    }
    let early_binds = steps.iter().filter(|phased| phased.step.takes_source()).count();
    if early_binds > EARLY_BIND_COUNT_MAX {
        return Err(Error::new(format!(
            "$.mounts: there are {early_binds} bind mounts, more than {EARLY_BIND_COUNT_MAX}"
        )));
    }
    let is_sent =
        |phased: &&PhasedStep<_>| matches!(phased.step, Step::BindMount { origin: BindOrigin::Parent, .. });
    // With a `tasks` file of each hierarchy they travel in one frame.
    if steps.iter().filter(is_sent).count() > FRAME_DESCRIPTOR_COUNT_MAX - HIERARCHY_COUNT_MAX {
        return Err(Error::new("$.mounts: there are too many mounts of type cgroup"));
    }
    // Our own mistake if it ever happens: stage1 would refuse the plan, and here the reason is at hand.
    match order::first_violation(steps.iter().map(|phased| (phased.phase, phased.step.kind()))) {
        Some((index, reason)) => Err(Error::new(format!("step {index} stands too late: {reason}"))),
        None => Ok(()),
    }
}

/// The descriptors that will travel with the plan.
fn descriptor_slots(request: &Request<'_>) -> DescriptorSlots {
    let mut slots = DescriptorSlots::default();
    if request.hold {
        slots = slots.with(DescriptorSlot::Listener);
    }
    for (slot, path) in joined_namespaces(&request.config.namespaces) {
        if path.is_some() {
            slots = slots.with(slot);
        }
    }
    for (slot, is_filled) in [
        (DescriptorSlot::Root, user_namespace::opens_sources(request)),
        (DescriptorSlot::Procfs, user_namespace::sends_procfs(request)),
        (DescriptorSlot::Trace, request.takes_notes),
    ] {
        if is_filled {
            slots = slots.with(slot);
        }
    }
    slots
}

/// The namespaces that stage1 joins itself, in the order of travel. With a new user namespace that comes with the clone it is born in those that may
/// belong to the host: who is in there could not join them.
pub fn joined_namespaces(namespaces: &Namespaces) -> [(DescriptorSlot, Option<&str>); 8] {
    let outer = |namespace| if clones_user(namespaces) { None } else { Namespace::path(namespace) };
    [
        (DescriptorSlot::MountNamespace, namespaces.mount.path()),
        (DescriptorSlot::NetworkNamespace, outer(&namespaces.network)),
        (DescriptorSlot::IpcNamespace, outer(&namespaces.ipc)),
        (DescriptorSlot::UtsNamespace, outer(&namespaces.uts)),
        (DescriptorSlot::CgroupNamespace, outer(&namespaces.cgroup)),
        (DescriptorSlot::TimeNamespace, outer(&namespaces.time)),
        (DescriptorSlot::PidNamespace, outer(&namespaces.pid)),
        (DescriptorSlot::UserNamespace, namespaces.user.path()),
    ]
}
