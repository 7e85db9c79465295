//! Mounts: every type and option, missing targets, and targets that try to lead out of the root.

mod symlinks;
mod tmpcopyup;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use pinnace_tests::{Bundle, cgroup_hierarchies, find_program, is_pinnace, json, skip};

use crate::mountinfo::{self, find};

fn mountinfo() -> Bundle {
    Bundle::new().args(&["/bin/cat", "/proc/self/mountinfo"])
}

fn path(path: &std::path::Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

#[test]
fn default_mounts_are_there_with_their_options() {
    let outcome = mountinfo().run();
    assert_eq!(find(&outcome, "/proc").kind, "proc");
    let dev = find(&outcome, "/dev");
    assert_eq!(dev.kind, "tmpfs");
    dev.expect(&["nosuid"]);
    assert!(dev.super_options.contains(&"mode=755".to_owned()), "{dev:?}");
    assert!(dev.super_options.contains(&"size=65536k".to_owned()), "{dev:?}");
    let pts = find(&outcome, "/dev/pts");
    assert_eq!(pts.kind, "devpts");
    pts.expect(&["nosuid", "noexec"]);
    assert!(pts.super_options.contains(&"ptmxmode=666".to_owned()), "{pts:?}");
    let shm = find(&outcome, "/dev/shm");
    assert_eq!(shm.kind, "tmpfs");
    shm.expect(&["nosuid", "noexec", "nodev"]);
    assert_eq!(find(&outcome, "/dev/mqueue").expect(&["nosuid", "noexec", "nodev"]).kind, "mqueue");
    let sys = find(&outcome, "/sys");
    assert_eq!(sys.expect(&["ro", "nosuid", "noexec", "nodev"]).kind, "sysfs");
    find(&outcome, "/").expect(&["ro"]);
}

#[test]
fn nothing_of_the_host_is_mounted_in_the_container_and_nothing_of_it_on_the_host() {
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    let before = container.snapshot();
    container.run_detached().succeeded();
    assert_eq!(container.snapshot().mounts, before.mounts);
    let text = fs::read_to_string(format!("/proc/{}/mountinfo", container.pid())).expect("read mountinfo");
    let below: Vec<_> = mountinfo::all(&text).into_iter().map(|mount| mount.point).collect();
    let allowed =
        |point: &String| ["/proc", "/dev", "/sys"].iter().any(|top| point.starts_with(top)) || point == "/";
    assert!(below.iter().all(allowed), "{below:?}");
}

#[test]
fn cgroup_view_on_v1_is_one_read_only_mount_per_hierarchy() {
    let hierarchies = pinnace_tests::cgroup_hierarchies();
    if hierarchies.keys().all(String::is_empty) {
        return pinnace_tests::skip("this machine has cgroup v2 only");
    }
    let outcome = mountinfo().run();
    assert_eq!(find(&outcome, "/sys/fs/cgroup").kind, "tmpfs");
    let memory = find(&outcome, "/sys/fs/cgroup/memory");
    assert_eq!(memory.expect(&["ro", "nosuid", "noexec", "nodev"]).kind, "cgroup");
    for (controllers, _) in hierarchies.iter().filter(|(controllers, _)| !controllers.is_empty()) {
        let point = format!("/sys/fs/cgroup/{}", controllers.trim_start_matches("name="));
        assert_eq!(find(&outcome, &point).kind, "cgroup");
    }
}

#[test]
fn container_sees_its_own_cgroup_as_the_top_of_the_view() {
    if !pinnace_tests::cgroup_hierarchies().contains_key("memory") {
        return pinnace_tests::skip("no v1 memory hierarchy");
    }
    let script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes";
    let limit = 64 * 1024 * 1024;
    let outcome = Bundle::new().shell(script).set("/linux/resources/memory", json!({"limit": limit})).run();
    assert_eq!(outcome.succeeded(), limit.to_string());
    let outcome = Bundle::new().shell("mkdir /sys/fs/cgroup/memory/x 2>/dev/null || echo refused").run();
    assert_eq!(outcome.succeeded(), "refused");
}

#[test]
fn classic_options_become_mount_flags() {
    let options = ["nosuid", "nodev", "noexec", "noatime", "nodiratime", "ro"];
    let outcome = mountinfo().mount("/tmp", "tmpfs", "tmpfs", &options).run();
    find(&outcome, "/tmp").expect(&options);
    let outcome = mountinfo().mount("/tmp", "tmpfs", "tmpfs", &["nosymfollow", "relatime"]).run();
    find(&outcome, "/tmp").expect(&["nosymfollow", "relatime", "rw"]);
    // The later one wins.
    let outcome = mountinfo().mount("/tmp", "tmpfs", "tmpfs", &["ro", "nosuid", "rw", "suid"]).run();
    let mount = find(&outcome, "/tmp");
    mount.expect(&["rw"]);
    assert!(!mount.options.contains(&"nosuid".to_owned()), "{mount:?}");
}

#[test]
fn superblock_options_and_data_reach_the_file_system() {
    let outcome = mountinfo()
        .mount("/tmp", "tmpfs", "mine", &["sync", "dirsync", "size=128k", "mode=0700", "nr_inodes=9"])
        .run();
    let mount = find(&outcome, "/tmp");
    for option in ["sync", "dirsync", "size=128k", "mode=700", "nr_inodes=9"] {
        assert!(mount.super_options.iter().any(|have| have == option), "no {option}: {mount:?}");
    }
}

#[test]
fn unknown_option_is_the_file_systems_to_refuse() {
    mountinfo()
        .mount("/tmp", "tmpfs", "tmpfs", &["nosuchoption"])
        .run()
        .failed_with(&["/tmp", "invalid argument"]);
}

#[test]
fn unknown_file_system_is_an_error() {
    mountinfo().mount("/tmp", "nosuchfs", "none", &[]).run().failed_with(&["/tmp", "no such device"]);
}

#[test]
fn type_bind_without_the_option_is_not_a_bind() {
    // The kernel knows no such file system; pinnace says so before it asks.
    let reasons: &[&str] =
        if is_pinnace() { &["$.mounts[7].type", "bind"] } else { &["/tmp", "no such device"] };
    mountinfo().mount("/tmp", "bind", "/usr", &[]).run().failed_with(reasons);
}

#[test]
fn bind_shows_the_directory_and_writes_go_through() {
    let bundle = Bundle::new();
    let source = bundle.scratch().join("data");
    fs::create_dir(&source).expect("mkdir");
    fs::write(source.join("in"), "from the host").expect("write");
    let container = bundle
        .mount("/mnt/deep/er", "bind", &path(&source), &["bind"])
        .shell("cat /mnt/deep/er/in; echo back > /mnt/deep/er/out")
        .container();
    assert_eq!(container.run().succeeded(), "from the host");
    assert_eq!(fs::read_to_string(source.join("out")).expect("read"), "back\n");
}

#[test]
fn read_only_bind_refuses_writes_but_its_source_stays_writable() {
    let bundle = Bundle::new();
    let source = bundle.scratch().join("data");
    fs::create_dir(&source).expect("mkdir");
    let container = bundle
        .mount("/mnt", "bind", &path(&source), &["bind", "ro", "nosuid", "nodev", "noexec"])
        .shell("echo x > /mnt/out; cat /proc/self/mountinfo")
        .container();
    let outcome = container.run();
    assert!(outcome.stderr.contains("Read-only file system"), "{}", outcome.describe());
    find(&outcome, "/mnt").expect(&["ro", "nosuid", "nodev", "noexec"]);
    fs::write(source.join("out"), "x").expect("the source is writable");
}

#[test]
fn bind_of_a_file_makes_a_file_as_its_target() {
    let bundle = Bundle::new();
    let source = bundle.scratch().join("file");
    fs::write(&source, "content").expect("write");
    let container = bundle
        .mount("/a/b/file", "bind", &path(&source), &["bind", "ro"])
        .args(&["/bin/cat", "/a/b/file"])
        .container();
    assert_eq!(container.run().succeeded(), "content");
    let target = container.bundle.rootfs().join("a/b/file");
    assert_eq!(fs::metadata(target).expect("the target stays").len(), 0);
}

#[test]
fn a_file_and_a_directory_on_each_other_are_told_in_the_word_that_engines_look_for() {
    let bundle = Bundle::new().file("etc/file", "", 0o644);
    let file = bundle.scratch().join("file");
    fs::write(&file, "").unwrap();
    bundle.mount("/etc", "bind", &path(&file), &["bind"]).run().failed_with(&["/etc", "not a directory"]);
    let bundle = Bundle::new().file("etc/file", "", 0o644);
    bundle.mount("/etc/file", "bind", "/usr", &["bind"]).run().failed_with(&["/etc/file", "not a directory"]);
}

#[test]
fn relative_bind_source_is_relative_to_the_bundle() {
    let bundle = Bundle::new();
    fs::write(bundle.path().join("beside"), "beside config.json").expect("write");
    let outcome = bundle.mount("/beside", "bind", "beside", &["bind"]).args(&["/bin/cat", "/beside"]).run();
    assert_eq!(outcome.succeeded(), "beside config.json");
}

#[test]
fn bind_source_that_is_missing_is_an_error() {
    let outcome = mountinfo().mount("/mnt", "bind", "/no/such/source", &["bind"]).run();
    outcome.failed_with(&["/no/such/source", "no such file or directory"]);
}

#[test]
fn rbind_takes_what_is_mounted_below_and_bind_does_not() {
    let with = mountinfo().mount("/host", "bind", "/sys", &["rbind", "ro"]).run();
    let kind = if cgroup_hierarchies().contains_key("memory") { "tmpfs" } else { "cgroup2" };
    assert_eq!(find(&with, "/host/fs/cgroup").kind, kind);
    let without = mountinfo().mount("/host", "bind", "/sys", &["bind", "ro"]).run();
    assert!(!without.succeeded().contains("/host/fs/cgroup"));
}

#[test]
fn ro_is_for_the_top_and_rro_for_all_below() {
    let top = mountinfo().mount("/host", "bind", "/sys", &["rbind", "ro"]).run();
    find(&top, "/host").expect(&["ro"]);
    find(&top, "/host/fs/cgroup").expect(&["rw"]);
    let all = mountinfo().mount("/host", "bind", "/sys", &["rbind", "rro", "rnosuid"]).run();
    find(&all, "/host").expect(&["ro", "nosuid"]);
    find(&all, "/host/fs/cgroup").expect(&["ro", "nosuid"]);
}

#[test]
fn propagation_options_are_honoured() {
    for (option, expected) in [
        ("private", ""),
        ("rprivate", ""),
        ("shared", "shared:"),
        ("rshared", "shared:"),
        ("unbindable", "unbindable"),
    ] {
        let outcome = mountinfo().mount("/tmp", "tmpfs", "tmpfs", &[option]).run();
        let mount = find(&outcome, "/tmp");
        assert!(mount.propagation.starts_with(expected), "{option}: {mount:?}");
        assert_eq!(mount.propagation.is_empty(), expected.is_empty(), "{option}: {mount:?}");
    }
}

#[test]
fn later_mount_covers_an_earlier_one() {
    let outcome = Bundle::new()
        .mount("/tmp", "tmpfs", "first", &[])
        .mount("/tmp/inner", "tmpfs", "second", &[])
        .mount("/tmp", "tmpfs", "third", &[])
        .shell("ls /tmp | wc -l")
        .run();
    assert_eq!(outcome.succeeded(), "0");
}

#[test]
fn symlink_in_the_root_does_not_lead_out() {
    for target in ["/tmp", "../../../../../../../../tmp", "/proc/self/cwd/../../tmp"] {
        let bundle = Bundle::new();
        let id = bundle
            .path()
            .parent()
            .expect("a parent")
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let inside = format!("made-by-{id}");
        symlink(target, bundle.rootfs().join("link")).expect("symlink");
        let container = bundle
            .mount(&format!("/link/{inside}"), "tmpfs", "tmpfs", &[])
            .args(&["/bin/cat", "/proc/self/mountinfo"])
            .container();
        let outcome = container.run();
        let escaped = fs::remove_dir(std::env::temp_dir().join(&inside)).is_ok();
        assert!(!escaped, "{target}: the mount point was made on the host");
        // Inside the root is a fine answer, and so is a refusal.
        if outcome.code == 0 {
            assert!(outcome.stdout.contains(&format!("/tmp/{inside}")), "{}", outcome.describe());
        }
    }
}

#[test]
fn dots_in_a_destination_stay_inside() {
    let outcome = mountinfo().mount("/../../../tmp/../mnt", "tmpfs", "tmpfs", &[]).run();
    assert_eq!(find(&outcome, "/mnt").kind, "tmpfs");
}

/// CVE-2019-19921, CVE-2023-27561, CVE-2025-54867.
#[test]
fn proc_and_sysfs_on_a_symlink_are_refused() {
    for name in ["proc", "sys"] {
        let bundle = Bundle::new();
        let point = bundle.rootfs().join(name);
        fs::remove_dir(&point).expect("rmdir");
        symlink("/tmp", &point).expect("symlink");
        bundle.run().failed_with(&["must be mounted on ordinary directory"]);
    }
}

#[test]
fn mounts_inside_proc_are_refused_but_for_the_known_files() {
    let bundle = Bundle::new();
    let source = bundle.scratch().join("file");
    fs::write(&source, "mine").expect("write");
    bundle.mount("/proc/self/attr", "tmpfs", "tmpfs", &[]).run().failed_with(&["inside /proc"]);

    let bundle = Bundle::new();
    let source = bundle.scratch().join("file");
    fs::write(&source, "mine").expect("write");
    let outcome = bundle
        .mount("/proc/cpuinfo", "bind", &path(&source), &["bind"])
        .args(&["/bin/cat", "/proc/cpuinfo"])
        .run();
    assert_eq!(outcome.succeeded(), "mine");
}

#[test]
fn mqueue_and_devpts_belong_to_the_container() {
    let outcome = Bundle::new().shell("ls /dev/pts; ls -A /dev/mqueue").run();
    assert_eq!(outcome.succeeded(), "ptmx");
}

#[test]
fn relative_destination_means_from_the_root_and_warns() {
    let outcome = mountinfo().mount("mnt", "tmpfs", "tmpfs", &[]).run();
    assert_eq!(find(&outcome, "/mnt").kind, "tmpfs");
    assert!(outcome.stderr.contains("mount destination mnt is not absolute"), "{}", outcome.describe());
}

#[test]
fn tmpfs_takes_the_mode_of_the_directory_it_covers() {
    let outcome =
        Bundle::new().mount("/tmp", "tmpfs", "tmpfs", &[]).args(&["/bin/stat", "-c", "%a", "/tmp"]).run();
    assert_eq!(outcome.succeeded(), "1777");
}

#[test]
fn symlinks_of_an_image_do_not_lead_a_mount_over_proc() {
    for (link, destination) in [("/proc", "/link"), ("/proc", "/link/sys"), ("/proc/self", "/link/attr")] {
        let on_link = |bundle: Bundle| {
            symlink(link, bundle.rootfs().join("link")).expect("make a link");
            bundle
        };
        for bundle in [
            on_link(Bundle::new()).mount(destination, "tmpfs", "tmpfs", &[]),
            on_link(Bundle::new()).mount(destination, "bind", "/tmp", &["bind"]),
        ] {
            bundle.run().failed_with(&["inside /proc"]);
        }
    }
}

/// The container would stay below such a mount, and `..` would lead onto it.
#[test]
fn symlinks_of_an_image_do_not_lead_a_mount_over_the_root() {
    for link in ["/", "..", "/bin/.."] {
        let on_link = |bundle: Bundle| {
            symlink(link, bundle.rootfs().join("link")).expect("make a link");
            bundle
        };
        for bundle in [
            on_link(Bundle::new()).mount("/link", "tmpfs", "tmpfs", &[]),
            on_link(Bundle::new()).mount("/link", "bind", "/tmp", &["bind"]),
        ] {
            bundle.run().failed_with(&["on top of the root"]);
        }
    }
}

#[test]
fn bind_over_proc_has_to_be_a_procfs() {
    let bundle = Bundle::new().without_mount("/proc");
    bundle.mount("/proc", "bind", "/tmp", &["bind"]).run().failed_with(&["proc"]);
    let bundle = Bundle::new().without_mount("/proc").shell("test -e /proc/1/stat");
    bundle.mount("/proc", "bind", "/proc", &["rbind"]).run().succeeded();
}

/// Images have such links into directories of the running system: /etc/resolv.conf of those with systemd, /var/run.
#[test]
fn what_is_missing_behind_a_symlink_is_made_where_it_leads_inside_the_root() {
    let bundle = Bundle::new()
        .mount("/etc/resolv.conf", "bind", "/etc/hostname", &["bind"])
        .mount("/var/run/x", "tmpfs", "tmpfs", &[])
        .mount("/out", "bind", "/etc/hostname", &["bind"])
        .mount("/with", "tmpfs", "tmpfs", &[])
        .shell("cat /etc/resolv.conf /run/systemd/resolve/stub /above; ls -d /var/run/x /made/run/x /slash; cat /proc/mounts");
    let root = bundle.rootfs();
    for directory in ["etc", "var"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    symlink("../run/systemd/resolve/stub", root.join("etc/resolv.conf")).unwrap();
    symlink("/made/run", root.join("var/run")).unwrap();
    symlink("../../../../above", root.join("out")).unwrap();
    symlink("/slash/", root.join("with")).unwrap();
    let outcome = bundle.run();
    let host = fs::read_to_string("/etc/hostname").unwrap();
    let expected = format!("{host}{host}{host}/made/run/x\n/slash\n/var/run/x\n");
    assert!(outcome.succeeded().starts_with(&expected), "{}", outcome.describe());
    assert!(!Path::new("/above").exists() && !Path::new("/made").exists());
}

#[test]
fn symlinks_in_a_circle_are_an_error() {
    let bundle = Bundle::new().mount("/a/x", "tmpfs", "tmpfs", &[]);
    symlink("b", bundle.rootfs().join("a")).unwrap();
    symlink("a", bundle.rootfs().join("b")).unwrap();
    bundle.run().failed_with(&["/a/x", "too many levels of symbolic links"]);
}

/// An overlay's directories and a device are the host's, whatever the image has there.
#[test]
fn paths_in_sources_and_options_are_the_hosts() {
    let container = Bundle::new().container();
    let scratch = container.bundle.scratch().join("overlay");
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| scratch.join(name));
    for directory in [&lower, &upper, &work] {
        fs::create_dir_all(directory).unwrap();
        fs::create_dir_all(container.bundle.rootfs().join(directory.strip_prefix("/").unwrap())).unwrap();
    }
    fs::write(lower.join("file"), "of the host").unwrap();
    let options = [("lowerdir", &lower), ("upperdir", &upper), ("workdir", &work)]
        .map(|(name, directory)| format!("{name}={}", directory.display()));
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    for ways in [&[][..], &["--no-pivot"]] {
        let bundle = Bundle::new().mount("/merged", "overlay", "overlay", &options);
        let bundle =
            bundle.shell("cat /merged/file; echo new >>/merged/new; cat /proc/self/mountinfo >/dev/null");
        let outcome = bundle.container().with_create_options(ways).run();
        // An overlay upon the overlay that scratch may be on is the kernel's to refuse.
        if outcome.code != 0 {
            return skip(&format!("no overlay here: {}", outcome.message()));
        }
        assert_eq!(outcome.succeeded(), "of the host");
    }
    assert_eq!(fs::read_to_string(upper.join("new")).unwrap(), "new\nnew\n");
}

/// The program may not open the device; the filesystem on it is there all the same.
#[test]
fn filesystem_on_a_device_needs_no_access_of_the_container_to_that() {
    struct Loop(String);
    impl Drop for Loop {
        fn drop(&mut self) {
            let _ = Command::new("losetup").args(["--detach", &self.0]).status();
        }
    }
    let scratch = Bundle::new();
    let image = scratch.scratch().join("image");
    fs::File::create(&image).and_then(|file| file.set_len(4 << 20)).unwrap();
    let is_made = find_program("mkfs.ext4").is_some_and(|mkfs| {
        Command::new(mkfs).arg("-q").arg(&image).status().is_ok_and(|status| status.success())
    });
    let attached = find_program("losetup").filter(|_| is_made).and_then(|losetup| {
        let output = Command::new(losetup).args(["--find", "--show"]).arg(&image).output().ok()?;
        output.status.success().then(|| Loop(String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    });
    let Some(device) = attached else {
        return skip("no loop device, or no mkfs.ext4");
    };
    for (option, expected) in [("ro", "ro,"), ("rw", "rw,"), ("sync", "rw,sync,"), ("dirsync", "rw,dirsync,")]
    {
        let bundle = Bundle::new()
            .set("/linux/resources/devices", json!([{"allow": false, "access": "rwm"}]))
            .mount("/disk", "ext4", &device.0, &[option, "noexec"])
            .shell("ls -d /disk/lost+found; grep ' /disk ' /proc/mounts | cut -d' ' -f3,4");
        let outcome = bundle.run();
        let expected = format!("/disk/lost+found\next4 {expected}");
        assert!(outcome.succeeded().replace("noexec,", "").starts_with(&expected), "{}", outcome.describe());
    }
}

#[test]
fn readonly_tmpfs_is_filled_before_it_becomes_readonly() {
    let outcome = Bundle::new()
        .edit(|config| {
            for mount in config["mounts"].as_array_mut().unwrap() {
                if mount["destination"] == "/dev" {
                    mount["options"].as_array_mut().unwrap().push(json!("ro"));
                }
            }
        })
        .mount("/m", "tmpfs", "tmpfs", &["ro"])
        .mount("/m/x", "bind", "/etc/hostname", &["bind"])
        .mount("/m/y", "tmpfs", "tmpfs", &["unbindable"])
        .mount("/n", "tmpfs", "tmpfs", &["ro"])
        .shell("ls /dev/null /dev/pts/ptmx /m/x; touch /dev/shm/a /m/y/a; for d in /dev /m /n; do touch $d/b 2>/dev/null || echo ro $d; done")
        .run();
    assert_eq!(outcome.succeeded(), "/dev/null\n/dev/pts/ptmx\n/m/x\nro /dev\nro /m\nro /n");
}

#[test]
fn cgroup2_is_version_two_on_a_host_with_both() {
    if !cgroup_hierarchies().contains_key("") {
        return skip("no v2 hierarchy on this machine");
    }
    let bundle = Bundle::new().mount("/second", "cgroup2", "cgroup2", &["ro", "nosuid"]);
    bundle
        .shell("cat /second/cgroup.controllers && grep -q '/second cgroup2 ro,nosuid' /proc/mounts")
        .run()
        .succeeded();
}

#[test]
fn tmpfs_takes_the_mode_of_what_it_covers_and_else_the_kernels() {
    let bundle = Bundle::new()
        .mount("/covered", "tmpfs", "tmpfs", &[])
        .mount("/missing", "tmpfs", "tmpfs", &[])
        .mount("/dev/new", "tmpfs", "tmpfs", &[])
        .shell("stat -c %a /covered /missing /dev/new");
    let covered = bundle.rootfs().join("covered");
    fs::create_dir(&covered).unwrap();
    fs::set_permissions(&covered, fs::Permissions::from_mode(0o710)).unwrap();
    assert_eq!(bundle.run().succeeded(), "710\n1777\n1777");
}

#[test]
fn several_mounts_of_the_cgroups_show_the_same() {
    let bundle = Bundle::new().mount("/second", "cgroup", "cgroup", &["ro"]);
    let outcome = bundle.shell("ls /sys/fs/cgroup; echo; ls /second").run();
    let (first, second) = outcome.succeeded().split_once("\n\n").unwrap();
    assert_eq!(first, second);
    assert!(!first.is_empty());
}

#[test]
fn what_is_mounted_can_be_remounted() {
    let script = "grep -E ' /(m|b|dev/shm) ' /proc/mounts | cut -d' ' -f2,4; touch /m/x; touch /b/x; echo $?";
    let bundle = Bundle::new();
    let data = bundle.scratch().join("data");
    fs::create_dir(&data).unwrap();
    let outcome = bundle
        .mount("/m", "tmpfs", "tmpfs", &["size=64k"])
        .mount("/m", "tmpfs", "tmpfs", &["remount", "nosuid", "size=128k"])
        .mount("/b", "bind", data.to_str().unwrap(), &["bind"])
        .mount("/b", "", "", &["remount", "bind", "ro"])
        .mount("/dev/shm", "tmpfs", "shm", &["remount", "ro", "size=1m"])
        .shell(script)
        .run();
    let lines: Vec<&str> = outcome.succeeded().lines().collect();
    let line = |place: &str| lines.iter().find(|line| line.starts_with(place)).expect("a mount");
    assert!(line("/m ").contains("nosuid") && line("/m ").contains("size=128k"), "{lines:?}");
    assert!(
        line("/dev/shm ").starts_with("/dev/shm ro") && line("/dev/shm ").contains("size=1024k"),
        "{lines:?}"
    );
    assert!(line("/b ").starts_with("/b ro"), "{lines:?}");
    assert_eq!(lines.last(), Some(&"1"));
    let outcome = Bundle::new().mount("/etc", "tmpfs", "tmpfs", &["remount", "size=1m"]).run();
    outcome.failed_with(&["remount on /etc", "invalid argument"]);
}
