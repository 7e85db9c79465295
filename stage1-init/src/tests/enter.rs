//! Processes in a container that exists.

use shared_proto::bootstrap::JOINED_ALL;

use super::kernel as kernel_of;
use super::*;

/// What an `exec` asks for: no mounts, the user, the lockdown.
pub(super) fn entering<'a>(slots: DescriptorSlots, joined: u32) -> Bootstrap<Planned<'a>> {
    Bootstrap {
        root: "/",
        root_change: RootChange::Enter,
        descriptors: slots,
        await_network: false,
        born_late: joined != 0,
        joined,
        preserved_count: 2,
        ..bootstrap()
    }
}

fn enter(slots: DescriptorSlots, joined: u32) -> Fake {
    enter_on(&[1, 70], slots, joined)
}

fn enter_on(processors: &[u32], slots: DescriptorSlots, joined: u32) -> Fake {
    let wanted = |phased: &PhasedStep<_>| phased.phase >= Phase::Identity;
    let mut steps: Vec<_> = steps().into_iter().filter(wanted).collect();
    let affinity = Step::SetAffinity { processors };
    steps.insert(0, PhasedStep { phase: Phase::Views, step: affinity });
    let bytes = encoded(entering(slots, joined), &steps);
    kernel(std::vec![
        (bytes, slots.count()),
        frame(Reply::Cgroups { descriptor_count: 2 }, 2),
        frame(Reply::Start { ignored_signals: 0 }, 0),
    ])
}

#[test]
fn a_process_enters_a_container_with_the_stored_calls() {
    let _alone = alone();
    let mut kernel = enter(DescriptorSlots::default().with(DescriptorSlot::Init), JOINED_ALL);
    assert_eq!(run(&mut kernel), End::Executed);
    assert_eq!(kernel.trace.iter().filter(|line| line.starts_with("join_process")).count(), 1);
    assert!(kernel.trace.iter().any(|line| line == "close_on_execute_from 5"));
    check_stored("enter.trace", &(kernel.trace.join("\n") + "\n"));
}

#[test]
fn a_root_that_its_mount_namespace_does_not_bring_is_changed_to() {
    let _alone = alone();
    let slots = DescriptorSlots::default().with(DescriptorSlot::Root).with(DescriptorSlot::Init);
    let mut kernel = enter(slots, 0);
    assert_eq!(run(&mut kernel), End::Executed);
    let change = kernel.trace.iter().position(|line| line == "change_directory_to received 0").unwrap();
    assert_eq!(kernel.trace[change + 1], "change_root .");
    assert!(!kernel.trace.iter().any(|line| line.starts_with("join_process")));
}

#[test]
fn nobody_enters_without_the_containers_init() {
    let _alone = alone();
    let mut kernel = enter(DescriptorSlots::default(), 0);
    assert_eq!(run(&mut kernel), End::Exited(1));
    let lines: Vec<&str> = kernel.trace.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(lines, ["receive", "send", "exit"]);
}

#[test]
fn an_init_that_is_gone_ends_it() {
    let _alone = alone();
    let mut kernel = enter(DescriptorSlots::default().with(DescriptorSlot::Init), JOINED_ALL);
    kernel.refused.push(("join_process", Errno::SRCH));
    assert_eq!(run(&mut kernel), End::Exited(1));
    let told = kernel.trace.iter().find(|line| line.contains("Failed")).unwrap();
    assert!(told.contains("call: JoinInit"), "{told}");
}

#[test]
fn who_joins_a_pid_namespace_is_born_in_it_when_the_host_is_left() {
    let _alone = alone();
    let descriptors = DescriptorSlots::default().with(DescriptorSlot::PidNamespace);
    let born = Bootstrap { descriptors, born_late: true, ..bootstrap() };
    let mut datagrams = conversation();
    datagrams[0] = (encoded(born, &steps()), 1);
    let mut kernel = kernel(datagrams.clone());
    assert_eq!(run(&mut kernel), End::Executed);
    let position = |start: &str| kernel.trace.iter().position(|line| line.starts_with(start)).unwrap();
    assert!(position("set_namespace received 0 Pid") < position("unmount_detached ."));
    assert!(position("unmount_detached .") < position("fork_sibling"));
    assert!(position("fork_sibling") < position("mount "));
    // A session is its maker's.
    assert!(position("fork_sibling") < position("set_session"));

    assert!(kernel.trace.iter().any(|line| line == "fork_sibling Shared"));

    let mut behind = kernel_of(datagrams);
    behind.stays_behind = true;
    assert_eq!(run(&mut behind), End::Exited(0));
    let last: Vec<&str> = behind.trace.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(last, ["exit 0", "send_descriptor socket Born { pid: 8 } sibling"]);
}

/// setns(2) refuses a time namespace to whoever shares its memory.
#[test]
fn who_gets_clocks_of_its_own_is_born_on_memory_of_its_own() {
    let _alone = alone();
    let descriptors = DescriptorSlots::default().with(DescriptorSlot::PidNamespace);
    let born = Bootstrap { descriptors, born_late: true, ..bootstrap() };
    let clocks = PhasedStep { phase: Phase::Views, step: Step::NewTimeNamespace { offsets: "" } };
    let place = steps().iter().position(|phased| phased.phase == Phase::Views).unwrap();
    let mut with_clocks = steps();
    with_clocks.insert(place, clocks);
    let mut datagrams = conversation();
    datagrams[0] = (encoded(born, &with_clocks), 1);
    let mut kernel = kernel(datagrams);
    run(&mut kernel);
    assert!(kernel.trace.iter().any(|line| line == "fork_sibling Copied"));
}

#[test]
fn below_a_user_namespace_that_is_joined_the_others_are_made_from_inside() {
    let _alone = alone();
    let slots = [
        DescriptorSlot::NetworkNamespace,
        DescriptorSlot::IpcNamespace,
        DescriptorSlot::PidNamespace,
        DescriptorSlot::UserNamespace,
    ];
    let descriptors = slots.into_iter().fold(DescriptorSlots::default(), DescriptorSlots::with);
    let unshared = 0x0002_0000;
    let joined = Bootstrap { descriptors, born_late: true, unshared, await_network: false, ..bootstrap() };
    let mut datagrams = conversation();
    datagrams[0] = (encoded(joined, &steps()), slots.len());
    datagrams.remove(2);
    let mut kernel = kernel_of(datagrams);
    // It belongs to the user namespace: only who is in there may join it.
    kernel.refused_once.push(("set_namespace received 1 Ipc", Errno::PERM));
    assert_eq!(run(&mut kernel), End::Executed);
    let first = kernel.trace.iter().position(|line| line.starts_with("set_namespace")).unwrap();
    assert!(kernel.trace[first].starts_with("set_namespace received 1 Ipc = "), "{}", kernel.trace[first]);
    let first = first + 1;
    let expected = [
        "set_namespace received 0 Network",
        "set_namespace received 2 Pid",
        "set_namespace received 3 User",
        "set_namespace received 1 Ipc",
        "set_groups ",
        "set_group_id 0",
        "set_user_id 0",
        "unshare_all 0x20000",
    ];
    assert_eq!(kernel.trace[first..first + expected.len()], expected);
}

/// The kernel says EINVAL as well if a cpuset was changed at the same moment, and has given out all of it then.
#[test]
fn all_processors_are_had_although_the_cpuset_was_changed() {
    let _alone = alone();
    for (processors, end) in [([].as_slice(), End::Executed), ([1].as_slice(), End::Exited(1))] {
        let slots = DescriptorSlots::default().with(DescriptorSlot::Init);
        let mut kernel = enter_on(processors, slots, JOINED_ALL);
        kernel.refused.push(("set_affinity", Errno::INVAL));
        assert_eq!(run(&mut kernel), end, "{processors:?}");
    }
}
