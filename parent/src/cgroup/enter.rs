//! The cgroups of one more process: the container's own, or some below them.

use std::os::fd::OwnedFd;

use rustix::process::Pid;

use super::place::Directory;
use super::{Cgroups, Doors, files};
use crate::config::leads_up;
use crate::error::{Error, Result};

/// Cgroups below the container's: `--cgroup` of `exec`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubCgroups {
    /// For every hierarchy.
    everywhere: Option<String>,
    /// A v1 controller, and the path in its hierarchy.
    each: Vec<(String, String)>,
}

/// What a process needs to get into its cgroups.
#[derive(Debug)]
pub struct WayIn {
    /// The v2 directory to be born in.
    pub unified: Option<OwnedFd>,
    /// v1's, which it enters by itself.
    pub doors: Doors,
}

impl SubCgroups {
    /// Reads `PATH`, or `CONTROLLER[,CONTROLLER…]:PATH` several times.
    pub fn parse(arguments: &[String]) -> Result<Self> {
        let mut sub = Self::default();
        for argument in arguments {
            let invalid = |what| Error::new(format!("invalid --cgroup argument: {argument} ({what})"));
            let Some((controllers, path)) = argument.split_once(':') else {
                if arguments.len() > 1 {
                    return Err(invalid("missing <controller>: prefix"));
                }
                sub.everywhere = Some(argument.clone());
                continue;
            };
            for controller in controllers.split(',') {
                if controller.is_empty() {
                    return Err(invalid("empty <controller> prefix"));
                }
                if sub.each.iter().any(|(known, _)| known == controller) {
                    return Err(invalid("duplicate controller"));
                }
                sub.each.push((controller.to_owned(), path.to_owned()));
            }
        }
        Ok(sub)
    }

    /// The path of `directory`, or of the one below it that was asked for.
    ///
    /// Errors: the path leads out of the container's cgroup.
    fn path(&self, directory: &Directory) -> Result<String> {
        let is_named =
            |controller: &str| directory.has(controller) || directory.has(&format!("name={controller}"));
        let own = self.each.iter().find(|(controller, _)| is_named(controller)).map(|(_, path)| path);
        let base = directory.absolute();
        let Some(path) = own.or(self.everywhere.as_ref()).filter(|path| !path.is_empty()) else {
            return Ok(base);
        };
        if leads_up(path) || path.contains('\0') {
            return Err(Error::new(format!("{path} is not a sub cgroup path")));
        }
        Ok(format!("{base}/{}", path.trim_start_matches('/')))
    }
}

impl Cgroups {
    /// Opens the container's cgroups for one more process.
    ///
    /// Errors: a controller that is named has no hierarchy; a cgroup that does not exist.
    pub fn way_in(&self, sub: &SubCgroups) -> Result<WayIn> {
        for (controller, _) in &sub.each {
            let is_it = |directory: &Directory| {
                directory.has(controller) || directory.has(&format!("name={controller}"))
            };
            if !self.placement.hierarchies.iter().any(is_it) {
                return Err(Error::new(format!("unknown controller {controller} in --cgroup")));
            }
        }
        let adding = |error: Error| error.context("adding the process to its cgroups");
        let mut doors = Doors::default();
        for directory in &self.placement.hierarchies {
            let tasks = [&sub.path(directory)?, "/tasks"].concat();
            doors.tasks.push(files::open_for_writing(&tasks).map_err(adding)?);
        }
        let hybrid = self.placement.is_hybrid();
        // Beside v1 it has no controllers, and nobody has to have made the same below it.
        let unified = match &self.placement.unified {
            Some(unified) if hybrid => Some(unified.absolute()),
            Some(unified) => Some(sub.path(unified)?),
            None => None,
        };
        let unified = unified.map(|path| files::open_directory(&path).map_err(adding)).transpose()?;
        Ok(WayIn { unified, doors })
    }

    /// The files by which a process enters the container's cgroups when it writes "0" into each.
    pub fn entrances(&self) -> Result<Vec<OwnedFd>> {
        let open = |directory: &Directory, file: &str| {
            let opened = files::open_for_writing(&format!("{}/{file}", directory.absolute()));
            opened.map_err(|error| error.context("enter the container's cgroups"))
        };
        let hierarchies = self.placement.hierarchies.iter().map(|directory| open(directory, "tasks"));
        let unified = self.placement.unified.iter().map(|directory| open(directory, "cgroup.procs"));
        hierarchies.chain(unified).collect()
    }

    /// Whether there is somebody to ask for what we may not do.
    pub fn has_manager(&self) -> bool {
        self.placement.scope().is_some()
    }

    /// Has the manager move a process into the container's v2 cgroup, or one below it.
    pub fn attach(&self, pid: Pid, sub: &SubCgroups) -> Result<()> {
        let (Some(scope), Some(directory)) = (self.placement.scope(), &self.placement.unified) else {
            return Err(Error::new("the container's cgroups have no manager"));
        };
        let path = sub.path(directory)?;
        scope.attach(pid, path.strip_prefix(&directory.absolute()).unwrap_or_default())
    }

    /// The v2 directory in which process `pid` of the container is, for where the container's own takes nobody.
    pub fn unified_of(&self, pid: i32) -> Result<Option<OwnedFd>> {
        let Some(directory) = &self.placement.unified else { return Ok(None) };
        let file = format!("/proc/{pid}/cgroup");
        let text = files::read(&file).map_err(|errno| Error::call(format_args!("read {file}"), errno))?;
        let Some(path) = text.lines().find_map(|line| line.strip_prefix("0::")) else { return Ok(None) };
        files::open_directory(&format!("{}{path}", directory.mountpoint())).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<SubCgroups> {
        SubCgroups::parse(&arguments.iter().map(|argument| String::from(*argument)).collect::<Vec<_>>())
    }

    #[test]
    fn paths_are_for_all_hierarchies_or_for_named_ones() {
        assert_eq!(parse(&["sub"]).unwrap().everywhere.as_deref(), Some("sub"));
        let each = parse(&["cpu,memory:a", "pids:b"]).unwrap().each;
        let pair = |controller: &str, path: &str| (controller.to_owned(), path.to_owned());
        assert_eq!(each, [pair("cpu", "a"), pair("memory", "a"), pair("pids", "b")]);
        for wrong in [&["a", "b"][..], &[":x"], &["cpu,:x"], &["cpu:x", "cpu:y"], &["cpu:x", "y"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
