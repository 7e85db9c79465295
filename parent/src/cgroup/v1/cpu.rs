//! v1's controllers cpu and cpuset.

use rustix::io::Errno;

use super::super::files;
use super::super::place::Directory;
use super::super::writer::{Undo, Writer};
use crate::config::Cpu;
use crate::error::{Error, Result};

pub(super) fn limit(writer: &Writer, directory: &Directory, cpu: &Cpu) -> Result<()> {
    if let Some(idle) = cpu.idle {
        writer.set("cpu.idle", idle)?;
    }
    // An idle cgroup has no shares.
    if let Some(shares) = cpu.shares.filter(|_| cpu.idle != Some(1)) {
        // The kernel would round these without a word (runc's words).
        match shares {
            1 => return Err(Error::new("the minimum allowed cpu-shares is 2")),
            262_145.. => return Err(Error::new("the maximum allowed cpu-shares is 262144")),
            _ => writer.set("cpu.shares", shares)?,
        }
    }
    limit_bandwidth(writer, cpu)?;
    limit_realtime(writer, directory, cpu)
}

/// The kernel refuses what does not fit together at any moment, a burst above the quota, say: what cannot come before the quota comes
/// behind it.
fn limit_bandwidth(writer: &Writer, cpu: &Cpu) -> Result<()> {
    let texts = [
        ("cpu.cfs_burst_us", cpu.burst.map(|burst| burst.to_string())),
        ("cpu.cfs_period_us", cpu.period.map(|period| period.to_string())),
    ];
    let mut later = Vec::new();
    for (file, value) in texts.iter().filter_map(|(file, value)| value.as_ref().map(|value| (*file, value))) {
        match writer.try_set(file, value) {
            Err(Errno::INVAL) if cpu.quota.is_some() => later.push((file, value)),
            // Before Linux 5.14 there are no bursts.
            Err(Errno::NOENT) if value == "0" => {}
            set => set.map_err(|errno| writer.failed(file, value, errno))?,
        }
    }
    if let Some(quota) = cpu.quota {
        writer.set("cpu.cfs_quota_us", quota)?;
    }
    // A burst may have been waiting for a period, too.
    later.into_iter().rev().try_for_each(|(file, value)| writer.set(file, value))
}

/// Time for real-time programs: a new cgroup has none, and can have no more than those above it, nor more than its period.
fn limit_realtime(writer: &Writer, directory: &Directory, cpu: &Cpu) -> Result<()> {
    let (period_file, runtime_file) = ("cpu.rt_period_us", "cpu.rt_runtime_us");
    let mut later = None;
    if let Some(period) = cpu.realtime_period {
        match writer.try_set(period_file, &period.to_string()) {
            Err(Errno::INVAL) if cpu.realtime_runtime.is_some() => later = Some(period),
            set => set.map_err(|errno| writer.failed(period_file, &period.to_string(), errno))?,
        }
    }
    if let Some(runtime) = cpu.realtime_runtime {
        match writer.try_set(runtime_file, &runtime.to_string()) {
            Err(Errno::INVAL) => {
                give_parents_realtime(directory, cpu);
                writer.set(runtime_file, runtime)?;
            }
            set => set.map_err(|errno| writer.failed(runtime_file, &runtime.to_string(), errno))?,
        }
    }
    later.map_or(Ok(()), |period| writer.set(period_file, period))
}

/// Gives the cgroups above that have no such time, because nobody gave them any, as much as the container is to get.
fn give_parents_realtime(directory: &Directory, cpu: &Cpu) {
    for parent in directory.parents() {
        let file = format!("{parent}/cpu.rt_runtime_us");
        if files::read(&file).is_ok_and(|runtime| runtime.trim_end() == "0") {
            if let Some(period) = cpu.realtime_period {
                // Ignored, here and below: the write to the container's own file tells whether there is enough.
                let _ = files::write(&format!("{parent}/cpu.rt_period_us"), &period.to_string());
            }
            let _ = files::write(&file, &cpu.realtime_runtime.unwrap_or(0).to_string());
        }
    }
}

pub(super) fn limit_set(writer: &Writer, cpu: &Cpu) -> Result<()> {
    for (file, list) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if let Some(list) = list {
            writer.set(file, list)?;
        }
    }
    Ok(())
}

/// A new cpuset has no processor and no memory node, and takes no process then: it gets its parent's. One that was there before may have
/// some: what it gets is in the answer, and goes again.
pub(in super::super) fn fill_cpuset(path: &str, is_new: bool) -> Result<Vec<Undo>> {
    let mut filled = Vec::new();
    for name in ["cpuset.cpus", "cpuset.mems"] {
        if is_new {
            copy_from_parent(path, name)?;
            continue;
        }
        let file = format!("{path}/{name}");
        if files::read(&file).is_ok_and(|list| list.trim_end().is_empty()) {
            copy_from_parent(path, name)?;
            filled.push(Undo { file, lines: vec![String::from("\n")] });
        }
    }
    Ok(filled)
}

/// Whoever has just made the parent may not have come to fill it, so that is done on the way; the hierarchy's root always has some.
fn copy_from_parent(path: &str, file: &str) -> Result<()> {
    let parent = &path[..path.rfind('/').unwrap_or_default()];
    let from = [parent, "/", file].concat();
    let read = || files::read(&from).map_err(|errno| Error::call(format_args!("read {from}"), errno));
    let mut value = read()?;
    if value.trim_end().is_empty() {
        copy_from_parent(parent, file)?;
        value = read()?;
    }
    files::set_and_spend(path, file, value.trim_end())
}
