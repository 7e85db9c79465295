//! Who is in which namespace and cgroup. The parent clones stage1 into the new namespaces; here it joins those that
//! exist, and those that the parent makes meanwhile.

use shared_proto::{BindOrigin, Call, DescriptorSlot, Moment, Reply, Step, View};

use crate::kernel::{At, Descriptor, Fault, Kernel, NamespaceKind};
use crate::receive::{self, DescriptorList, Received};

/// A session of its own, no signal blocked, and no way to be traced or read by processes of a joined pid namespace
/// (CVE-2016-9962).
pub(crate) fn become_leader<K: Kernel>(kernel: &mut K) -> Result<(), Fault> {
    kernel.set_undumpable().at(Call::Dumpable)?;
    kernel.set_session().at(Call::SetSession)?;
    kernel.unblock_signals().at(Call::SignalReset)?;
    // Modes of nodes and directories are then exactly those that the plan says.
    kernel.set_umask(0);
    Ok(())
}

/// Joins the namespaces that travelled with the bootstrap. The mount namespace comes last: it changes what paths mean.
pub(crate) fn join<K: Kernel>(kernel: &mut K, received: &Received) -> Result<(), Fault> {
    if let Some(init) = received.descriptor(DescriptorSlot::Init) {
        // All at once, the user namespace first: the kernel judges every one of them by who we are now. Source: setns(2), Linux 5.8.
        let joined = received.view.bootstrap().joined;
        return if joined == 0 { Ok(()) } else { kernel.join_process(init, joined).at(Call::JoinInit) };
    }
    for (slot, kind) in [
        (DescriptorSlot::IpcNamespace, NamespaceKind::Ipc),
        (DescriptorSlot::UtsNamespace, NamespaceKind::Uts),
        (DescriptorSlot::NetworkNamespace, NamespaceKind::Network),
        (DescriptorSlot::CgroupNamespace, NamespaceKind::Cgroup),
        (DescriptorSlot::TimeNamespace, NamespaceKind::Time),
        (DescriptorSlot::MountNamespace, NamespaceKind::Mount),
    ] {
        if let Some(namespace) = received.descriptor(slot) {
            kernel.set_namespace(namespace, kind).at(Call::SetNamespace)?;
        }
    }
    if received.view.bootstrap().loopback_up {
        kernel.loopback_up().at(Call::Loopback)?;
    }
    Ok(())
}

/// Waits for the cgroups and the network that the parent makes meanwhile, and moves into them.
///
/// Writing "0" to a v1 `tasks` file moves the writer alone; that needs no lock of all thread groups and so no wait for a grace
/// period, unlike a pid in cgroup.procs (9 to 10 ms on an idle host).
///
/// Returns the trees that the parent sent for bind steps of its own.
pub(crate) fn attach<K: Kernel>(
    kernel: &mut K,
    socket: Descriptor,
    view: &View<'_>,
) -> Result<DescriptorList, Fault> {
    let bootstrap = view.bootstrap();
    let mut trees = DescriptorList::new();
    if bootstrap.await_cgroups {
        match receive::reply(kernel, socket, &mut trees)? {
            Reply::Cgroups { .. } => {}
            _ => return Err(receive::unexpected()),
        }
        kernel.note(Moment::CgroupsCame as u32);
        let is_parents = |step| matches!(step, Step::BindMount { origin: BindOrigin::Parent, .. });
        let tree_count = view.steps().filter(|phased| is_parents(phased.step)).count();
        for &tasks in trees.get(tree_count..).ok_or(receive::unexpected())? {
            kernel.write(tasks, b"0").at(Call::Write)?;
        }
        trees.truncate(tree_count);
    }
    if bootstrap.new_cgroup_namespace {
        kernel.unshare(NamespaceKind::Cgroup).at(Call::Unshare)?;
    }
    kernel.note(Moment::CgroupsEntered as u32);
    if bootstrap.await_network {
        let mut network = DescriptorList::new();
        match receive::reply(kernel, socket, &mut network)? {
            Reply::Network => {}
            _ => return Err(receive::unexpected()),
        }
        kernel.note(Moment::NetworkCame as u32);
        for namespace in network {
            kernel.set_namespace(namespace, NamespaceKind::Network).at(Call::SetNamespace)?;
        }
        kernel.note(Moment::NetworkEntered as u32);
    }
    Ok(trees)
}
