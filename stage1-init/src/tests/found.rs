//! Starts in a container that is not as the plan would have it.

use shared_proto::StepKind;

use super::*;
use crate::paths;

fn last_report(kernel: &Fake) -> &str {
    kernel.trace.iter().rev().nth(1).unwrap()
}

/// A node is in the way of the third step, /dev/null.
fn check_existing_node(existing: Status, expected: End) {
    let _alone = alone();
    let mut kernel = kernel(conversation());
    kernel.refused.push(("make_node", Errno::EXIST));
    kernel.modes.push(("null", existing));
    assert_eq!(run(&mut kernel), expected);
    if expected != End::Executed {
        assert!(last_report(&kernel).contains("step: Some(3), call: MakeNode, errno: 17 "));
    }
    assert!(!kernel.trace.iter().any(|line| line.starts_with("change_owner")), "it belongs to the image");
}

#[test]
fn a_device_that_exists_already_stays() {
    check_existing_node(
        Status { mode: 0o020600, device: crate::kernel::device_number(1, 3), ..Status::default() },
        End::Executed,
    );
}

#[test]
fn another_device_in_the_place_of_one_is_an_error() {
    let device = crate::kernel::device_number(1, 3);
    check_existing_node(
        Status { mode: 0o020666, device: crate::kernel::device_number(1, 5), ..Status::default() },
        End::Exited(1),
    );
    check_existing_node(Status { mode: 0o060666, device, ..Status::default() }, End::Exited(1));
    check_existing_node(Status { mode: 0o100666, ..Status::default() }, End::Exited(1));
}

#[test]
fn a_masked_path_that_is_missing_is_not_an_error() {
    let _alone = alone();
    let mut kernel = kernel(conversation());
    kernel.missing.push("/sys/firmware");
    kernel.entries = [std::vec!["mtrr", "1/"]].into();
    assert_eq!(run(&mut kernel), End::Executed);
    assert!(!kernel.trace.iter().any(|line| line.contains("/dev/null Path")), "no mask needs it");
}

/// What lies over /proc is found by whoever comes later, and not by a descriptor of what is below it.
#[test]
fn a_proc_that_was_mounted_upon_is_looked_up_anew() {
    let _alone = alone();
    for covering in ["/proc", "/link-to-proc"] {
        let mut steps = steps();
        let first = steps.iter().position(|phased| phased.step.kind() == StepKind::MaskPath).unwrap();
        let step = Step::ReadonlyPath { path: covering, recursive: true };
        steps.insert(first, PhasedStep { phase: Phase::Views, step });
        let mut datagrams = conversation();
        datagrams[0].0 = encoded(bootstrap(), &steps);
        let mut kernel = kernel(datagrams);
        assert_eq!(run(&mut kernel), End::Executed);
        let covered = kernel
            .trace
            .iter()
            .position(|line| line.starts_with(&std::format!("move_mount tree of {covering}")));
        let after = &kernel.trace[covered.unwrap() + 1..];
        assert!(after.iter().any(|line| line.contains("/proc/keys Directory InRoot")), "{covering}");
        assert!(!after.iter().any(|line| line.contains("to /proc ")), "{covering}");
    }
}

/// What could have been made before the joins waits for a mount that an image's symlink leads, and is made once.
#[test]
fn devices_and_masks_wait_for_a_mount_that_is_led_elsewhere() {
    let _alone = alone();
    let mount = Step::MountFilesystem {
        fstype: "tmpfs",
        source: "tmpfs",
        target: "/link",
        data: "",
        flags: 0,
        propagations: Propagations::default(),
        copies_up: false,
        is_mapped: false,
    };
    for is_led in [true, false] {
        let mut steps = steps();
        steps.retain(|phased| phased.phase <= Phase::Views);
        steps.retain(|phased| phased.phase <= Phase::Views);
        let late = steps.iter().position(|phased| phased.phase == Phase::Views).unwrap();
        steps.insert(late + 1, PhasedStep { phase: Phase::Views, step: mount });
        let mut datagrams = conversation();
        datagrams[0].0 = encoded(bootstrap(), &steps);
        let mut kernel = kernel(datagrams);
        kernel.filesystem_type = 0x0102_1994;
        if is_led {
            kernel.behind_links.push("/link");
        }
        assert_eq!(run(&mut kernel), End::Executed);
        let places = |start: &str| {
            let lines = kernel.trace.iter().enumerate().filter(|(_, line)| line.starts_with(start));
            lines.map(|(place, _)| place).collect::<std::vec::Vec<_>>()
        };
        // A mount of the parent's comes last.
        let last = places("move_mount received").pop().unwrap();
        for call in ["make_node", "make_symlink"] {
            let places = places(call);
            assert_eq!(places.len(), 1, "{call}");
            assert_eq!(places[0] > last, is_led, "{call} {is_led}: {:#?}", kernel.trace);
        }
    }
}

/// The kernel's own symlinks in /proc lead where something may still be mounted.
#[test]
fn a_path_that_a_symlink_leads_is_masked_behind_the_last_mount() {
    let _alone = alone();
    let mut steps = steps();
    steps.retain(|phased| phased.phase <= Phase::Views);
    let late = steps.iter().position(|phased| phased.phase == Phase::Views).unwrap();
    // What drops the bounding set stands behind them.
    for path in ["/proc/link", "/proc/scsi/x"].into_iter().rev() {
        let step = Step::MaskPath { path, data: "" };
        steps.insert(late - 1, PhasedStep { phase: Phase::Mounts, step });
    }
    let mut datagrams = conversation();
    datagrams[0].0 = encoded(bootstrap(), &steps);
    let mut kernel = kernel(datagrams);
    kernel.behind_links.push("/proc/link");
    kernel.filesystem_type = 0x0102_1994;
    assert_eq!(run(&mut kernel), End::Executed);
    let place = |part: &str| kernel.trace.iter().position(|line| line.contains(part)).expect(part);
    let last_mount = place("move_mount received");
    assert!(place("/proc/link Directory InRootNoSymlinks = LOOP") < last_mount);
    let is_followed = |line: &std::string::String| line.ends_with("/proc/link Directory InRoot");
    assert!(kernel.trace.iter().position(is_followed).unwrap() > last_mount);
    assert!(place("/proc/scsi/x Directory") > last_mount);
}

/// Where the listing of /proc is not to be had, each path is opened by itself.
#[test]
fn a_proc_that_is_no_procfs_or_tells_not_all_is_not_relied_upon() {
    let _alone = alone();
    let check = |mut kernel: Fake, failing: &str| {
        run(&mut kernel);
        let opened = |path: &str| {
            kernel.trace.iter().any(|line| line.contains(&std::format!("/rootfs {path} Directory")))
        };
        assert!(["/proc/sys", "/proc/keys", "/proc/scsi"].into_iter().all(opened), "{failing}");
        assert_eq!(
            kernel.trace.iter().filter(|line| line.ends_with("/proc Read InRootNoSymlinks")).count(),
            1
        );
    };
    let mut other = kernel(conversation());
    other.filesystem_type = 0x0102_1994;
    check(other, "another filesystem");
    let mut long = kernel(conversation());
    long.entries = [std::vec!["bus/", "keys", "scsi/", "sys/", "self@"]].into();
    check(long, "a listing without processes");
}

#[test]
fn masked_files_are_refused_without_a_true_null_device() {
    let _alone = alone();
    let zero = Status { mode: 0o020666, device: crate::kernel::device_number(1, 5), ..Status::default() };
    let block = Status { mode: 0o060666, device: crate::kernel::device_number(1, 3), ..Status::default() };
    for false_null in [zero, block, Status { mode: 0o040755, ..Status::default() }] {
        let mut kernel = kernel(conversation());
        kernel.modes.insert(0, ("/dev/null", false_null));
        assert_eq!(run(&mut kernel), End::Exited(1));
        assert!(last_report(&kernel).contains("step: Some(11), call: Status, errno: 6 "));
    }
}

#[test]
fn a_sysctl_that_is_not_on_procfs_is_not_written() {
    let _alone = alone();
    let mut kernel = kernel(conversation());
    kernel.filesystem_type = 0x0102_1994;
    assert_eq!(run(&mut kernel), End::Exited(1));
    assert!(last_report(&kernel).contains("step: Some(16), call: StatusFilesystem, errno: 18 "));
    assert!(!kernel.trace.iter().any(|line| line.starts_with("write sys/")));
}

/// The target of the third step, a bind, is reached through a symlink.
fn check_symlinked_target(filesystem_type: u64, links_lead_to_root: bool, expected: End) {
    let _alone = alone();
    let mut kernel = kernel(conversation());
    kernel.refused.push(("open tree of /bundle/rootfs /data Path InRootNoSymlinks", Errno::LOOP));
    kernel.filesystem_type = filesystem_type;
    kernel.links_lead_to_root = links_lead_to_root;
    assert_eq!(run(&mut kernel), expected);
    let mounts = kernel.trace.iter().filter(|line| line.starts_with("move_mount tree of /host/data"));
    assert_eq!(mounts.count(), usize::from(expected == End::Executed));
}

#[test]
fn a_symlink_does_not_lead_a_mount_onto_procfs() {
    check_symlinked_target(paths::PROC_SUPER_MAGIC, false, End::Exited(1));
}

#[test]
fn a_symlink_does_not_lead_a_mount_onto_the_root() {
    check_symlinked_target(0x0102_1994, true, End::Exited(1));
}

/// A start whose bind follows no symlink, and whose symlink has to be exact.
fn kernel_with_links() -> Fake {
    let mut steps = steps();
    for phased in &mut steps {
        match &mut phased.step {
            Step::BindMount { nofollow, origin: BindOrigin::Host, .. } => {
                *nofollow = Nofollow { source: true, target: true };
            }
            Step::MakeSymlink { exact, .. } => *exact = true,
            _ => {}
        }
    }
    let mut datagrams = conversation();
    datagrams[0].0 = encoded(bootstrap(), &steps);
    kernel(datagrams)
}

#[test]
fn a_symlink_that_is_put_where_one_is_to_be_mounted_upon_is_not_followed() {
    let _alone = alone();
    let mut kernel = kernel_with_links();
    let open = "open tree of /bundle/rootfs /data PathNoFollow InRootNoSymlinks";
    kernel.refused_once.extend([(open, Errno::NOENT), (open, Errno::NOENT)]);
    kernel.refused_once.push(("make_directory tree of /bundle/rootfs data", Errno::EXIST));
    kernel.links.push(("data", "elsewhere"));
    assert_eq!(run(&mut kernel), End::Executed);
    let has = |line: &str| kernel.trace.iter().any(|call| call == line);
    assert!(has("open_tree cwd /host/data recursive=true nofollow"), "{:#?}", kernel.trace);
    assert!(has(open) && has("move_mount tree of /host/data to /data "), "{:#?}", kernel.trace);
    assert!(!kernel.trace.iter().any(|call| call.contains("elsewhere")), "{:#?}", kernel.trace);
}

#[test]
fn an_exact_symlink_is_in_the_place_of_the_same_one_alone() {
    for (there, expected) in [
        ("/proc/self/fd", End::Executed),
        ("/proc/self/fds", End::Exited(1)),
        ("/proc/self", End::Exited(1)),
        ("", End::Exited(1)),
    ] {
        let _alone = alone();
        let mut kernel = kernel_with_links();
        kernel.refused.push(("make_symlink", Errno::EXIST));
        kernel.links.extend(Some(("fd", there)).filter(|(_, text)| !text.is_empty()));
        assert_eq!(run(&mut kernel), expected, "{there}");
        let says = expected == End::Executed
            || last_report(&kernel).contains("step: Some(4), call: MakeSymlink, errno: 17 ");
        assert!(says, "{there}: {}", last_report(&kernel));
    }
}

#[test]
fn a_working_directory_outside_the_root_is_refused() {
    let _alone = alone();
    let mut kernel = kernel(conversation());
    kernel.current_directory_is_reachable = false;
    assert_eq!(run(&mut kernel), End::Exited(1));
    assert!(last_report(&kernel).contains("step: Some(26), call: CurrentDirectory, errno: 2 "));
}

#[test]
fn who_starts_at_once_says_nothing_and_does_not_doubt_the_root() {
    let _alone = alone();
    let mut steps = steps();
    for phased in &mut steps {
        if let Step::BecomeUser { working_directory, .. } = &mut phased.step {
            *working_directory = b"/";
        }
    }
    let mut datagrams = conversation();
    datagrams[0].0 = encoded(Bootstrap { reports_ready: false, ..bootstrap() }, &steps);
    let mut kernel = kernel(datagrams);
    kernel.current_directory_is_reachable = false;
    assert_eq!(run(&mut kernel), End::Executed);
    assert!(!kernel.trace.iter().any(|line| line.starts_with("send socket")), "{:?}", kernel.trace);
}

#[test]
fn an_ambient_capability_that_cannot_be_raised_is_a_warning() {
    let _alone = alone();
    let mut ambient = steps();
    for phased in &mut ambient {
        if let Step::SetCapabilities { ambient, .. } = &mut phased.step {
            *ambient = 0b110;
        }
    }
    let mut datagrams = conversation();
    datagrams[0].0 = encoded(bootstrap(), &ambient);
    let mut kernel = kernel(datagrams);
    kernel.refused.push(("raise_ambient", Errno::PERM));
    assert_eq!(run(&mut kernel), End::Executed);
    let warnings: Vec<&String> = kernel.trace.iter().filter(|line| line.contains("Warned")).collect();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("step: Some(27), call: RaiseAmbient, errno: 1 "), "{warnings:?}");
}

/// The files that are opened below a procfs in which the first of them is missing.
fn check_attributes(missing: &'static str, expected: &[&str]) {
    let _alone = alone();
    let mut kernel = kernel(conversation());
    kernel.missing.push(missing);
    assert_eq!(run(&mut kernel), End::Executed);
    for line in expected {
        assert!(kernel.trace.iter().any(|call| call == line), "{line}: {:#?}", kernel.trace);
    }
}

#[test]
fn an_older_kernel_has_one_file_for_all_security_modules() {
    check_attributes("self/attr/apparmor/exec", &["write self/attr/exec exec tight"]);
}

#[test]
fn a_kernel_without_keys_needs_no_label_for_them() {
    check_attributes("self/attr/keycreate", &["write self/attr/exec u:r:t"]);
}

#[test]
fn a_message_queue_filesystem_is_labelled_once_it_is_mounted() {
    let _alone = alone();
    let mut steps = steps();
    for phased in &mut steps {
        if let Step::MountFilesystem { fstype: name @ "tmpfs", data: none, .. } = &mut phased.step {
            (*name, *none) = ("mqueue", "mode=1777,context=\"u:r:t:c1,c2\"");
        }
    }
    let mut datagrams = conversation();
    datagrams[0].0 = encoded(bootstrap(), &steps);
    let mut kernel = kernel(datagrams);
    assert_eq!(run(&mut kernel), End::Executed);
    assert!(kernel.trace.iter().any(|call| call.ends_with(" mode=1777")), "{:#?}", kernel.trace);
    assert!(kernel.trace.iter().any(|call| call == "set_label . u:r:t:c1,c2"), "{:#?}", kernel.trace);
}

/// The program's environment after a passwd file with this content was found.
fn check_home(content: Option<&[u8]>, expected: &str) {
    let _alone = alone();
    let mut datagrams = conversation();
    datagrams[0].0 = encoded(Bootstrap { home_of: Some(5), ..bootstrap() }, &steps());
    let mut kernel = kernel(datagrams);
    match content {
        Some(content) => kernel.content.extend(content),
        None => kernel.missing.push("/etc/passwd"),
    }
    kernel.modes.push(("/etc/passwd", Status { mode: 0o100644, ..Status::default() }));
    assert_eq!(run(&mut kernel), End::Executed);
    let executed = kernel.trace.last().unwrap();
    assert!(executed.ends_with(&format!(r#"["PATH=/bin", "HOME={expected}"]"#)), "{executed}");
}

#[test]
fn the_home_comes_from_the_containers_passwd_file() {
    check_home(Some(b"root:x:0:0::/root:/bin/sh\nweb:x:5:6::/home/web:/bin/sh\n"), "/home/web");
    check_home(Some(b"web:x:5:6::/home/web:/bin/sh"), "/home/web");
    check_home(Some(b"root:x:0:0::/root:/bin/sh\n"), "/");
    check_home(None, "/");
}

#[test]
fn a_passwd_line_that_is_too_long_is_passed_over_and_the_next_is_read() {
    let mut content = std::vec![b'x'; 10_000];
    content.extend(b":x:5:6::/wrong:/bin/sh\nweb:x:5:6::/home/web:/bin/sh\n");
    check_home(Some(&content), "/home/web");
}

#[test]
fn the_program_is_looked_for_in_each_directory_of_the_path() {
    let _alone = alone();
    let mut datagrams = conversation();
    let arguments = ["serve"].map(String::from);
    let environment = ["PATH=/a::/b:/c"].map(String::from);
    let steps = steps();
    let message =
        Message { bootstrap: bootstrap(), steps: &steps, arguments: &arguments, environment: &environment };
    datagrams[0].0 = std::vec![0; encoded_bytes(&message)];
    encode(&message, &BUILD_ID, &mut datagrams[0].0).unwrap();
    let mut kernel = kernel(datagrams);
    kernel.missing.push("/a/serve");
    kernel.modes.push(("./serve", Status { mode: 0o040755, ..Status::default() }));
    kernel.refused.push(("check_executable /b/serve", Errno::ACCESS));
    assert_eq!(run(&mut kernel), End::Executed);
    assert!(kernel.trace.last().unwrap().starts_with("execute /c/serve"));
}

#[test]
fn a_message_too_large_for_the_socket_comes_in_a_memfd() {
    let _alone = alone();
    let mut datagrams = conversation();
    let bytes = core::mem::take(&mut datagrams[0].0);
    let mut first = shared_proto::bootstrap::MAGIC_MEMFD.to_vec();
    first.extend((bytes.len() as u64).to_le_bytes());
    datagrams[0] = (first, 1);
    datagrams.insert(1, (bytes, 0));
    assert_eq!(run(&mut kernel(datagrams)), End::Executed);
}
