//! `linux.intelRdt`: the container's group in the resctrl filesystem.
//!
//! A group is a directory: its `schemata` says what share of caches and memory bandwidth its tasks have, `tasks` takes them in, and below
//! `mon_groups` are groups that are only measured. What a creation makes is remembered in the state, so that `delete` takes away that and
//! nothing else; a group that the configuration names by `closID` is shared with others, and stays.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use serde::{Deserialize, Serialize};

use crate::config;
use crate::error::{Error, Result};

/// Where the container's groups are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The mount point of resctrl.
    root: PathBuf,
    group: PathBuf,
    /// Others may use the group as well.
    is_shared: bool,
    /// The group for measuring, if one is wanted.
    monitoring: Option<PathBuf>,
}

/// What was made of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    group: bool,
    monitoring: bool,
}

/// The groups of one container.
#[derive(Debug)]
pub struct Groups {
    placement: Placement,
    made: Made,
}

/// Decides where the container's groups are.
///
/// Errors: no resctrl filesystem is mounted.
pub fn place(config: &config::IntelRdt, id: &str) -> Result<Placement> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")
        .map_err(|error| Error::io("read /proc/self/mountinfo", &error))?;
    match mount_point(&mounts) {
        Some(root) => Ok(place_below(Path::new(root), config, id)),
        None => Err(Error::new(
            "$.linux.intelRdt: intelRdt is specified in config, but Intel RDT is not enabled: no resctrl filesystem is mounted",
        )),
    }
}

/// Source: proc_pid_mountinfo(5).
fn mount_point(mountinfo: &str) -> Option<&str> {
    mountinfo.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        if filesystem.split(' ').next() == Some("resctrl") { mount.split(' ').nth(4) } else { None }
    })
}

fn place_below(root: &Path, config: &config::IntelRdt, id: &str) -> Placement {
    let group = match config.clos_id.as_deref() {
        // The group of all that is in no other.
        Some("/") => root.to_owned(),
        Some(name) => root.join(name),
        None => root.join(id),
    };
    let monitoring = config.enable_monitoring.then(|| group.join("mon_groups").join(id));
    Placement { root: root.to_owned(), group, is_shared: config.clos_id.is_some(), monitoring }
}

impl Groups {
    pub fn open(placement: Placement, made: Made) -> Self {
        Self { placement, made }
    }

    /// What is to be remembered: a group that others may use stays, even if the container was the first of them.
    pub fn made(&self) -> Made {
        Made { group: self.made.group && !self.placement.is_shared, ..self.made }
    }

    /// Makes the groups, or checks the one that is there.
    ///
    /// Errors: a named group that is missing, or has other schemata; an id that is taken; what the hardware refuses.
    pub fn prepare(&mut self, config: &config::IntelRdt) -> Result<()> {
        let _alone = self.lock()?;
        let writes = schemata(config);
        let group = &self.placement.group;
        match (group.is_dir(), self.placement.is_shared) {
            (true, true) => check_schemata(group, &writes)?,
            (false, true) if writes.is_empty() => {
                return Err(Error::new(format!(
                    "$.linux.intelRdt.closID: {} does not exist, and no schema is set to make it with",
                    group.display()
                )));
            }
            _ => {
                make(group)?;
                self.made.group = true;
                for text in &writes {
                    self.write(&group.join("schemata"), text)?;
                }
            }
        }
        if let Some(monitoring) = &self.placement.monitoring {
            make(monitoring)?;
            self.made.monitoring = true;
        }
        Ok(())
    }

    /// Takes the process in. The measuring group comes last: moving into the other would take the process out of it.
    pub fn attach(&self, pid: i32) -> Result<()> {
        for directory in std::iter::once(&self.placement.group).chain(&self.placement.monitoring) {
            self.write(&directory.join("tasks"), &pid.to_string())?;
        }
        Ok(())
    }

    /// Changes the shares of the container's group. `keep` comes last; if it fails, they are as they were before.
    pub fn update(&self, change: &config::IntelRdt, keep: impl FnOnce() -> Result<()>) -> Result<()> {
        let _alone = self.lock()?;
        let file = self.placement.group.join("schemata");
        let old = fs::read_to_string(&file)
            .map_err(|error| Error::io(format_args!("read {}", file.display()), &error))?;
        let changed =
            schemata(change).iter().try_for_each(|text| self.write(&file, text)).and_then(|()| keep());
        if changed.is_err() {
            // Ignored: the first error is the one to tell.
            let _ = self.write(&file, &old);
        }
        changed
    }

    /// Removes what was made.
    pub fn destroy(&self) -> Result<()> {
        let monitoring = self.placement.monitoring.as_ref().filter(|_| self.made.monitoring);
        let group = Some(&self.placement.group).filter(|_| self.made.group);
        for directory in monitoring.into_iter().chain(group) {
            match fs::remove_dir(directory) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Error::io(format_args!("rmdir {}", directory.display()), &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps other users of resctrl out until the descriptor is closed (resctrl.rst "Examples for RDT allocation usage").
    fn lock(&self) -> Result<OwnedFd> {
        let failed =
            |call, errno| Error::call(format_args!("{call} {}", self.placement.root.display()), errno);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(&self.placement.root, flags, Mode::empty())
            .map_err(|errno| failed("open", errno))?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&root, FlockOperation::LockExclusive))
            .map_err(|errno| failed("lock", errno))?;
        Ok(root)
    }

    /// One write, as resctrl wants it; its reason for a refusal stands in a file of its own.
    fn write(&self, file: &Path, text: &str) -> Result<()> {
        fs::write(file, text).map_err(|error| {
            let status = fs::read_to_string(self.placement.root.join("info/last_cmd_status"));
            let reason = status.unwrap_or_default().trim().to_owned();
            let error = Error::io(format_args!("write {:?} to {}", text.trim_end(), file.display()), &error);
            if reason.is_empty() || reason == "ok" {
                error
            } else {
                Error::new(format!("{error} ({reason})"))
            }
        })
    }
}

/// A new group.
fn make(directory: &Path) -> Result<()> {
    fs::create_dir(directory)
        .map_err(|error| Error::io(format_args!("mkdir {}", directory.display()), &error))
}

/// What is written to `schemata`, in its order: cache and bandwidth at once, then `schemata`, which may speak of the same resource again.
fn schemata(config: &config::IntelRdt) -> Vec<String> {
    let bandwidth = config.mem_bw_schema.as_deref();
    // The bandwidth has a field of its own (config-linux.md "IntelRdt").
    let is_cache = |line: &&str| !(bandwidth.is_some() && line.trim_start().starts_with("MB:"));
    let cache = config.l3_cache_schema.iter().flat_map(|schema| schema.lines()).filter(is_cache);
    let first: Vec<&str> = cache.chain(bandwidth).collect();
    let second: Vec<&str> = config.schemata.iter().map(String::as_str).collect();
    let texts = [first, second].into_iter().filter(|lines| !lines.is_empty());
    texts.map(|lines| lines.join("\n") + "\n").collect()
}

/// Whether a group that is there already has what is wanted.
fn check_schemata(group: &Path, writes: &[String]) -> Result<()> {
    if writes.is_empty() {
        return Ok(());
    }
    let file = group.join("schemata");
    let text = fs::read_to_string(&file)
        .map_err(|error| Error::io(format_args!("read {}", file.display()), &error))?;
    let found: BTreeMap<String, String> = text.lines().flat_map(settings).collect();
    // Of two lines about the same thing the last counts.
    let wanted: BTreeMap<String, String> =
        writes.iter().flat_map(|write| write.lines()).flat_map(settings).collect();
    for (place, value) in wanted {
        if found.get(&place) != Some(&value) {
            return Err(Error::new(format!(
                "$.linux.intelRdt: {} exists with other schemata: {place} is {}, not {value}",
                group.display(),
                found.get(&place).map_or("not there", String::as_str),
            )));
        }
    }
    Ok(())
}

/// `L3:0=0f;1=7f0` as (`L3:0`, `f`), (`L3:1`, `7f0`): the kernel pads with zeros and blanks.
fn settings(line: &str) -> Vec<(String, String)> {
    let Some((resource, list)) = line.trim().split_once(':') else { return Vec::new() };
    let setting = |text: &str| {
        let (domain, value) = text.split_once('=')?;
        let value = value.trim().trim_start_matches('0').to_ascii_lowercase();
        Some((format!("{}:{}", resource.trim(), domain.trim()), value))
    };
    list.split(';').filter_map(setting).collect()
}

#[cfg(test)]
mod tests;
