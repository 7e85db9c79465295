//! What this host has that makes starts slow, or features missing, for whoever asks. Every finding comes from something that the kernel says;
//! nothing is changed, started or tried.
//!
//! Each file below `doctor/` has facts, which it reads, and a judgement of them, which is pure.

mod cgroups;
mod kernel;
mod limits;
mod namespaces;
mod privileges;
mod security;
mod storage;

use std::fs;

use serde::Serialize;

use crate::error::Result;
use crate::host::{HostFacts, Questions};
use crate::state::StateRoot;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Good to know.
    Note,
    /// Starts take longer than they have to.
    Slow,
    /// Something cannot be had.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Symptom {
    /// How bad it is.
    pub level: Level,
    /// What was looked at, in a word or two.
    pub subject: &'static str,
    /// What is there.
    pub found: String,
    /// What that means for containers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// No container starts, not even that of the default configuration.
    pub prevents_starts: bool,
}

impl Symptom {
    fn new(level: Level, subject: &'static str, found: impl Into<String>) -> Self {
        let found = found.into();
        Self { level, subject, found, meaning: None, advice: None, prevents_starts: false }
    }

    fn ok(subject: &'static str, found: impl Into<String>) -> Self {
        Self::new(Level::Ok, subject, found)
    }

    fn note(subject: &'static str, found: impl Into<String>) -> Self {
        Self::new(Level::Note, subject, found)
    }

    fn slow(subject: &'static str, found: impl Into<String>) -> Self {
        Self::new(Level::Slow, subject, found)
    }

    fn missing(subject: &'static str, found: impl Into<String>) -> Self {
        Self::new(Level::Missing, subject, found)
    }

    fn meaning(self, meaning: impl Into<String>) -> Self {
        Self { meaning: Some(meaning.into()), ..self }
    }

    fn advice(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    fn preventing_starts(self, prevents_starts: bool) -> Self {
        Self { prevents_starts, ..self }
    }
}

/// Without it nothing else can be told.
fn without_proc() -> Symptom {
    Symptom::missing("procfs", "none is mounted on /proc")
        .meaning("no container starts: what a start has to know of the host is in there")
        .advice("mount -t proc proc /proc")
        .preventing_starts(true)
}

/// Looks at the host as the caller meets it. `root` is where it keeps containers; `None`: it has no place for that.
pub fn examine(root: Option<&StateRoot>) -> Result<Vec<Symptom>> {
    if !fs::exists("/proc/self").unwrap_or(false) {
        return Ok(vec![without_proc()]);
    }
    let host =
        HostFacts::read(Questions { apparmor: true, selinux: true, landlock: true, ..Questions::default() })?;
    let mounts = Mounts::read();
    Ok([
        kernel::judge(&kernel::Facts::read()),
        cgroups::judge(&cgroups::Facts::read(&host, &mounts)),
        namespaces::judge(&namespaces::Facts::read(&host, &mounts)),
        privileges::judge(&privileges::Facts::read(&host)),
        security::judge(&security::Facts::read(&host)),
        limits::judge(&limits::Facts::read()),
        storage::judge(&storage::Facts::read(root, &mounts)),
    ]
    .concat())
}

/// A mount as we see it. Source: proc_pid_mountinfo(5).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mounted {
    point: String,
    fstype: String,
    /// Those of the filesystem, with commas between them.
    options: String,
}

/// Our mount namespace, in the order of mountinfo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Mounts(Vec<Mounted>);

impl Mounts {
    fn read() -> Self {
        Self::parse(&String::from_utf8_lossy(&fs::read("/proc/self/mountinfo").unwrap_or_default()))
    }

    fn parse(mountinfo: &str) -> Self {
        let parse = |line: &str| {
            let (mount, filesystem) = line.split_once(" - ")?;
            let mut filesystem = filesystem.split(' ');
            let (fstype, options) = (filesystem.next()?.to_owned(), filesystem.nth(1)?.to_owned());
            Some(Mounted { point: mount.split(' ').nth(4)?.to_owned(), fstype, options })
        };
        Self(mountinfo.lines().filter_map(parse).collect())
    }
}

/// The number in a file, such as a sysctl's.
fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A line of a file, such as a sysctl's.
fn line(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_with_their_optional_fields() {
        let text = "23 1 0:22 / /proc rw,relatime shared:5 - proc proc rw,hidepid=2\n\
                    24 1 0:23 / /sys rw - sysfs sysfs rw\nnonsense\n";
        let mounted = |point: &str, fstype: &str, options: &str| Mounted {
            point: point.into(),
            fstype: fstype.into(),
            options: options.into(),
        };
        let expected = [mounted("/proc", "proc", "rw,hidepid=2"), mounted("/sys", "sysfs", "rw")];
        assert_eq!(Mounts::parse(text).0, expected);
    }
}
