//! What only the host's root may do to a child in a user namespace.

use linux_raw_sys::general as uapi;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;
use sc::syscall;
use shared_proto::Step;

use crate::error::{Error, Result, check};
use crate::plan::{Plan, UserNamespace, early_limit, origin};

/// Limits of a child that could not set them itself: only the host's root may raise them.
#[allow(unsafe_code)]
pub(super) fn set_limits(plan: &Plan<'_>, pid: Pid, user: &UserNamespace<'_>) -> Result<()> {
    for limit in user.rlimits.iter().filter_map(early_limit) {
        let name = crate::config::rlimit_name(limit.resource).unwrap_or_default();
        let wanted = uapi::rlimit64 { rlim_cur: limit.soft, rlim_max: limit.hard };
        // SAFETY: `wanted` is the structure that the call reads; no old limit is asked for.
        let set = check(unsafe {
            syscall!(
                PRLIMIT64,
                pid.as_raw_nonzero().get(),
                limit.resource,
                &raw const wanted,
                std::ptr::null::<u8>()
            )
        });
        set.map_err(|errno| {
            let path = named(plan.config.and_then(|config| origin::rlimit(config, limit.resource)));
            Error::call(format_args!("unable to start container process: {path}set {name}"), errno)
        })?;
    }
    Ok(())
}

/// The score of a child, and of those that it makes, which only the host's root may lower. For one that is about to join a user namespace this is the last
/// moment: stage1, executed outside of it, has files in procfs that are the host's root's then.
pub(super) fn set_score(plan: &Plan<'_>, pid: Pid, user: &UserNamespace<'_>) -> Result<()> {
    let Some(score) = user.oom_score_adj else { return Ok(()) };
    let path = format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero());
    let file = rustix::fs::open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::call(format_args!("open {path}"), errno))?;
    match rustix::io::write(&file, score.to_string().as_bytes()) {
        Err(Errno::ACCESS | Errno::PERM) => {
            let field = named(plan.config.map(|_| String::from("$.process.oomScoreAdj")));
            let doing = format!("unable to start container process: {field}set oomScoreAdj to {score}");
            Err(Error::new(format!("{doing}: lowering it needs CAP_SYS_RESOURCE")))
        }
        written => written.map(drop).map_err(|errno| Error::call(format_args!("write {path}"), errno)),
    }
}

fn named(path: Option<String>) -> String {
    path.map_or_else(String::new, |path| format!("{path}: "))
}

/// The offsets of the time namespace that the child has made for itself.
pub(super) fn set_clocks(pid: Pid, plan: &Plan<'_>) -> Result<()> {
    let offsets = plan.steps.iter().find_map(|phased| match phased.step {
        Step::NewTimeNamespace { offsets } => Some(offsets),
        _ => None,
    });
    let path = format!("/proc/{}/timens_offsets", pid.as_raw_nonzero());
    rustix::fs::open(&path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|file| rustix::io::write(&file, offsets.unwrap_or_default().as_bytes()))
        .map(drop)
        .map_err(|errno| {
            let doing = "unable to start container process: $.linux.timeOffsets: write";
            Error::call(format_args!("{doing} {path}"), errno)
        })
}
