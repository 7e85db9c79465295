//! Each call of a start fails, with one errno after the other.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::*;

/// The errnos that some code of stage1 looks at, and two that none does.
const ERRNOS: [Errno; 8] = [
    Errno::PERM,
    Errno::IO,
    Errno::NOENT,
    Errno::ACCESS,
    Errno::EXIST,
    Errno::NOTDIR,
    Errno::INVAL,
    Errno::NOSYS,
];

const NO_DIRECTORY: &str = "what is missing needs no mask, and what is no directory is opened as a file";

/// `(start of the call, errnos, reason)`: a start goes on after these.
const FORGIVEN: &[(&str, &[Errno], &str)] = &[
    ("open tree of /bundle/rootfs /proc Directory", &[Errno::NOENT], "a missing mount point is made"),
    ("open tree of /bundle/rootfs /dev Directory", &[Errno::NOENT], "a missing mount point is made"),
    ("open tree of /bundle/rootfs /sys Directory", &[Errno::NOENT], "a missing mount point is made"),
    ("open tree of /bundle/rootfs /data Path", &[Errno::NOENT], "a missing mount point is made"),
    ("open tree of /bundle/rootfs /dev/ Directory", &[Errno::NOENT], "a missing directory is made"),
    ("open tree of /bundle/rootfs /sys/fs/cgroup/ Directory", &[Errno::NOENT], "a missing directory is made"),
    ("open tree of /bundle/rootfs /proc Read", &ERRNOS, "without the listing each path is opened by itself"),
    ("filesystem_type /proc", &ERRNOS, "without the listing each path is opened by itself"),
    ("read_directory /proc", &ERRNOS, "without the listing each path is opened by itself"),
    ("open /proc scsi Directory", &ERRNOS, "each directory is then covered by a tmpfs of its own"),
    ("open_tree_with", &ERRNOS, "before Linux 6.15 that takes two calls"),
    ("status socket", &ERRNOS, "a stream of which nothing is known stays"),
    ("open tree of /bundle/rootfs /proc/missing Directory", &[Errno::NOENT, Errno::NOTDIR], NO_DIRECTORY),
    ("open tree of /bundle/rootfs /sys/firmware Directory", &[Errno::NOENT, Errno::NOTDIR], NO_DIRECTORY),
    ("make_directory /sys/fs/cgroup/ cpu", &[Errno::EXIST], "two hierarchies may be one mount"),
    ("make_symlink", &[Errno::EXIST], "images bring their own links"),
    (
        "open mount of proc self/attr/keycreate",
        &[Errno::NOENT],
        "a kernel without key management has none to label",
    ),
    ("open mount of proc self/attr/apparmor/exec", &[Errno::NOENT], "Linux before 5.8 has one file for all"),
    ("new_session_keyring", &[Errno::NOSYS], "a kernel without keys has none to protect"),
    ("drop_bounding", &[Errno::INVAL], "the first capability that the kernel does not know"),
    ("set_capabilities", &[Errno::PERM], "what the runtime itself lacks is not granted"),
    ("change_directory /data", &[Errno::PERM, Errno::ACCESS], "the user may enter where root may not"),
];

fn is_forgiven(line: &str, errno: Errno) -> bool {
    FORGIVEN.iter().any(|(start, errnos, _)| line.starts_with(start) && errnos.contains(&errno))
}

/// A call that changes nothing: some errnos are explained by a second look.
fn is_look(line: &str) -> bool {
    ["open ", "status ", "close ", "read_link "].iter().any(|start| line.starts_with(start))
}

fn whole_trace() -> Vec<String> {
    let mut kernel = kernel(conversation());
    assert_eq!(run(&mut kernel), End::Executed);
    kernel.trace
}

/// `(the trace, how it ended)` of a start whose call `index` fails.
fn failing(index: usize, errno: Errno) -> (Vec<String>, End) {
    let mut kernel = kernel(conversation());
    kernel.fail = Some((index, errno));
    let end = run(&mut kernel);
    (kernel.trace, end)
}

/// The calls that the fake kernel cannot refuse, and neither can the real one.
fn never_fails(line: &str) -> bool {
    line.starts_with("set_umask") || line.starts_with("close ")
}

#[test]
fn each_call_that_fails_ends_the_start_unless_it_is_forgiven() {
    let _alone = alone();
    for (index, line) in whole_trace().iter().enumerate().filter(|(_, line)| !never_fails(line)) {
        for errno in ERRNOS {
            let (trace, end) = failing(index, errno);
            if is_forgiven(line, errno) {
                assert_eq!(end, End::Executed, "{line}: {errno:?}: {trace:#?}");
                continue;
            }
            assert_eq!(end, End::Exited(1), "{line}: {errno:?}");
            let mut after: Vec<&String> = trace.iter().skip(index + 1).collect();
            assert_eq!(after.pop().unwrap(), "exit 1");
            let report = after.pop().unwrap();
            // A candidate of PATH that cannot be looked at is no candidate: the program is not found then.
            let is_candidate = line.starts_with("status_of") || line.starts_with("check_executable");
            let errno = if is_candidate { Errno::NOENT } else { errno };
            let said = format!("errno: {} }})", errno.raw_os_error());
            assert!(report.starts_with("send socket Failed") && report.ends_with(&said), "{line}: {report}");
            // A bind source is opened early and reported by its step: what comes before that is done.
            if !line.starts_with("open_tree cwd /host/data") {
                assert!(after.iter().all(|call| is_look(call)), "{line}: {errno:?}: {after:?}");
            }
        }
    }
}

/// Every line of this table has been used: a rule that no call needs any more is deleted.
#[test]
fn nothing_is_forgiven_that_does_not_happen() {
    let _alone = alone();
    let trace = whole_trace();
    for (start, _, reason) in FORGIVEN {
        assert!(trace.iter().any(|line| line.starts_with(start)), "{start}: {reason}");
    }
}

/// The stored table says for each call of a start which phase, step and operation are reported when it fails.
#[test]
fn each_failure_names_its_phase_step_and_call() {
    let _alone = alone();
    let mut table = String::new();
    for (index, line) in whole_trace().iter().enumerate().filter(|(_, line)| !never_fails(line)) {
        let (trace, end) = failing(index, Errno::IO);
        if end == End::Executed {
            continue;
        }
        let report = trace.iter().rev().nth(1).unwrap();
        let place = report.strip_prefix("send socket Failed(Failure { ").unwrap();
        let (place, _) = place.split_once(", errno").unwrap();
        table += &format!("{place} <- {line}\n");
    }
    check_stored("start.failures", &table);
}
