//! Facts about the host, read once and passed on as a value, so that `config` and `plan` stay pure.

mod cgroups;
mod covered;

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use linux_raw_sys::general::{CLOCK_REALTIME, RAMFS_MAGIC, TMPFS_MAGIC, timespec};
use rustix::buffer::spare_capacity;
use rustix::fs::{Access, Mode, OFlags};
use rustix::io::Errno;

use crate::descriptors::{descriptor_from, spend};
use crate::error::{Error, Result, check};

pub use cgroups::{CGROUP_MOUNT, CgroupHost, Hierarchy};
pub use covered::is_covered;

/// What the host has that decides how a container is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    pub cgroups: CgroupHost,
    /// Who runs us, in our user namespace.
    pub uid: u32,
    pub is_initial_user_namespace: bool,
    /// The whole v2 hierarchy is mounted in the usual place, and we are in the cgroup namespace that the kernel began with. Not so if nobody asked.
    pub sees_all_cgroups: bool,
    /// setgroups(2) is denied in our user namespace.
    pub denies_groups: bool,
    /// The kernel shows its memory as /proc/kcore.
    pub has_kcore: bool,
    pub security: SecurityHost,
}

/// The security modules that the host has; what nobody asked for is told as missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecurityHost {
    pub apparmor: bool,
    pub selinux: bool,
    /// Landlock's ABI version; 0 where it is not enabled.
    pub landlock_abi: u32,
}

/// What a configuration makes worth asking. Most ask nothing, and a start without labels pays for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    pub apparmor: bool,
    pub selinux: bool,
    pub landlock: bool,
    pub kcore: bool,
    /// Whether all of the v2 hierarchy is seen: where it is alone, and where v1 is beside it.
    pub all_cgroups: bool,
    pub all_unified_cgroups: bool,
}

/// The kernel's major and minor number.
pub type Version = (u32, u32);

/// mount_setattr(2), without which no mount gets its flags.
pub const KERNEL_MIN: Version = (5, 12);

/// Something that a configuration can ask for and not every kernel has, and the first that does.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    pub what: &'static str,
    pub since: Version,
}

pub const TIME_NAMESPACE: Need = Need { what: "a new time namespace", since: (6, 1) };
pub const PREFERRED_MANY: Need = Need { what: "MPOL_PREFERRED_MANY", since: (5, 15) };
pub const WEIGHTED_INTERLEAVE: Need = Need { what: "MPOL_WEIGHTED_INTERLEAVE", since: (6, 9) };
pub const WAIT_KILLABLE: Need = Need { what: "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", since: (5, 19) };

/// Where every distribution mounts selinuxfs, and statfs(2)'s number for it, from linux/magic.h.
const SELINUX_MOUNT: &str = "/sys/fs/selinux";
const SELINUX_MAGIC: u64 = 0xf97c_ff8c;

/// Whether a filesystem of this type, as statfs(2) tells it, is in memory alone: the next boot finds nothing of it.
pub fn is_in_memory(filesystem: u64) -> bool {
    [TMPFS_MAGIC, RAMFS_MAGIC].map(u64::from).contains(&filesystem)
}

impl HostFacts {
    /// Asks the kernel. Needs no privilege.
    pub fn read(questions: Questions) -> Result<Self> {
        let facts = Self::read_without_cgroups(questions)?;
        let cgroups = cgroups::read()?;
        let sees_all_cgroups = cgroups::sees_all(&cgroups, questions);
        Ok(Self { cgroups, sees_all_cgroups, ..facts })
    }

    /// The same for a container whose cgroups are known.
    pub fn read_without_cgroups(questions: Questions) -> Result<Self> {
        let security = SecurityHost {
            apparmor: questions.apparmor && has_apparmor(),
            selinux: questions.selinux && has_selinux(),
            landlock_abi: if questions.landlock { landlock_abi() } else { 0 },
        };
        let is_initial_user_namespace = is_initial_user_namespace();
        let denies_groups = !is_initial_user_namespace
            && std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny");
        Ok(Self {
            cgroups: CgroupHost::None,
            uid: rustix::process::geteuid().as_raw(),
            is_initial_user_namespace,
            sees_all_cgroups: false,
            denies_groups,
            has_kcore: questions.kcore && rustix::fs::access("/proc/kcore", Access::EXISTS).is_ok(),
            security,
        })
    }
}

/// `None` where the release does not begin with one.
pub fn kernel_version() -> Option<Version> {
    parse_version(&rustix::system::uname().release().to_string_lossy())
}

/// The first two numbers of `6.1.0-9-amd64`.
fn parse_version(release: &str) -> Option<Version> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Now. The kernel is called: the way without a call (vdso(7)) begins with a search through its symbols, which takes longer than one answer.
pub fn now() -> SystemTime {
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime(2) writes a timespec, which `time` is.
    let asked = check(unsafe { sc::syscall!(CLOCK_GETTIME, CLOCK_REALTIME, &raw mut time) });
    // Every kernel has this clock, and it is never before 1970.
    let seconds = asked.ok().and_then(|()| u64::try_from(time.tv_sec).ok()).unwrap_or_default();
    UNIX_EPOCH + Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The number of the processor that we are on, asked like the time.
pub fn current_processor() -> Option<usize> {
    let mut processor = 0u32;
    // SAFETY: getcpu(2) writes a 32-bit number, and nothing where there is no pointer.
    check(unsafe { sc::syscall!(GETCPU, &raw mut processor, 0usize, 0usize) }).ok()?;
    Some(processor as usize)
}

/// A program in one of the directories of PATH.
pub fn find_in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}

/// The capabilities that we may use, a bit for each; all where procfs does not tell.
pub fn own_capabilities() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let own = status.lines().find_map(|line| line.strip_prefix("CapPrm:"));
    own.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(u64::MAX)
}

/// Whether hard limits, and the score for the OOM killer, bind us not: CAP_SYS_RESOURCE, and of the host's own user namespace.
pub fn may_raise_limits() -> bool {
    is_initial_user_namespace() && own_capabilities() & 1 << linux_raw_sys::general::CAP_SYS_RESOURCE != 0
}

/// Whether the kernel has filters of system calls.
///
/// Source: seccomp(2), SECCOMP_GET_ACTION_AVAIL.
pub fn has_seccomp() -> bool {
    const GET_ACTION_AVAIL: usize = 2;
    let allow: u32 = 0x7fff_0000;
    // SAFETY: the call reads a 32-bit number.
    check(unsafe { sc::syscall!(SECCOMP, GET_ACTION_AVAIL, 0usize, &raw const allow) }).is_ok()
}

/// Whether the kernel has keyrings.
///
/// Source: keyctl(2), KEYCTL_GET_KEYRING_ID, which makes none where there is none.
pub fn has_keyrings() -> bool {
    const GET_KEYRING_ID: usize = 0;
    const SESSION_KEYRING: i32 = -3;
    // SAFETY: numbers only.
    check(unsafe { sc::syscall!(KEYCTL, GET_KEYRING_ID, SESSION_KEYRING, 0usize) }) != Err(Errno::NOSYS)
}

fn has_apparmor() -> bool {
    read_proc("/sys/module/apparmor/parameters/enabled", Reads::One)
        .is_ok_and(|answer| answer.starts_with('Y'))
}

/// Source: landlock_create_ruleset(2), LANDLOCK_CREATE_RULESET_VERSION.
fn landlock_abi() -> u32 {
    const NUMBER: usize = linux_raw_sys::general::__NR_landlock_create_ruleset as usize;
    const CREATE_RULESET_VERSION: usize = 1;
    // SAFETY: with this flag the call takes neither attributes nor their size, and returns a number.
    let returned = unsafe { sc::platform::syscall3(NUMBER, 0, 0, CREATE_RULESET_VERSION) };
    match check(returned) {
        Ok(()) => u32::try_from(returned).unwrap_or(0),
        // Not compiled in, or not among the boot's security modules.
        Err(_) => 0,
    }
}

/// SELinux is there and has a policy: before it has one, everything is the kernel's.
fn has_selinux() -> bool {
    let is_mounted =
        rustix::fs::statfs(SELINUX_MOUNT).is_ok_and(|statfs| statfs.f_type as u64 == SELINUX_MAGIC);
    let own = || read_proc("/proc/thread-self/attr/current", Reads::One);
    // One that cannot be asked is taken for one that has a policy.
    is_mounted && own().map_or(true, |own| own.trim_end_matches(['\0', '\n']) != "kernel")
}

/// Whether our user namespace is the one that the kernel began with.
pub fn is_initial_user_namespace() -> bool {
    /// PROC_USER_INIT_INO of linux/proc_ns.h.
    const INITIAL: u64 = 0xEFFF_FFFD;
    // A kernel without user namespaces has no such file, and no other namespace than that.
    rustix::fs::stat("/proc/self/ns/user").map_or(true, |stat| stat.st_ino == INITIAL)
}

/// The ids that our own user namespace has: others mean nobody in it, and the kernel refuses them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnIds {
    uids: Vec<(u32, u32)>,
    gids: Vec<(u32, u32)>,
}

impl OwnIds {
    /// Source: user_namespaces(7), "User and group ID mappings".
    pub fn read() -> Self {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/self/{name}")).ok();
        // A kernel without user namespaces has no such files, and all ids.
        let ranges = |name| read(name).map_or_else(|| vec![(0, u32::MAX)], |text| parse_id_map(&text));
        Self { uids: ranges("uid_map"), gids: ranges("gid_map") }
    }

    pub fn has_uids(&self, first: u32, count: u32) -> bool {
        has_all(&self.uids, first, count)
    }

    pub fn has_gids(&self, first: u32, count: u32) -> bool {
        has_all(&self.gids, first, count)
    }
}

/// The first id inside and the number of ids, of each line.
fn parse_id_map(text: &str) -> Vec<(u32, u32)> {
    let range = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(|number| number.parse().ok());
        Some((numbers.next()??, numbers.nth(1)??))
    };
    text.lines().filter_map(range).collect()
}

/// Each id is in one of the ranges, which may lie side by side.
fn has_all(ranges: &[(u32, u32)], first: u32, count: u32) -> bool {
    let (mut next, end) = (u64::from(first), u64::from(first) + u64::from(count));
    while next < end {
        let around = |&&(start, size): &&(u32, u32)| {
            (u64::from(start)..u64::from(start) + u64::from(size)).contains(&next)
        };
        let Some(&(start, size)) = ranges.iter().find(around) else { return false };
        next = u64::from(start) + u64::from(size);
    }
    true
}

/// Whether our mount namespace belongs to our user namespace (or to one below it): else nobody in this one may copy its mounts.
pub fn owns_mount_namespace() -> bool {
    // _IO(NSIO, 0x1) of linux/nsfs.h, which linux-raw-sys leaves out.
    const NS_GET_USERNS: u32 = 0xb701;
    let namespace =
        rustix::fs::open("/proc/thread-self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let Ok(namespace) = namespace else { return true };
    // SAFETY: the request is for a namespace's file, takes no argument, and returns a new descriptor.
    match unsafe { descriptor_from(namespace.as_fd(), NS_GET_USERNS) } {
        Ok(_) => true,
        // An owner above us is not shown; a kernel without user namespaces has no such request.
        Err(errno) => errno != Errno::PERM,
    }
}

/// Whether the namespace file at `path` is of the calling thread's own namespace; `kind` is the kernel's name for it, such as `net`.
pub fn is_own_namespace(path: &str, kind: &str) -> bool {
    let identity = |path: &str| rustix::fs::stat(path).map(|stat| (stat.st_dev, stat.st_ino)).ok();
    identity(path).is_some_and(|other| Some(other) == identity(&format!("/proc/thread-self/ns/{kind}")))
}

/// How the kernel hands out a file of /proc.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// All at once, if there is room for it.
    One,
    /// Line by line, as many as fit a page.
    Many,
}

fn read_proc(path: &str, reads: Reads) -> Result<String> {
    let failed = |errno| Error::call(format_args!("read {path}"), errno);
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let mut text = Vec::with_capacity(match reads {
        Reads::One => 4 << 10,
        Reads::Many => 16 << 10,
    });
    loop {
        let free = text.capacity() - text.len();
        let bytes = rustix::io::read(&file, spare_capacity(&mut text)).map_err(failed)?;
        if bytes == 0 || (reads == Reads::One && bytes < free) {
            spend(file);
            return Ok(String::from_utf8(text)
                .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()));
        }
        text.reserve(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_ranges_side_by_side() {
        let ranges = parse_id_map("         0       1000          1\n         1     100000      65536\n");
        assert_eq!(ranges, [(0, 1), (1, 65536)]);
        for (first, count, expected) in
            [(0, 1, true), (0, 65537, true), (5, 1, true), (65537, 1, false), (0, 65538, false)]
        {
            assert_eq!(has_all(&ranges, first, count), expected, "{first} {count}");
        }
        assert!(has_all(&[(0, u32::MAX)], 65536, 65536));
    }

    #[test]
    fn versions_are_the_first_two_numbers() {
        for (release, expected) in
            [("6.1.0-9-amd64", Some((6, 1))), ("5.10", Some((5, 10))), ("6.18+", Some((6, 18))), ("x", None)]
        {
            assert_eq!(parse_version(release), expected, "{release}");
        }
    }

    #[test]
    fn now_is_what_the_clock_says() {
        let (before, now, after) = (SystemTime::now(), now(), SystemTime::now());
        assert!(before <= now && now <= after, "{before:?} {now:?} {after:?}");
    }

    #[test]
    fn this_kernel_answers() {
        HostFacts::read(Questions { apparmor: true, selinux: true, landlock: true, ..Questions::default() })
            .unwrap();
    }
}
