//! Being told when the kernel kills in a container for want of memory.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;
use rustix::fs::inotify::{CreateFlags, WatchFlags};
use rustix::fs::{Mode, OFlags};

use super::files;
use super::place::Directory;
use super::stats::parse_names;
use crate::error::{Error, Result};

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
    /// v2: a file that counts has changed. `killed` is the count that has been told.
    Inotify { events: OwnedFd, killed: u64 },
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
        let killed = killed(&path).unwrap_or(0);
        Ok(Self { path, source: Source::Inotify { events, killed } })
    }

    /// Whether the kernel has killed since the last question.
    pub fn take(&mut self) -> bool {
        let mut news = [0u8; 4096];
        match &mut self.source {
            Source::Eventfd { events, .. } => {
                let has_news = rustix::io::read(events, &mut news[..8]).is_ok();
                // The end of the cgroup makes the same noise.
                has_news && files::read(&format!("{}/memory.oom_control", self.path)).is_ok()
            }
            Source::Inotify { events, killed: told } => {
                // Ignored: what has changed is in the file, and who asks without news may ask.
                let _ = rustix::io::read(events, &mut news);
                let now = killed(&self.path).unwrap_or(*told);
                std::mem::replace(told, now) < now
            }
        }
    }
}

fn killed(path: &str) -> Option<u64> {
    let text = files::read(&format!("{path}/memory.events")).ok()?;
    parse_names(&text).get("oom_kill").copied()
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.source {
            Source::Eventfd { events, .. } | Source::Inotify { events, .. } => events.as_fd(),
        }
    }
}
