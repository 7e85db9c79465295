//! Being told when the kernel kills in a container for want of memory.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;
use rustix::fs::inotify::{CreateFlags, WatchFlags};
use rustix::fs::{Mode, OFlags};

use super::files;
use super::place::Directory;
use super::stats::parse_names;
use crate::error::{Error, Result};

/// Whose limit it was that left no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OomReason {
    /// The container's, or that of a cgroup which it has made.
    OwnLimit,
    /// That of a cgroup above, or the host has no more.
    AncestorLimit,
}

/// A descriptor that can be read when there may be news.
#[derive(Debug)]
pub struct OomWatch {
    path: String,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// v1: the kernel adds to an eventfd as long as `_control` is open.
    Eventfd { events: OwnedFd, _control: OwnedFd },
    /// v2: a file that counts has changed. The counts are those that have been told: kills, and how often the own limit led to one.
    Inotify { events: OwnedFd, killed: u64, at_own_limit: u64 },
}

impl OomWatch {
    /// Source: Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control".
    pub(super) fn of_v1(directory: &Directory) -> Result<Self> {
        let path = directory.absolute();
        let events = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|errno| Error::call("eventfd", errno))?;
        let file = format!("{path}/memory.oom_control");
        let control = rustix::fs::open(&file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| Error::call(format_args!("open {file}"), errno))?;
        let line = format!("{} {}", events.as_raw_fd(), control.as_raw_fd());
        files::set(&path, "cgroup.event_control", line)?;
        Ok(Self { path, source: Source::Eventfd { events, _control: control } })
    }

    pub(super) fn of_v2(directory: &Directory) -> Result<Self> {
        let path = directory.absolute();
        let events = rustix::fs::inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map_err(|errno| Error::call("inotify_init", errno))?;
        let file = format!("{path}/memory.events");
        rustix::fs::inotify::add_watch(&events, &file, WatchFlags::MODIFY)
            .map_err(|errno| Error::call(format_args!("inotify_add_watch {file}"), errno))?;
        let Counts { killed, at_own_limit } = counts(&path).unwrap_or_default();
        Ok(Self { path, source: Source::Inotify { events, killed, at_own_limit } })
    }

    /// Why, if the kernel has killed since the last question.
    pub fn take(&mut self) -> Option<OomReason> {
        let mut news = [0u8; 4096];
        let is_own = match &mut self.source {
            Source::Eventfd { events, .. } => {
                rustix::io::read(events, &mut news[..8]).ok()?;
                // The end of the cgroup makes the same noise.
                files::read(&format!("{}/memory.oom_control", self.path)).ok()?;
                has_reached_own_limit(&self.path, false)
            }
            Source::Inotify { events, killed, at_own_limit } => {
                // Ignored: what has changed is in the file, and who asks without news may ask.
                let _ = rustix::io::read(events, &mut news);
                // Both from one look: systemd may take the file away at any moment.
                let now = counts(&self.path)?;
                if std::mem::replace(killed, now.killed) >= now.killed {
                    return None;
                }
                std::mem::replace(at_own_limit, now.at_own_limit) < now.at_own_limit
            }
        };
        Some(if is_own { OomReason::OwnLimit } else { OomReason::AncestorLimit })
    }
}

/// Whether the limit of a cgroup itself has ever left no memory.
pub(super) fn has_reached_own_limit(path: &str, is_v2: bool) -> bool {
    if is_v2 {
        return counts(path).is_some_and(|counts| counts.at_own_limit > 0);
    }
    // v1 counts failures (memory.failcnt) by kernel version or not at all.
    reached(path).next().is_some()
}

/// v1: which of the limits the usage has come to at its peak: the files' prefixes.
fn reached(path: &str) -> impl Iterator<Item = &'static str> + '_ {
    /// The kernel's biggest piece that it would kill for: eight pages.
    const PIECE: u64 = 8 * 4096;
    let number =
        move |file: &str| files::read(&format!("{path}/{file}")).ok()?.trim_end().parse::<u64>().ok();
    ["memory", "memory.memsw"].into_iter().filter(move |prefix| {
        let peak = number(&format!("{prefix}.max_usage_in_bytes"));
        let limit = number(&format!("{prefix}.limit_in_bytes"));
        peak.zip(limit).is_some_and(|(peak, limit)| peak + PIECE >= limit)
    })
}

/// v1: a peak from before the limit was lowered says nothing of it, so it begins anew at what is used.
pub(super) fn forget_older_peaks(path: &str) {
    for prefix in reached(path) {
        // Ignored: at worst the reason that is told later is the wrong one of two.
        let _ = files::write(&format!("{path}/{prefix}.max_usage_in_bytes"), "0");
    }
}

/// What v2 counts, with those of the cgroups below in it: kills, and how often the own limit led to one.
#[derive(Default)]
struct Counts {
    killed: u64,
    at_own_limit: u64,
}

fn counts(path: &str) -> Option<Counts> {
    let numbers = parse_names(&files::read(&format!("{path}/memory.events")).ok()?);
    let [killed, at_own_limit] = ["oom_kill", "oom"].map(|name| numbers.get(name).copied().unwrap_or(0));
    Some(Counts { killed, at_own_limit })
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.source {
            Source::Eventfd { events, .. } | Source::Inotify { events, .. } => events.as_fd(),
        }
    }
}
