//! A process in a container that exists: born in its pid namespace and its cgroup, and by one setns(2) in all the rest.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use linux_raw_sys::general as uapi;
use rustix::thread::CpuSet;
use shared_proto::bootstrap::DescriptorSlot;

use super::spawn::{self, Birth};
use super::transport::Socket;
use super::{Launch, set_host_limits};
use crate::descriptors::close_all;
use crate::error::{Error, Result};
use crate::plan::Plan;

/// What a process needs to get into a container.
#[derive(Debug)]
pub struct Entrance<'a> {
    /// A pidfd of the container's init.
    pub init: OwnedFd,
    /// The container has another pid namespace than we.
    pub enters_pid_namespace: bool,
    /// The cgroup v2 directory to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The container's root, where joining its mount namespace does not bring it.
    pub root: Option<BorrowedFd<'a>>,
    /// Processors to be born on; none at all: those that we run on.
    pub processors: &'a [u32],
}

impl Launch {
    /// Sends the plan and clones stage1, which begins at once.
    ///
    /// Errors: `Kind::CgroupBusy` if the cgroup takes no process.
    pub fn enter(plan: &Plan<'_>, entrance: Entrance<'_>) -> Result<Self> {
        let (socket, childs_end) = Socket::pair()?;
        let entered = [(entrance.init, uapi::CLONE_NEWPID)];
        let (init, _) = &entered[0];
        let mut descriptors = Vec::new();
        for slot in plan.bootstrap.descriptors.iter() {
            match slot {
                DescriptorSlot::Root => descriptors.extend(entrance.root),
                _ => descriptors.push(init.as_fd()),
            }
        }
        socket.send_bootstrap(plan, &descriptors)?;
        let stage1 = spawn::stage1()?;
        let birth = Birth {
            namespaces: 0,
            cgroup: entrance.cgroup,
            entered: if entrance.enters_pid_namespace { &entered } else { &[] },
            stage1: stage1.as_fd(),
            socket: childs_end.as_fd(),
            preserved_count: plan.bootstrap.preserved_count,
        };
        let joins_user_namespace = plan.bootstrap.joined & uapi::CLONE_NEWUSER != 0;
        let is_privileged = plan.user_namespace.is_none_or(|user| user.is_privileged);
        let child = on_processors(entrance.processors, || {
            if plan.has_user_namespace() && !is_privileged && !joins_user_namespace {
                // Only in its user namespace may we join its pid namespace.
                spawn::user_namespace::spawn_joined(&birth, Some(init.as_fd()))
            } else if entrance.enters_pid_namespace && !crate::host::is_initial_user_namespace() {
                // Who is not the host's root can enter a pid namespace, and not come back.
                spawn::user_namespace::spawn_joined(&birth, None)
            } else {
                spawn::spawn(&birth)
            }
        })?;
        close_all([childs_end, stage1]);
        let launch = Self::new(child, socket);
        if let Some(user) = plan.user_namespace {
            set_host_limits(launch.pid(), &user)?;
        }
        launch.send_trees(plan)?;
        Ok(launch)
    }
}

/// Runs `clone` on these processors, which its child inherits; this thread comes back to its own.
fn on_processors<T>(processors: &[u32], clone: impl FnOnce() -> Result<T>) -> Result<T> {
    if processors.is_empty() {
        return clone();
    }
    let failed = |errno| Error::call("unable to set the initial CPU affinity: sched_setaffinity", errno);
    let own = rustix::thread::sched_getaffinity(None).map_err(failed)?;
    let mut wanted = CpuSet::new();
    for &processor in processors.iter().filter(|&&processor| (processor as usize) < CpuSet::MAX_CPU) {
        wanted.set(processor as usize);
    }
    rustix::thread::sched_setaffinity(None, &wanted).map_err(failed)?;
    let cloned = clone();
    rustix::thread::sched_setaffinity(None, &own).map_err(failed)?;
    cloned
}
