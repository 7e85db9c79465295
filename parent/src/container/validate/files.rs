//! What the mounts and the program need of the host's files.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Access, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::{Bundle, Findings};
use crate::config::{Config, HookPoint, Mount, MountKind, Namespace};
use crate::error::errno_text;
use crate::launch;

pub(super) fn check(bundle: &Bundle, directory: &OwnedFd, findings: &mut Findings) {
    check_hooks(bundle, findings);
    // A joined mount namespace has other files than ours.
    if matches!(bundle.config.namespaces.mount, Namespace::Join(_)) {
        return;
    }
    for (index, mount) in bundle.config.mounts.iter().enumerate() {
        let path = format!("$.mounts[{index}]");
        check_filesystem(mount, &path, findings);
        if let MountKind::Bind { source, source_nofollow, .. } = &mount.kind {
            let mut flags = OFlags::PATH | OFlags::CLOEXEC;
            flags.set(OFlags::NOFOLLOW, *source_nofollow);
            if let Err(errno) = rustix::fs::openat(directory, source.as_str(), flags, Mode::empty()) {
                findings.error(format!("{path}.source"), format!("{source}: {}", errno_text(errno)));
            }
        }
    }
    check_covered(bundle, findings);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(root) = rustix::fs::open(bundle.rootfs.as_str(), flags, Mode::empty()) else { return };
    check_program(bundle, &root, findings);
    check_containers_hooks(bundle, &root, findings);
    check_working_directory(&bundle.config, &root, findings);
}

/// What procfs leads out of the tree with: stage1 covers nothing behind such a link. Our own process has the same.
fn check_covered(bundle: &Bundle, findings: &mut Findings) {
    let config = &bundle.config;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(procfs) = rustix::fs::open("/proc", flags, Mode::empty()) else { return };
    let has_procfs = |mount: &Mount| {
        mount.destination == "/proc"
            && matches!(&mount.kind, MountKind::Filesystem { fstype, .. } if fstype == "proc")
    };
    if !config.mounts.iter().any(has_procfs) {
        return;
    }
    for (field, list) in [("maskedPaths", &config.masked_paths), ("readonlyPaths", &config.readonly_paths)] {
        for (index, path) in list.iter().enumerate() {
            let Some((process, rest)) = path.strip_prefix("/proc/").and_then(|path| path.split_once('/'))
            else {
                continue;
            };
            let is_init = process == "1" && config.namespaces.pid == Namespace::New;
            if !is_init && process != "self" && process != "thread-self" {
                continue;
            }
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let opened = rustix::fs::openat2(&procfs, format!("self/{rest}"), flags, Mode::empty(), resolve);
            if opened.is_err_and(|errno| errno == Errno::LOOP) {
                let reason = format!("{path}: a symlink of procfs that leads out of it is not followed");
                findings.error(format!("$.linux.{field}[{index}]"), reason);
            }
        }
    }
}

/// A filesystem that the kernel does not have yet, which a module may bring, or that does not take an option.
fn check_filesystem(mount: &Mount, path: &str, findings: &mut Findings) {
    let MountKind::Filesystem { fstype, .. } = &mount.kind else { return };
    // A procfs of processes alone does not have it.
    let Ok(known) = std::fs::read_to_string("/proc/filesystems") else { return };
    if !known.lines().any(|line| line.split_whitespace().last() == Some(fstype)) {
        findings.warning(format!("{path}.type"), format!("{fstype} is not in /proc/filesystems yet"));
    } else if let Some(reason) = launch::refused_option(fstype, &mount.data) {
        let path = format!("{path}.options");
        // An id that we do not have was told as such.
        if !findings.has(&path) {
            findings.error(path, reason);
        }
    }
}

/// Hooks that are looked up on the host. `create` fails for want of the first, before anything has run; what comes later others of them may still make.
fn check_hooks(bundle: &Bundle, findings: &mut Findings) {
    let mut is_first = true;
    for point in HookPoint::ALL.into_iter().filter(|point| *point != HookPoint::StartContainer) {
        let is_after_start = matches!(point, HookPoint::Poststart | HookPoint::Poststop);
        for (index, hook) in bundle.config.hooks.at(point).iter().enumerate() {
            let is_decided = std::mem::take(&mut is_first) && !is_after_start;
            let found = match rustix::fs::access(hook.path.as_str(), Access::EXEC_OK) {
                Ok(()) if Path::new(&hook.path).is_dir() => Err(Errno::ISDIR),
                found => found,
            };
            let Err(errno) = found else { continue };
            let path = format!("$.hooks.{point}[{index}].path");
            let reason = format!("{}: {}", hook.path, errno_text(errno));
            if is_decided { findings.error(path, reason) } else { findings.warning(path, reason) }
        }
    }
}

/// Hooks that are looked up in the container.
fn check_containers_hooks(bundle: &Bundle, root: &OwnedFd, findings: &mut Findings) {
    for (index, hook) in bundle.config.hooks.at(HookPoint::StartContainer).iter().enumerate() {
        if let Err(errno) = find(root, &hook.path) {
            let reason = format!("{}: {}", hook.path, errno_text(errno));
            add_unless_brought(bundle, &format!("$.hooks.startContainer[{index}].path"), reason, findings);
        }
    }
}

/// A working directory that is missing is made; one that is a file is none.
fn check_working_directory(config: &Config, root: &OwnedFd, findings: &mut Findings) {
    let cwd = Path::new(&config.process.cwd);
    let is_brought = config.mounts.iter().any(|mount| cwd.starts_with(&mount.destination));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat2(root, cwd, flags, Mode::empty(), ResolveFlags::IN_ROOT);
    if !is_brought && opened.is_err_and(|errno| errno == Errno::NOTDIR) {
        findings.error("$.process.cwd", format!("{}: {}", cwd.display(), errno_text(Errno::NOTDIR)));
    }
}

/// The program, as far as it can be found without the container's mounts.
fn check_program(bundle: &Bundle, root: &OwnedFd, findings: &mut Findings) {
    let process = &bundle.config.process;
    let Some(program) = process.args.first() else { return };
    let has_slash = program.contains('/');
    let found = if has_slash {
        find(root, &Path::new(&process.cwd).join(program).to_string_lossy())
    } else {
        let path = process.env.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default();
        let mut candidates =
            path.split(':').filter(|_| !path.is_empty()).map(|directory| format!("{directory}/{program}"));
        let is_found = candidates.any(|candidate| find(root, &candidate).is_ok());
        if is_found { Ok(()) } else { Err(Errno::NOENT) }
    };
    let Err(errno) = found else { return };
    let reason = match has_slash {
        true => format!("exec: {program:?}: {}", errno_text(errno)),
        false => format!("exec: {program:?}: executable file not found in $PATH"),
    };
    add_unless_brought(bundle, "$.process.args[0]", reason, findings);
}

/// What the root file system does not have is an error, unless a mount may have it.
fn add_unless_brought(bundle: &Bundle, path: &str, reason: String, findings: &mut Findings) {
    // Single files of /etc, which every engine mounts, bring no program.
    let brings_files = bundle.config.mounts.iter().any(|mount| {
        let is_bound = matches!(mount.kind, MountKind::Bind { .. } | MountKind::Symlink { .. });
        is_bound && !mount.destination.starts_with("/etc/")
    });
    match brings_files {
        true => findings.warning(path, format!("{reason}, unless a mount brings it")),
        false => findings.error(path, reason),
    }
}

/// Whether the file at `path` within `root` is one that somebody may execute.
fn find(root: &OwnedFd, path: &str) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file = rustix::fs::openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?;
    let stat = rustix::fs::stat(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Err(Errno::ISDIR),
        _ if stat.st_mode & 0o111 == 0 => Err(Errno::ACCESS),
        _ => Ok(()),
    }
}
