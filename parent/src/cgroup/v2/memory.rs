//! v2's memory controller.

use rustix::io::Errno;

use super::super::place::Directory;
use super::super::writer::Writer;
use super::max_or;
use crate::config::Memory;
use crate::error::{Error, Result};

pub(super) fn limit(writer: &Writer, memory: &Memory) -> Result<()> {
    if let Some(swap) = memory.swap_alone() {
        limit_swap(writer, &max_or(swap))?;
    }
    if let Some(limit) = memory.limit {
        writer.set("memory.max", max_or(limit))?;
    }
    if let Some(reservation) = memory.reservation {
        writer.set("memory.low", max_or(reservation))?;
    }
    Ok(())
}

/// A limit below the usage makes v2's kernel kill until the rest fits; v1's refuses it.
pub(in super::super) fn check_usage(directory: &Directory, memory: &Memory) -> Result<()> {
    if memory.check_before_update != Some(true) {
        return Ok(());
    }
    let Some(usage) = Writer::new(directory.absolute()).number("memory.current") else { return Ok(()) };
    for (what, limit) in [("memory+swap", memory.swap), ("memory", memory.limit)] {
        if let Some(limit @ 1..) = limit
            && limit.unsigned_abs() <= usage
        {
            return Err(Error::new(format!("rejecting {what} limit {limit} <= usage {usage}")));
        }
    }
    Ok(())
}

fn limit_swap(writer: &Writer, value: &str) -> Result<()> {
    match writer.try_set("memory.swap.max", value) {
        // Without swap accounting there is no file; without memory accounting there is none either, and that is an error.
        Err(Errno::NOENT) if matches!(value, "max" | "0") && writer.read("memory.max").is_ok() => Ok(()),
        set => set.map_err(|errno| writer.failed("memory.swap.max", value, errno)),
    }
}
