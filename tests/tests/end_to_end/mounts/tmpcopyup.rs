//! A tmpfs that begins with what it covers.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use pinnace_tests::Bundle;

#[test]
fn tmpcopyup_begins_with_what_it_covers() {
    let bundle = Bundle::new().mount("/data", "tmpfs", "tmpfs", &["tmpcopyup", "nosuid", "size=1m"]);
    let data = bundle.rootfs().join("data");
    fs::create_dir_all(data.join("sub/deeper")).unwrap();
    fs::write(data.join("sub/deeper/file"), "content\n").unwrap();
    std::os::unix::fs::chown(data.join("sub/deeper/file"), Some(7), Some(8)).unwrap();
    fs::set_permissions(data.join("sub/deeper/file"), fs::Permissions::from_mode(0o4755)).unwrap();
    symlink("/etc/shadow", data.join("link")).unwrap();
    std::os::unix::fs::chown(&data, Some(5), Some(6)).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o1751)).unwrap();
    let script = "cd /data; stat -c '%n %a %u:%g' . sub/deeper/file; cat sub/deeper/file; readlink link; \
                  rm -f sub/deeper/file; grep ' /data ' /proc/self/mountinfo";
    let container = bundle.shell(script).container();
    let outcome = container.run();
    let lines: Vec<_> = outcome.succeeded().lines().collect();
    let expected = [". 1751 5:6", "sub/deeper/file 4755 7:8", "content", "/etc/shadow"];
    assert_eq!(lines[..4], expected, "{}", outcome.describe());
    assert!(lines[4].contains("nosuid") && lines[4].contains("size=1024k"), "{}", outcome.describe());
    // What the container wrote stayed in its memory.
    assert_eq!(
        fs::read_to_string(container.bundle.rootfs().join("data/sub/deeper/file")).unwrap(),
        "content\n"
    );
}

#[test]
fn tmpcopyup_over_a_bind_copies_what_the_bundle_has_there() {
    let bundle = Bundle::new()
        .mount("/data", "bind", "volume", &["bind"])
        .mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"])
        .shell("cat /data/file");
    let container = bundle.container();
    let volume = container.bundle.path().join("volume");
    fs::create_dir(&volume).unwrap();
    fs::write(volume.join("file"), "of the bundle").unwrap();
    assert_eq!(container.run().succeeded(), "of the bundle");
}

#[test]
fn tmpcopyup_on_what_is_missing_is_empty_and_on_a_link_stays_in_the_root() {
    let outcome = Bundle::new()
        .writable()
        .mount("/missing/deep", "tmpfs", "tmpfs", &["tmpcopyup", "ro"])
        .shell("ls -A /missing/deep; touch /missing/deep/file 2>/dev/null || echo read-only")
        .run();
    assert_eq!(outcome.succeeded(), "read-only");

    let bundle =
        Bundle::new().mount("/leads/out", "tmpfs", "tmpfs", &["tmpcopyup"]).shell("cat /leads/out/secret");
    let outside = bundle.scratch().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "of the host").unwrap();
    symlink(bundle.scratch().join("outside"), bundle.rootfs().join("leads")).unwrap();
    fs::create_dir(outside.join("out")).unwrap();
    fs::write(outside.join("out/secret"), "of the host").unwrap();
    assert!(!bundle.run().stdout.contains("of the host"));
}

#[test]
fn tmpcopyup_that_does_not_fit_is_refused_with_the_mount_named() {
    let bundle = Bundle::new().mount("/data", "tmpfs", "tmpfs", &["tmpcopyup", "size=4k"]);
    fs::create_dir(bundle.rootfs().join("data")).unwrap();
    fs::write(bundle.rootfs().join("data/large"), vec![b'x'; 1 << 16]).unwrap();
    let container = bundle.container();
    container.run().failed_with(&["mount tmpfs on /data", "no space left on device"]);
    let left = container.snapshot();
    assert!(left.mounts.is_empty() && left.cgroups.is_empty() && left.processes.is_empty(), "{left}");
}
