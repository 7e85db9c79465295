//! Namespace files, and the descriptors that go with the plan.

use std::os::fd::{AsFd, OwnedFd};

use linux_raw_sys::general as uapi;
use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;
use shared_proto::bootstrap::DescriptorSlot;

use super::{network, trees};
use crate::config::Namespace;
use crate::error::{Error, Result};
use crate::plan::{Plan, SentKind, joined_namespaces};

/// The descriptors for the plan's slots, in the order of travel.
pub(super) fn bootstrap_descriptors(plan: &Plan<'_>, listener: Option<OwnedFd>) -> Result<Vec<OwnedFd>> {
    let joined = joined_namespaces(plan.namespaces);
    let path_of = |slot| joined.iter().find(|(joined, _)| *joined == slot).and_then(|(_, path)| *path);
    let mut listener = listener;
    let mut descriptors = Vec::new();
    for slot in plan.bootstrap.descriptors.iter() {
        let kind = match slot {
            DescriptorSlot::MountNamespace => uapi::CLONE_NEWNS,
            DescriptorSlot::NetworkNamespace => uapi::CLONE_NEWNET,
            DescriptorSlot::IpcNamespace => uapi::CLONE_NEWIPC,
            DescriptorSlot::UtsNamespace => uapi::CLONE_NEWUTS,
            DescriptorSlot::CgroupNamespace => uapi::CLONE_NEWCGROUP,
            DescriptorSlot::TimeNamespace => uapi::CLONE_NEWTIME,
            DescriptorSlot::PidNamespace => uapi::CLONE_NEWPID,
            DescriptorSlot::UserNamespace => uapi::CLONE_NEWUSER,
            DescriptorSlot::Root => {
                descriptors.push(trees::open_root(plan)?);
                continue;
            }
            DescriptorSlot::Procfs => {
                descriptors.push(open_procfs()?);
                continue;
            }
            DescriptorSlot::Listener => {
                descriptors.extend(listener.take());
                continue;
            }
            // Nobody enters a container that does not exist; notes are lent.
            DescriptorSlot::Init | DescriptorSlot::Trace => continue,
        };
        descriptors.push(open_named(plan, path_of(slot).unwrap_or_default(), kind)?);
    }
    Ok(descriptors)
}

/// Existing namespaces that the child of a new user namespace is born in: they may belong to the host, and whoever is in another user namespace
/// cannot join those.
pub(super) fn entered_namespaces(plan: &Plan<'_>) -> Result<Vec<(OwnedFd, u32)>> {
    let namespaces = plan.namespaces;
    let all = [
        (&namespaces.network, uapi::CLONE_NEWNET),
        (&namespaces.ipc, uapi::CLONE_NEWIPC),
        (&namespaces.uts, uapi::CLONE_NEWUTS),
        (&namespaces.cgroup, uapi::CLONE_NEWCGROUP),
        (&namespaces.time, uapi::CLONE_NEWTIME),
    ];
    let joined = all.into_iter().filter_map(|(namespace, kind)| Some((namespace.path()?, kind)));
    joined.map(|(path, kind)| open_named(plan, path, kind).map(|file| (file, kind))).collect()
}

/// Opens a namespace that the plan names.
fn open_named(plan: &Plan<'_>, path: &str, kind: u32) -> Result<OwnedFd> {
    open_namespace(path, kind).map_err(|error| match plan.namespaces.entry(kind) {
        Some(entry) => error.context(format_args!("{entry}.path")),
        None => error,
    })
}

/// Whether the namespace file at `path` is there and of a CLONE_NEW* type.
pub fn check_namespace(path: &str, kind: u32) -> Result<()> {
    open_namespace(path, kind).map(drop)
}

/// What shows the processes of our pid namespace.
fn open_procfs() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open("/proc", flags, Mode::empty()).map_err(|errno| Error::call("open /proc", errno))
}

/// Opens a namespace file and checks its type (runtime-spec: another type MUST be an error).
pub(super) fn open_namespace(path: &str, kind: u32) -> Result<OwnedFd> {
    let opened = rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
        Mode::empty(),
    );
    let file = opened.map_err(|errno| Error::call(format_args!("open namespace {path}"), errno))?;
    match network::namespace_type(file.as_fd()) {
        Ok(found) if found == kind => Ok(file),
        Ok(_) => Err(Error::new(format!("namespace {path}: it is of another type"))),
        Err(_) => Err(Error::new(format!("namespace {path}: it is not a namespace file"))),
    }
}

/// The container's own user namespace, if the plan has filesystems whose owners are to be below it; `pid` is in a new one.
pub(super) fn user_namespace_of_owners(plan: &Plan<'_>, pid: Pid) -> Result<Option<OwnedFd>> {
    let path = match &plan.namespaces.user {
        _ if !plan.sent.iter().any(|sent| matches!(sent.kind, SentKind::Owners)) => return Ok(None),
        Namespace::Inherit => return Ok(None),
        Namespace::Join(path) => path.clone(),
        Namespace::New => format!("/proc/{}/ns/user", pid.as_raw_nonzero()),
    };
    open_namespace(&path, uapi::CLONE_NEWUSER).map(Some)
}
