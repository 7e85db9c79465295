//! What the files of v1's hierarchies say of the usage.

use super::super::files;
use super::super::place::Directory;
use super::super::stats::{
    BlkioEntry, BlkioStats, CpuUsage, CpusetStats, HugetlbStats, MemoryEntry, Stats, Throttling, page_sizes,
    parse_names,
};

/// A tick of the times in cpuacct.stat: the kernel shows every program 100 a second.
const NANOSECONDS_PER_TICK: u64 = 10_000_000;

/// Adds what one hierarchy knows. A file that is missing counts as zero: which ones there are depends on the kernel.
pub(in super::super) fn add_stats(directory: &Directory, stats: &mut Stats) {
    let files = Files(directory.absolute());
    if directory.has("cpuacct") {
        stats.cpu.usage = cpu_usage(&files);
    }
    if directory.has("cpu") {
        stats.cpu.throttling = throttling(&files);
    }
    if directory.has("cpuset") {
        stats.cpuset = cpuset(&files);
    }
    if directory.has("memory") {
        stats.memory.raw = parse_names(&files.text("memory.stat"));
        stats.memory.cache = stats.memory.raw.get("cache").copied().unwrap_or(0);
        stats.memory.events = parse_names(&files.text("memory.oom_control"));
        stats.memory.events.retain(|name, _| name == "oom_kill");
        stats.memory.usage = memory_entry(&files, "memory");
        stats.memory.swap = memory_entry(&files, "memory.memsw");
        stats.memory.kernel = memory_entry(&files, "memory.kmem");
        stats.memory.kernel_tcp = memory_entry(&files, "memory.kmem.tcp");
    }
    if directory.has("pids") {
        stats.pids.current = files.number("pids.current");
        stats.pids.limit = files.number("pids.max");
    }
    if directory.has("blkio") {
        stats.blkio = blkio(&files);
    }
    if directory.has("hugetlb") {
        for size in page_sizes(&files.0, ".limit_in_bytes") {
            let entry = hugetlb(&files, &size);
            stats.hugetlb.insert(size, entry);
        }
    }
}

struct Files(String);

impl Files {
    fn text(&self, name: &str) -> String {
        files::read(&format!("{}/{name}", self.0)).unwrap_or_default()
    }

    fn number(&self, name: &str) -> u64 {
        self.text(name).trim_end().parse().unwrap_or(0)
    }

    fn has(&self, name: &str) -> bool {
        files::read(&format!("{}/{name}", self.0)).is_ok()
    }
}

fn cpu_usage(files: &Files) -> CpuUsage {
    let times = parse_names(&files.text("cpuacct.stat"));
    let nanoseconds = |name: &str| times.get(name).copied().unwrap_or(0) * NANOSECONDS_PER_TICK;
    let percpu = files.text("cpuacct.usage_percpu");
    let (percpu_user, percpu_kernel) = parse_usage_all(&files.text("cpuacct.usage_all"));
    CpuUsage {
        total: files.number("cpuacct.usage"),
        percpu: percpu.split_ascii_whitespace().filter_map(|number| number.parse().ok()).collect(),
        percpu_kernel,
        percpu_user,
        kernel: nanoseconds("system"),
        user: nanoseconds("user"),
    }
}

/// A header `cpu user system`, then a line for each processor.
fn parse_usage_all(text: &str) -> (Vec<u64>, Vec<u64>) {
    let row = |line: &str| -> Option<(u64, u64)> {
        let mut words = line.split_ascii_whitespace().skip(1);
        Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    };
    text.lines().skip(1).filter_map(row).unzip()
}

fn throttling(files: &Files) -> Throttling {
    let numbers = parse_names(&files.text("cpu.stat"));
    let number = |name: &str| numbers.get(name).copied().unwrap_or(0);
    Throttling {
        periods: number("nr_periods"),
        throttled_periods: number("nr_throttled"),
        throttled_time: number("throttled_time"),
    }
}

fn cpuset(files: &Files) -> CpusetStats {
    CpusetStats {
        cpus: parse_list(&files.text("cpuset.cpus")),
        cpu_exclusive: files.number("cpuset.cpu_exclusive"),
        mems: parse_list(&files.text("cpuset.mems")),
        mem_hardwall: files.number("cpuset.mem_hardwall"),
        mem_exclusive: files.number("cpuset.mem_exclusive"),
        memory_migrate: files.number("cpuset.memory_migrate"),
        memory_spread_page: files.number("cpuset.memory_spread_page"),
        memory_spread_slab: files.number("cpuset.memory_spread_slab"),
        memory_pressure: files.number("cpuset.memory_pressure"),
        sched_load_balance: files.number("cpuset.sched_load_balance"),
        sched_relax_domain_level: files
            .text("cpuset.sched_relax_domain_level")
            .trim_end()
            .parse()
            .unwrap_or(0),
    }
}

/// `0-2,7` as 0, 1, 2 and 7.
fn parse_list(text: &str) -> Vec<u16> {
    let range = |part: &str| -> Option<std::ops::RangeInclusive<u16>> {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    text.trim_end().split(',').filter_map(range).flatten().collect()
}

fn memory_entry(files: &Files, prefix: &str) -> MemoryEntry {
    MemoryEntry {
        limit: files.number(&format!("{prefix}.limit_in_bytes")),
        usage: files.number(&format!("{prefix}.usage_in_bytes")),
        max: files.number(&format!("{prefix}.max_usage_in_bytes")),
        failcnt: files.number(&format!("{prefix}.failcnt")),
    }
}

fn hugetlb(files: &Files, size: &str) -> HugetlbStats {
    let reserved = format!("hugetlb.{size}.rsvd");
    let prefix =
        if files.has(&format!("{reserved}.usage_in_bytes")) { reserved } else { format!("hugetlb.{size}") };
    HugetlbStats {
        usage: files.number(&format!("{prefix}.usage_in_bytes")),
        max: files.number(&format!("{prefix}.max_usage_in_bytes")),
        failcnt: files.number(&format!("{prefix}.failcnt")),
    }
}

/// Who counts depends on the I/O scheduler and the kernel; the first in this order that has counted anything is believed.
const BLKIO_SOURCES: [(&str, &[(&str, &str)]); 4] = [
    (
        "blkio.bfq.",
        &[
            ("sectorsRecursive", "sectors_recursive"),
            ("ioServiceTimeRecursive", "io_service_time_recursive"),
            ("ioWaitTimeRecursive", "io_wait_time_recursive"),
            ("ioMergedRecursive", "io_merged_recursive"),
            ("ioQueueRecursive", "io_queued_recursive"),
            ("ioTimeRecursive", "time_recursive"),
            ("ioServicedRecursive", "io_serviced_recursive"),
            ("ioServiceBytesRecursive", "io_service_bytes_recursive"),
        ],
    ),
    (
        "blkio.bfq.",
        &[
            ("ioServicedRecursive", "io_serviced_recursive"),
            ("ioServiceBytesRecursive", "io_service_bytes_recursive"),
        ],
    ),
    (
        "blkio.throttle.",
        &[
            ("ioServicedRecursive", "io_serviced_recursive"),
            ("ioServiceBytesRecursive", "io_service_bytes_recursive"),
        ],
    ),
    (
        "blkio.throttle.",
        &[("ioServicedRecursive", "io_serviced"), ("ioServiceBytesRecursive", "io_service_bytes")],
    ),
];

fn blkio(files: &Files) -> BlkioStats {
    let mut stats = BlkioStats::default();
    for (prefix, lists) in BLKIO_SOURCES {
        for (index, (name, file)) in lists.iter().enumerate() {
            let entries = parse_blkio(&files.text(&format!("{prefix}{file}")));
            match entries.is_empty() {
                true if index == 0 => break,
                true => {}
                false => {
                    stats.lists.insert(name, entries);
                }
            }
        }
        if !stats.lists.is_empty() {
            break;
        }
    }
    stats
}

/// Lines `8:0 Read 4096` or `8:0 4096`; at the end the sum of all devices, `Total 4096`, which has no place in the document.
fn parse_blkio(text: &str) -> Vec<BlkioEntry> {
    let entry = |line: &str| -> Option<BlkioEntry> {
        let mut words = line.split_ascii_whitespace();
        let (major, minor) = words.next()?.split_once(':')?;
        let word = words.next()?;
        let (op, value) = match words.next() {
            Some(value) => (word, value),
            None => ("", word),
        };
        Some(BlkioEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            op: op.to_owned(),
            value: value.parse().ok()?,
        })
    };
    text.lines().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_numbers_are_spelled_out() {
        assert_eq!(parse_list("0-2,7\n"), [0, 1, 2, 7]);
        assert!(parse_list("\n").is_empty());
    }

    #[test]
    fn each_processor_has_a_line() {
        assert_eq!(parse_usage_all("cpu user system\n0 5 6\n1 7 8\n"), (vec![5, 7], vec![6, 8]));
    }

    #[test]
    fn disks_have_a_line_for_each_operation() {
        let entry = |op: &str, value| BlkioEntry { major: 8, minor: 0, op: op.into(), value };
        let text = "8:0 Read 4096\n8:0 Total 4096\nTotal 4096\n";
        assert_eq!(parse_blkio(text), [entry("Read", 4096), entry("Total", 4096)]);
        assert_eq!(parse_blkio("8:0 77\n"), [entry("", 77)]);
    }
}
