//! Mounts in a container that runs: what `mounts` asks for, and no program.

use shared_proto::bootstrap::JOINED_ALL;

use super::enter::entering;
use super::kernel as kernel_of;
use super::*;

fn tmpfs<'a>() -> Step<Planned<'a>> {
    Step::MountFilesystem {
        fstype: "tmpfs",
        source: "scratch",
        target: "/data",
        data: "size=1m,noswap",
        // MS_RDONLY, MS_NOSUID, MS_SYNCHRONOUS, MS_NOATIME
        flags: 1 | 2 | 16 | 1024,
        propagations: Propagations::default(),
        copies_up: false,
        is_mapped: false,
    }
}

fn bind<'a>() -> Step<Planned<'a>> {
    Step::BindMount {
        source: "/host/data",
        target: "/data",
        origin: BindOrigin::Sent,
        recursive: false,
        nofollow: Nofollow::default(),
        attributes: Attributes::default(),
        recursive_attributes: Attributes::default(),
        propagations: Propagations::default(),
    }
}

/// What stage1 does with these steps and these frames of the parent, which then goes.
fn trace(steps: &[Step<Planned<'_>>], frames: Vec<(Vec<u8>, usize)>) -> Vec<String> {
    trace_with(|_| {}, steps, frames)
}

fn trace_with(
    set: impl FnOnce(&mut Fake),
    steps: &[Step<Planned<'_>>],
    frames: Vec<(Vec<u8>, usize)>,
) -> Vec<String> {
    let _alone = alone();
    let slots = DescriptorSlots::default().with(DescriptorSlot::Root).with(DescriptorSlot::Init);
    let steps: Vec<_> = steps.iter().map(|&step| PhasedStep { phase: Phase::Mounts, step }).collect();
    let bootstrap = Bootstrap { await_cgroups: false, ..entering(slots, JOINED_ALL) };
    let mut datagrams = std::vec![(encoded_with(&[], bootstrap, &steps), slots.count())];
    datagrams.extend(frames);
    let mut kernel = kernel_of(datagrams);
    set(&mut kernel);
    assert_eq!(run(&mut kernel), End::Exited(1));
    kernel.trace
}

/// Where a line begins with this.
fn place(trace: &[String], start: &str) -> usize {
    trace.iter().position(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}: {trace:#?}"))
}

#[test]
fn what_is_mounted_is_shown_to_the_parent_first() {
    let proceed = || frame(Reply::Proceed, 0);
    let tree = frame(Reply::Trees { descriptor_count: 1 }, 1);
    let trace = trace(&[bind(), tmpfs()], std::vec![tree, proceed(), proceed()]);
    let shown = place(&trace, "send_descriptor socket Mounting received 0");
    assert_eq!(trace[shown - 1], "die_with_parent");
    assert!(shown < place(&trace, "move_mount received 0"));

    let made = place(&trace, "filesystem_open tmpfs");
    let expected = [
        "filesystem_open tmpfs",
        "filesystem_set new tmpfs source=scratch",
        "filesystem_set new tmpfs size=1m",
        "filesystem_set new tmpfs noswap",
        "filesystem_set new tmpfs mode=0755",
        "filesystem_set new tmpfs ro",
        "filesystem_set new tmpfs sync",
        "filesystem_create new tmpfs",
        "filesystem_mount new tmpfs 0x13",
        "die_with_parent",
        "send_descriptor socket Mounting mount of tmpfs",
        "receive socket",
        "move_mount mount of tmpfs to /data ",
    ];
    for (line, expected) in trace[made..].iter().zip(expected) {
        assert!(line.starts_with(expected), "{line:?} is not {expected:?}");
    }
    assert!(!trace.iter().any(|line| line.starts_with("mount ")));
}

/// A label's commas are its own, and a mode may come behind it.
#[test]
fn what_is_mounted_has_the_containers_label() {
    let mut step = tmpfs();
    if let Step::MountFilesystem { data, .. } = &mut step {
        *data = "size=1m,context=\"u:r:t:c1,c2\"";
    }
    let trace = trace(&[step], Vec::new());
    let made = place(&trace, "filesystem_set new tmpfs size=1m");
    let expected = ["filesystem_set new tmpfs context=u:r:t:c1,c2", "filesystem_set new tmpfs mode=0755"];
    for (line, expected) in trace[made + 1..].iter().zip(expected) {
        assert!(line.starts_with(expected), "{line:?} is not {expected:?}");
    }
}

#[test]
fn nothing_is_mounted_whose_parent_has_gone() {
    let trace = trace(&[tmpfs()], Vec::new());
    place(&trace, "send_descriptor socket Mounting");
    assert!(!trace.iter().any(|line| line.starts_with("move_mount mount of tmpfs")));
    let last = &trace[trace.len() - 2];
    assert!(last.contains("call: ParentGone"), "{last}");
}

#[test]
fn a_mount_is_taken_away_from_the_directory_above_it_if_it_is_the_one() {
    let unmount = |path, mount| Step::Unmount { path, mount };
    let done = trace(&[unmount("/srv/old", 7)], Vec::new());
    let unmounted = place(&done, "unmount_detached old");
    assert!(done[unmounted - 1].starts_with("change_directory_to"));
    let escaped = trace(&[unmount(r"/srv/o\040l\134d\9", 7)], Vec::new());
    place(&escaped, r"unmount_detached o l\d\9");

    let other = trace(&[unmount("/srv/old", 8)], Vec::new());
    assert!(!other.iter().any(|line| line.starts_with("unmount_detached")));
    assert!(other[other.len() - 2].contains("call: Unmount, errno: 16 "));
    // It is nowhere: somebody else has its place.
    let gone = trace_with(|kernel| kernel.has_mount = false, &[unmount("/srv/old", 8)], Vec::new());
    assert!(!gone.iter().any(|line| line.starts_with("unmount_detached")));
    place(&gone, "send socket Ready");
}
