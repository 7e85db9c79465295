//! The root file system itself.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use pinnace_tests::{Bundle, find_program, json, run_within_limit, skip};
use rustix::mount::{UnmountFlags, unmount};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

use crate::mountinfo::find;

#[test]
fn read_only_root_refuses_writes() {
    let outcome = Bundle::new().shell("touch /x; touch /dev/shm/x").run();
    assert_eq!(outcome.code, 0, "other mounts stay writable\n{}", outcome.describe());
    assert!(outcome.stderr.contains("Read-only file system"), "{}", outcome.describe());
}

#[test]
fn writable_root_is_the_directory_of_the_bundle() {
    let container = Bundle::new().writable().shell("echo made > /made").container();
    container.run().succeeded();
    assert_eq!(fs::read_to_string(container.bundle.rootfs().join("made")).expect("read"), "made\n");
}

#[test]
fn old_root_is_out_of_reach() {
    let outcome = Bundle::new()
        .shell("ls -d /../../../work /proc/1/root/lib/modules 2>/dev/null; cat /proc/self/mountinfo")
        .run();
    assert!(outcome.succeeded().lines().all(|line| line.contains(" - ")), "{}", outcome.describe());
    // One mount on /, with nothing stacked below it.
    assert_eq!(
        crate::mountinfo::all(outcome.succeeded()).iter().filter(|mount| mount.point == "/").count(),
        1
    );
}

#[test]
fn absolute_root_path_is_taken_as_it_is() {
    let bundle = Bundle::new();
    let path = bundle.rootfs();
    bundle.set("/root/path", json!(path)).run().succeeded();
}

#[test]
fn symlinked_root_is_refused() {
    let bundle = Bundle::new();
    symlink("rootfs", bundle.path().join("link")).expect("symlink");
    bundle
        .set("/root/path", json!("link"))
        .run()
        .failed_with(&["invalid rootfs: not an absolute path, or a symlink"]);
}

#[test]
fn missing_root_is_an_error_that_names_it() {
    let outcome = Bundle::new().set("/root/path", json!("nowhere")).run();
    outcome.failed_with(&["nowhere", "no such file or directory"]);
}

#[test]
fn root_propagation_is_honoured() {
    for (word, expected) in [
        ("private", ""),
        ("rprivate", ""),
        ("shared", "shared:"),
        ("rshared", "shared:"),
        ("slave", ""),
        ("unbindable", "unbindable"),
    ] {
        let outcome = Bundle::new()
            .set("/linux/rootfsPropagation", json!(word))
            .args(&["/bin/cat", "/proc/self/mountinfo"])
            .run();
        let mount = find(&outcome, "/");
        assert!(mount.propagation.starts_with(expected), "{word}: {mount:?}");
        assert!(!(expected.is_empty() && mount.propagation.contains("shared")), "{word}: {mount:?}");
    }
    let outcome = Bundle::new().set("/linux/rootfsPropagation", json!("sideways")).run();
    assert_eq!(outcome.code, 1, "{}", outcome.describe());
}

#[test]
fn no_pivot_gives_the_same_root() {
    let container = Bundle::new().shell("ls /; ls /..").container().with_create_options(&["--no-pivot"]);
    let outcome = container.run();
    assert!(outcome.succeeded().contains("bin"), "{}", outcome.describe());
    let halves: Vec<_> = outcome.stdout.lines().collect();
    let (first, second) = halves.split_at(halves.len() / 2);
    assert_eq!(first, second);
}

/// Without pivot_root the host's tree stays below the container's root, where a process that gets around chroot comes to: as a thread of ours does
/// here, by taking the container's root off.
#[test]
fn no_pivot_leaves_no_procfs_of_the_host_behind() {
    let Some(unshare) = find_program("unshare") else {
        return skip("util-linux is not installed");
    };
    let bundle = Bundle::new().args(&["/bin/sleep", "1000"]);
    let container = bundle.container().with_create_options(&["--no-pivot"]);
    let second = container.bundle.scratch().join("a second procfs");
    fs::create_dir(&second).unwrap();
    let run = container.create_command("run", &["--detach"]);
    let mut command = Command::new(unshare);
    // In a mount namespace of its own the second procfs goes with the last process.
    let script = "mount -t proc proc \"$1\" && shift && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(&second);
    command.arg(run.get_program()).args(run.get_args());
    run_within_limit(command).succeeded();

    let namespace = fs::File::open(format!("/proc/{}/ns/mnt", container.pid())).unwrap();
    let below = std::thread::spawn(move || {
        let enter = || move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount));
        // SAFETY: only the root and the working directory are shared no longer; descriptors still are.
        unsafe { unshare_unsafe(UnshareFlags::FS) }.unwrap();
        enter().unwrap();
        unmount("/", UnmountFlags::DETACH).unwrap();
        enter().unwrap();
        let entries = |path: &Path| fs::read_dir(path).map(Iterator::count).ok();
        [Path::new("/proc"), Path::new("/sys"), &second].map(entries)
    });
    assert_eq!(below.join().unwrap(), [Some(0); 3]);
}
