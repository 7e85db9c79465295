//! Masked and read-only paths.

mod led;

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use pinnace_tests::{Bundle, Pty, find_program, json, run_within_limit, skip};

fn masked(path: &str) -> Bundle {
    Bundle::new().set("/linux/maskedPaths/-", json!(path))
}

#[test]
fn masked_file_is_empty_and_takes_no_write() {
    let outcome = masked("/etc/secret")
        .file("/etc/secret", "secret", 0o644)
        .shell("cat /etc/secret; stat -c '%F %t:%T' /etc/secret")
        .run();
    assert_eq!(outcome.succeeded(), "character special file 1:3");
}

/// Without a mount on /dev what covers the file is the root file system's own node, which a read-only root protects.
#[test]
fn a_masks_device_cannot_be_changed_through_it() {
    let outcome = masked("/etc/secret")
        .file("/etc/secret", "secret", 0o644)
        .without_mount("/dev")
        .without_mount("/dev/pts")
        .without_mount("/dev/shm")
        .without_mount("/dev/mqueue")
        .all_capabilities(&["CAP_FOWNER"])
        .shell("chmod 0 /etc/secret 2>&1; stat -c %a /etc/secret; echo kept >/etc/secret")
        .run();
    let text = outcome.succeeded();
    assert!(text.contains("Read-only file system") && text.ends_with("666"), "{}", outcome.describe());
}

#[test]
fn masked_directory_is_empty_and_read_only() {
    let outcome = masked("/secrets")
        .file("/secrets/one", "secret", 0o644)
        .writable()
        .shell("ls -A /secrets; touch /secrets/x 2>&1; mkdir /secrets/y 2>&1; exit 0")
        .run();
    let text = outcome.succeeded();
    assert_eq!(text.matches("Read-only file system").count(), 2, "{}", outcome.describe());
    assert_eq!(text.lines().count(), 2, "{}", outcome.describe());
}

#[test]
fn masked_path_that_is_missing_is_not_an_error() {
    masked("/no/such/path").run().succeeded();
}

#[test]
fn path_masked_twice_is_not_an_error() {
    masked("/etc/passwd").set("/linux/maskedPaths/-", json!("/etc/passwd")).run().succeeded();
}

#[test]
fn default_masks_hide_the_kernel() {
    let outcome = Bundle::new()
        .shell("cat /proc/keys /proc/timer_list 2>/dev/null | wc -c; ls -A /sys/firmware | wc -l; head -c 1 /proc/kcore | wc -c")
        .run();
    let counts: Vec<_> = outcome.succeeded().split_whitespace().collect();
    assert_eq!(counts, ["0", "0", "0"]);
}

#[test]
fn read_only_paths_cannot_be_written() {
    let script = "echo x > /proc/sys/kernel/hostname; touch /data/x; touch /free";
    let outcome = Bundle::new()
        .writable()
        .file("/data/file", "content", 0o644)
        .set("/linux/readonlyPaths/-", json!("/data"))
        .set("/linux/readonlyPaths/-", json!("/no/such/path"))
        .shell(script)
        .run();
    assert_eq!(outcome.code, 0, "the root itself is writable\n{}", outcome.describe());
    assert_eq!(outcome.stderr.matches("Read-only file system").count(), 2, "{}", outcome.describe());
}

#[test]
fn read_only_path_keeps_the_flags_it_had() {
    let outcome = Bundle::new()
        .args(&["/bin/cat", "/proc/self/mountinfo"])
        .set("/linux/readonlyPaths/-", json!("/dev/shm"))
        .run();
    crate::mountinfo::find(&outcome, "/dev/shm").expect(&["ro", "nosuid", "nodev", "noexec"]);
}

/// runc and crun bind what is to be read-only with all that is mounted in it.
#[test]
fn what_is_mounted_below_a_read_only_path_stays_as_it_is() {
    let inner = json!({"destination": "/data/inner", "type": "tmpfs", "source": "tmpfs"});
    let mut bundle = Bundle::new()
        .writable()
        .file("/data/file", "content", 0o644)
        .set("/mounts/-", inner)
        .set("/linux/readonlyPaths/-", json!("/data"));
    let mut script = String::from("touch /data/x 2>/dev/null; touch /data/inner/x; ls /data /data/inner");
    let mut expected = String::from("/data:\nfile\ninner\n\n/data/inner:\nx\n");
    // One of the few places in /proc where something may be mounted lies below /proc/sys.
    let last_pid = "/proc/sys/kernel/ns_last_pid";
    if Path::new(last_pid).exists() {
        let source = bundle.scratch().join("pid");
        std::fs::write(&source, "mounted\n").expect("write");
        let mount = json!({"destination": last_pid, "type": "bind", "source": source, "options": ["bind"]});
        bundle = bundle.set("/mounts/-", mount);
        script = format!("{script}; cat {last_pid}");
        expected += "mounted\n";
    }
    let outcome = bundle.shell(&script).run();
    assert_eq!(outcome.succeeded(), expected.trim_end(), "{}", outcome.describe());
}

/// What is made read-only is mounted anew on top: masks that came to the procfs below it would mask nothing.
#[test]
fn masks_come_on_top_of_a_proc_that_is_read_only() {
    let script = "head -c 1 /proc/keys /proc/timer_list | wc -c; ls -A /proc/acpi 2>/dev/null | wc -l; (echo x > /proc/sys/kernel/hostname) 2>&1; exit 0";
    let on_top = |bundle: Bundle| {
        let outcome = bundle.shell(script).run();
        let lines: Vec<_> = outcome.succeeded().lines().collect();
        assert!(
            matches!(lines[..], [_, "0", refusal] if refusal.contains("Read-only file system")),
            "{}",
            outcome.describe()
        );
        let bytes_of_names = "==> /proc/keys <==\n\n==> /proc/timer_list <==\n".len();
        assert_eq!(lines[0].parse(), Ok(bytes_of_names), "{}", outcome.describe());
    };
    on_top(Bundle::new().set("/linux/readonlyPaths/-", json!("/proc")));
    // The image chooses what a path leads to; with a bound /dev, masks wait for the late mounts.
    let bundle = Bundle::new().without_mount("/dev").set("/linux/readonlyPaths/-", json!("/data"));
    symlink("/proc", bundle.rootfs().join("data")).expect("symlink");
    let dev = json!({"destination": "/dev", "type": "bind", "source": "/dev", "options": ["rbind"]});
    on_top(bundle.set("/mounts/-", dev));
}

/// Where a symlink of the image leads a mount that comes late, masks have been already.
#[test]
fn masks_come_on_top_of_mounts_that_symlinks_have_led() {
    let bundle = Bundle::new().writable();
    let (source, rootfs) = (bundle.scratch().join("source"), bundle.rootfs());
    std::fs::create_dir_all(source.join("open")).expect("mkdir");
    std::fs::write(source.join("token"), "secret").expect("write");
    let bind =
        |place: &str| json!({"destination": place, "type": "bind", "source": &source, "options": ["rbind"]});
    // /run is new and early, and the image's /var/run leads into it.
    std::fs::create_dir_all(rootfs.join("var")).expect("mkdir");
    symlink("/run", rootfs.join("var/run")).expect("symlink");
    symlink("/dev", rootfs.join("devices")).expect("symlink");
    let mut mounts = bundle.config()["mounts"].as_array().expect("a list").clone();
    mounts.insert(2, json!({"destination": "/run", "type": "tmpfs", "source": "tmpfs"}));
    mounts.extend([bind("/var/run/secrets"), bind("/devices/shm")]);
    let outcome = bundle
        .set("/mounts", json!(mounts))
        .set("/linux/maskedPaths", json!(["/run/secrets/token", "/dev/shm/token"]))
        .set("/linux/readonlyPaths", json!(["/run/secrets", "/dev/shm/open"]))
        .shell(
            "cat /run/secrets/token /dev/shm/token; touch /run/secrets/x 2>&1; touch /dev/shm/open/x 2>&1; \
             touch /dev/shm/free; ls /dev/shm",
        )
        .run();
    assert_eq!(outcome.stdout.matches("Read-only file system").count(), 2, "{}", outcome.describe());
    assert!(
        !outcome.stdout.contains("secret\n") && !outcome.stdout.starts_with("secret"),
        "{}",
        outcome.describe()
    );
    assert!(outcome.succeeded().ends_with("free\nopen\ntoken"), "{}", outcome.describe());
}

/// What is covered once more covers all that was covered: here masks are late, since /dev is, and /proc/sys is read-only early.
#[test]
fn covering_again_uncovers_nothing() {
    let bundle = Bundle::new().writable();
    std::fs::create_dir_all(bundle.rootfs().join("var")).expect("mkdir");
    symlink("/run", bundle.rootfs().join("var/run")).expect("symlink");
    let place = |name: &str| json!({"destination": name, "type": "tmpfs", "source": "tmpfs"});
    let mut mounts = bundle.config()["mounts"].as_array().expect("a list").clone();
    let sysfs = mounts.iter().position(|mount| mount["destination"] == "/sys").expect("sysfs");
    let sysfs = mounts.remove(sysfs);
    mounts.splice(1..1, [place("/run"), sysfs, place("/var/run/secrets")]);
    let outcome = bundle
        .set("/mounts", json!(mounts))
        .set("/process/cwd", json!("/var/run/new"))
        .set("/linux/maskedPaths/-", json!("/proc/sys/vm/swappiness"))
        .set("/linux/maskedPaths/-", json!("/proc/sys/net"))
        .set("/linux/maskedPaths/-", json!("/run/new"))
        .shell("cat /proc/sys/vm/swappiness; ls /proc/sys/net; (echo x > /proc/sys/kernel/hostname) 2>&1; touch /run/new/x 2>&1; exit 0")
        .run();
    let text = outcome.succeeded();
    assert_eq!(text.lines().count(), 2, "{}", outcome.describe());
    assert_eq!(text.matches("Read-only file system").count(), 2, "{}", outcome.describe());
}

#[test]
fn the_console_and_the_working_directory_are_there_before_masks_and_read_only_paths() {
    let run = json!({"destination": "/run", "type": "tmpfs", "source": "tmpfs"});
    let bundle = Bundle::new();
    let mut mounts = bundle.config()["mounts"].as_array().expect("a list").clone();
    mounts.insert(2, run);
    let outcome = bundle
        .set("/mounts", json!(mounts))
        .set("/process/cwd", json!("/run/new"))
        .set("/linux/maskedPaths/-", json!("/run/new"))
        .set("/linux/readonlyPaths/-", json!("/run"))
        .shell("cd /run/new; touch x 2>&1; touch ../x 2>&1; exit 0")
        .run();
    assert_eq!(outcome.succeeded().matches("Read-only file system").count(), 2, "{}", outcome.describe());

    let masked = Bundle::new().set("/linux/maskedPaths/-", json!("/dev/console"));
    let container =
        masked.set("/process/terminal", json!(true)).shell("stat -c '%t:%T' /dev/console").container();
    let (code, shown) = Pty::spawn(container.create_command("run", &[]), 80, 24).wait();
    assert_eq!((code, shown.trim()), (0, "1:3"));
}

#[test]
fn masked_directories_are_all_empty_wherever_they_are() {
    let masked = ["/proc/irq", "/proc/fs", "/data", "/sys/kernel"];
    let bundle = Bundle::new()
        .writable()
        .file("/data/secret", "secret", 0o644)
        .set("/linux/maskedPaths", json!(masked));
    let script = format!("for path in {}; do ls -A $path; touch $path/x 2>&1; done", masked.join(" "));
    let outcome = bundle.shell(&script).run();
    assert_eq!(outcome.stdout.lines().count(), masked.len(), "{}", outcome.describe());
    assert_eq!(
        outcome.stdout.matches("Read-only file system").count(),
        masked.len(),
        "{}",
        outcome.describe()
    );
}

/// CVE-2025-31133: with no mount on /dev, the image's own /dev/null was bound over masked files, whatever it was.
#[test]
fn dev_null_of_the_image_is_not_what_masks() {
    let cases: [fn(&Path); 2] = [
        |null| std::fs::write(null, "not a device").expect("write"),
        |null| symlink("/etc/target", null).expect("symlink"),
    ];
    for place_wrong_null in cases {
        let bundle = masked("/etc/secret").without_mount("/dev").file("/etc/secret", "secret", 0o644).file(
            "/etc/target",
            "target",
            0o644,
        );
        place_wrong_null(&bundle.rootfs().join("dev/null"));
        let outcome = bundle.writable().shell("cat /etc/secret; stat -c '%F %t:%T' /etc/secret").run();
        // A refusal is right, and so is a mask that is the real device.
        if outcome.code == 0 {
            assert_eq!(outcome.stdout.trim(), "character special file 1:3", "{}", outcome.describe());
        }
    }
}

/// The sysctls of the network are those of the network namespace that looks, which comes late.
#[test]
fn masks_of_the_networks_sysctls_are_on_those_of_the_containers_network() {
    let outcome = Bundle::new()
        .set("/linux/maskedPaths/-", json!("/proc/sys/net/ipv4/ip_forward"))
        .set("/linux/maskedPaths/-", json!("/proc/sys/net/core"))
        .set("/linux/readonlyPaths", json!(["/proc/sys/net/ipv4"]))
        .shell("cat /proc/sys/net/ipv4/ip_forward; ls /proc/sys/net/core; (echo 64 > /proc/sys/net/ipv4/ip_default_ttl) 2>&1; exit 0")
        .run();
    let text = outcome.succeeded();
    assert!(text.lines().count() == 1 && text.contains("Read-only file system"), "{}", outcome.describe());
}

/// What is read-only late, because the working directory is in it, has the masks below it that came early.
#[test]
fn masks_below_a_read_only_path_with_the_working_directory_stay() {
    let outcome = Bundle::new()
        .set("/process/cwd", json!("/proc/sys/kernel"))
        .set("/linux/maskedPaths/-", json!("/proc/sys/vm/swappiness"))
        .shell("cat /proc/sys/vm/swappiness; (echo x > hostname) 2>&1; exit 0")
        .run();
    let text = outcome.succeeded();
    assert!(text.lines().count() == 1 && text.contains("Read-only file system"), "{}", outcome.describe());
}

/// A volume in an early tmpfs has symlinks to what comes late.
#[test]
fn masks_through_a_volumes_symlinks_are_on_what_comes_late() {
    let bundle = Bundle::new().writable();
    let (volume, data) = (bundle.scratch().join("volume"), bundle.scratch().join("data"));
    for directory in [&volume, &data] {
        std::fs::create_dir_all(directory).expect("mkdir");
    }
    std::fs::write(data.join("secret"), "secret").expect("write");
    symlink("/data", volume.join("data")).expect("symlink");
    symlink("/sys", volume.join("sys")).expect("symlink");
    let bind = |place: &str, source: &Path| json!({"destination": place, "type": "bind", "source": source, "options": ["rbind"]});
    let mut mounts = bundle.config()["mounts"].as_array().expect("a list").clone();
    mounts.insert(1, json!({"destination": "/run", "type": "tmpfs", "source": "tmpfs"}));
    mounts.insert(2, bind("/run/volume", &volume));
    mounts.push(bind("/data", &data));
    let outcome = bundle
        .set("/mounts", json!(mounts))
        .set("/linux/maskedPaths", json!(["/run/volume/sys/kernel", "/run/volume/data/secret"]))
        .set("/linux/readonlyPaths", json!(["/run/volume/data"]))
        .shell("ls /sys/kernel; cat /data/secret; touch /data/x 2>&1; exit 0")
        .run();
    let text = outcome.succeeded();
    assert!(text.lines().count() == 1 && text.contains("Read-only file system"), "{}", outcome.describe());
}

/// The kernel has symlinks of its own in /proc, which lead to what is mounted late.
#[test]
fn masks_through_the_kernels_symlinks_are_on_what_comes_late() {
    let links = ["/proc/fs/xfs/stat", "/proc/device-tree"];
    let Some(link) = links.into_iter().find(|link| Path::new(link).is_symlink()) else {
        return skip("this kernel has no symlink in /proc that leads to /sys");
    };
    let outcome =
        masked(link).shell(&format!("ls -A {link} 2>/dev/null; cat {link} 2>/dev/null; exit 0")).run();
    assert!(matches!(outcome.succeeded(), "" | "/proc/fs/xfs/stat"), "{}", outcome.describe());
}

/// A device in a new filesystem that is made before a mount which a symlink of the image leads there.
#[test]
fn devices_are_in_what_a_symlink_has_led_over_their_place() {
    let bundle = Bundle::new().writable();
    let source = bundle.scratch().join("source");
    std::fs::create_dir_all(&source).expect("mkdir");
    std::fs::create_dir_all(bundle.rootfs().join("var")).expect("mkdir");
    symlink("/run", bundle.rootfs().join("var/run")).expect("symlink");
    let mut mounts = bundle.config()["mounts"].as_array().expect("a list").clone();
    mounts.insert(1, json!({"destination": "/run", "type": "tmpfs", "source": "tmpfs"}));
    mounts.push(json!({"destination": "/var/run/v", "type": "bind", "source": source, "options": ["rbind"]}));
    let outcome = bundle
        .set("/mounts", json!(mounts))
        .set(
            "/linux/devices",
            json!([{"path": "/run/v/odd", "type": "c", "major": 1, "minor": 3, "fileMode": 438}]),
        )
        .shell("stat -c '%F %t:%T' /run/v/odd")
        .run();
    assert_eq!(outcome.succeeded(), "character special file 1:3");
}

/// What lies over a procfs is not the kernel's.
#[test]
fn masks_in_a_volume_over_a_procfs_are_on_what_comes_late() {
    let bundle = Bundle::new();
    let volume = bundle.scratch().join("volume");
    std::fs::create_dir_all(volume.join("p")).expect("mkdir");
    symlink("/sys", volume.join("p/link")).expect("symlink");
    let mut mounts = bundle.config()["mounts"].as_array().expect("a list").clone();
    mounts.insert(1, json!({"destination": "/a/p", "type": "proc", "source": "proc"}));
    mounts.insert(2, json!({"destination": "/a", "type": "bind", "source": volume, "options": ["rbind"]}));
    let bundle = bundle.set("/mounts", json!(mounts)).set("/linux/maskedPaths", json!(["/a/p/link/kernel"]));
    assert_eq!(bundle.shell("ls /sys/kernel").run().succeeded(), "");
}

/// The host gets a copy of what is mounted in a volume that it shares: it must be able to write there afterwards.
#[test]
fn read_only_path_in_a_shared_volume_leaves_the_hosts_writable() {
    let Some(unshare) = find_program("unshare") else { return skip("unshare is not installed") };
    let bundle = Bundle::new();
    let volume = bundle.scratch().join("volume");
    std::fs::create_dir_all(&volume).expect("mkdir");
    std::fs::create_dir_all(bundle.rootfs().join("v")).expect("mkdir");
    let container = bundle
        .mount("/v", "bind", volume.to_str().expect("UTF-8"), &["rbind", "rshared"])
        .set("/linux/rootfsPropagation", json!("rshared"))
        .set("/linux/readonlyPaths/-", json!("/v/sub"))
        .shell("touch /v/sub/x 2>&1; exit 0")
        .container();
    let run = container.create_command("run", &[]);
    let script = "mount --make-rshared / && mount -t tmpfs volume \"$0\" && mkdir \"$0/sub\" && \"$@\" && touch \"$0/sub/x\" && echo written";
    let mut command = Command::new(unshare);
    command.args(["-m", "--propagation", "private", "/bin/sh", "-c", script]);
    command.arg(&volume).arg(run.get_program()).args(run.get_args());
    let outcome = run_within_limit(command);
    let text = outcome.succeeded();
    assert!(text.contains("Read-only file system") && text.ends_with("written"), "{}", outcome.describe());
}

/// Behind a symlink `..` is not what the text says.
#[test]
fn dots_in_a_masked_path_are_followed_and_not_counted() {
    let bundle =
        masked("/link/../secret").file("/a/secret", "secret", 0o644).file("/a/b/file", "", 0o644).writable();
    symlink("/a/b", bundle.rootfs().join("link")).expect("symlink");
    assert_eq!(bundle.shell("cat /a/secret").run().succeeded(), "");
}

/// A mount that an image's symlink leads into what is read-only finds its mount point made.
#[test]
fn mounts_behind_a_symlink_come_before_what_makes_their_place_read_only() {
    for field in ["/linux/readonlyPaths/-", "/linux/maskedPaths/-"] {
        let bundle = Bundle::new();
        std::fs::create_dir_all(bundle.rootfs().join("var")).expect("mkdir");
        symlink("/run", bundle.rootfs().join("var/run")).expect("symlink");
        let mut mounts = bundle.config()["mounts"].as_array().expect("a list").clone();
        mounts.insert(1, json!({"destination": "/run", "type": "tmpfs", "source": "tmpfs"}));
        mounts.push(json!({"destination": "/var/run/secrets/one", "type": "tmpfs", "source": "tmpfs"}));
        let outcome = bundle
            .set("/mounts", json!(mounts))
            .set(field, json!("/run"))
            .shell("touch /run/x 2>&1; exit 0")
            .run();
        assert!(outcome.succeeded().contains("Read-only file system"), "{}", outcome.describe());
    }
}

#[test]
fn masks_without_a_mount_namespace_are_refused() {
    let outcome = Bundle::new().without_namespace("mount").run();
    outcome.failed_with(&["unable to restrict sys entries without a private MNT namespace"]);
}
