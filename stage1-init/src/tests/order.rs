//! What comes before what, and what is still open when.

use shared_proto::limits::{EARLY_BIND_COUNT_MAX, FRAME_DESCRIPTOR_COUNT_MAX};

use super::*;

fn position(trace: &[String], start: &str) -> usize {
    trace.iter().position(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start}"))
}

#[test]
fn the_program_is_executed_only_after_the_start() {
    let _alone = alone();
    let mut datagrams = conversation();
    // Well-formed replies that are no start.
    for (reply, descriptors) in [(Reply::Network, 1), (Reply::Cgroups { descriptor_count: 0 }, 0)] {
        datagrams[3] = frame(reply, descriptors);
        let mut kernel = kernel(datagrams.clone());
        assert_eq!(run(&mut kernel), End::Exited(1), "{reply:?}");
        assert!(!kernel.trace.iter().any(|line| line.starts_with("execute")));
    }
}

#[test]
fn ignored_signals_are_reset_before_a_start_is_held() {
    let _alone = alone();
    let mut kernel = kernel(held(std::vec![frame(Reply::Start { ignored_signals: 0 }, 0)]));
    assert_eq!(run(&mut kernel), End::Executed);
    let reset = position(&kernel.trace, "reset_signal 64");
    assert_eq!(kernel.trace[reset - 1], "reset_signal 1");
    assert!(reset < position(&kernel.trace, "accept"));
}

#[test]
fn a_failure_after_a_held_start_goes_to_the_caller() {
    let _alone = alone();
    let mut kernel = kernel(held(std::vec![frame(Reply::Start { ignored_signals: 0 }, 0)]));
    kernel.refused.push(("execute", Errno::NOEXEC));
    assert_eq!(run(&mut kernel), End::Exited(1));
    assert!(
        kernel.trace.iter().rev().nth(1).unwrap().starts_with("send caller Failed"),
        "{:?}",
        kernel.trace
    );
}

#[test]
fn the_filters_listener_goes_to_the_caller_and_nothing_but_execve_follows() {
    let _alone = alone();
    for (datagrams, to) in [
        (conversation(), "socket"),
        (held(std::vec![frame(Reply::Start { ignored_signals: 0 }, 0)]), "caller"),
    ] {
        let mut kernel = kernel(datagrams);
        assert_eq!(run(&mut kernel), End::Executed);
        let load = position(&kernel.trace, "install_filter 0x8 8 bytes");
        assert!(position(&kernel.trace, "close_on_execute_from") < load);
        assert_eq!(kernel.trace[load + 1], format!("send_descriptor {to} Listener filter's listener"));
        assert!(kernel.trace[load + 2].starts_with("execute"), "{:?}", kernel.trace);
        assert_eq!(kernel.trace.len(), load + 3);
    }
}

/// A `create`, after which each of `callers` calls.
fn held(callers: Vec<Datagram>) -> Vec<Datagram> {
    let held =
        Bootstrap { descriptors: DescriptorSlots::default().with(DescriptorSlot::Listener), ..bootstrap() };
    let mut datagrams = conversation();
    datagrams[0] = (encoded(held, &steps()), 1);
    datagrams[3] = frame(Reply::Hold { ignored_signals: 1 | 1 << 63 }, 0);
    datagrams.extend(callers);
    datagrams
}

#[test]
fn a_held_start_waits_for_a_caller_that_says_start() {
    let _alone = alone();
    let start = frame(Reply::Start { ignored_signals: 0 }, 0);
    let other = frame(Reply::Hold { ignored_signals: 0 }, 0);
    // The first caller hangs up, the second speaks nonsense, the third says something else; the fourth starts.
    let callers = std::vec![(Vec::new(), 0), (std::vec![1, 2, 3], 0), other, start];
    let mut kernel = kernel(held(callers));
    assert_eq!(run(&mut kernel), End::Executed);
    assert_eq!(kernel.trace.iter().filter(|line| line.starts_with("accept")).count(), 4);
    assert_eq!(kernel.trace.iter().filter(|line| *line == "close caller").count(), 3);
}

#[test]
fn who_has_no_program_is_held_and_executes_nothing() {
    let _alone = alone();
    let descriptors = DescriptorSlots::default().with(DescriptorSlot::Listener);
    let mut datagrams = held(std::vec![frame(Reply::Start { ignored_signals: 0 }, 0)]);
    datagrams[0] = (encoded_with(&[], Bootstrap { descriptors, ..bootstrap() }, &steps()), 1);
    let mut kernel = kernel(datagrams);
    assert_eq!(run(&mut kernel), End::Exited(1));
    assert!(kernel.trace.iter().any(|line| line.starts_with("accept")), "{:?}", kernel.trace);
    assert!(!kernel.trace.iter().any(|line| line.starts_with("execute")), "{:?}", kernel.trace);
}

#[test]
fn namespaces_are_joined_before_anything_is_opened_and_the_mount_namespace_last() {
    let _alone = alone();
    let is_namespace = |slot: &DescriptorSlot| {
        !matches!(
            slot,
            DescriptorSlot::Listener
                | DescriptorSlot::Root
                | DescriptorSlot::Init
                | DescriptorSlot::Trace
                | DescriptorSlot::UserNamespace
                | DescriptorSlot::Procfs
        )
    };
    let slots = DescriptorSlot::ALL.into_iter().filter(is_namespace);
    let descriptors = slots.fold(DescriptorSlots::default(), DescriptorSlots::with);
    let mut datagrams = conversation();
    datagrams[0] = (encoded(Bootstrap { descriptors, ..bootstrap() }, &steps()), 7);
    let mut kernel = kernel(datagrams);
    assert_eq!(run(&mut kernel), End::Executed);
    let first = position(&kernel.trace, "set_namespace");
    let joins = [
        "set_namespace received 2 Ipc",
        "set_namespace received 3 Uts",
        "set_namespace received 1 Network",
        "set_namespace received 4 Cgroup",
        "set_namespace received 5 Time",
        "set_namespace received 6 Pid",
        "set_namespace received 0 Mount",
    ];
    assert_eq!(kernel.trace[first..first + joins.len()], joins);
    assert!(first < position(&kernel.trace, "open"));
}

/// The calls between the last preparation and the first step.
/// What the host's mountinfo says, where somebody looks.
const MOUNTS: &[u8] = b"22 1 0:21 / /proc rw - proc proc rw\n\
    23 1 0:22 / /srv rw - tmpfs tmpfs rw\n\
    24 23 0:21 / /srv/web/proc rw - proc proc rw\n";

fn check_root_change(change: RootChange, kind: PropagationKind, calls: &[&str]) {
    let _alone = alone();
    let initial_propagation = Propagation { kind, recursive: true };
    let (mut root, mut datagrams) = (bootstrap(), conversation());
    if change == RootChange::Bind {
        root.descriptors = root.descriptors.with(DescriptorSlot::MountNamespace);
    }
    let root = Bootstrap { root_change: change, initial_propagation, ..root };
    // Nothing is mounted without a mount namespace of one's own: the decoder refuses such a plan.
    let steps = if change == RootChange::Chroot { Vec::new() } else { steps() };
    datagrams[0] = (encoded(root, &steps), root.descriptors.count());
    let mut kernel = kernel(datagrams);
    if change == RootChange::Move {
        kernel.content.extend(MOUNTS);
    }
    run(&mut kernel);
    let first = position(&kernel.trace, "set_umask") + 1;
    let first = first + usize::from(change == RootChange::Bind);
    let rest = kernel.trace[first..].iter().filter(|line| *line != "set_session");
    let found: Vec<&str> = rest.take(calls.len()).map(String::as_str).collect();
    assert_eq!(found, calls);
}

#[test]
fn a_root_that_cannot_pivot_is_moved_and_the_hosts_procfs_goes_before() {
    let calls = [
        "set_propagation cwd / Propagation { kind: Private, recursive: true }",
        "open_tree cwd /host/data recursive=true",
        "open_tree cwd /bundle/rootfs recursive=true",
        "move_mount tree of /bundle/rootfs to cwd /bundle/rootfs",
        "open cwd /proc/self/mountinfo Read Host",
        "map_memory 4194304",
        "read /proc/self/mountinfo",
        "read /proc/self/mountinfo",
        "close /proc/self/mountinfo",
        "unmount_detached /proc",
        "unmount_detached /srv/web/proc",
        "move_mount tree of /bundle/rootfs to cwd /",
        "change_directory_to tree of /bundle/rootfs",
        "change_root .",
        "open tree of /bundle/rootfs /proc Directory InRootNoSymlinks",
    ];
    check_root_change(RootChange::Move, PropagationKind::Private, &calls);
}

#[test]
fn a_root_in_a_joined_mount_namespace_leaves_its_propagation_alone() {
    let calls = [
        "open_tree cwd /host/data recursive=true",
        "open_tree cwd /bundle/rootfs recursive=true",
        "move_mount tree of /bundle/rootfs to cwd /bundle/rootfs",
        "set_propagation tree of /bundle/rootfs  Propagation { kind: Private, recursive: false }",
        "change_directory_to tree of /bundle/rootfs",
        "change_root .",
        "open tree of /bundle/rootfs /proc Directory InRootNoSymlinks",
    ];
    check_root_change(RootChange::Bind, PropagationKind::Slave, &calls);
}

#[test]
fn shared_sources_are_opened_before_the_tree_is_cut_off() {
    let calls = [
        "open_tree cwd /host/data recursive=true",
        "set_propagation cwd / Propagation { kind: Slave, recursive: true }",
        "open_tree cwd /bundle/rootfs recursive=true",
    ];
    check_root_change(RootChange::Pivot, PropagationKind::Shared, &calls);
}

#[test]
fn without_a_mount_namespace_nothing_is_mounted() {
    let calls = [
        "open cwd /bundle/rootfs Directory Host",
        "change_directory_to /bundle/rootfs",
        "change_root .",
        "receive socket",
    ];
    check_root_change(RootChange::Chroot, PropagationKind::Slave, &calls);
}

/// Descriptors that were opened before the trees came are below them, where no sweep closes anything.
#[test]
fn a_long_plan_stays_below_the_usual_limit_of_descriptors() {
    let _alone = alone();
    let steps = steps();
    let bind = |step: &PhasedStep<Planned<'static>>, origin| match step.step {
        Step::BindMount { origin: from, .. } => from == origin,
        _ => false,
    };
    let (host, parents) = (BindOrigin::Host, BindOrigin::Parent);
    let tmpfs = |phase| {
        let (fstype, target, propagations) = ("tmpfs", "/a/b", Propagations::default());
        let step = Step::MountFilesystem {
            fstype,
            source: fstype,
            target,
            data: "",
            flags: 0,
            propagations,
            copies_up: false,
            is_mapped: false,
        };
        PhasedStep { phase, step }
    };
    let mut long: Vec<PhasedStep<Planned<'_>>> = Vec::new();
    for step in &steps {
        let copies = match step {
            step if bind(step, host) => EARLY_BIND_COUNT_MAX,
            step if bind(step, parents) => FRAME_DESCRIPTOR_COUNT_MAX - 1,
            _ => 1,
        };
        if matches!(step.step, Step::MakeDevice { .. }) {
            long.extend([tmpfs(Phase::Mounts); 95]);
        }
        if bind(step, parents) {
            long.extend([tmpfs(Phase::Views); 95]);
        }
        long.extend(std::iter::repeat_n(*step, copies));
    }
    let mut datagrams = conversation();
    datagrams[0].0 = encoded(bootstrap(), &long);
    let count = FRAME_DESCRIPTOR_COUNT_MAX;
    datagrams[1] = frame(Reply::Cgroups { descriptor_count: count as u16 }, count);
    let mut kernel = kernel(datagrams);
    assert_eq!(run(&mut kernel), End::Executed);
    assert!(kernel.most_open < 1000, "{} open", kernel.most_open);
}

/// The parent writes the offsets where stage1 may not: their file is somebody else's.
#[test]
fn clocks_that_stage1_may_not_set_are_the_parents_to_set() {
    let _alone = alone();
    let place = steps().iter().position(|phased| phased.phase == Phase::Identity).unwrap();
    let mut steps = steps();
    let step = Step::NewTimeNamespace { offsets: "boottime 5 0\n" };
    steps.insert(place, PhasedStep { phase: Phase::Views, step });
    for (reply, expected) in [(Reply::Proceed, End::Executed), (Reply::Network, End::Exited(1))] {
        let mut datagrams = conversation();
        datagrams[0].0 = encoded(bootstrap(), &steps);
        let start = datagrams.len() - 1;
        datagrams.insert(start, frame(reply, reply.descriptor_count()));
        let mut kernel = kernel(datagrams);
        kernel.refused.push(("open mount of proc self/timens_offsets", Errno::ACCESS));
        assert_eq!(run(&mut kernel), expected, "{:#?}", kernel.trace);
        let asked = position(&kernel.trace, "send socket ClocksDue");
        let entered =
            kernel.trace.iter().position(|line| line.starts_with("set_namespace") && line.ends_with(" Time"));
        assert_eq!(entered.is_some_and(|entered| entered > asked), expected == End::Executed);
    }
}

#[test]
fn the_hosts_tree_is_left_when_the_plan_says_so() {
    let _alone = alone();
    let order = |host_left| {
        let mut datagrams = conversation();
        datagrams[0].0 = encoded(Bootstrap { host_left, ..bootstrap() }, &steps());
        let mut kernel = kernel(datagrams);
        assert_eq!(run(&mut kernel), End::Executed);
        let mut order = ["mount proc", "write", "pivot_root", "set_namespace", "mount sysfs", "set_hostname"];
        order.sort_by_key(|call| position(&kernel.trace, call));
        order
    };
    let [first, before_network, behind_views] =
        [HostLeft::First, HostLeft::BeforeNetwork, HostLeft::BehindViews].map(order);
    let others = ["mount proc", "write", "set_namespace", "mount sysfs", "set_hostname"];
    for (order, place) in [(first, 0), (before_network, 2), (behind_views, 4)] {
        assert_eq!(order[place], "pivot_root", "{order:?}");
        assert!(order.iter().filter(|call| **call != "pivot_root").eq(&others), "{order:?}");
    }
}

#[test]
fn mounts_behind_the_pivot_are_made_from_their_directory() {
    let _alone = alone();
    let mut steps = steps();
    let at = |target, phase| {
        let step = Step::MountFilesystem {
            fstype: "tmpfs",
            source: "tmpfs",
            target,
            data: "mode=755",
            flags: 0,
            propagations: Propagations::default(),
            copies_up: false,
            is_mapped: false,
        };
        PhasedStep { phase, step }
    };
    // Right behind the tmpfs on /dev, where nobody else has been, and right behind the pivot.
    steps.splice(2..3, [at("/dev/early", Phase::Mounts), at("/dev/late", Phase::Views)]);
    steps.sort_by_key(|phased| phased.phase);
    let mut datagrams = conversation();
    datagrams[0].0 = encoded(Bootstrap { host_left: HostLeft::BeforeNetwork, ..bootstrap() }, &steps);
    let mut kernel = kernel(datagrams);
    assert_eq!(run(&mut kernel), End::Executed);
    let late = position(&kernel.trace, "mount tmpfs tmpfs on late");
    assert_eq!(kernel.trace[late - 1], "change_directory_to /dev/", "{:?}", kernel.trace);
}
