//! Images whose symlinks lead mounts elsewhere: devices, masks and read-only paths then wait for the last mount, and each is there once.

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::user_namespace::mapped;

use pinnace_tests::{Bundle, Value, find_program, json, run_within_limit, skip};

/// A bundle whose image leads `link` to `target`, with these mounts behind the others.
fn led(link: &str, target: &str, mounts: &[Value]) -> Bundle {
    let bundle = Bundle::new();
    let place = bundle.rootfs().join(link);
    std::fs::create_dir_all(place.parent().expect("a parent")).expect("mkdir");
    symlink(target, place).expect("symlink");
    let mut all = bundle.config()["mounts"].as_array().expect("a list").clone();
    all.extend_from_slice(mounts);
    bundle.set("/mounts", json!(all))
}

fn tmpfs(place: &str) -> Value {
    json!({"destination": place, "type": "tmpfs", "source": "tmpfs"})
}

#[test]
fn what_is_read_only_in_a_shared_volume_is_writable_on_the_host() {
    let Some(unshare) = find_program("unshare") else { return skip("unshare is not installed") };
    for by_mount in [true, false] {
        // A mount through a symlink, or a mask on one of the kernel's.
        let mounts: &[Value] = if by_mount { &[tmpfs("/lnk/in")] } else { &[] };
        let bundle = led("lnk", "/dir", mounts);
        let volume = bundle.scratch().join("volume");
        for directory in [&volume, &bundle.rootfs().join("v"), &bundle.rootfs().join("dir")] {
            std::fs::create_dir_all(directory).expect("mkdir");
        }
        let container = bundle
            .mount("/v", "bind", volume.to_str().expect("UTF-8"), &["rbind", "rshared"])
            .set("/linux/rootfsPropagation", json!("rshared"))
            .set("/linux/readonlyPaths/-", json!("/v/sub"))
            .set("/linux/maskedPaths/-", json!(if by_mount { "/nowhere" } else { "/proc/mounts" }))
            .shell("touch /v/sub/x 2>&1; exit 0")
            .container();
        let run = container.create_command("run", &[]);
        let script = "mount --make-rshared / && mount -t tmpfs volume \"$0\" && mkdir \"$0/sub\" && \"$@\" \
                      && touch \"$0/sub/x\" && grep -c \"$0/sub\" /proc/self/mountinfo";
        let mut command = Command::new(&unshare);
        command.args(["-m", "--propagation", "private", "/bin/sh", "-c", script]);
        command.arg(&volume).arg(run.get_program()).args(run.get_args());
        let outcome = run_within_limit(command);
        let text = outcome.succeeded();
        // The host's one copy of the one mount, as with runc.
        assert!(text.contains("Read-only file system") && text.ends_with("\n1"), "{}", outcome.describe());
    }
}

#[test]
fn what_is_covered_may_be_a_device_or_have_some() {
    for covered in ["/dev/full", "/dev/dri", "/dev/dri/card0"] {
        let outcome = led("lnk", "/dir", &[tmpfs("/lnk")])
            .file("/dir/file", "", 0o644)
            .set("/linux/devices", json!([{"path": "/dev/dri/card0", "type": "c", "major": 1, "minor": 7}]))
            .set("/linux/maskedPaths/-", json!(covered))
            .shell("cat /dev/full | head -c 1 | wc -c; ls /dev/dri | wc -l; head -c 1 /dev/dri/card0 2>/dev/null | wc -c")
            .run();
        let (full, listed, card) = match covered {
            "/dev/full" => ("0", "1", "1"),
            "/dev/dri" => ("1", "0", "0"),
            _ => ("1", "1", "0"),
        };
        assert_eq!(outcome.succeeded(), format!("{full}\n{listed}\n{card}"), "{covered}");
    }
}

#[test]
fn devices_and_links_are_in_what_lies_over_dev() {
    let list =
        "ls -1 /dev | grep -vx core | sort | tr '\\n' ' '; head -c 1 /dev/zero | wc -c; readlink /dev/fd";
    for has_user_namespace in [false, true] {
        let bundle = led("devices", "/dev", &[tmpfs("/devices")]);
        let bundle = if has_user_namespace { mapped(bundle) } else { bundle };
        let outcome = bundle.shell(list).run();
        let names = "fd full null ptmx random stderr stdin stdout tty urandom zero";
        assert_eq!(outcome.succeeded(), format!("{names} 1\n/proc/self/fd"), "{has_user_namespace}");
    }
}

/// What a mount over a procfs brings, and another mount in that, is covered, and not what was there before.
#[test]
fn masks_are_on_what_lies_over_a_procfs() {
    let bundle = led("b", "a", &[]);
    std::fs::create_dir_all(bundle.rootfs().join("a/p")).expect("mkdir");
    let mut mounts = bundle.config()["mounts"].as_array().expect("a list").clone();
    mounts.insert(1, json!({"destination": "/a/p", "type": "proc", "source": "proc"}));
    mounts.push(tmpfs("/b"));
    mounts.push(json!({"destination": "/b/p", "type": "sysfs", "source": "sysfs"}));
    let outcome = bundle
        .set("/mounts", json!(mounts))
        .set("/linux/maskedPaths", json!(["/a/p/kernel"]))
        .shell("ls /a/p/kernel | wc -l; ls /a/p/fs | head -n 1 | wc -l")
        .run();
    assert_eq!(outcome.succeeded(), "0\n1");
}

/// Below what covers the root the container would stay, and others would not.
#[test]
fn what_leads_to_the_root_is_refused() {
    for (field, step) in [("/linux/readonlyPaths/-", "readonly-path"), ("/linux/maskedPaths/-", "mask-path")]
    {
        let outcome = led("lnk", "/", &[]).set(field, json!("/lnk")).run();
        outcome.failed_with(&[step, "/lnk", "the root"]);
    }
}
