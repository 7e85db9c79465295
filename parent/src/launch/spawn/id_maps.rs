//! The id maps of a new user namespace: written directly, or by newuidmap(1) and newgidmap(1) for who may not.

use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::config::{IdMapping, IdMappings};
use crate::error::{Error, Result};
use crate::host::find_in_path;
use crate::plan::id_maps_deny_groups;

/// Maps the ids of the user namespace that `pid` is alone in.
///
/// Source: user_namespaces(7).
pub(crate) fn write(pid: Pid, mappings: &IdMappings, is_privileged: bool) -> Result<()> {
    if !is_privileged && id_maps_deny_groups(mappings) {
        // Who cannot drop a group must not be able to: the kernel wants that to be said first.
        write_file(pid, "setgroups", "deny").map_err(|errno| Error::call("write setgroups", errno))?;
    }
    for (file, helper, list) in
        [("gid_map", "newgidmap", &mappings.gids), ("uid_map", "newuidmap", &mappings.uids)]
    {
        match write_file(pid, file, &lines(list)) {
            Err(Errno::PERM) if !is_privileged => run_helper(helper, pid, list)?,
            written => written.map_err(|errno| Error::call(format_args!("write {file}"), errno))?,
        }
    }
    Ok(())
}

/// The lines for a user namespace below the one whose map is in `file`, which has the ids of the host's under other numbers.
pub(super) fn translated(list: &[IdMapping], file: &str) -> Result<String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| Error::io(format_args!("read {file}"), &error))?;
    let known: Vec<IdMapping> = text.lines().filter_map(parse_line).collect();
    let mut lines = String::new();
    for IdMapping { container, host, size } in list {
        // A range that lies in several of the container's becomes several.
        let (mut done, size) = (0, u64::from(*size));
        while done < size {
            let next = u64::from(*host) + done;
            let around = known.iter().find(|known| {
                (u64::from(known.host)..u64::from(known.host) + u64::from(known.size)).contains(&next)
            });
            let Some(around) = around else {
                return Err(Error::new(format!(
                    "hostID {next} is not mapped in the container's user namespace"
                )));
            };
            let offset = next - u64::from(around.host);
            let count = (u64::from(around.size) - offset).min(size - done);
            let (first, inside) = (u64::from(*container) + done, u64::from(around.container) + offset);
            lines.push_str(&format!("{first} {inside} {count}\n"));
            done += count;
        }
    }
    Ok(lines)
}

/// A line of /proc/PID/uid_map.
fn parse_line(line: &str) -> Option<IdMapping> {
    let mut numbers = line.split_ascii_whitespace().map(|number| number.parse().ok());
    Some(IdMapping { container: numbers.next()??, host: numbers.next()??, size: numbers.next()?? })
}

fn lines(list: &[IdMapping]) -> String {
    list.iter().map(|IdMapping { container, host, size }| format!("{container} {host} {size}\n")).collect()
}

fn write_file(pid: Pid, name: &str, text: &str) -> std::result::Result<(), Errno> {
    let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text.as_bytes()).map(drop)
}

/// `newuidmap PID CONTAINER HOST SIZE …`: set-uid, and bound by /etc/subuid.
fn run_helper(helper: &str, pid: Pid, list: &[IdMapping]) -> Result<()> {
    let numbers = list.iter().flat_map(|IdMapping { container, host, size }| [container, host, size]);
    // The same that whoever chose these ids has found: execvp would tell of the first directory that it may not search.
    let program = find_in_path(helper).ok_or_else(|| Error::new(format!("{helper} is not in PATH")))?;
    let output = Command::new(program)
        .arg(pid.as_raw_nonzero().to_string())
        .args(numbers.map(ToString::to_string))
        .output()
        .map_err(|error| Error::io(format_args!("run {helper}"), &error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::new(format!("{helper} failed: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
