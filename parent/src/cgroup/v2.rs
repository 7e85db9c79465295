//! cgroup v2: one directory, whose files are there once the controllers above it are on.

mod block_io;
mod cpu;
mod memory;
mod stats;

use std::os::fd::AsFd;

use rustix::io::Errno;

use super::place::Directory;
use super::version::{MemoryFiles, Setting, V2, Version};
use super::writer::Writer;
use super::{Doors, Made, OomWatch, Stats, bpf, devices, files, hugetlb, needs, rdma};
use crate::config::Resources;
use crate::descriptors::spend;
use crate::error::{Error, Result};
use crate::host;

pub(super) use block_io::general_weight;
pub(super) use cpu::weight;

impl Version for V2<'_> {
    fn populate(&self, setting: Setting<'_>, resources: &Resources, tree_count: usize) -> Result<Doors> {
        if setting.has_manager {
            enable_missing(self.0, resources, setting.made)?;
        }
        fill(self.0, resources, setting)?;
        let path = self.0.absolute();
        let trees = (0..tree_count).map(|_| files::open_tree(&path)).collect::<Result<_>>()?;
        Ok(Doors { trees, tasks: Vec::new() })
    }

    fn allow_update(&self, change: &Resources) -> Result<()> {
        enable_missing(self.0, change, &mut Made::default())
    }

    fn check_update(&self, change: &Resources) -> Result<()> {
        check_possible(change)?;
        memory::check_usage(self.0, &change.memory)
    }

    fn limit(
        &self,
        limits: &Resources,
        writer: &dyn Fn(String) -> Writer,
        writers: &mut Vec<Writer>,
    ) -> Result<()> {
        let writer = writer(self.0.absolute());
        let written = limit(self.0, &writer, limits);
        writers.push(writer);
        written
    }

    fn hand_over(&self, uid: u32) -> Result<()> {
        hand_over(self.0, uid)
    }

    fn stats(&self) -> Stats {
        stats::stats(&self.0.absolute())
    }

    fn watch_oom(&self) -> Result<Option<OomWatch>> {
        let has_memory = files::read(&format!("{}/memory.events", self.0.absolute())).is_ok();
        has_memory.then(|| OomWatch::of_v2(self.0)).transpose()
    }

    fn memory(&self) -> Option<MemoryFiles> {
        Some(MemoryFiles {
            path: self.0.absolute(),
            is_v2: true,
            events: "memory.events",
            limit: "memory.max",
            peak: "memory.peak",
        })
    }
}

/// Turns on, in every cgroup above the container's, the controllers that it has, as runc does. What is on already is left alone:
/// turning it on once more would take the lock of all thread groups, and wait for a grace period.
///
/// A controller that cannot be turned on is missed only by who limits it: the write of that limit says so.
pub(super) fn enable_controllers(directory: &Directory, made: &mut Made) -> Result<()> {
    // Mostly they are all on, and then nobody needs to look at each cgroup on the way.
    if controllers(directory.mountpoint())? == controllers(&directory.absolute())? {
        return Ok(());
    }
    let mut above = directory.mountpoint().to_owned();
    for parent in directory.parents().map(Some).chain([None]) {
        enable_below(&above)?;
        let Some(parent) = parent else { break };
        match files::make_directory(&parent) {
            Ok(()) => made.note_parent(parent.clone()),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::call(format_args!("mkdir {parent}"), errno)),
        }
        above = parent;
    }
    let kind = format!("{}/cgroup.type", directory.absolute());
    if files::read(&kind).is_ok_and(|kind| kind.trim_end() == "domain invalid") {
        // The one above is threaded.
        files::write(&kind, "threaded")
            .map_err(|errno| Error::call(format_args!("write threaded to {kind}"), errno))?;
    }
    Ok(())
}

/// Turns on what systemd has not: it knows neither hugetlb nor rdma. Nothing is written where all that is needed is there.
fn enable_missing(directory: &Directory, resources: &Resources, made: &mut Made) -> Result<()> {
    let present = needs::controllers(&directory.absolute()).unwrap_or_default();
    let of_unified = resources.unified.keys().filter_map(|file| file.split('.').next());
    let mut needed = needs::of(resources).filter_map(|need| need.v2).chain(of_unified);
    if needed.any(|name| name != "cgroup" && !present.contains(name)) {
        return enable_controllers(directory, made);
    }
    Ok(())
}

/// Those that can be turned on below `path`.
fn controllers(path: &str) -> Result<String> {
    read(&format!("{path}/cgroup.controllers"))
}

fn read(file: &str) -> Result<String> {
    files::read(file).map_err(|errno| Error::call(format_args!("read {file}"), errno))
}

fn enable_below(path: &str) -> Result<()> {
    let (available, enabled) = (controllers(path)?, read(&format!("{path}/cgroup.subtree_control"))?);
    let is_on = |controller: &str| enabled.split_ascii_whitespace().any(|name| name == controller);
    let missing: Vec<String> = available
        .split_ascii_whitespace()
        .filter(|controller| !is_on(controller))
        .map(|controller| format!("+{controller}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let file = format!("{path}/cgroup.subtree_control");
    match files::write(&file, &missing.join(" ")) {
        Ok(()) => {}
        // There are processes in it. Those controllers that it could give all the same are for threads, and would make it a domain of threads, in which
        // no process can be born (cgroups(7), "no internal processes", "threaded").
        Err(Errno::BUSY) => {}
        // One that cannot be had must not keep the others out. Ignored: the write of a limit that needs it says so.
        Err(_) => {
            for controller in &missing {
                let _ = files::write(&file, controller);
            }
        }
    }
    Ok(())
}

/// Fills a directory: its limits, and which devices its processes may use.
fn fill(
    directory: &Directory,
    resources: &Resources,
    Setting { made, directory: open, .. }: Setting<'_>,
) -> Result<()> {
    check_possible(resources)?;
    let path = directory.absolute();
    let was_there = made.kept.contains(&path);
    let writer = if was_there { Writer::with_undo(path) } else { Writer::new(path) };
    let limited = limit(directory, &writer, resources);
    let path = writer.path().to_owned();
    made.kept_limits.extend(writer.into_log());
    limited?;
    let policy = devices::with_defaults(&resources.devices);
    let everything = policy.allow_by_default && policy.rules.is_empty();
    let applied = match (everything, was_there) {
        (true, false) => Ok(()),
        (true, true) => bpf::detach_device_policies(&path),
        (false, _) => {
            let opened;
            let open = match open {
                Some(open) => open,
                None => {
                    opened = files::open_directory(&path)?;
                    opened.as_fd()
                }
            };
            let program = devices::program(&policy);
            let put_in_force =
                if was_there { bpf::replace_device_policies } else { bpf::attach_device_policy };
            put_in_force(open, &program).map(spend)
        }
    };
    match applied {
        // Nobody else can make devices either, and those that are there have their owners.
        Err(Errno::PERM) if !host::is_initial_user_namespace() || !rustix::process::geteuid().is_root() => {
            Ok(())
        }
        applied => {
            applied.map_err(|errno| Error::call(format_args!("set the device policy of {path}"), errno))
        }
    }
}

/// Source: Documentation/admin-guide/cgroup-v2.rst, "Model of Delegation".
fn hand_over(directory: &Directory, uid: u32) -> Result<()> {
    const LIST: &str = "/sys/kernel/cgroup/delegate";
    // Kernels before 4.15 have no list.
    let list = files::read(LIST)
        .unwrap_or_else(|_| String::from("cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n"));
    let path = directory.absolute();
    let owned = list.lines().map(|file| format!("{path}/{file}"));
    for path in std::iter::once(path.clone()).chain(owned) {
        match files::give(&path, uid) {
            // The files of controllers that are off.
            Ok(()) | Err(Errno::NOENT) => {}
            // Who is not root gives nothing away; where the container's user is the caller's own, nothing needs to be given.
            Err(Errno::PERM) if !rustix::process::geteuid().is_root() => {}
            Err(errno) => return Err(Error::call(format_args!("chown {path} to {uid}"), errno)),
        }
    }
    Ok(())
}

/// What v2 has no file for must not be passed over (runtime-spec, config-linux.md "Unified").
fn check_possible(resources: &Resources) -> Result<()> {
    match impossible(resources).first() {
        Some(field) => Err(Error::new(format!("$.linux.resources.{field}: cgroup v2 has nothing like it"))),
        None => Ok(()),
    }
}

/// The fields that v2 has no file for, and that are there to shut something out.
pub(super) fn impossible(resources: &Resources) -> Vec<String> {
    needs::of(resources).filter(|need| need.v2.is_none()).map(|need| need.field.to_owned()).collect()
}

/// The fields that v2 has no file for, or the disk no use, but that no container is worse off without: they are passed over, with a warning each, as
/// runc does without one.
pub(super) fn passed_over(resources: &Resources) -> Vec<(String, &'static str)> {
    let Resources { memory, cpu, block_io, .. } = resources;
    let nothing = "is ignored: cgroup v2 has nothing like it";
    let killer = "is ignored: cgroup v2 has nothing like it, and the kernel kills for want of memory";
    let realtime =
        "is ignored: cgroup v2 has nothing like it, and real-time programs have no time of their own";
    let table = [
        ("memory.swappiness", memory.swappiness.is_some(), nothing),
        ("memory.disableOOMKiller", memory.disable_oom_killer == Some(true), killer),
        ("cpu.realtimeRuntime", cpu.realtime_runtime.is_some(), realtime),
        ("cpu.realtimePeriod", cpu.realtime_period.is_some(), realtime),
        ("blockIO.leafWeight", block_io.leaf_weight.is_some(), nothing),
    ];
    let fields = table
        .iter()
        .filter(|(_, is_set, _)| *is_set)
        .map(|(field, _, reason)| (String::from(*field), *reason));
    let devices = block_io.weight_devices.iter().enumerate();
    let leaves = devices
        .filter(|(_, entry)| entry.leaf_weight.is_some())
        .map(|(index, _)| (format!("blockIO.weightDevice[{index}].leafWeight"), nothing));
    let devices = block_io.weight_devices.iter().enumerate();
    let weights = devices
        .filter(|(_, entry)| entry.weight.is_some() && !block_io::has_weights(entry.device))
        .map(|(index, _)| {
            let reason = "is ignored: BFQ is not the disk's scheduler, nor has it a cost model (io.cost.qos)";
            (format!("blockIO.weightDevice[{index}].weight"), reason)
        });
    fields.chain(leaves).chain(weights).collect()
}

/// Writes all limits.
fn limit(directory: &Directory, writer: &Writer, resources: &Resources) -> Result<()> {
    let written = memory::limit(writer, &resources.memory)
        .and_then(|()| cpu::limit(writer, &resources.cpu))
        .and_then(|()| match resources.pids_limit {
            Some(limit) => writer.set("pids.max", max_or(limit)),
            None => Ok(()),
        })
        .and_then(|()| block_io::limit(writer, &resources.block_io))
        .and_then(|()| hugetlb::limit(writer, &resources.hugepage_limits, "max"))
        .and_then(|()| rdma::limit(writer, &resources.rdma));
    // Asked only after a failure: the files of a controller that is off are missing.
    written.map_err(|error| missing_controller(directory, resources).unwrap_or(error))?;
    resources.unified.iter().try_for_each(|(file, value)| set_unified(writer, file, value))
}

fn missing_controller(directory: &Directory, resources: &Resources) -> Option<Error> {
    // A cgroup that is gone lacks nothing.
    let present = needs::controllers(&directory.absolute())?;
    let (field, controller) = needs::of(resources)
        .filter_map(|need| Some((need.field, need.v2?)))
        .find(|(_, name)| !present.contains(*name))?;
    let reason = needs::lacking(directory, controller);
    Some(Error::new(format!("$.linux.resources.{field}: {reason}")))
}

/// Any file, known or not. The kernel takes one line in one write.
fn set_unified(writer: &Writer, file: &str, value: &str) -> Result<()> {
    let lines = value.lines().filter(|line| !line.is_empty());
    // Only lists come without a value: it empties them.
    let empty = Some("\n").filter(|_| value.trim().is_empty());
    for line in lines.chain(empty) {
        match writer.try_set(file, line) {
            Ok(()) => {}
            Err(Errno::NOENT | Errno::PERM | Errno::ACCESS) if is_without_controller(writer, file) => {
                let controller = file.split('.').next().unwrap_or_default();
                return Err(Error::new(format!(
                    "unified resource {file:?} can't be set: controller {controller:?} not available"
                )));
            }
            Err(errno) => {
                return Err(Error::call(format_args!("unable to set unified resource {file:?}"), errno));
            }
        }
    }
    Ok(())
}

fn is_without_controller(writer: &Writer, file: &str) -> bool {
    let controller = file.split('.').next().unwrap_or_default();
    controller != "cgroup"
        && needs::controllers(writer.path()).is_some_and(|present| !present.contains(controller))
}

/// -1 is no limit.
fn max_or(limit: i64) -> String {
    if limit < 0 { String::from("max") } else { limit.to_string() }
}
