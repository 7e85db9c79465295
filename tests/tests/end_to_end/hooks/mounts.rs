//! What hooks of the runtime may do to the container's tree.

use std::fs;
use std::process::Command;

use pinnace_tests::{Bundle, find_program, json, run_within_limit, skip};

/// stage1 has nothing open in there, nor is it there itself.
#[test]
fn a_bind_mount_can_be_unmounted_by_a_hook() {
    for is_early in [true, false] {
        let bundle = Bundle::new();
        let source = bundle.scratch().join("source");
        fs::create_dir_all(&source).expect("mkdir");
        let rootfs = bundle.rootfs();
        let script = format!("umount {}/mnt", rootfs.to_str().expect("a path in UTF-8"));
        let mut mounts = bundle.config()["mounts"].as_array().expect("a list").clone();
        let bind = json!({"destination": "/mnt", "type": "bind", "source": source, "options": ["rbind"]});
        let place = if is_early { 1 } else { mounts.len() };
        mounts.insert(place, bind);
        let outcome = bundle
            .file("/mnt/own", "own", 0o644)
            .set("/mounts", json!(mounts))
            .set("/hooks", json!({"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}))
            .shell("cat /mnt/own")
            .run();
        assert_eq!(outcome.succeeded(), "own");
    }
}

/// As in runc: what hooks of the runtime bring, an engine's network or a driver's files, is covered as if it had been there.
#[test]
fn what_hooks_make_and_mount_is_masked_and_read_only() {
    for point in ["prestart", "createRuntime", "createContainer"] {
        let bundle = Bundle::new().writable();
        let rootfs = bundle.rootfs();
        let place = rootfs.to_str().expect("a path in UTF-8");
        let script = format!(
            "mkdir -p {place}/data/open {place}/covered && echo secret >{place}/data/secret \
             && mount -t tmpfs tmpfs {place}/covered && echo secret >{place}/covered/secret && echo hook >{place}/new/file"
        );
        // createContainer hooks are in the container's mount namespace.
        let script = match point {
            "createContainer" => script,
            _ => format!(
                "pid=$(tr -d ' \\n' | sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); nsenter --target $pid --mount sh -c '{script}'"
            ),
        };
        let outcome = bundle
            .mount("/new", "tmpfs", "tmpfs", &["ro"])
            .set("/process/cwd", json!("/data/open"))
            .set("/linux/maskedPaths", json!(["/data/secret", "/covered/secret"]))
            .set("/linux/readonlyPaths", json!(["/data/open"]))
            .set("/hooks", json!({point: [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}))
            .shell("cat /data/secret /covered/secret /new/file; touch /data/open/x /new/x 2>&1; exit 0")
            .run();
        let text = outcome.succeeded();
        assert!(text.starts_with("hook\n"), "{point}: {}", outcome.describe());
        assert_eq!(text.matches("Read-only file system").count(), 2, "{point}: {}", outcome.describe());
        assert_eq!(text.lines().count(), 3, "{point}: {}", outcome.describe());
    }
}

/// stage1 keeps nothing open that its steps have opened, however many descriptors we had when it was born.
#[test]
fn mounts_that_lie_in_each_other_can_be_unmounted_by_a_hook() {
    let Some(nsenter) = find_program("nsenter") else { return skip("nsenter is not installed") };
    let nsenter = nsenter.to_str().expect("a path in UTF-8");
    for is_held in [false, true] {
        let bundle = Bundle::new();
        let source = bundle.scratch().join("source");
        fs::create_dir_all(source.join("b")).expect("mkdir");
        let rootfs = bundle.rootfs();
        let place = rootfs.to_str().expect("a path in UTF-8");
        let pid = "pid=$(tr -d ' \\n' | sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/')";
        let script =
            format!("{pid}; {nsenter} --target $pid --mount umount {place}/vol/a {place}/vol/b {place}/vol");
        let container = bundle
            .mount("/vol", "tmpfs", "tmpfs", &[])
            .mount("/vol/a", "tmpfs", "tmpfs", &[])
            .mount("/vol/b", "bind", source.to_str().expect("UTF-8"), &["rbind"])
            .set("/hooks", json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}))
            .shell("ls /vol | wc -l")
            .container();
        if is_held {
            container.create().succeeded();
            container.delete_force().succeeded();
        } else {
            assert_eq!(container.run().succeeded(), "0");
        }
    }
}

#[test]
fn a_hook_after_a_failure_can_unmount_the_bundle() {
    let Some(unshare) = find_program("unshare") else { return skip("unshare is not installed") };
    let bundle = Bundle::new();
    let (scratch, log) = (bundle.scratch().join("mounted"), bundle.scratch().join("log"));
    fs::create_dir_all(&scratch).expect("mkdir");
    let place = scratch.to_str().expect("a path in UTF-8");
    let script = format!("cd / && umount {place} && echo unmounted >{}", log.display());
    let container = bundle
        .set("/hooks", json!({"poststop": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}))
        .set("/linux/resources", json!({"cpu": {"cpus": "999"}}))
        .container();
    let run = container.create_command("run", &[]);
    // The same bundle, bound elsewhere.
    let script = "b=$1; m=$2; shift 2; mount --bind \"$b\" \"$m\" && cd / && \"$@\" --bundle \"$m\"";
    let mut command = Command::new(unshare);
    command.args(["-m", "--propagation", "private", "/bin/sh", "-c", script, "sh"]);
    let bundle_path = container.bundle.path();
    command.arg(bundle_path).arg(&scratch).arg(run.get_program()).args(run.get_args());
    let outcome = run_within_limit(command);
    assert_ne!(outcome.code, 0, "{}", outcome.describe());
    assert_eq!(fs::read_to_string(log).unwrap_or_default(), "unmounted\n", "{}", outcome.describe());
}
