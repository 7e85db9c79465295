//! `linux.seccomp`.
//!
//! Source: runtime-spec 1.3.0, config-linux.md "Seccomp"; defaults as runc's.

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSeccompOperator,
    LinuxSyscall,
};
use shared_proto::limits::PATH_BYTES_MAX;

use super::super::problems::Problems;
use super::super::seccomp::*;
use super::text_of;

const PATH: &str = "$.linux.seccomp";

/// All of the spec's, sorted by name; `action`, `condition` and `flags` say what each means.
const ACTIONS: [LinuxSeccompAction; 9] = [
    LinuxSeccompAction::ScmpActAllow,
    LinuxSeccompAction::ScmpActErrno,
    LinuxSeccompAction::ScmpActKill,
    LinuxSeccompAction::ScmpActKillProcess,
    LinuxSeccompAction::ScmpActKillThread,
    LinuxSeccompAction::ScmpActLog,
    LinuxSeccompAction::ScmpActNotify,
    LinuxSeccompAction::ScmpActTrace,
    LinuxSeccompAction::ScmpActTrap,
];

const OPERATORS: [LinuxSeccompOperator; 7] = [
    LinuxSeccompOperator::ScmpCmpEq,
    LinuxSeccompOperator::ScmpCmpGe,
    LinuxSeccompOperator::ScmpCmpGt,
    LinuxSeccompOperator::ScmpCmpLe,
    LinuxSeccompOperator::ScmpCmpLt,
    LinuxSeccompOperator::ScmpCmpMaskedEq,
    LinuxSeccompOperator::ScmpCmpNe,
];

const FLAGS: [(LinuxSeccompFilterFlag, u32); 4] = [
    (LinuxSeccompFilterFlag::SeccompFilterFlagLog, SECCOMP_LOG),
    (LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow, SECCOMP_SPEC_ALLOW),
    (LinuxSeccompFilterFlag::SeccompFilterFlagTsync, SECCOMP_TSYNC),
    (LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv, SECCOMP_WAIT_KILLABLE_RECV),
];

/// What a profile can be made of, in the words of config.json.
#[derive(Clone, Debug)]
pub struct SeccompNames {
    pub actions: Vec<String>,
    pub operators: Vec<String>,
    pub architectures: Vec<String>,
    pub flags: Vec<String>,
}

/// Every name that `check` takes.
pub fn seccomp_names() -> SeccompNames {
    let is_taken = |architecture: &&Arch| known(**architecture).is_ok();
    SeccompNames {
        actions: ACTIONS.iter().map(ToString::to_string).collect(),
        operators: OPERATORS.iter().map(ToString::to_string).collect(),
        architectures: ARCHITECTURES.iter().filter(is_taken).map(written).collect(),
        flags: FLAGS.iter().map(|(flag, _)| flag.to_string()).collect(),
    }
}

/// An architecture as the types read it: what they print is spelled otherwise in parts (`X8664`).
fn written(architecture: &Arch) -> String {
    let value = serde_json::to_value(architecture).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// What ERRNO and TRACE return where nothing is written.
const EPERM: u16 = 1;

/// The number is the same on every architecture that has seccomp but MIPS.
const ENOSYS: u32 = 38;

/// Arguments of a system call.
const ARGUMENT_COUNT: usize = 6;

pub(super) fn check(
    profile: Option<&LinuxSeccomp>,
    problems: &mut Problems,
    warnings: &mut Vec<String>,
) -> Option<Seccomp> {
    let profile = profile?;
    let default_action = action(
        profile.default_action(),
        profile.default_errno_ret(),
        format_args!("{PATH}.defaultErrnoRet"),
        problems,
    );
    if default_action == SeccompAction::Notify {
        // runc's words. Nobody could ever be told of the listener.
        problems
            .add(format_args!("{PATH}.defaultAction"), "SCMP_ACT_NOTIFY cannot be used as default action");
    }
    let mut rules = Vec::new();
    for (index, call) in profile.syscalls().iter().flatten().enumerate() {
        rules.push(rule(call, format_args!("{PATH}.syscalls[{index}]"), problems));
    }
    if forbids_execution(default_action, &rules) {
        // Said beforehand: under such a filter stage1 may have no call left to say it with.
        warnings
            .push(String::from("seccomp: the profile allows no execve, so the program cannot be executed"));
    }
    let notifies = rules.iter().any(|rule| rule.action == SeccompAction::Notify);
    let asks_about = |name: &str| {
        let mut asked = rules.iter().filter(|rule| rule.action == SeccompAction::Notify);
        asked.any(|rule| rule.names.iter().any(|asked| asked == name))
    };
    let mut flags = flags(profile.flags().as_deref(), notifies);
    if asks_about("sendmsg") {
        flags |= SECCOMP_LISTENER_BY_SENDMMSG;
        if asks_about("sendmmsg") {
            // The listener could not be sent before it is asked.
            let reason = "SCMP_ACT_NOTIFY cannot be used for both sendmsg and sendmmsg";
            problems.add(format_args!("{PATH}.syscalls"), reason);
        }
    }
    Some(Seccomp {
        default_action,
        default_is_enosys: profile.default_errno_ret() == Some(ENOSYS),
        architectures: architectures(profile, problems),
        flags,
        rules,
        listener: listener(profile, notifies, problems),
    })
}

fn action(
    action: LinuxSeccompAction,
    errno: Option<u32>,
    path: std::fmt::Arguments<'_>,
    problems: &mut Problems,
) -> SeccompAction {
    let number = match errno.map(u16::try_from) {
        None => EPERM,
        Some(Ok(number)) => number,
        Some(Err(_)) => {
            problems.add(path, "is larger than 65535, which is all that a filter can return");
            EPERM
        }
    };
    let action = match action {
        LinuxSeccompAction::ScmpActErrno => return SeccompAction::Errno(number),
        LinuxSeccompAction::ScmpActTrace => return SeccompAction::Trace(number),
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => SeccompAction::KillThread,
        LinuxSeccompAction::ScmpActKillProcess => SeccompAction::KillProcess,
        LinuxSeccompAction::ScmpActTrap => SeccompAction::Trap,
        LinuxSeccompAction::ScmpActAllow => SeccompAction::Allow,
        LinuxSeccompAction::ScmpActLog => SeccompAction::Log,
        LinuxSeccompAction::ScmpActNotify => SeccompAction::Notify,
    };
    if errno.is_some() {
        problems.add(path, "the action returns no errno: only SCMP_ACT_ERRNO and SCMP_ACT_TRACE do");
    }
    action
}

fn rule(call: &LinuxSyscall, path: std::fmt::Arguments<'_>, problems: &mut Problems) -> SeccompRule {
    if call.names().is_empty() {
        problems.add(format_args!("{path}.names"), "must have at least one name");
    }
    let action = action(call.action(), call.errno_ret(), format_args!("{path}.errnoRet"), problems);
    for (index, name) in call.names().iter().enumerate() {
        let path = format_args!("{path}.names[{index}]");
        match name.as_str() {
            "" => problems.add(path, "empty string is not a valid syscall"),
            name if name.contains('\0') => problems.add(path, "contains a NUL byte"),
            // runc's rule and words: it tells of the listener by write.
            "write" if action == SeccompAction::Notify => {
                problems.add(path, "SCMP_ACT_NOTIFY cannot be used for the write syscall");
            }
            _ => {}
        }
    }
    let mut conditions = Vec::new();
    for (index, argument) in call.args().iter().flatten().enumerate() {
        conditions.extend(condition(argument, format_args!("{path}.args[{index}]"), problems));
    }
    SeccompRule { names: call.names().clone(), action, alternatives: alternatives(conditions) }
}

/// Whether no rule lets any execve pass.
fn forbids_execution(default_action: SeccompAction, rules: &[SeccompRule]) -> bool {
    let lets_pass = |action| {
        use SeccompAction::{Allow, Log, Notify, Trace};
        matches!(action, Allow | Log | Notify | Trace(_))
    };
    let mut about = rules.iter().filter(|rule| rule.names.iter().any(|name| name == "execve")).peekable();
    if lets_pass(default_action) {
        about.peek().is_some() && about.all(|rule| !lets_pass(rule.action) && rule.alternatives.is_empty())
    } else {
        !about.any(|rule| lets_pass(rule.action))
    }
}

fn condition(
    argument: &LinuxSeccompArg,
    path: std::fmt::Arguments<'_>,
    problems: &mut Problems,
) -> Option<SeccompCondition> {
    let index = argument.index();
    if index >= ARGUMENT_COUNT {
        problems.add(
            format_args!("{path}.index"),
            format!("{index} is not between 0 and {}", ARGUMENT_COUNT - 1),
        );
        return None;
    }
    let value = argument.value();
    let comparison = match argument.op() {
        LinuxSeccompOperator::ScmpCmpNe => SeccompComparison::NotEqual(value),
        LinuxSeccompOperator::ScmpCmpLt => SeccompComparison::Less(value),
        LinuxSeccompOperator::ScmpCmpLe => SeccompComparison::LessOrEqual(value),
        LinuxSeccompOperator::ScmpCmpEq => SeccompComparison::Equal(value),
        LinuxSeccompOperator::ScmpCmpGe => SeccompComparison::GreaterOrEqual(value),
        LinuxSeccompOperator::ScmpCmpGt => SeccompComparison::Greater(value),
        LinuxSeccompOperator::ScmpCmpMaskedEq => {
            SeccompComparison::MaskedEqual { mask: value, value: argument.value_two().unwrap_or(0) }
        }
    };
    Some(SeccompCondition { argument: index as u8, comparison })
}

/// All conditions together, or, where two are on one argument, each for itself: what runc does, since profiles rely on it.
fn alternatives(conditions: Vec<SeccompCondition>) -> Vec<Vec<SeccompCondition>> {
    let mut seen = [false; ARGUMENT_COUNT];
    let is_repeated =
        |condition: &SeccompCondition| std::mem::replace(&mut seen[usize::from(condition.argument)], true);
    if conditions.is_empty() {
        Vec::new()
    } else if conditions.iter().any(is_repeated) {
        conditions.into_iter().map(|condition| vec![condition]).collect()
    } else {
        vec![conditions]
    }
}

fn architectures(profile: &LinuxSeccomp, problems: &mut Problems) -> Vec<SeccompArchitecture> {
    let mut architectures = Vec::new();
    for (index, &architecture) in profile.architectures().iter().flatten().enumerate() {
        match known(architecture) {
            Ok(architecture) if architectures.contains(&architecture) => {}
            Ok(architecture) => architectures.push(architecture),
            Err(reason) => {
                let path = format_args!("{PATH}.architectures[{index}]");
                problems.add(path, format!("{architecture}: {reason}"));
            }
        }
    }
    architectures
}

/// All of the types', sorted by name.
const ARCHITECTURES: [Arch; 24] = [
    Arch::ScmpArchAarch64,
    Arch::ScmpArchArm,
    Arch::ScmpArchLoongarch64,
    Arch::ScmpArchM68k,
    Arch::ScmpArchMips,
    Arch::ScmpArchMips64,
    Arch::ScmpArchMips64n32,
    Arch::ScmpArchMipsel,
    Arch::ScmpArchMipsel64,
    Arch::ScmpArchMipsel64n32,
    Arch::ScmpArchNative,
    Arch::ScmpArchParisc,
    Arch::ScmpArchParisc64,
    Arch::ScmpArchPpc,
    Arch::ScmpArchPpc64,
    Arch::ScmpArchPpc64le,
    Arch::ScmpArchRiscv64,
    Arch::ScmpArchS390,
    Arch::ScmpArchS390x,
    Arch::ScmpArchSh,
    Arch::ScmpArchSheb,
    Arch::ScmpArchX32,
    Arch::ScmpArchX86,
    Arch::ScmpArchX86_64,
];

fn known(architecture: Arch) -> Result<SeccompArchitecture, &'static str> {
    Ok(match architecture {
        Arch::ScmpArchX86 => SeccompArchitecture::X86,
        Arch::ScmpArchX86_64 => SeccompArchitecture::X86_64,
        Arch::ScmpArchX32 => SeccompArchitecture::X32,
        Arch::ScmpArchArm => SeccompArchitecture::Arm,
        Arch::ScmpArchAarch64 => SeccompArchitecture::Aarch64,
        Arch::ScmpArchMipsel => SeccompArchitecture::Mipsel,
        Arch::ScmpArchMipsel64 => SeccompArchitecture::Mipsel64,
        Arch::ScmpArchMipsel64n32 => SeccompArchitecture::Mipsel64n32,
        Arch::ScmpArchPpc64le => SeccompArchitecture::Ppc64le,
        Arch::ScmpArchRiscv64 => SeccompArchitecture::Riscv64,
        // pinnace runs on x86_64 and aarch64.
        Arch::ScmpArchMips
        | Arch::ScmpArchMips64
        | Arch::ScmpArchMips64n32
        | Arch::ScmpArchPpc
        | Arch::ScmpArchPpc64
        | Arch::ScmpArchS390
        | Arch::ScmpArchS390x
        | Arch::ScmpArchParisc
        | Arch::ScmpArchParisc64 => {
            return Err("one filter cannot be for both byte orders, and this host's is the other one");
        }
        Arch::ScmpArchLoongarch64 | Arch::ScmpArchM68k | Arch::ScmpArchSh | Arch::ScmpArchSheb => {
            return Err("libseccomp 2.5 does not know this architecture");
        }
        Arch::ScmpArchNative => return Err("is not a valid arch for seccomp"),
    })
}

/// A list that is absent means SPEC_ALLOW, as for runc; an empty one means none.
fn flags(list: Option<&[LinuxSeccompFilterFlag]>, notifies: bool) -> u32 {
    let Some(list) = list else {
        return SECCOMP_SPEC_ALLOW | if notifies { SECCOMP_NEW_LISTENER } else { 0 };
    };
    let set = FLAGS.iter().filter(|(flag, _)| list.contains(flag));
    let mut flags = set.fold(0, |flags, (_, bit)| flags | bit);
    if !notifies {
        // It is about waiting for a listener, and without one the kernel refuses it.
        return flags & !SECCOMP_WAIT_KILLABLE_RECV;
    }
    if flags & SECCOMP_TSYNC != 0 {
        // One return value cannot be both a thread and a descriptor: the kernel takes the two flags only with this third.
        flags |= SECCOMP_TSYNC_ESRCH;
    }
    flags | SECCOMP_NEW_LISTENER
}

/// Whom to ask. A path that nobody is asked at means nothing (config-linux.md: "MUST be ignored").
fn listener(profile: &LinuxSeccomp, notifies: bool, problems: &mut Problems) -> Option<SeccompListener> {
    let path = profile.listener_path().as_deref().map(text_of).unwrap_or_default();
    let metadata = profile.listener_metadata().clone().unwrap_or_default();
    if path.is_empty() {
        if !metadata.is_empty() {
            problems.add(format_args!("{PATH}.listenerMetadata"), "is set without a listenerPath");
        }
        if notifies {
            problems.add(format_args!("{PATH}.listenerPath"), "is not set, and SCMP_ACT_NOTIFY is used");
        }
        return None;
    }
    if !notifies {
        return None;
    }
    if !path.starts_with('/') {
        problems.add(format_args!("{PATH}.listenerPath"), format!("{path:?} is not an absolute path"));
    }
    problems.check_text(format_args!("{PATH}.listenerPath"), &path, PATH_BYTES_MAX);
    Some(SeccompListener { path, metadata })
}
