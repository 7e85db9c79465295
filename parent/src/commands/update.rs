//! `update`: changes the limits of a container.

use super::Context;
use crate::cli;
use pinnace::Result;
use pinnace::blocking::{self, Container, Schemata};

pub(super) fn run(context: &Context<'_>, arguments: &cli::Update) -> Result<()> {
    let id = cli::one_id("update", &arguments.ids)?;
    // Whoever writes it may take a while, in which nobody is to be kept out.
    let document = match arguments.resources.as_deref().filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => super::read_document(path)?,
        None => blocking::limits_document(&limits(arguments))?,
    };
    let container = Container::open_locked(&context.state_root()?, id)?;
    context.warn(&blocking::update(container, &document, schemata(arguments))?);
    Ok(())
}

fn schemata(arguments: &cli::Update) -> Schemata {
    let text = |schema: &Option<String>| schema.clone().filter(|schema| !schema.is_empty());
    Schemata { l3_cache: text(&arguments.l3_cache_schema), memory_bandwidth: text(&arguments.mem_bw_schema) }
}

/// Each option that was given, its text, and the field of linux.resources that it means.
fn limits(arguments: &cli::Update) -> Vec<blocking::Limit<'_>> {
    use blocking::LimitKind::{Bytes, Number, Text};

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
        Some(blocking::Limit { option, object, field, kind, text })
    })
    .collect()
}
