//! The host's cgroup hierarchies, as our mount namespace shows them.

use std::path::Path;

use rustix::io::Errno;

use super::{Questions, Reads, read_proc};
use crate::error::{Error, Result};

/// The host's cgroup hierarchies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupHost {
    /// No hierarchy is mounted.
    None,
    /// cgroup v1; `unified` is the v2 hierarchy of a hybrid host.
    V1 { hierarchies: Vec<Hierarchy>, unified: Option<Hierarchy> },
    /// cgroup v2 alone.
    V2 { unified: Hierarchy },
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted, such as `/sys/fs/cgroup/cpu,cpuacct`.
    pub mountpoint: String,
    /// Its controllers (`cpu`, `cpuacct`), or its name (`name=systemd`); empty for v2.
    pub controllers: Vec<String>,
    /// The caller's own cgroup in it, as a path below the mount point, such as `/user.slice`.
    pub own: String,
}

/// Where every distribution mounts its hierarchies.
pub const CGROUP_MOUNT: &str = "/sys/fs/cgroup";

/// statfs(2)'s numbers, from linux/magic.h.
const CGROUP_SUPER_MAGIC: u64 = 0x0027_e0eb;
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

/// The inode of a hierarchy's root.
const ROOT_INODE: u64 = 1;

/// That of the cgroup namespace that the kernel began with: PROC_CGROUP_INIT_INO of linux/proc_ns.h.
const INITIAL_NAMESPACE_INODE: u64 = 0xEFFF_FFFB;

/// Asks for the hierarchies, and for our own cgroups in them.
pub(super) fn read() -> Result<CgroupHost> {
    let own = read_proc("/proc/self/cgroup", Reads::One)?;
    if let Some(own) = own.strip_prefix("0::").and_then(|rest| rest.strip_suffix('\n'))
        && !own.contains('\n')
    {
        return read_unified(own);
    }
    let own: Vec<OwnCgroup> = own.lines().filter_map(OwnCgroup::parse).collect();
    // In another namespace our paths count from its root, and what is mounted may begin elsewhere.
    let counts_from_root = |own: &OwnCgroup| own.path == "/";
    if (own.iter().all(counts_from_root) || is_initial_namespace())
        && let Some(hierarchies) = usual(&own, is_mounted)
    {
        return Ok(hierarchies);
    }
    let mounts = read_proc("/proc/self/mountinfo", Reads::Many)?;
    Ok(parse_v1(&mounts, &own))
}

/// The v1 hierarchies, the oldest first, if there are any and `is_mounted` finds each where every distribution mounts it: then nobody reads mountinfo,
/// which has a line for each of the host's mounts, of which there may be thousands.
fn usual(own: &[OwnCgroup], is_mounted: impl Fn(&str, &OwnCgroup) -> bool) -> Option<CgroupHost> {
    let mut hierarchies = Vec::with_capacity(own.len());
    let mut unified = None;
    // The kernel names the newest first.
    for own in own.iter().rev() {
        let directory = match own.controllers {
            "" => "unified",
            controllers => controllers.strip_prefix("name=").unwrap_or(controllers),
        };
        let mountpoint = [CGROUP_MOUNT, "/", directory].concat();
        // A hierarchy may be named as another's controller is.
        let is_taken = hierarchies.iter().any(|other: &Hierarchy| other.mountpoint == mountpoint);
        if is_taken || !is_mounted(&mountpoint, own) {
            return None;
        }
        let controllers = own.controllers.split(',').filter(|name| !name.is_empty()).map(str::to_owned);
        let hierarchy =
            Hierarchy { mountpoint, controllers: controllers.collect(), own: own.path.to_owned() };
        if own.controllers.is_empty() {
            unified = Some(hierarchy);
        } else {
            hierarchies.push(hierarchy);
        }
    }
    (!hierarchies.is_empty()).then_some(CgroupHost::V1 { hierarchies, unified })
}

/// Whether a hierarchy of this version is mounted there. If our cgroup is not the root, it must be the whole of it: below a mount of a part, our path
/// would be a shorter one.
fn is_mounted(mountpoint: &str, own: &OwnCgroup) -> bool {
    let filesystem = if own.controllers.is_empty() { CGROUP2_SUPER_MAGIC } else { CGROUP_SUPER_MAGIC };
    rustix::fs::statfs(mountpoint).is_ok_and(|statfs| statfs.f_type as u64 == filesystem)
        && (own.path == "/" || has_inode(mountpoint, ROOT_INODE))
}

fn is_initial_namespace() -> bool {
    has_inode("/proc/self/ns/cgroup", INITIAL_NAMESPACE_INODE)
}

fn has_inode(path: &str, inode: u64) -> bool {
    rustix::fs::stat(path).is_ok_and(|stat| stat.st_ino == inode)
}

/// Whether the whole v2 hierarchy is mounted in its place, and our cgroup namespace is the one that the kernel began with, if anybody asks.
pub(super) fn sees_all(host: &CgroupHost, questions: Questions) -> bool {
    let unified = match host {
        CgroupHost::V2 { unified } if questions.all_cgroups => unified,
        CgroupHost::V1 { unified: Some(unified), .. } if questions.all_unified_cgroups => unified,
        _ => return false,
    };
    is_initial_namespace() && has_inode(&unified.mountpoint, ROOT_INODE)
}

/// A host without any v1 hierarchy needs no look at its mounts, of which there may be thousands.
fn read_unified(own: &str) -> Result<CgroupHost> {
    let filesystem = match rustix::fs::statfs(CGROUP_MOUNT) {
        Ok(statfs) => statfs.f_type as u64,
        Err(Errno::NOENT) => return Ok(CgroupHost::None),
        Err(errno) => return Err(Error::call(format_args!("statfs {CGROUP_MOUNT}"), errno)),
    };
    if filesystem != CGROUP2_SUPER_MAGIC {
        return Ok(CgroupHost::None);
    }
    let unified =
        Hierarchy { mountpoint: CGROUP_MOUNT.to_owned(), controllers: Vec::new(), own: own.to_owned() };
    Ok(CgroupHost::V2 { unified })
}

/// The hierarchies in the text of /proc/self/mountinfo, with our own cgroups in them.
fn parse_v1(mountinfo: &str, own: &[OwnCgroup]) -> CgroupHost {
    let mut hierarchies: Vec<Hierarchy> = Vec::new();
    let mut unified = None;
    for mount in mountinfo.as_bytes().split(|&byte| byte == b'\n').filter_map(CgroupMount::parse) {
        let is_its = |controllers: &str| match mount.version {
            1 => controllers.split(',').eq(mount.controllers.iter().map(String::as_str)),
            _ => controllers.is_empty(),
        };
        let own = own.iter().find(|own| is_its(own.controllers));
        let own = below(&mount.root, own.map_or("/", |own| own.path));
        let hierarchy = Hierarchy { mountpoint: mount.mountpoint, controllers: mount.controllers, own };
        if mount.version == 2 {
            unified.get_or_insert(hierarchy);
        } else if hierarchies.iter().all(|known| known.controllers != hierarchy.controllers) {
            hierarchies.push(hierarchy);
        }
    }
    match (hierarchies.is_empty(), unified) {
        (true, None) => CgroupHost::None,
        (true, Some(unified)) => CgroupHost::V2 { unified },
        (false, unified) => CgroupHost::V1 { hierarchies, unified },
    }
}

/// A line of mountinfo that mounts cgroups in the usual place.
struct CgroupMount {
    version: u8,
    root: String,
    mountpoint: String,
    controllers: Vec<String>,
}

impl CgroupMount {
    /// Most lines are about something else, and are seldom looked at whole.
    ///
    /// Source: proc_pid_mountinfo(5).
    fn parse(line: &[u8]) -> Option<Self> {
        let is_separator = |window: &[u8]| matches!(window, [b' ', b'-', b' ']);
        let separator = line.windows(3).position(is_separator)?;
        if !line[separator + 3..].starts_with(b"cgroup") {
            return None;
        }
        let (mount, filesystem) = std::str::from_utf8(line).ok()?.split_at(separator);
        let filesystem = &filesystem[3..];
        let mut filesystem = filesystem.split(' ');
        let version = match filesystem.next()? {
            "cgroup" => 1,
            "cgroup2" => 2,
            _ => return None,
        };
        let mut mount = mount.split(' ').skip(3);
        let (root, mountpoint) = (unescape(mount.next()?), unescape(mount.next()?));
        if !Path::new(&mountpoint).starts_with(CGROUP_MOUNT) {
            return None;
        }
        let options = filesystem.nth(1)?;
        Some(Self { version, root, mountpoint, controllers: controllers(options) })
    }
}

/// The controllers, or the name, among a v1 hierarchy's superblock options.
fn controllers(options: &str) -> Vec<String> {
    const NOT_CONTROLLERS: [&str; 8] =
        ["rw", "ro", "xattr", "clone_children", "noprefix", "cpuset_v2_mode", "nsdelegate", "none"];
    let is_controller = |option: &&str| {
        !NOT_CONTROLLERS.contains(option)
            && !option.starts_with("release_agent=")
            && !option.starts_with("memory_")
    };
    options.split(',').filter(is_controller).map(str::to_owned).collect()
}

/// mountinfo writes blanks and the like as three octal digits.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| *first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A line of /proc/self/cgroup (`4:cpu,cpuacct:/path`). Source: cgroups(7).
struct OwnCgroup<'t> {
    /// Or the name (`name=systemd`); empty for v2.
    controllers: &'t str,
    path: &'t str,
}

impl<'t> OwnCgroup<'t> {
    fn parse(line: &'t str) -> Option<Self> {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some(Self { controllers, path })
    }
}

/// A cgroup's path below a mount that shows only the hierarchy's part below `root`.
fn below(root: &str, path: &str) -> String {
    let stripped = if root == "/" { Some(path) } else { path.strip_prefix(root) };
    match stripped {
        Some(path) if path.starts_with('/') => path.to_owned(),
        // The caller's cgroup is outside of what is mounted.
        _ => String::from("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own_cgroups(text: &str) -> Vec<OwnCgroup<'_>> {
        text.lines().filter_map(OwnCgroup::parse).collect()
    }

    fn hierarchy(mountpoint: &str, controllers: &[&str], own: &str) -> Hierarchy {
        let controllers = controllers.iter().map(|name| String::from(*name)).collect();
        Hierarchy { mountpoint: mountpoint.into(), controllers, own: own.into() }
    }

    #[test]
    fn a_hybrid_host_has_hierarchies_with_several_controllers_and_a_unified_one() {
        let mountinfo = "\
            31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
            32 31 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
            33 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
            34 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n\
            35 31 0:29 / /mnt/elsewhere rw - cgroup cgroup rw,cpu,cpuacct\n";
        let own = "3:cpu,cpuacct:/user.slice\n1:name=systemd:/user.slice/a\n0::/user.slice/a\n";
        let expected = CgroupHost::V1 {
            hierarchies: vec![
                hierarchy("/sys/fs/cgroup/systemd", &["name=systemd"], "/user.slice/a"),
                hierarchy("/sys/fs/cgroup/cpu,cpuacct", &["cpu", "cpuacct"], "/user.slice"),
            ],
            unified: Some(Hierarchy {
                controllers: Vec::new(),
                ..hierarchy("/sys/fs/cgroup/unified", &[], "/user.slice/a")
            }),
        };
        assert_eq!(parse_v1(mountinfo, &own_cgroups(own)), expected);
        // The same where nobody has to look at the mounts.
        assert_eq!(usual(&own_cgroups(own), |_, _| true), Some(expected));
    }

    #[test]
    fn inside_a_container_own_paths_are_below_the_mounts_root() {
        let mountinfo = "9 8 0:29 /docker/x /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n";
        let expected = CgroupHost::V1 {
            hierarchies: vec![hierarchy("/sys/fs/cgroup/cpu", &["cpu"], "/inner")],
            unified: None,
        };
        assert_eq!(parse_v1(mountinfo, &own_cgroups("1:cpu:/docker/x/inner\n")), expected);
        assert_eq!(below("/docker/x", "/elsewhere"), "/");
    }

    #[test]
    fn one_hierarchy_that_is_not_in_its_usual_place_sends_for_all_mounts() {
        let own = own_cgroups("2:memory:/\n1:name=elsewhere:/\n");
        assert_eq!(usual(&own, |mountpoint, _| mountpoint != "/sys/fs/cgroup/elsewhere"), None);
    }

    #[test]
    fn no_hierarchy_and_two_of_one_name_send_for_all_mounts() {
        for own in ["", "0::/\n", "2:cpu:/\n1:name=cpu:/\n"] {
            assert_eq!(usual(&own_cgroups(own), |_, _| true), None, "{own:?}");
        }
    }

    #[test]
    fn a_mount_is_told_by_its_filesystem_and_by_its_root() {
        let is_mounted = |mountpoint: &str, own| is_mounted(mountpoint, &OwnCgroup::parse(own).unwrap());
        // procfs, whose root has the number that a hierarchy's has.
        assert!(!is_mounted("/proc", "1:cpu:/"));
        assert!(!is_mounted("/nowhere", "1:cpu:/"));
        let CgroupHost::V1 { hierarchies, .. } = read().unwrap() else { return };
        let Some(hierarchy) =
            hierarchies.iter().find(|hierarchy| has_inode(&hierarchy.mountpoint, ROOT_INODE))
        else {
            return;
        };
        assert!(is_mounted(&hierarchy.mountpoint, "1:cpu:/some"));
        assert!(!is_mounted(&hierarchy.mountpoint, "0::/"), "is not v2");
        let below = format!("{}/pinnace-test-part-{}", hierarchy.mountpoint, std::process::id());
        if std::fs::create_dir(&below).is_ok() {
            let (whole, part) = (is_mounted(&below, "1:cpu:/"), is_mounted(&below, "1:cpu:/some"));
            std::fs::remove_dir(&below).unwrap();
            assert!(whole, "where we are in the root, it does not matter which part is shown");
            assert!(!part);
        }
    }

    #[test]
    fn octal_escapes_are_undone() {
        assert_eq!(unescape("/a\\040b\\134c"), "/a b\\c");
        assert_eq!(unescape("/a\\04"), "/a\\04");
    }
}
