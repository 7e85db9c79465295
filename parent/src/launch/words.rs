//! stage1's numbers in the words that people read and engines compare.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use linux_raw_sys::general as uapi;
use rustix::fs::Access;
use rustix::io::Errno;
use shared_proto::bootstrap::RootChange;
use shared_proto::{Call, Failure, HookStatus, Phase, Planned, Refusal, Step};

use super::{filesystem, out_of_turn};
use crate::config::{Hook, HookPoint, Namespace, capability_name};
use crate::error::{Error, Kind, errno_text};
use crate::hooks;
use crate::host::own_capabilities;
use crate::plan::{Plan, origin, show};

/// A failure of stage1. runc's texts, where callers know them.
pub(super) fn failure(plan: &Plan<'_>, failure: &Failure) -> Error {
    let program = plan.program.name();
    if let Some((kind, text)) = program_failure(&program, failure) {
        return Error::of_kind(kind, format!("unable to start container process: {text}"));
    }
    let reason = reason(failure);
    let step = failure.step.and_then(|index| plan.steps.get(index as usize));
    if let Some(Step::BecomeUser { working_directory, .. }) = step.map(|phased| phased.step) {
        let field = if plan.config.is_some() { "$.process.cwd: " } else { "" };
        let cwd = format!("({:?}) set in config.json", String::from_utf8_lossy(working_directory));
        let text = match failure.call {
            Call::ChangeDirectory => Some(format!("{field}chdir to cwd {cwd} failed: {reason}")),
            Call::CurrentDirectory => Some(format!("{field}cwd {cwd} is outside the root: getcwd: {reason}")),
            _ => None,
        };
        if let Some(text) = text {
            return Error::new(format!("unable to start container process: {text}"));
        }
    }
    let place = match failure.step {
        Some(index) => named(plan, index),
        None => skeleton_words(plan, failure),
    };
    let step = step.map(|phased| &phased.step);
    let refused = refused_option(failure, step).or_else(|| unreadable(plan, failure, step));
    let hint = refused.as_deref().unwrap_or_else(|| hint(failure, step));
    let starts_nothing = plan.bootstrap.root_change == RootChange::Enter && program.is_empty();
    let prefix = if starts_nothing { "" } else { "unable to start container process: " };
    let kind = match (failure.call, errno(failure)) {
        (Call::JoinInit, Errno::SRCH) => Kind::Ended,
        _ if is_elsewhere(plan, failure, step) => Kind::Moved,
        _ => Kind::Other,
    };
    Error::of_kind(kind, format!("{prefix}{place}: {}: {reason}{hint}", failure.call.name()))
}

/// A step with the place in config.json that it comes from.
fn named(plan: &Plan<'_>, index: u32) -> String {
    let words = show::step_words(plan, index);
    match origin::json_path(plan, index as usize) {
        Some(path) => format!("{path}: {words}"),
        None => words,
    }
}

/// Whether a place in a container that runs is not, or not any more, at the path that led to it a moment ago.
fn is_elsewhere(plan: &Plan<'_>, failure: &Failure, step: Option<&Step<Planned<'_>>>) -> bool {
    let is_missing = matches!(errno(failure), Errno::NOENT | Errno::NOTDIR | Errno::LOOP);
    match step {
        Some(Step::Unmount { .. }) => {
            failure.call == Call::Open && is_missing
                || failure.call == Call::Unmount && errno(failure) == Errno::BUSY
        }
        Some(Step::MountFilesystem { .. } | Step::BindMount { .. }) => {
            let looks = [Call::Open, Call::MakeDirectory, Call::MakeNode, Call::ReadLink, Call::MoveMount];
            plan.bootstrap.root_change == RootChange::Enter
                && looks.contains(&failure.call)
                && (is_missing || errno(failure) == Errno::EXIST)
        }
        _ => false,
    }
}

/// What was done without.
pub(super) fn warning(plan: &Plan<'_>, warning: &Failure) -> String {
    let place = warning.step.map_or_else(|| skeleton_words(plan, warning), |index| named(plan, index));
    let ignored = match warning.call {
        Call::SetCapabilities => {
            format!(
                " (ignoring unavailable capabilities, which the runtime itself lacks: {})",
                lacking(plan, warning)
            )
        }
        Call::RaiseAmbient => {
            String::from(" (ignoring ambient capabilities that are not permitted and inheritable)")
        }
        _ => String::new(),
    };
    format!("{place}: {}: {}{ignored}", warning.call.name(), reason(warning))
}

/// What a step asked for and this program does not have, from which stage1 has what it can give.
fn lacking(plan: &Plan<'_>, warning: &Failure) -> String {
    let step = warning.step.and_then(|index| plan.steps.get(index as usize));
    let Some(Step::SetCapabilities { effective, permitted, inheritable, .. }) =
        step.map(|phased| phased.step)
    else {
        return String::new();
    };
    let missing = (effective | permitted | inheritable) & !own_capabilities();
    let names = (0..u64::BITS).filter(|number| missing & 1 << number != 0).filter_map(capability_name);
    names.collect::<Vec<_>>().join(", ")
}

/// The same for `start`, which has no plan: only the program itself can fail there, or what is locked down before it.
pub(super) fn start_failure(program: &str, failure: &Failure) -> Error {
    match program_failure(program, failure) {
        Some((kind, text)) => Error::of_kind(kind, text),
        None => Error::new(format!("{}: {}", failure.call.name(), reason(failure))),
    }
}

/// A startContainer hook that did not succeed, out of `list`; `output` is a file with what it has said.
pub(super) fn hook_failure(list: &[Hook], index: u32, status: HookStatus, output: OwnedFd) -> Error {
    // One file for both streams.
    let said = format!("output: {}", hooks::quoted(output.into()));
    let Some(hook) = list.get(index as usize) else { return out_of_turn() };
    let reason = match status {
        HookStatus::Exited(code) => hooks::ended(&format!("exit status {code}"), &said),
        HookStatus::Killed(signal) => hooks::ended(&format!("signal {signal}"), &said),
        HookStatus::TimedOut => hooks::timed_out(hook.timeout.unwrap_or(0)),
        HookStatus::NotExecuted(errno) => {
            hooks::not_executed(&hook.path, Errno::from_raw_os_error(i32::from(errno)))
        }
    };
    hooks::failure(HookPoint::StartContainer, index as usize, &reason)
}

/// What is wrong with the program itself.
fn program_failure(program: &str, failure: &Failure) -> Option<(Kind, String)> {
    let reason = reason(failure);
    let text = match (failure.call, errno(failure)) {
        (Call::FindProgram, _) => format!("exec: {program:?}: executable file not found in $PATH"),
        (Call::Access, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
            format!("exec: {program:?}: stat {program}: {reason}")
        }
        (Call::Access, _) => format!("exec: {program:?}: {reason}"),
        // The program itself has been found.
        (Call::Execute, Errno::NOENT) => {
            format!("exec {program}: {reason} (its interpreter, or its loader, is missing)")
        }
        (Call::Execute, _) => format!("exec {program}: {reason}"),
        _ => return None,
    };
    let kind = match (failure.call, errno(failure)) {
        (Call::FindProgram, _) | (Call::Access, Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
            Kind::ProgramNotFound
        }
        _ => Kind::ProgramNotExecutable,
    };
    Some((kind, text))
}

fn errno(failure: &Failure) -> Errno {
    Errno::from_raw_os_error(i32::from(failure.errno))
}

fn reason(failure: &Failure) -> String {
    match failure.call {
        Call::Decode => match Refusal::from_number(failure.errno) {
            Some(refusal) => String::from(refusal.text()),
            None => format!("refusal {}", failure.errno),
        },
        _ => errno_text(errno(failure)),
    }
}

/// Where the skeleton was.
fn skeleton_words(plan: &Plan<'_>, failure: &Failure) -> String {
    if let Some((name, kind, namespace)) = joined_namespace(plan, failure.call) {
        let field = plan.namespaces.entry(kind).map_or_else(String::new, |entry| format!("{entry}.path: "));
        return format!("{field}join {name} namespace {}", namespace.path().unwrap_or_default());
    }
    match (failure.phase, failure.call) {
        (Phase::Setup, Call::OpenTree | Call::MoveMount)
        | (Phase::Setup | Phase::Views, Call::PivotRoot | Call::ChangeRoot | Call::Unmount) => {
            format!("enter root {}", plan.bootstrap.root)
        }
        (Phase::Setup, Call::Unshare) => String::from("make namespaces"),
        (Phase::Views, Call::Write) => String::from("enter cgroups"),
        (Phase::Views, Call::SetNamespace) => String::from("enter network namespace"),
        (phase, _) => String::from(phase.name()),
    }
}

/// The namespace that was to be joined by this call, with its name and its flag of clone(2).
fn joined_namespace<'a>(plan: &Plan<'a>, call: Call) -> Option<(&'static str, u32, &'a Namespace)> {
    let all = plan.namespaces;
    Some(match call {
        Call::JoinMount => ("mount", uapi::CLONE_NEWNS, &all.mount),
        Call::JoinNetwork => ("network", uapi::CLONE_NEWNET, &all.network),
        Call::JoinIpc => ("ipc", uapi::CLONE_NEWIPC, &all.ipc),
        Call::JoinUts => ("uts", uapi::CLONE_NEWUTS, &all.uts),
        Call::JoinCgroup => ("cgroup", uapi::CLONE_NEWCGROUP, &all.cgroup),
        Call::JoinTime => ("time", uapi::CLONE_NEWTIME, &all.time),
        Call::JoinPid => ("pid", uapi::CLONE_NEWPID, &all.pid),
        Call::JoinUser => ("user", uapi::CLONE_NEWUSER, &all.user),
        _ => return None,
    })
}

/// What could not be copied: an ordinary user's stage1 reads as we do.
fn unreadable(plan: &Plan<'_>, failure: &Failure, step: Option<&Step<Planned<'_>>>) -> Option<String> {
    let Some(Step::MountFilesystem { target, .. }) = step else { return None };
    if failure.call != Call::Copy || errno(failure) != Errno::ACCESS {
        return None;
    }
    let file = first_unreadable(&Path::new(plan.bootstrap.root).join(target.trim_start_matches('/')))?;
    Some(format!(" (we may not read {})", file.display()))
}

fn first_unreadable(directory: &Path) -> Option<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Some(directory.to_owned()) };
    entries.flatten().find_map(|entry| {
        let (path, kind) = (entry.path(), entry.file_type().ok()?);
        match kind.is_dir() {
            true => first_unreadable(&path),
            false if kind.is_file() => rustix::fs::access(&path, Access::READ_OK).err().map(|_| path),
            false => None,
        }
    })
}

/// mount(2) does not say which option was wrong, but the kernel can be asked.
fn refused_option(failure: &Failure, step: Option<&Step<shared_proto::Planned<'_>>>) -> Option<String> {
    let Some(Step::MountFilesystem { fstype, data, .. }) = step else { return None };
    if !matches!(failure.call, Call::Mount | Call::FilesystemSet) || errno(failure) != Errno::INVAL {
        return None;
    }
    filesystem::refused_option(fstype, data).map(|reason| format!(" ({reason})"))
}

/// What the kernel's word usually means, where that is known.
fn hint(failure: &Failure, step: Option<&Step<shared_proto::Planned<'_>>>) -> &'static str {
    match (step, failure.call, errno(failure)) {
        (_, Call::Mount | Call::FilesystemOpen, Errno::NODEV) => " (the kernel has no such filesystem)",
        (Some(Step::MountFilesystem { fstype: "remount", .. }), Call::Mount, Errno::INVAL) => {
            " (nothing is mounted there, or its filesystem does not know an option)"
        }
        // The skeleton makes its whole mount namespace private.
        (None, Call::MountAttributes, Errno::INVAL) => {
            " (our own root is no mount point: we are in a chroot)"
        }
        (_, Call::Mount, Errno::INVAL) => " (the filesystem does not know a mount option, or its value)",
        // Engines look for the kernel's older word, ENOTDIR of mount(2).
        (Some(Step::BindMount { .. }), Call::MoveMount, Errno::INVAL) => {
            " (not a directory: one of the two is a file, the other a directory)"
        }
        (Some(Step::MaskPath { .. }), Call::Status, Errno::NXIO) => {
            " (/dev/null in the container is not the null device)"
        }
        (Some(Step::MakeDevice { .. }), Call::MakeNode, Errno::EXIST) => " (another kind of file is there)",
        (Some(Step::MakeSymlink { .. }), Call::MakeSymlink, Errno::EXIST) => {
            " (copy-symlink: something else is there)"
        }
        (
            Some(Step::MountFilesystem { fstype: "proc" | "sysfs", .. }),
            Call::Open,
            Errno::LOOP | Errno::NOTDIR,
        ) => " (it must be mounted on ordinary directory)",
        (_, Call::Open, Errno::LOOP) => " (a symlink where none is allowed)",
        (Some(Step::BindMount { target: "/proc", .. }), Call::StatusFilesystem, Errno::XDEV) => {
            " (it cannot be mounted because it is not of type proc)"
        }
        (
            Some(Step::MountFilesystem { .. } | Step::BindMount { .. }),
            Call::StatusFilesystem,
            Errno::XDEV,
        ) => " (it cannot be mounted because it is inside /proc)",
        (Some(Step::MountFilesystem { .. } | Step::BindMount { .. }), Call::Status, Errno::BUSY) => {
            " (it cannot be mounted on top of the root, where a symlink leads)"
        }
        (Some(Step::MaskPath { .. } | Step::ReadonlyPath { .. }), Call::Status, Errno::BUSY) => {
            " (a symlink leads to the root, which cannot be covered)"
        }
        (Some(Step::Unmount { .. }), Call::Unmount, Errno::BUSY) => {
            " (another mount covers what was added, or it was moved just now)"
        }
        (Some(Step::SetRlimit { .. }), Call::SetRlimit, Errno::PERM) => {
            " (raising a hard limit needs CAP_SYS_RESOURCE)"
        }
        (Some(Step::SetAppArmorProfile { .. }), Call::Write, Errno::NOENT) => " (no such profile is loaded)",
        (Some(Step::SetSelinuxLabel { .. }), Call::Write, Errno::INVAL) => {
            " (the policy does not know this context)"
        }
        (Some(Step::RestrictLandlock { .. }), Call::LandlockRestrict, Errno::PERM) => {
            " (it needs noNewPrivileges or CAP_SYS_ADMIN)"
        }
        (Some(Step::SetScheduler { .. }), Call::SetScheduler, Errno::PERM) => {
            " (CAP_SYS_NICE is missing, or the cgroup has no real-time budget)"
        }
        (Some(Step::SetScheduler { .. }), Call::SetScheduler, Errno::BUSY) => {
            " (the processors have no such bandwidth left)"
        }
        (Some(Step::SetMemoryPolicy { .. }), Call::SetMemoryPolicy, Errno::INVAL) => {
            " (the machine has no such node, or the container's cpuset keeps it away)"
        }
        _ => "",
    }
}
