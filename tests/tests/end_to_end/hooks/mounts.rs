//! What hooks of the runtime may do to the container's tree.

use std::fs;

use pinnace_tests::{Bundle, json};

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
