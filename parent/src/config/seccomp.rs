//! `linux.seccomp`, checked: what the filter decides, before anything is known of numbers.

/// A profile. Everything in it decides what the filter does; `seccomp/key.rs` names each field for the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seccomp {
    pub default_action: SeccompAction,
    /// `defaultErrnoRet` is written and says ENOSYS: then the profile itself decides about system calls that it does not know.
    pub default_is_enosys: bool,
    /// The native one among them or not: it is always meant. Each once, in the order of the file.
    pub architectures: Vec<SeccompArchitecture>,
    /// SECCOMP_FILTER_FLAG_* bits. With `Notify` in use NEW_LISTENER is among them.
    pub flags: u32,
    /// In the order of the file.
    pub rules: Vec<SeccompRule>,
    /// Who is asked; present if, and only if, some rule says `Notify`.
    pub listener: Option<SeccompListener>,
}

/// SECCOMP_FILTER_FLAG_*, from linux/seccomp.h.
pub const SECCOMP_TSYNC: u32 = 1 << 0;
pub const SECCOMP_LOG: u32 = 1 << 1;
pub const SECCOMP_SPEC_ALLOW: u32 = 1 << 2;
pub const SECCOMP_NEW_LISTENER: u32 = 1 << 3;
/// None of the kernel's: the listener is asked about sendmsg(2), and so cannot be sent with that.
pub const SECCOMP_LISTENER_BY_SENDMMSG: u32 = 1 << 31;
pub const SECCOMP_TSYNC_ESRCH: u32 = 1 << 4;
pub const SECCOMP_WAIT_KILLABLE_RECV: u32 = 1 << 5;

/// One entry of `syscalls`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeccompRule {
    /// At least one; perhaps unknown.
    pub names: Vec<String>,
    pub action: SeccompAction,
    /// The rule holds where one of these does; none at all means always. (More than one: the profile names one argument twice.)
    pub alternatives: Vec<Vec<SeccompCondition>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeccompAction {
    KillThread,
    KillProcess,
    Trap,
    Errno(u16),
    Trace(u16),
    Allow,
    Log,
    Notify,
}

/// A condition on one argument, 0 to 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeccompCondition {
    pub argument: u8,
    pub comparison: SeccompComparison,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeccompComparison {
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Equal(u64),
    GreaterOrEqual(u64),
    Greater(u64),
    /// The bits of `mask` are those of `value`.
    MaskedEqual {
        mask: u64,
        value: u64,
    },
}

/// Those that libseccomp 2.5.4 can put into one filter with a little-endian host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeccompArchitecture {
    X86,
    X86_64,
    X32,
    Arm,
    Aarch64,
    Mipsel,
    Mipsel64,
    Mipsel64n32,
    Ppc64le,
    Riscv64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeccompListener {
    /// A socket's absolute path.
    pub path: String,
    /// For whoever listens there; perhaps empty.
    pub metadata: String,
}
