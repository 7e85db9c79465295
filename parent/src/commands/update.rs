//! `update`: changes the limits of a container.

use super::Context;
use crate::cli;
use crate::config;
use crate::container::{self, Container};
use crate::error::Result;

pub(super) fn run(context: &Context<'_>, arguments: &cli::Update) -> Result<()> {
    let id = cli::one_id("update", &arguments.ids)?;
    let container = Container::open_locked(&context.state_root()?, id)?;
    let document = match arguments.resources.as_deref().filter(|path| !path.as_os_str().is_empty()) {
        Some(path) => super::read_document(path)?,
        None => container::limits_document(&limits(arguments))?,
    };
    let (asked, warnings) = config::parse_update(&document)?;
    context.warn(&warnings);
    container::update(container, asked, rdt(arguments))
}

/// The shares of caches and memory bandwidth, which have no place in linux.resources.
fn rdt(arguments: &cli::Update) -> Option<config::IntelRdt> {
    let text = |schema: &Option<String>| schema.clone().filter(|schema| !schema.is_empty());
    let change = config::IntelRdt {
        clos_id: None,
        l3_cache_schema: text(&arguments.l3_cache_schema),
        mem_bw_schema: text(&arguments.mem_bw_schema),
        schemata: Vec::new(),
        enable_monitoring: false,
    };
    (change.l3_cache_schema.is_some() || change.mem_bw_schema.is_some()).then_some(change)
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
