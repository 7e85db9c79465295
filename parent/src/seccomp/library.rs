//! libseccomp, behind a few safe functions: the numbers of system calls, and its own way to compile a profile.

use std::ffi::{CString, c_int};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use libseccomp_sys as sys;
use rustix::fs::MemfdFlags;
use rustix::io::Errno;

use super::assemble::Instruction;
use crate::config::{Seccomp, SeccompAction, SeccompArchitecture, SeccompComparison, SeccompCondition};
use crate::error::{Error, Result};

/// `2.5.4`.
pub fn version() -> [u32; 3] {
    // SAFETY: libseccomp returns a pointer to a constant of its own.
    let version = unsafe { *sys::seccomp_version() };
    [version.major, version.minor, version.micro]
}

/// libseccomp's token of an architecture.
pub(super) fn token(architecture: SeccompArchitecture) -> u32 {
    match architecture {
        SeccompArchitecture::X86 => sys::SCMP_ARCH_X86,
        SeccompArchitecture::X86_64 => sys::SCMP_ARCH_X86_64,
        SeccompArchitecture::X32 => sys::SCMP_ARCH_X32,
        SeccompArchitecture::Arm => sys::SCMP_ARCH_ARM,
        SeccompArchitecture::Aarch64 => sys::SCMP_ARCH_AARCH64,
        SeccompArchitecture::Mipsel => sys::SCMP_ARCH_MIPSEL,
        SeccompArchitecture::Mipsel64 => sys::SCMP_ARCH_MIPSEL64,
        SeccompArchitecture::Mipsel64n32 => sys::SCMP_ARCH_MIPSEL64N32,
        SeccompArchitecture::Ppc64le => sys::SCMP_ARCH_PPC64LE,
        SeccompArchitecture::Riscv64 => sys::SCMP_ARCH_RISCV64,
    }
}

/// SECCOMP_RET_*, which libseccomp calls SCMP_ACT_*.
pub(super) fn action_value(action: SeccompAction) -> u32 {
    match action {
        SeccompAction::KillThread => sys::SCMP_ACT_KILL_THREAD,
        SeccompAction::KillProcess => sys::SCMP_ACT_KILL_PROCESS,
        SeccompAction::Trap => sys::SCMP_ACT_TRAP,
        SeccompAction::Errno(number) => sys::SCMP_ACT_ERRNO(number),
        SeccompAction::Trace(number) => sys::SCMP_ACT_TRACE(number),
        SeccompAction::Allow => sys::SCMP_ACT_ALLOW,
        SeccompAction::Log => sys::SCMP_ACT_LOG,
        SeccompAction::Notify => sys::SCMP_ACT_NOTIFY,
    }
}

/// A system call's name, ready for libseccomp.
pub(super) struct Name(CString);

impl Name {
    /// `None` where no system call can have this name.
    pub(super) fn new(name: &str) -> Option<Self> {
        CString::new(name).ok().map(Self)
    }

    /// The name of a number of the native architecture.
    #[cfg(test)]
    pub(super) fn of_native_number(number: c_int) -> Option<String> {
        // SAFETY: numbers go in, and a string of the C allocator or null comes out.
        let name = unsafe { sys::seccomp_syscall_resolve_num_arch(sys::SCMP_ARCH_NATIVE, number) };
        if name.is_null() {
            return None;
        }
        // SAFETY: the string is NUL-terminated; that it is never freed does not matter to a test.
        unsafe { std::ffi::CStr::from_ptr(name) }.to_str().ok().map(String::from)
    }

    /// The number on the native architecture: negative where only others have it, `None` where libseccomp does not know the name.
    pub(super) fn native_number(&self) -> Option<i32> {
        // SAFETY: the name is NUL-terminated and only read.
        let number = unsafe { sys::seccomp_syscall_resolve_name(self.0.as_ptr()) };
        (number != sys::__NR_SCMP_ERROR).then_some(number)
    }

    /// The number on `architecture`, as `native_number`.
    pub(super) fn number(&self, architecture: SeccompArchitecture) -> Option<i32> {
        // SAFETY: the name is NUL-terminated and only read.
        let number = unsafe { sys::seccomp_syscall_resolve_name_arch(token(architecture), self.0.as_ptr()) };
        (number != sys::__NR_SCMP_ERROR).then_some(number)
    }
}

/// A filter in the making, owned; never null.
struct Context(sys::scmp_filter_ctx);

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: `seccomp_init` made it (`compile` has looked), and nobody else releases it.
        unsafe { sys::seccomp_release(self.0) }
    }
}

/// The program that libseccomp makes of a profile, in its own layout. Without the answer for numbers that the profile is too old for.
pub(super) fn compile(profile: &Seccomp) -> Result<Vec<Instruction>> {
    // SAFETY: a number goes in, and a context or null comes out.
    let context = unsafe { sys::seccomp_init(action_value(profile.default_action)) };
    if context.is_null() {
        return Err(Error::new("error creating seccomp filter: libseccomp refuses the default action"));
    }
    let context = Context(context);
    for &architecture in &profile.architectures {
        // SAFETY: the context is alive; a number goes in.
        let added = unsafe { sys::seccomp_arch_add(context.0, token(architecture)) };
        if added != -Errno::EXIST.raw_os_error() {
            check("adding an architecture to", added)?;
        }
    }
    let call_count: usize = profile.rules.iter().map(|rule| rule.names.len()).sum();
    // libseccomp 2.5.4 misbehaves with a tree of no rules; with few a list is as good. runc has the same bound.
    if call_count > 32 {
        let attribute = sys::scmp_filter_attr::SCMP_FLTATR_CTL_OPTIMIZE;
        // SAFETY: the context is alive; numbers go in.
        check("optimizing", unsafe { sys::seccomp_attr_set(context.0, attribute, 2) })?;
    }
    for rule in profile.rules.iter().filter(|rule| rule.action != profile.default_action) {
        for number in rule.names.iter().filter_map(|name| Name::new(name)?.native_number()) {
            let always = [Vec::new()];
            let alternatives = if rule.alternatives.is_empty() { &always[..] } else { &rule.alternatives };
            for conditions in alternatives {
                add_rule(&context, action_value(rule.action), number, conditions)?;
            }
        }
    }
    export(&context)
}

fn add_rule(context: &Context, action: u32, number: c_int, conditions: &[SeccompCondition]) -> Result<()> {
    let conditions: Vec<sys::scmp_arg_cmp> = conditions.iter().map(comparison).collect();
    let count = conditions.len() as u32;
    // SAFETY: the context is alive, and the array holds as many comparisons as are announced; they are only read.
    let added = unsafe { sys::seccomp_rule_add_array(context.0, action, number, count, conditions.as_ptr()) };
    check("adding a rule to", added)
}

fn comparison(condition: &SeccompCondition) -> sys::scmp_arg_cmp {
    use sys::scmp_compare::*;

    let (op, datum_a, datum_b) = match condition.comparison {
        SeccompComparison::NotEqual(value) => (SCMP_CMP_NE, value, 0),
        SeccompComparison::Less(value) => (SCMP_CMP_LT, value, 0),
        SeccompComparison::LessOrEqual(value) => (SCMP_CMP_LE, value, 0),
        SeccompComparison::Equal(value) => (SCMP_CMP_EQ, value, 0),
        SeccompComparison::GreaterOrEqual(value) => (SCMP_CMP_GE, value, 0),
        SeccompComparison::Greater(value) => (SCMP_CMP_GT, value, 0),
        SeccompComparison::MaskedEqual { mask, value } => (SCMP_CMP_MASKED_EQ, mask, value),
    };
    sys::scmp_arg_cmp { arg: condition.argument.into(), op, datum_a, datum_b }
}

fn export(context: &Context) -> Result<Vec<Instruction>> {
    let failed = |errno| Error::call("memfd_create", errno);
    let file = File::from(rustix::fs::memfd_create(c"pinnace-seccomp", MemfdFlags::CLOEXEC).map_err(failed)?);
    // SAFETY: the context and the file are alive; libseccomp writes to the file.
    check("exporting", unsafe { sys::seccomp_export_bpf(context.0, file.as_raw_fd()) })?;
    let failed = |error| Error::io("read the seccomp filter", &error);
    let mut bytes = vec![0; file.metadata().map_err(failed)?.len() as usize];
    file.read_exact_at(&mut bytes, 0).map_err(failed)?;
    Ok(bytes.as_chunks().0.iter().map(Instruction::from_bytes).collect())
}

fn check(doing: &str, returned: c_int) -> Result<()> {
    match returned {
        0 => Ok(()),
        error => {
            let errno = Errno::from_raw_os_error(-error);
            Err(Error::call(format_args!("error {doing} seccomp filter"), errno))
        }
    }
}
