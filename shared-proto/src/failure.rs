//! What went wrong, in numbers. The parent, which owns the plan, turns them into words.

use crate::step::Phase;

/// One failed operation of stage1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    pub phase: Phase,
    /// Index of the step in the plan; `None` in the skeleton between the steps.
    pub step: Option<u32>,
    pub call: Call,
    /// The kernel's errno, or one that stage1 chose where the kernel had no objection (EEXIST for a device
    /// node of another kind).
    pub errno: u16,
}

/// Declares [`Call`] with its numbers and names in one table.
macro_rules! calls {
    ($($(#[$note:meta])* $variant:ident = $number:literal $name:literal,)*) => {
        /// The operation that failed. Numbers are never used again for another one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub enum Call { $($(#[$note])* $variant = $number,)* }

        impl Call {
            /// Every call, in the order of its number.
            pub const ALL: &[Call] = &[$(Call::$variant,)*];

            /// The system call's own name, or what the operation is called where it is none.
            pub const fn name(self) -> &'static str {
                match self { $(Call::$variant => $name,)* }
            }

            /// The call with this number.
            pub const fn from_number(number: u16) -> Option<Call> {
                match number { $($number => Some(Call::$variant),)* _ => None }
            }
        }
    };
}

calls! {
    /// The message was refused before anything was done; the errno field holds the refusal's number.
    Decode = 1 "decode",
    Receive = 2 "recvmsg",
    Send = 3 "sendmsg",
    Accept = 4 "accept4",
    Map = 5 "mmap",
    SetSession = 6 "setsid",
    SetNamespace = 7 "setns",
    Unshare = 8 "unshare",
    MountAttributes = 9 "mount_setattr",
    OpenTree = 10 "open_tree",
    MoveMount = 11 "move_mount",
    FilesystemOpen = 12 "fsopen",
    FilesystemCreate = 14 "fsconfig create",
    FilesystemMount = 15 "fsmount",
    PivotRoot = 16 "pivot_root",
    ChangeRoot = 17 "chroot",
    ChangeDirectory = 18 "chdir",
    Unmount = 19 "umount2",
    Open = 20 "openat2",
    MakeDirectory = 21 "mkdirat",
    MakeNode = 22 "mknodat",
    MakeSymlink = 23 "symlinkat",
    ChangeOwner = 24 "fchownat",
    Status = 25 "fstat",
    Read = 26 "read",
    Write = 27 "write",
    SetHostname = 28 "sethostname",
    SetDomainname = 29 "setdomainname",
    Keyring = 30 "keyctl",
    SetRlimit = 31 "prlimit64",
    SetGroups = 32 "setgroups",
    SetGroupId = 33 "setresgid",
    SetUserId = 34 "setresuid",
    KeepCapabilities = 35 "prctl PR_SET_KEEPCAPS",
    DropBounding = 36 "prctl PR_CAPBSET_DROP",
    SetCapabilities = 37 "capset",
    NoNewPrivileges = 38 "prctl PR_SET_NO_NEW_PRIVS",
    Access = 39 "faccessat2",
    CloseRange = 40 "close_range",
    Execute = 41 "execve",
    Dumpable = 42 "prctl PR_SET_DUMPABLE",
    /// The parent ended before stage1 was told to go on.
    ParentGone = 43 "parent gone",
    SignalReset = 44 "rt_sigaction",
    /// Looking the program up along PATH.
    FindProgram = 45 "find program",
    CurrentDirectory = 46 "getcwd",
    StatusFilesystem = 47 "fstatfs",
    ChangeMode = 48 "fchmodat",
    Seccomp = 49 "seccomp",
    SetScheduler = 53 "sched_setattr",
    SetIoPriority = 54 "ioprio_set",
    SetPersonality = 55 "personality",
    SetMemoryPolicy = 56 "set_mempolicy",
    SetLabel = 57 "fsetxattr",
    LandlockRuleset = 58 "landlock_create_ruleset",
    LandlockPath = 59 "open a path of dev.pinnace.landlock",
    LandlockRule = 60 "landlock_add_rule",
    LandlockRestrict = 61 "landlock_restrict_self",
    Mount = 65 "mount",
    /// Bringing the loopback interface up.
    Loopback = 66 "ioctl SIOCSIFFLAGS",
    /// Terminals.
    TerminalUnlock = 67 "ioctl TIOCSPTLCK",
    TerminalPeer = 68 "ioctl TIOCGPTPEER",
    TerminalControl = 69 "ioctl TIOCSCTTY",
    TerminalSize = 70 "ioctl TIOCSWINSZ",
    Duplicate = 71 "dup3",
    SetAffinity = 72 "sched_setaffinity",
    /// The container's init ended, or its namespaces cannot be joined.
    JoinInit = 73 "setns",
    Fork = 76 "clone3",
    Wait = 77 "waitid",
    MemoryFile = 78 "memfd_create",
    RaiseAmbient = 79 "prctl PR_CAP_AMBIENT_RAISE",
    HeldCapabilities = 80 "capget",
    ReadLink = 81 "readlinkat",
    FilesystemSet = 82 "fsconfig",
    DeathSignal = 83 "prctl PR_SET_PDEATHSIG",
    /// Joining a namespace that came with the bootstrap, by its kind.
    JoinMount = 84 "setns",
    JoinNetwork = 85 "setns",
    JoinIpc = 86 "setns",
    JoinUts = 87 "setns",
    JoinCgroup = 88 "setns",
    JoinTime = 89 "setns",
    JoinPid = 90 "setns",
    JoinUser = 91 "setns",
    /// Filling a new filesystem with what it covers.
    Copy = 92 "copy what it covers",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_calls_are_one_to_one() {
        for call in Call::ALL {
            assert_eq!(Call::from_number(*call as u16), Some(*call));
        }
        assert_eq!(Call::from_number(0), None);
    }
}
