//! What keeps us from a new procfs or sysfs in a user namespace: nothing that somebody has covered may come to light.

use std::fs;

/// Directories of a filesystem that are empty for ever, and hide nothing when something is mounted there.
const EMPTY: [(&str, &[&str]); 2] = [
    ("proc", &["sys/fs/binfmt_misc", "fs/nfsd"]),
    (
        "sysfs",
        &[
            "firmware/efi/efivars",
            "fs/bpf",
            "fs/cgroup",
            "fs/fuse/connections",
            "fs/pstore",
            "fs/resctrl",
            "fs/selinux",
            "fs/smackfs",
            "kernel/config",
            "kernel/debug",
            "kernel/security",
            "kernel/tracing",
        ],
    ),
];

/// Whether every `proc` or `sysfs` that we see is covered in part, or there is none. Who has covered it cannot be told; what a mount namespace's
/// own user namespace has, does not count for the kernel.
///
/// Source: mnt_already_visible in Linux's fs/namespace.c.
pub fn is_covered(fstype: &str) -> bool {
    let mountinfo = fs::read("/proc/self/mountinfo").unwrap_or_default();
    is_covered_in(&String::from_utf8_lossy(&mountinfo), fstype)
}

/// A line of proc_pid_mountinfo(5).
struct Mount<'a> {
    id: &'a str,
    parent: &'a str,
    /// Which directory of the filesystem it shows.
    root: &'a str,
    point: &'a str,
    fstype: &'a str,
}

fn parse(line: &str) -> Option<Mount<'_>> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut fields = mount.split(' ');
    let (id, parent) = (fields.next()?, fields.next()?);
    let (root, point) = (fields.nth(1)?, fields.next()?);
    Some(Mount { id, parent, root, point, fstype: filesystem.split(' ').next()? })
}

fn is_covered_in(mountinfo: &str, fstype: &str) -> bool {
    let mounts: Vec<Mount<'_>> = mountinfo.lines().filter_map(parse).collect();
    let empty = EMPTY.iter().find(|(name, _)| *name == fstype).map_or(&[][..], |(_, empty)| empty);
    let hides = |above: &Mount<'_>, whole: &Mount<'_>| {
        let inner = above.point.strip_prefix(whole.point).unwrap_or_default().trim_start_matches('/');
        above.parent == whole.id && !empty.contains(&inner)
    };
    let mut whole = mounts.iter().filter(|mount| mount.fstype == fstype && mount.root == "/");
    whole.all(|whole| mounts.iter().any(|above| hides(above, whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_procfs_is_covered_by_what_lies_in_it() {
        let root = "1 0 8:1 / / rw - ext4 /dev/vda rw\n";
        let proc = "2 1 0:5 / /proc rw shared:5 - proc proc rw\n";
        let check = |lines: &[&str], expected: bool| {
            assert_eq!(is_covered_in(&[&[root], lines].concat().concat(), "proc"), expected, "{lines:?}");
        };
        let automatic = "3 2 0:6 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw\n";
        check(&[proc], false);
        check(&[proc, automatic, "4 3 0:7 / /proc/sys/fs/binfmt_misc rw - binfmt_misc none rw\n"], false);
        check(&[proc, "3 1 0:6 / /process rw - tmpfs none rw\n"], false);
        let masked = "3 2 0:6 /null /proc/kcore rw - devtmpfs none rw\n";
        check(&[proc, masked], true);
        check(&[proc, masked, "4 1 0:8 / /mnt/proc rw - proc proc rw\n"], false);
        // A part of one shows nothing of the rest.
        check(&[proc, masked, "4 1 0:8 /sys /mnt/sys rw - proc proc rw\n"], true);
        check(&[proc, "3 2 0:6 / /proc rw - tmpfs none rw\n"], true);
        check(&[], true);
    }

    #[test]
    fn a_sysfs_has_places_for_others() {
        let sys = "1 0 0:5 / /sys rw - sysfs sysfs rw\n";
        let above = |point: &str| format!("{sys}2 1 0:6 / {point} rw - tmpfs none rw\n");
        assert!(!is_covered_in(&above("/sys/fs/cgroup"), "sysfs"));
        assert!(is_covered_in(&above("/sys/firmware"), "sysfs"));
    }
}
