//! `update`: changes the limits of a container.

use std::io::Read;
use std::path::Path;

use super::Context;
use crate::cli;
use crate::config;
use crate::container::{self, Container};
use crate::error::{Error, Result};

pub(super) fn run(context: &Context<'_>, arguments: &cli::Update) -> Result<()> {
    let id = cli::one_id("update", &arguments.ids)?;
    let container = Container::open_locked(&context.state_root()?, id)?;
    let document = match arguments.resources.as_deref().filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => read(path)?,
        None => container::limits_document(&limits(arguments))?,
    };
    let (asked, warnings) = config::parse_update(&document)?;
    for (option, schema) in
        [("l3-cache-schema", &arguments.l3_cache_schema), ("mem-bw-schema", &arguments.mem_bw_schema)]
    {
        if schema.as_ref().is_some_and(|schema| !schema.is_empty()) {
            return Err(Error::new(format!("--{option}: intelRdt is not in the container's config.json")));
        }
    }
    context.warn(&warnings);
    container::update(container, asked)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    if path != Path::new("-") {
        return std::fs::read(path)
            .map_err(|error| Error::io(format_args!("open {}", path.display()), &error));
    }
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text).map_err(|error| Error::io("read standard input", &error))?;
    Ok(text)
}

/// Each option that was given, its text, and the field of linux.resources that it means.
fn limits(arguments: &cli::Update) -> Vec<container::Limit<'_>> {
    use container::LimitKind::{Bytes, Number, Text};

    [
        ("blkio-weight", "blockIO", "weight", Number, &arguments.blkio_weight),
        ("cpu-period", "cpu", "period", Number, &arguments.cpu_period),
        ("cpu-quota", "cpu", "quota", Number, &arguments.cpu_quota),
        ("cpu-burst", "cpu", "burst", Number, &arguments.cpu_burst),
        ("cpu-share", "cpu", "shares", Number, &arguments.cpu_share),
        ("cpu-rt-period", "cpu", "realtimePeriod", Number, &arguments.cpu_rt_period),
        ("cpu-rt-runtime", "cpu", "realtimeRuntime", Number, &arguments.cpu_rt_runtime),
        ("cpuset-cpus", "cpu", "cpus", Text, &arguments.cpuset_cpus),
        ("cpuset-mems", "cpu", "mems", Text, &arguments.cpuset_mems),
        ("cpu-idle", "cpu", "idle", Number, &arguments.cpu_idle),
        ("memory", "memory", "limit", Bytes, &arguments.memory),
        ("memory-reservation", "memory", "reservation", Bytes, &arguments.memory_reservation),
        ("memory-swap", "memory", "swap", Bytes, &arguments.memory_swap),
        ("pids-limit", "pids", "limit", Number, &arguments.pids_limit),
        ("kernel-memory", "memory", "kernel", Bytes, &arguments.kernel_memory),
        ("kernel-memory-tcp", "memory", "kernelTCP", Bytes, &arguments.kernel_memory_tcp),
    ]
    .into_iter()
    .filter_map(|(option, object, field, kind, text)| {
        let text = text.as_deref().filter(|text| !text.is_empty())?;
        Some(container::Limit { option, object, field, kind, text })
    })
    .collect()
}
