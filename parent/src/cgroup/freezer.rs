//! Stopping the processes of a cgroup, and letting them go on: v1's freezer, and v2's own.

use std::time::{Duration, Instant};

use super::files;
use super::place::Directory;
use crate::error::{Error, Result};

/// How long processes may take to stop: one that waits for a disk or a server stops only behind that.
const TIMEOUT: Duration = Duration::from_secs(10);

/// v1's kernel can stay at FREEZING for ever if a process forks at the wrong moment; all that helps is to begin anew (runc does so too).
const TRIES_BEFORE_THAW: u32 = 25;

/// Asks for the new state without waiting for it; false if the hierarchy cannot freeze.
pub(super) fn ask(directory: &Directory, frozen: bool) -> bool {
    let (file, value) = request(directory, frozen);
    files::write(&file, value).is_ok()
}

fn request(directory: &Directory, frozen: bool) -> (String, &'static str) {
    let path = directory.absolute();
    if directory.is_unified() {
        (format!("{path}/cgroup.freeze"), if frozen { "1" } else { "0" })
    } else {
        (format!("{path}/freezer.state"), if frozen { "FROZEN" } else { "THAWED" })
    }
}

/// Whether the processes are stopped, or on the way there.
pub(super) fn is_frozen(directory: &Directory) -> bool {
    let path = directory.absolute();
    if directory.is_unified() {
        files::read(&[&path, "/cgroup.events"].concat()).is_ok_and(|text| text.contains("frozen 1"))
    } else {
        files::read(&[&path, "/freezer.state"].concat()).is_ok_and(|text| text.starts_with("FR"))
    }
}

/// Stops every process, and returns when all have stopped. Where that fails, all go on.
pub(super) fn freeze(directory: &Directory) -> Result<()> {
    let frozen = set(directory, true).and_then(|()| wait(directory, true));
    if frozen.is_err() {
        ask(directory, false);
    }
    frozen
}

/// Lets every process go on, and returns when all do.
pub(super) fn thaw(directory: &Directory) -> Result<()> {
    set(directory, false)?;
    match frozen_above(directory) {
        Some(above) => Err(Error::new(format!(
            "unable to thaw {}: it stays frozen as long as {above} is",
            directory.absolute()
        ))),
        None => wait(directory, false),
    }
}

/// The cgroup above that keeps this one frozen.
pub(super) fn frozen_above(directory: &Directory) -> Option<String> {
    let file = if directory.is_unified() { "cgroup.freeze" } else { "freezer.self_freezing" };
    let is_frozen =
        |path: &String| files::read(&format!("{path}/{file}")).is_ok_and(|text| text.trim_end() == "1");
    directory.parents().find(is_frozen)
}

/// Lets every process go on that may have to end, without waiting for it. v1's frozen processes do not die, and the container may have
/// frozen some in cgroups of its own; v2's do.
pub(super) fn release(directory: &Directory) {
    if directory.is_unified() {
        if is_frozen(directory) {
            ask(directory, false);
        }
        return;
    }
    files::visit_below(&directory.absolute(), |parent, name| {
        // Ignored, here and below: one that is gone holds nobody.
        let _ = files::write_at(parent, &format!("{name}/freezer.state"), "THAWED");
    });
    let _ = ask(directory, false);
}

fn set(directory: &Directory, frozen: bool) -> Result<()> {
    let (file, value) = request(directory, frozen);
    files::write(&file, value).map_err(|errno| Error::call(format_args!("write {value:?} to {file}"), errno))
}

fn wait(directory: &Directory, frozen: bool) -> Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    let mut pause = Duration::from_micros(50);
    let mut tries = 0;
    while !has_arrived(directory, frozen)? {
        if Instant::now() >= deadline {
            let wanted = if frozen { "freeze" } else { "thaw" };
            return Err(Error::new(format!(
                "unable to {wanted} {} within {} s",
                directory.absolute(),
                TIMEOUT.as_secs()
            )));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
        tries += 1;
        if !directory.is_unified() && frozen {
            if tries % TRIES_BEFORE_THAW == 0 {
                set(directory, false)?;
            }
            set(directory, true)?;
        }
    }
    Ok(())
}

fn has_arrived(directory: &Directory, frozen: bool) -> Result<bool> {
    let path = directory.absolute();
    let (file, word) = match (directory.is_unified(), frozen) {
        (true, true) => ("cgroup.events", "frozen 1"),
        (true, false) => ("cgroup.events", "frozen 0"),
        (false, true) => ("freezer.state", "FROZEN"),
        (false, false) => ("freezer.state", "THAWED"),
    };
    let text = files::read(&format!("{path}/{file}"))
        .map_err(|errno| Error::call(format_args!("read {path}/{file}"), errno))?;
    Ok(text.lines().any(|line| line == word))
}
