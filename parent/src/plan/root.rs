//! How the container's root becomes the root, and what the root mount is in the end.

use shared_proto::bootstrap::{Bootstrap, HostLeft, RootChange};
use shared_proto::{Phase, Planned, Propagation, PropagationKind, Propagations, Step};

use super::{Draft, Request, descriptor_slots, mounts, user_namespace};
use crate::config::{self, Config, Namespace, Program};

pub(super) fn plan_bootstrap<'a>(request: &Request<'a>, program: &Program<'_>) -> Bootstrap<Planned<'a>> {
    let config = request.config;
    let namespaces = &config.namespaces;
    let root_change = match namespaces.mount {
        Namespace::New if request.no_pivot => RootChange::Move,
        Namespace::New => RootChange::Pivot,
        Namespace::Join(_) => RootChange::Bind,
        Namespace::Inherit => RootChange::Chroot,
    };
    Bootstrap {
        root: request.root,
        root_change,
        host_left: host_left(request, root_change),
        initial_propagation: initial_propagation(config.rootfs_propagation),
        descriptors: descriptor_slots(request),
        // On v2 stage1 is born in its cgroup.
        await_cgroups: request.placement.is_entered_later() || user_namespace::is_sent_cgroup(request),
        await_network: mounts::network_waits(request),
        new_cgroup_namespace: namespaces.cgroup == Namespace::New,
        home_of: home_of(config, program),
        await_hooks: config.hooks.run_before_the_pivot(),
        loopback_up: user_namespace::clones_network(request),
        born_late: user_namespace::is_born_late(namespaces),
        reports_ready: request.hold
            || config.process.terminal.is_some()
            || user_namespace::leaves_clocks_to_parent(config),
        joined: 0,
        unshared: user_namespace::unshared(request),
        preserved_count: request.preserved_count,
    }
}

/// To let go of the old root takes a grace period, and that waits until the parent comes out of the call that makes the network namespace. At once
/// where others are in the pid namespace, who shall not meet the host's tree, and where names in a mount's options mean the container's files; but behind
/// all that needs the host's tree, in any case.
fn host_left(request: &Request<'_>, root_change: RootChange) -> HostLeft {
    let config = request.config;
    if user_namespace::shows_procfs_late(request)
        || config.hooks.run_before_the_pivot()
        || config.mounts.iter().any(mounts::names_host_paths)
    {
        return HostLeft::BehindViews;
    }
    let may_wait = root_change == RootChange::Pivot
        && !user_namespace::is_born_late(&config.namespaces)
        && !config.mounts.iter().any(mounts::may_name_paths);
    if may_wait { HostLeft::BeforeNetwork } else { HostLeft::First }
}

/// Whose home directory HOME is to be, where the environment does not say it.
pub(super) fn home_of(config: &Config, program: &Program<'_>) -> Option<u32> {
    let is_home = |entry: &&[u8]| entry.strip_prefix(b"HOME=").is_some_and(|home| !home.is_empty());
    (!program.environment.iter().any(is_home)).then_some(config.process.user.uid)
}

/// What the new namespace's mounts become at first. A slave still gets the host's new mounts, as runc's default does; an unbindable
/// root could not even be bound, so it becomes that in the end.
fn initial_propagation(wanted: Option<config::Propagation>) -> Propagation {
    let kind = match wanted.map(|wanted| wanted.kind) {
        None | Some(config::PropagationKind::Slave) => PropagationKind::Slave,
        Some(config::PropagationKind::Shared) => PropagationKind::Shared,
        Some(config::PropagationKind::Private | config::PropagationKind::Unbindable) => {
            PropagationKind::Private
        }
    };
    Propagation { kind, recursive: true }
}

/// The root mount's last touches.
pub(super) fn plan_finish(draft: &mut Draft<'_>, config: &Config) {
    let wanted = config.rootfs_propagation.map(propagation);
    let at_end =
        wanted.filter(|wanted| matches!(wanted.kind, PropagationKind::Shared | PropagationKind::Unbindable));
    if config.root.readonly || at_end.is_some() {
        let propagations = Propagations::new(at_end).unwrap_or_default();
        draft.push(Phase::Identity, Step::FinishRoot { readonly: config.root.readonly, propagations });
    }
}

/// The protocol's words for the configuration's.
pub(super) fn propagation(propagation: config::Propagation) -> Propagation {
    let kind = match propagation.kind {
        config::PropagationKind::Shared => PropagationKind::Shared,
        config::PropagationKind::Slave => PropagationKind::Slave,
        config::PropagationKind::Private => PropagationKind::Private,
        config::PropagationKind::Unbindable => PropagationKind::Unbindable,
    };
    Propagation { kind, recursive: propagation.recursive }
}
