//! Who is in which namespace and cgroup. The parent clones stage1 into some of the new namespaces; here it makes others, and joins those that
//! exist, and those that the parent makes meanwhile.

use heapless::Vec;
use shared_proto::bootstrap::NEW_USER;
use shared_proto::{BindOrigin, Call, DescriptorSlot, Moment, Reply, Report, Step, StepKind, View};

use crate::kernel::{At, Child, Descriptor, Errno, Fault, Kernel, Memory, NamespaceKind};
use crate::receive::{self, DescriptorList, Received};

/// No way to be traced or read by processes of a joined pid namespace (CVE-2016-9962); no signal blocked.
pub(crate) fn prepare<K: Kernel>(kernel: &mut K) -> Result<(), Fault> {
    kernel.set_undumpable().at(Call::Dumpable)?;
    kernel.unblock_signals().at(Call::SignalReset)?;
    // Modes of nodes and directories are then exactly those that the plan says.
    kernel.set_umask(0);
    Ok(())
}

/// Joins the namespaces that travelled with the bootstrap, and makes those that are to be below them. The mount namespace comes last: it
/// changes what paths mean.
pub(crate) fn join<K: Kernel>(kernel: &mut K, socket: Descriptor, received: &Received) -> Result<(), Fault> {
    let bootstrap = received.view.bootstrap();
    if let Some(init) = received.descriptor(DescriptorSlot::Init) {
        // All at once, the user namespace first: the kernel judges every one of them by who we are now. Source: setns(2), Linux 5.8.
        if bootstrap.joined != 0 {
            kernel.join_process(init, bootstrap.joined).at(Call::JoinInit)?;
        }
        return if bootstrap.joined & NEW_USER != 0 { become_root(kernel) } else { Ok(()) };
    }
    let user = received.descriptor(DescriptorSlot::UserNamespace);
    let mut late = Vec::<_, 6>::new();
    for (slot, kind) in [
        (DescriptorSlot::IpcNamespace, NamespaceKind::Ipc),
        (DescriptorSlot::UtsNamespace, NamespaceKind::Uts),
        (DescriptorSlot::NetworkNamespace, NamespaceKind::Network),
        (DescriptorSlot::CgroupNamespace, NamespaceKind::Cgroup),
        (DescriptorSlot::TimeNamespace, NamespaceKind::Time),
        (DescriptorSlot::PidNamespace, NamespaceKind::Pid),
    ] {
        let Some(namespace) = received.descriptor(slot) else { continue };
        match kernel.set_namespace(namespace, kind) {
            // What belongs to the host can be joined from outside alone, what belongs to the user namespace from inside.
            Err(Errno::PERM) if user.is_some() => {
                // Never: there is room for all of the list above.
                late.push((namespace, kind)).map_err(|_| receive::unexpected())?;
            }
            joined => joined.at(joining(kind))?,
        }
    }
    if let Some(user) = user {
        kernel.set_namespace(user, NamespaceKind::User).at(Call::JoinUser)?;
        for (namespace, kind) in late {
            kernel.set_namespace(namespace, kind).at(joining(kind))?;
        }
        become_root(kernel)?;
    }
    if bootstrap.unshared & NEW_USER != 0 {
        kernel.unshare(NamespaceKind::User).at(Call::Unshare)?;
        kernel.send(socket, &Report::MapsDue.encode()).at(Call::Send)?;
        match receive::reply(kernel, socket, &mut DescriptorList::new())? {
            Reply::Proceed => become_root(kernel)?,
            _ => return Err(receive::unexpected()),
        }
    }
    if let Some(namespace) = received.descriptor(DescriptorSlot::MountNamespace) {
        kernel.set_namespace(namespace, NamespaceKind::Mount).at(Call::JoinMount)?;
    }
    if bootstrap.unshared & !NEW_USER != 0 {
        kernel.unshare_all(bootstrap.unshared & !NEW_USER).at(Call::Unshare)?;
    }
    if bootstrap.loopback_up {
        kernel.loopback_up().at(Call::Loopback)?;
    }
    Ok(())
}

/// What is said where it fails.
fn joining(kind: NamespaceKind) -> Call {
    match kind {
        NamespaceKind::Mount => Call::JoinMount,
        NamespaceKind::Network => Call::JoinNetwork,
        NamespaceKind::Ipc => Call::JoinIpc,
        NamespaceKind::Uts => Call::JoinUts,
        NamespaceKind::Cgroup => Call::JoinCgroup,
        NamespaceKind::Time => Call::JoinTime,
        NamespaceKind::Pid => Call::JoinPid,
        NamespaceKind::User => Call::JoinUser,
    }
}

/// Root of the user namespace, with every capability there: what is made by nobody belongs to nobody.
fn become_root<K: Kernel>(kernel: &mut K) -> Result<(), Fault> {
    match kernel.set_groups(&[]) {
        // Where setgroups is denied, groups cannot be dropped, and could not be used either.
        Err(Errno::PERM) => {}
        dropped => dropped.at(Call::SetGroups)?,
    }
    // One that maps no root of its own leaves us who we are.
    match kernel.set_group_id(0).and_then(|()| kernel.set_user_id(0)) {
        Err(Errno::INVAL) => Ok(()),
        became => became.at(Call::SetUserId),
    }
}

/// Goes on as a child of the parent, a sibling of this process, which ends.
///
/// Only children are in a pid namespace that was joined. Whoever is in there may have CAP_SYS_PTRACE, and then what a process is and has open is theirs
/// (CVE-2019-5736 and its kin): all that they find is stage1, a copy that is sealed, and in the container's own tree unless the pivot is late.
///
/// On the same memory, which takes half of the time of a copy: nobody else uses it in the moment until this process is gone.
pub(crate) fn be_born<K: Kernel>(kernel: &mut K, socket: Descriptor, view: &View<'_>) -> Result<(), Fault> {
    let joins_clocks = view.steps_of([StepKind::NewTimeNamespace]).next().is_some();
    let memory = if joins_clocks { Memory::Copied } else { Memory::Shared };
    kernel.fork_sibling(memory, socket, leave).at(Call::Fork)
}

/// Says who goes on, and ends.
fn leave<K: Kernel>(kernel: &mut K, socket: Descriptor, sibling: Child) -> ! {
    let report = Report::Born { pid: sibling.pid.unsigned_abs() };
    // Ignored: if the parent is gone, the sibling learns it as well.
    let _ = kernel.send_descriptor(socket, &report.encode(), sibling.handle);
    kernel.exit(0)
}

/// A session of its own.
pub(crate) fn set_session<K: Kernel>(kernel: &mut K) -> Result<(), Fault> {
    kernel.set_session().at(Call::SetSession)
}

/// Waits for the cgroups that the parent makes meanwhile, and moves into them.
///
/// Writing "0" to a v1 `tasks` file moves the writer alone; that needs no lock of all thread groups and so no wait for a grace
/// period, unlike a pid in cgroup.procs (9 to 10 ms on an idle host).
///
/// Returns the trees that the parent sent for bind steps of its own.
pub(crate) fn enter_cgroups<K: Kernel>(
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
        let is_parents = |step: &_| matches!(step, Step::BindMount { origin: BindOrigin::Parent, .. });
        let tree_count = view.steps_of([StepKind::BindMount]).filter(is_parents).count();
        for &tasks in trees.get(tree_count..).ok_or(receive::unexpected())? {
            kernel.write(tasks, b"0").at(Call::Write)?;
        }
        trees.truncate(tree_count);
    }
    if bootstrap.new_cgroup_namespace {
        kernel.unshare(NamespaceKind::Cgroup).at(Call::Unshare)?;
    }
    kernel.note(Moment::CgroupsEntered as u32);
    Ok(trees)
}

/// Waits for the network namespace that the parent makes meanwhile, and moves into it.
pub(crate) fn enter_network<K: Kernel>(
    kernel: &mut K,
    socket: Descriptor,
    view: &View<'_>,
) -> Result<(), Fault> {
    if !view.bootstrap().await_network {
        return Ok(());
    }
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
    Ok(())
}
