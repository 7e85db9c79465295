//! What the files of a v2 cgroup say of the usage, in the words that v1 had.

use super::super::files;
use super::super::stats::{
    BlkioEntry, BlkioStats, CpuStats, CpuUsage, HugetlbStats, MemoryEntry, MemoryStats, Pressure, Stats,
    Throttling, page_sizes, parse_names,
};

/// A file that is missing counts as zero: which ones there are depends on the controllers that are on.
pub(in super::super) fn stats(path: &str) -> Stats {
    let files = Files(path);
    let mut stats = Stats::default();
    stats.cpu = cpu(&files);
    stats.memory = memory(&files);
    stats.pids.current = files.number("pids.current").unwrap_or(0);
    stats.pids.limit = files.number("pids.max").unwrap_or(0);
    stats.blkio =
        BlkioStats { psi: files.pressure("io"), ..blkio(&files.text("io.stat").unwrap_or_default()) };
    for size in page_sizes(path, ".max") {
        let entry = hugetlb(&files, &size);
        stats.hugetlb.insert(size, entry);
    }
    stats
}

struct Files<'p>(&'p str);

impl Files<'_> {
    fn text(&self, name: &str) -> Option<String> {
        files::read(&format!("{}/{name}", self.0)).ok()
    }

    /// `None` for `max` and for a file that is missing.
    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.trim_end().parse().ok()
    }

    fn pressure(&self, what: &str) -> Option<Pressure> {
        self.text(&format!("{what}.pressure")).map(|text| Pressure::parse(&text))
    }
}

fn cpu(files: &Files<'_>) -> CpuStats {
    let numbers = parse_names(&files.text("cpu.stat").unwrap_or_default());
    let number = |name: &str| numbers.get(name).copied().unwrap_or(0);
    // Microseconds.
    let time = |name: &str| number(name) * 1000;
    CpuStats {
        usage: CpuUsage {
            total: time("usage_usec"),
            kernel: time("system_usec"),
            user: time("user_usec"),
            ..CpuUsage::default()
        },
        throttling: Throttling {
            periods: number("nr_periods"),
            throttled_periods: number("nr_throttled"),
            throttled_time: time("throttled_usec"),
        },
        psi: files.pressure("cpu"),
    }
}

fn memory(files: &Files<'_>) -> MemoryStats {
    let raw = parse_names(&files.text("memory.stat").unwrap_or_default());
    let usage = entry(files, "memory");
    let mut swap = entry(files, "memory.swap");
    if let (Some(usage), Some(swap)) = (&usage, &mut swap) {
        // v1 counts memory and swap together, and so does the document. The peak of the sum nobody knows.
        swap.usage += usage.usage;
        swap.limit = swap.limit.saturating_add(if swap.limit == u64::MAX { 0 } else { usage.limit });
        swap.max = 0;
    }
    MemoryStats {
        cache: raw.get("file").copied().unwrap_or(0),
        usage: usage.unwrap_or_default(),
        swap: swap.unwrap_or_default(),
        raw,
        events: parse_names(&files.text("memory.events").unwrap_or_default()),
        psi: files.pressure("memory"),
        ..MemoryStats::default()
    }
}

/// `None` where the controller, or swap accounting, is off.
fn entry(files: &Files<'_>, prefix: &str) -> Option<MemoryEntry> {
    Some(MemoryEntry {
        usage: files.number(&format!("{prefix}.current"))?,
        limit: files.number(&format!("{prefix}.max")).unwrap_or(u64::MAX),
        max: files.number(&format!("{prefix}.peak")).unwrap_or(0),
        failcnt: 0,
    })
}

fn hugetlb(files: &Files<'_>, size: &str) -> HugetlbStats {
    let reserved = files.number(&format!("hugetlb.{size}.rsvd.current"));
    let events = parse_names(&files.text(&format!("hugetlb.{size}.events")).unwrap_or_default());
    HugetlbStats {
        usage: reserved.or_else(|| files.number(&format!("hugetlb.{size}.current"))).unwrap_or(0),
        max: 0,
        failcnt: events.get("max").copied().unwrap_or(0),
    }
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`, of which v1 had the bytes and the operations.
fn blkio(text: &str) -> BlkioStats {
    let mut stats = BlkioStats::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let device = words.next().and_then(|device| device.split_once(':'));
        let number = |text: &str| text.parse::<u64>().ok();
        let Some((Some(major), Some(minor))) = device.map(|(major, minor)| (number(major), number(minor)))
        else {
            continue;
        };
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            let (list, op) = match name {
                "rbytes" => ("ioServiceBytesRecursive", "Read"),
                "wbytes" => ("ioServiceBytesRecursive", "Write"),
                "dbytes" => ("ioServiceBytesRecursive", "Discard"),
                "rios" => ("ioServicedRecursive", "Read"),
                "wios" => ("ioServicedRecursive", "Write"),
                "dios" => ("ioServicedRecursive", "Discard"),
                _ => continue,
            };
            let entry = BlkioEntry { major, minor, op: op.to_owned(), value: number(value).unwrap_or(0) };
            stats.lists.entry(list).or_default().push(entry);
        }
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_told_in_v1s_words() {
        let stats = blkio("254:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0 cost.usage=3\n254:16\n");
        assert_eq!(
            serde_json::to_string(&stats).unwrap(),
            r#"{"ioServiceBytesRecursive":[{"major":254,"op":"Read","value":4096},{"major":254,"op":"Write"},"#
                .to_owned()
                + r#"{"major":254,"op":"Discard"}],"ioServicedRecursive":[{"major":254,"op":"Read","value":1},"#
                + r#"{"major":254,"op":"Write"},{"major":254,"op":"Discard"}]}"#
        );
    }
}
