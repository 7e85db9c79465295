//! A process in a container that exists: stage1 is born in its cgroup, joins its namespaces by one setns(2), and there is born once more.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use shared_proto::bootstrap::{DescriptorSlot, NEW_USER};

use super::processors::on_processors;
use super::spawn::{self, Birth};
use super::stdio::{Standard, Stdio};
use super::transport::Socket;
use super::{Launch, Notes, set_limits};
use crate::descriptors::close_all;
use crate::error::Result;
use crate::plan::Plan;

/// What a process needs to get into a container.
#[derive(Debug)]
pub struct Entrance<'a> {
    /// A pidfd of the container's init.
    pub init: OwnedFd,
    /// The cgroup v2 directory to be born in.
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The `tasks` files of its v1 cgroups, to be entered.
    pub tasks: &'a [BorrowedFd<'a>],
    /// The container's root, where joining its mount namespace does not bring it.
    pub root: Option<BorrowedFd<'a>>,
    /// Processors to be born on; none at all: those that we run on.
    pub processors: &'a [u32],
    /// Where stage1 notes what it does, if the plan has the slot for it.
    pub notes: Option<&'a Notes>,
    pub stdio: Stdio<'a>,
    /// Whoever asks us to end, by a signal that we block, is heard while stage1 says nothing: it may be frozen, or become so.
    pub heeds_signals: bool,
}

impl Launch {
    /// Sends the plan and clones stage1, which begins at once.
    ///
    /// Errors: `Kind::CgroupBusy` if the cgroup takes no process, `Kind::CgroupForbidden` if we may not put one there.
    pub fn enter(plan: &Plan<'_>, entrance: Entrance<'_>) -> Result<Self> {
        let (socket, childs_end) = Socket::pair()?;
        let mut descriptors = Vec::new();
        for slot in plan.bootstrap.descriptors.iter() {
            match slot {
                DescriptorSlot::Root => descriptors.extend(entrance.root),
                DescriptorSlot::Trace => descriptors.extend(entrance.notes.map(Notes::descriptor)),
                _ => descriptors.push(entrance.init.as_fd()),
            }
        }
        let waits = plan.user_namespace.is_some_and(|user| user.oom_score_adj.is_some());
        if !waits {
            socket.send_bootstrap(plan, &descriptors)?;
        }
        let stage1 = spawn::stage1()?;
        let standard =
            Standard::open(entrance.stdio, plan.has_terminal() || plan.program.arguments.is_empty())?;
        let birth = Birth {
            namespaces: 0,
            cgroup: entrance.cgroup,
            stage1: stage1.as_fd(),
            socket: childs_end.as_fd(),
            preserved_count: plan.bootstrap.preserved_count,
            standard: &standard,
        };
        let child = on_processors(entrance.processors, || spawn::spawn(&birth))?;
        close_all([childs_end, stage1]);
        let mut launch = Self::new(child, "the process", socket);
        launch.heeds_signals = entrance.heeds_signals;
        if waits {
            launch.set_score_first(plan)?;
            launch.socket.send_bootstrap(plan, &descriptors)?;
        }
        // Beforehand, so that stage1 need not wait for us.
        if plan.bootstrap.await_cgroups {
            launch.send_cgroups(entrance.tasks)?;
        }
        let has_user_namespace = plan.bootstrap.joined & NEW_USER != 0;
        launch.send_trees(plan, has_user_namespace.then(|| entrance.init.as_fd()))?;
        drop(entrance.init);
        launch.await_birth(plan)?;
        if let Some(user) = plan.user_namespace {
            set_limits(plan, launch.pid(), &user)?;
        }
        Ok(launch)
    }
}
