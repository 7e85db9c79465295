//! v1's memory controller.

use rustix::io::Errno;

use super::super::writer::Writer;
use crate::config::Memory;
use crate::error::{Error, Result};

const MEMORY: &str = "memory.limit_in_bytes";
const MEMORY_AND_SWAP: &str = "memory.memsw.limit_in_bytes";

pub(super) fn limit(writer: &Writer, memory: &Memory) -> Result<()> {
    limit_both(writer, memory)?;
    if let Some(reservation) = memory.reservation {
        writer.set("memory.soft_limit_in_bytes", reservation)?;
    }
    if let Some(swappiness) = memory.swappiness {
        writer.set("memory.swappiness", swappiness)?;
    }
    if memory.disable_oom_killer == Some(true) {
        writer.set("memory.oom_control", 1)?;
    }
    Ok(())
}

/// The kernel keeps memory below memory and swap together at every moment: to grow beyond, the sum has to grow first.
fn limit_both(writer: &Writer, memory: &Memory) -> Result<()> {
    let Some(limit) = memory.limit else { return limit_swap(writer, memory) };
    match set_memory(writer, limit) {
        Err(Errno::INVAL) => {
            limit_swap(writer, memory)?;
            set_memory(writer, limit).map_err(|errno| memory_failed(writer, limit, errno))
        }
        set => {
            set.map_err(|errno| memory_failed(writer, limit, errno))?;
            limit_swap(writer, memory)
        }
    }
}

fn set_memory(writer: &Writer, limit: i64) -> std::result::Result<(), Errno> {
    writer.try_set(MEMORY, &limit.to_string())
}

fn memory_failed(writer: &Writer, limit: i64, errno: Errno) -> Error {
    if errno != Errno::BUSY {
        return writer.failed(MEMORY, &limit.to_string(), errno);
    }
    let number = |name: &str| writer.read(name).unwrap_or_default().trim_end().to_owned();
    Error::new(format!(
        "unable to set memory limit to {limit} (current usage: {}, peak usage: {})",
        number("memory.usage_in_bytes"),
        number("memory.max_usage_in_bytes"),
    ))
}

fn limit_swap(writer: &Writer, memory: &Memory) -> Result<()> {
    // Without a limit for memory, one for both would be left over (runc does the same).
    let Some(swap) = memory.swap.or(memory.limit.filter(|limit| *limit == -1)) else { return Ok(()) };
    match writer.set(MEMORY_AND_SWAP, swap) {
        // No swap accounting: lifting a limit that cannot be is done.
        Err(_) if memory.swap.is_none() => Ok(()),
        set => set,
    }
}
