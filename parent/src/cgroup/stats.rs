//! What a container has used: runc's document, which programs read. Where it leaves zeros out, so does this.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// The `data` of an event of type `stats`.
#[derive(Debug, Default, Serialize)]
pub struct Stats {
    pub(super) cpu: CpuStats,
    pub(super) cpuset: CpusetStats,
    pub(super) memory: MemoryStats,
    pub(super) pids: PidsStats,
    pub(super) blkio: BlkioStats,
    /// By the size of the page, such as `2MB`.
    pub(super) hugetlb: BTreeMap<String, HugetlbStats>,
    intel_rdt: BTreeMap<(), ()>,
    network_interfaces: (),
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Debug, Default, Serialize)]
pub(super) struct CpuStats {
    pub(super) usage: CpuUsage,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) psi: Option<Pressure>,
}

/// Nanoseconds.
#[derive(Debug, Default, Serialize)]
pub(super) struct CpuUsage {
    #[serde(skip_serializing_if = "is_default")]
    pub(super) total: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) percpu: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) percpu_kernel: Vec<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) percpu_user: Vec<u64>,
    pub(super) kernel: u64,
    pub(super) user: u64,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Throttling {
    #[serde(skip_serializing_if = "is_default")]
    pub(super) periods: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) throttled_periods: u64,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) throttled_time: u64,
}

/// v1 alone has them.
#[derive(Debug, Default, Serialize)]
pub(super) struct CpusetStats {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) cpus: Vec<u16>,
    pub(super) cpu_exclusive: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) mems: Vec<u16>,
    pub(super) mem_hardwall: u64,
    pub(super) mem_exclusive: u64,
    pub(super) memory_migrate: u64,
    pub(super) memory_spread_page: u64,
    pub(super) memory_spread_slab: u64,
    pub(super) memory_pressure: u64,
    pub(super) sched_load_balance: u64,
    pub(super) sched_relax_domain_level: i64,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MemoryStats {
    #[serde(skip_serializing_if = "is_default")]
    pub(super) cache: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) usage: MemoryEntry,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) swap: MemoryEntry,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) kernel: MemoryEntry,
    #[serde(rename = "kernelTCP", skip_serializing_if = "is_default")]
    pub(super) kernel_tcp: MemoryEntry,
    /// The file memory.stat.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) raw: BTreeMap<String, u64>,
    /// The file memory.events; on v1 what of it is in memory.oom_control. runc's document does not have it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) events: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) psi: Option<Pressure>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct MemoryEntry {
    pub(super) limit: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) usage: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) max: u64,
    pub(super) failcnt: u64,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct PidsStats {
    #[serde(skip_serializing_if = "is_default")]
    pub(super) current: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) limit: u64,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BlkioStats {
    /// By the document's names, such as `ioServicedRecursive`; no list is empty.
    #[serde(flatten)]
    pub(super) lists: BTreeMap<&'static str, Vec<BlkioEntry>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) psi: Option<Pressure>,
}

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct BlkioEntry {
    #[serde(skip_serializing_if = "is_default")]
    pub(super) major: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) minor: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) op: String,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) value: u64,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct HugetlbStats {
    #[serde(skip_serializing_if = "is_default")]
    pub(super) usage: u64,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) max: u64,
    pub(super) failcnt: u64,
}

/// How much waiting there was: v2's pressure files.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Pressure {
    some: PressureLine,
    full: PressureLine,
}

/// Percents over seconds, and microseconds.
#[derive(Debug, Default, PartialEq, Serialize)]
struct PressureLine {
    #[serde(serialize_with = "shortest")]
    avg10: f64,
    #[serde(serialize_with = "shortest")]
    avg60: f64,
    #[serde(serialize_with = "shortest")]
    avg300: f64,
    total: u64,
}

/// `0` and not `0.0`, as Go prints it.
fn shortest<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 {
        serializer.serialize_u64(*number as u64)
    } else {
        serializer.serialize_f64(*number)
    }
}

impl Pressure {
    /// Source: Documentation/accounting/psi.rst: `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
    pub(super) fn parse(text: &str) -> Self {
        let mut pressure = Self::default();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let target = match words.next() {
                Some("some") => &mut pressure.some,
                Some("full") => &mut pressure.full,
                _ => continue,
            };
            for (name, value) in words.filter_map(|word| word.split_once('=')) {
                match name {
                    "avg10" => target.avg10 = value.parse().unwrap_or(0.0),
                    "avg60" => target.avg60 = value.parse().unwrap_or(0.0),
                    "avg300" => target.avg300 = value.parse().unwrap_or(0.0),
                    "total" => target.total = value.parse().unwrap_or(0),
                    _ => {}
                }
            }
        }
        pressure
    }
}

/// A file of lines `name number`.
pub(super) fn parse_names(text: &str) -> BTreeMap<String, u64> {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.filter_map(|(name, number)| Some((name.to_owned(), number.trim().parse().ok()?))).collect()
}

/// The sizes of the pages that the files of a cgroup name: `2MB` of `hugetlb.2MB.max`.
pub(super) fn page_sizes(path: &str, last: &str) -> Vec<String> {
    let names = super::files::names(path);
    let sizes = names.iter().filter_map(|name| name.strip_prefix("hugetlb.")?.strip_suffix(last));
    sizes.filter(|size| !size.contains('.')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_left_out_where_runc_leaves_them_out() {
        let text = serde_json::to_string(&Stats::default()).unwrap();
        assert_eq!(
            text,
            r#"{"cpu":{"usage":{"kernel":0,"user":0}},"cpuset":{"cpu_exclusive":0,"mem_hardwall":0,"mem_exclusive":0,"#
                .to_owned()
                + r#""memory_migrate":0,"memory_spread_page":0,"memory_spread_slab":0,"memory_pressure":0,"#
                + r#""sched_load_balance":0,"sched_relax_domain_level":0},"memory":{},"pids":{},"blkio":{},"#
                + r#""hugetlb":{},"intel_rdt":{},"network_interfaces":null}"#
        );
    }

    #[test]
    fn pressure_has_two_lines() {
        let pressure = Pressure::parse(
            "some avg10=1.50 avg60=0.00 avg300=2.00 total=7\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=3\n",
        );
        assert_eq!(
            serde_json::to_string(&pressure).unwrap(),
            r#"{"some":{"avg10":1.5,"avg60":0,"avg300":2,"total":7},"full":{"avg10":0,"avg60":0,"avg300":0,"total":3}}"#
        );
    }
}
