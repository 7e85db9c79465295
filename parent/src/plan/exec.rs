//! One more process in a container that exists: no mounts and no names, but its user, its terminal, and everything that confines it.

use linux_raw_sys::general as uapi;
use shared_proto::bootstrap::{Bootstrap, DescriptorSlot, DescriptorSlots, HostLeft, RootChange};
use shared_proto::{Phase, Planned, Propagation, PropagationKind, Step};

use super::{Draft, Plan, Request, Store, check_bounds, root, unsupported};
use super::{capabilities, console, identity, landlock, lsm, scheduling, seccomp, user_namespace};
use crate::config::{Namespace, Namespaces, Program};
use crate::error::{Error, Result};

/// How the process gets into the container.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The container's own.
    pub namespaces: &'a Namespaces,
    /// The container's root has to be sent.
    pub sends_root: bool,
}

/// Decides everything of one `exec`. The request's configuration is that of the process, as `Basis::into_config` makes it, but for what `program` says.
pub fn plan_exec<'a>(
    request: &Request<'a>,
    program: Program<'a>,
    entry: &Entry<'a>,
    store: &'a Store,
) -> Result<Plan<'a>> {
    let config = request.config;
    if let Some(first) = unsupported(config, request.host).into_iter().next() {
        return Err(Error::new(first.to_string()));
    }
    let mut draft = Draft { steps: Vec::with_capacity(16), sent: Vec::new(), program, store };
    let affinity = &config.process.exec_cpu_affinity;
    if !affinity.last.is_empty() || affinity.initial.is_empty() {
        // All, if the container says nothing: whatever our caller is pinned to, and where we have put stage1.
        draft.push(Phase::Views, Step::SetAffinity { processors: &affinity.last });
    }
    console::plan_late(&mut draft, request);
    lsm::plan(&mut draft, request);
    identity::plan(&mut draft, request);
    scheduling::plan(&mut draft, config);
    capabilities::plan(&mut draft, request);
    landlock::plan(&mut draft, request);
    identity::plan_late(&mut draft, request);
    seccomp::plan(&mut draft, request);
    let home_of = root::home_of(config, &draft.program);
    enter(request, draft, Bootstrap { home_of, ..bootstrap(request, entry) })
}

pub(super) fn enter<'a>(
    request: &Request<'a>,
    draft: Draft<'a>,
    bootstrap: Bootstrap<Planned<'a>>,
) -> Result<Plan<'a>> {
    let steps = draft.steps();
    check_bounds(&steps)?;
    Ok(Plan {
        bootstrap,
        steps,
        program: draft.program,
        // None is made or joined but through the container's init.
        namespaces: const { &NO_NAMESPACES },
        user_namespace: user_namespace::plan(request),
        sent: draft.sent,
        config: None,
        net_devices: &[],
    })
}

pub(super) fn bootstrap<'a>(request: &Request<'a>, entry: &Entry<'a>) -> Bootstrap<Planned<'a>> {
    let mut slots = DescriptorSlots::default().with(DescriptorSlot::Init);
    for (slot, is_filled) in
        [(DescriptorSlot::Root, entry.sends_root), (DescriptorSlot::Trace, request.takes_notes)]
    {
        if is_filled {
            slots = slots.with(slot);
        }
    }
    Bootstrap {
        root: request.root,
        root_change: RootChange::Enter,
        host_left: HostLeft::First,
        initial_propagation: Propagation { kind: PropagationKind::Slave, recursive: true },
        descriptors: slots,
        await_cgroups: request.placement.has_hierarchies(),
        await_network: false,
        new_cgroup_namespace: false,
        home_of: None,
        loopback_up: false,
        await_hooks: false,
        born_late: entry.namespaces.pid != Namespace::Inherit,
        reports_ready: request.config.process.terminal.is_some(),
        joined: joined(entry.namespaces),
        unshared: 0,
        preserved_count: request.preserved_count,
    }
}

const NO_NAMESPACES: Namespaces = Namespaces {
    listed: Vec::new(),
    pid: Namespace::Inherit,
    network: Namespace::Inherit,
    mount: Namespace::Inherit,
    ipc: Namespace::Inherit,
    uts: Namespace::Inherit,
    cgroup: Namespace::Inherit,
    user: Namespace::Inherit,
    time: Namespace::Inherit,
};

/// CLONE_NEW* bits of linux/sched.h.
fn joined(namespaces: &Namespaces) -> u32 {
    let bit = |namespace: &Namespace, bit: u32| if *namespace == Namespace::Inherit { 0 } else { bit };
    bit(&namespaces.mount, uapi::CLONE_NEWNS)
        | bit(&namespaces.network, uapi::CLONE_NEWNET)
        | bit(&namespaces.ipc, uapi::CLONE_NEWIPC)
        | bit(&namespaces.uts, uapi::CLONE_NEWUTS)
        | bit(&namespaces.cgroup, uapi::CLONE_NEWCGROUP)
        | bit(&namespaces.time, uapi::CLONE_NEWTIME)
        | bit(&namespaces.pid, uapi::CLONE_NEWPID)
        | bit(&namespaces.user, uapi::CLONE_NEWUSER)
}
