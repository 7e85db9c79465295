//! A filesystem that begins with what it covers, and has owners of its own.

use std::vec;

use super::kernel as kernel_of;
use super::*;

/// What stage1 does for one such filesystem on /data.
fn trace(set: impl FnOnce(&mut Fake), is_mapped: bool) -> (Vec<String>, End) {
    let _alone = alone();
    let step = Step::MountFilesystem {
        fstype: "tmpfs",
        source: "",
        target: "/data",
        data: "size=1m,context=\"u:r:t:c1,c2\"",
        flags: 0,
        propagations: Propagations::default(),
        copies_up: true,
        is_mapped,
    };
    let mut steps = steps();
    let place = steps.iter().position(|phased| phased.phase == Phase::Views).expect("views");
    steps.insert(place, PhasedStep { phase: Phase::Mounts, step });
    let mut datagrams = conversation();
    datagrams[0].0 = encoded(bootstrap(), &steps);
    if is_mapped {
        datagrams.insert(1, (Reply::Trees { descriptor_count: 1 }.encode().to_vec(), 1));
    }
    let mut kernel = kernel_of(datagrams);
    set(&mut kernel);
    let end = run(&mut kernel);
    let start = kernel.trace.iter().position(|call| call == "filesystem_open tmpfs").unwrap_or(0);
    let end_of_step = kernel.trace.iter().rposition(|call| call.starts_with("move_mount mount of tmpfs"));
    let end_of_step = end_of_step.map_or(kernel.trace.len(), |at| at + 1);
    (kernel.trace[start..end_of_step].to_vec(), end)
}

fn files(kernel: &mut Fake) {
    kernel.entries =
        [vec![".", "..", "file", "dir", "link", "socket", "fifo"], vec!["inner"], vec![], vec![]].into();
    for (name, mode) in [
        ("dir", 0o040_700),
        ("link", 0o120_777),
        ("socket", 0o140_755),
        ("fifo", 0o010_622),
        ("file", 0o104_755),
    ] {
        kernel.modes.push((name, Status { mode, uid: 5, gid: 6, ..Status::default() }));
    }
    kernel.modes.push(("inner", Status { mode: 0o100_644, ..Status::default() }));
    kernel.links.push(("link", "/etc/shadow"));
}

#[test]
fn everything_is_copied_below_descriptors_and_attributes_come_last() {
    let (trace, end) = trace(|kernel| (files(kernel), kernel.attributes = b"user.x\0").0, true);
    assert_eq!(end, End::Executed, "{trace:#?}");
    let place = |line: &str| {
        trace.iter().position(|call| call.starts_with(line)).unwrap_or_else(|| panic!("{line}: {trace:#?}"))
    };
    assert!(trace.iter().any(|call| call.contains("context=u:r:t:c1,c2")), "{trace:#?}");
    assert!(place("copy_content file") < place("change_owner . file 5:6"));
    assert!(place("change_owner . file 5:6") < place("change_mode . file 4755"));
    assert!(place("change_mode . file 4755") < place("set_attribute file user.x value"));
    assert!(place("status_of_entry dir inner") < place("change_owner . dir 5:6"));
    place("make_symlink . link /etc/shadow");
    place("make_node_like . fifo 10622");
    assert!(!trace.iter().any(|call| call.contains("socket") && !call.starts_with("status")), "{trace:#?}");
    assert!(place("set_owners") > place("set_attribute . user.x value"));
}

#[test]
fn an_owner_whom_the_user_namespace_does_not_have_lends_nothing() {
    let refuse = |kernel: &mut Fake| {
        files(kernel);
        kernel.refused.push(("change_owner . file", Errno::INVAL));
        kernel.refused.push(("make_node_like", Errno::PERM));
    };
    let (trace, end) = trace(refuse, false);
    assert_eq!(end, End::Executed, "{trace:#?}");
    assert!(trace.iter().any(|call| call == "change_mode . file 755"), "{trace:#?}");
}

#[test]
fn what_was_exchanged_meanwhile_and_what_is_too_deep_is_an_error() {
    let exchanged = |kernel: &mut Fake| {
        kernel.entries = [vec!["file"]].into();
        kernel.modes.push(("file", Status { mode: 0o100_644, ..Status::default() }));
        kernel.refused.push(("status file", Errno::STALE));
    };
    assert_eq!(trace(exchanged, false).1, End::Exited(1));
    let deep = |kernel: &mut Fake| {
        kernel.entries = vec![vec!["dir"]; 220].into();
        kernel.modes.push(("dir", Status { mode: 0o040_700, ..Status::default() }));
    };
    let (trace, end) = trace(deep, false);
    assert_eq!(end, End::Exited(1));
    assert_eq!(trace.iter().filter(|call| call.starts_with("read_directory")).count(), 200);
}
