//! `unified`: files of cgroup v2, several of which are what another field of the resources is written to.
//!
//! Of what was said of one limit the last word counts, however it was said: an update writes again what belongs to its limits, and under systemd all
//! limits, and must not bring back a word that another has taken the place of.

use std::collections::BTreeMap;

use super::{HugepageLimit, RdmaLimit, Resources, Throttle};

impl Resources {
    /// What is in force after both were written: the files are written behind the fields.
    #[must_use]
    pub fn settled(mut self) -> Resources {
        let alone = self.memory.swap_alone();
        let files = self.unified.clone();
        self.take_from(&files);
        if self.unified.contains_key("memory.max") {
            self.memory.hold_swap(alone);
        }
        self
    }

    /// Drops the fields that these files have taken the place of, or takes their values from there.
    pub(super) fn take_from(&mut self, unified: &BTreeMap<String, String>) {
        let Self { memory, cpu, .. } = self;
        // The other limits of their kind mean this one.
        if let Some(text) = unified.get("memory.max") {
            memory.limit = kernel_bytes(text);
        }
        if let Some(text) = unified.get("cpu.max") {
            let mut words = text.split_ascii_whitespace();
            cpu.quota = words.next().map(|quota| quota.parse().unwrap_or(-1));
            cpu.period = words.next().and_then(|period| period.parse().ok()).or(cpu.period);
        }
        let has = |file: &str| unified.contains_key(file);
        drop_if(has("memory.swap.max"), &mut memory.swap);
        drop_if(has("memory.low"), &mut memory.reservation);
        drop_if(has("cpu.weight") || has("cpu.weight.nice") || has("cpu.idle"), &mut cpu.shares);
        drop_if(has("cpu.idle"), &mut cpu.idle);
        drop_if(has("cpu.max.burst"), &mut cpu.burst);
        drop_if(has("cpuset.cpus"), &mut cpu.cpus);
        drop_if(has("cpuset.mems"), &mut cpu.mems);
        drop_if(has("pids.max"), &mut self.pids_limit);
        self.hugepage_limits.retain(|limit| !has(&format!("hugetlb.{}.max", limit.page_size)));
    }

    /// Takes out of the files what these fields have taken the place of.
    pub(super) fn forget_in_files(&mut self, asked: &Resources) {
        let Resources { memory, cpu, block_io, .. } = asked;
        let table: [(bool, &[&str]); 10] = [
            (memory.limit.is_some(), &["memory.max"]),
            (memory.swap.is_some(), &["memory.swap.max"]),
            (memory.reservation.is_some(), &["memory.low"]),
            (cpu.quota.is_some() || cpu.period.is_some(), &["cpu.max"]),
            (cpu.burst.is_some(), &["cpu.max.burst"]),
            (cpu.idle.is_some(), &["cpu.idle"]),
            // The kernel forgets the weight of a cgroup whose idleness changes.
            (cpu.shares.is_some() || cpu.idle.is_some(), &["cpu.weight", "cpu.weight.nice"]),
            (cpu.cpus.is_some(), &["cpuset.cpus"]),
            (cpu.mems.is_some(), &["cpuset.mems"]),
            (asked.pids_limit.is_some(), &["pids.max"]),
        ];
        let files = table.iter().filter(|(is_asked, _)| *is_asked).flat_map(|(_, files)| *files);
        files.for_each(|file| drop(self.unified.remove(*file)));
        for HugepageLimit { page_size, .. } in &asked.hugepage_limits {
            self.unified.remove(&format!("hugetlb.{page_size}.max"));
            self.unified.remove(&format!("hugetlb.{page_size}.rsvd.max"));
        }
        for file in ["io.weight", "io.bfq.weight"] {
            let devices = block_io.weight_devices.iter().map(|entry| entry.device.to_string());
            let default = block_io.weight.map(|_| String::from("default"));
            for key in default.into_iter().chain(devices) {
                self.edit(file, |line| if is_of(line, &key) { String::new() } else { line.to_owned() });
            }
        }
        for (word, throttles) in [
            ("rbps=", &block_io.read_bps),
            ("wbps=", &block_io.write_bps),
            ("riops=", &block_io.read_iops),
            ("wiops=", &block_io.write_iops),
        ] {
            for Throttle { device, .. } in throttles {
                self.edit("io.max", |line| without_word(line, &device.to_string(), word));
            }
        }
        for (device, RdmaLimit { hca_handles, hca_objects }) in &asked.rdma {
            for (word, limit) in [("hca_handle=", hca_handles), ("hca_object=", hca_objects)] {
                if limit.is_some() {
                    self.edit("rdma.max", |line| without_word(line, device, word));
                }
            }
        }
    }

    /// Changes a file line by line; lines that become empty go, and a file of which nothing is left.
    fn edit(&mut self, file: &str, change: impl Fn(&str) -> String) {
        let Some(text) = self.unified.get_mut(file) else { return };
        let lines: Vec<String> = text.lines().map(change).filter(|line| !line.is_empty()).collect();
        *text = lines.join("\n");
        if lines.is_empty() {
            self.unified.remove(file);
        }
    }
}

fn drop_if<T>(is_elsewhere: bool, field: &mut Option<T>) {
    field.take_if(|_| is_elsewhere);
}

/// A number as the kernel's memory files take it; -1 is no limit, `None` what is no number.
pub(crate) fn kernel_bytes(text: &str) -> Option<i64> {
    let text = text.trim();
    if text == "max" {
        return Some(-1);
    }
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let power = match &text[digits.len()..] {
        "" => 0,
        unit => "kmgtpe".find(&unit.to_ascii_lowercase()).filter(|_| unit.len() == 1)? + 1,
    };
    digits.parse::<i64>().ok()?.checked_mul(1024i64.checked_pow(power as u32)?)
}

/// Whether a line is about the device `key`; one without a key is about all.
fn is_of(line: &str, key: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    first == key || key == "default" && words.next().is_none()
}

/// The line without the words that begin so, if it is about `device`.
fn without_word(line: &str, device: &str, word: &str) -> String {
    if !is_of(line, device) {
        return line.to_owned();
    }
    let words: Vec<&str> = line.split_ascii_whitespace().filter(|other| !other.starts_with(word)).collect();
    if words.len() > 1 { words.join(" ") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_update;

    fn parsed(text: &str) -> Resources {
        parse_update(text.as_bytes()).unwrap().0
    }

    #[test]
    fn the_last_word_on_a_limit_counts() {
        for (before, asked, kept) in [
            // Memory and swap go together, whichever way the memory was limited.
            (
                r#"{"memory": {"limit": 100, "swap": 300}, "unified": {"memory.max": "1k"}}"#,
                r#"{"memory": {"swap": 2000}}"#,
                r#"{"memory": {"limit": 1024, "swap": 2000}, "unified": {"memory.max": "1k"}}"#,
            ),
            (
                r#"{"memory": {"limit": 100, "swap": 300}}"#,
                r#"{"unified": {"memory.max": "150"}}"#,
                r#"{"memory": {"limit": 150, "swap": 350}, "unified": {"memory.max": "150"}}"#,
            ),
            (
                r#"{"memory": {"limit": 100, "swap": 300}}"#,
                r#"{"memory": {"swap": 400}, "unified": {"memory.max": "150"}}"#,
                r#"{"memory": {"limit": 150, "swap": 400}, "unified": {"memory.max": "150"}}"#,
            ),
            (
                r#"{"memory": {"limit": 100, "swap": 300}, "unified": {"memory.max": "max"}}"#,
                r#"{"memory": {"limit": 70}}"#,
                r#"{"memory": {"limit": 70}}"#,
            ),
            (
                r#"{"memory": {"limit": 100, "swap": 300}, "unified": {"memory.swap.max": "7"}}"#,
                r#"{"memory": {"limit": 70}}"#,
                r#"{"memory": {"limit": 70}, "unified": {"memory.swap.max": "7"}}"#,
            ),
            // What was said in the other way goes.
            (
                r#"{"pids": {"limit": 5}, "cpu": {"shares": 512}}"#,
                r#"{"unified": {"pids.max": "7", "cpu.idle": "1"}}"#,
                r#"{"unified": {"pids.max": "7", "cpu.idle": "1"}}"#,
            ),
            (
                r#"{"unified": {"pids.max": "7", "cpu.weight": "55", "cpu.max": "5000 10000", "memory.high": "9"}}"#,
                r#"{"pids": {"limit": 5}, "cpu": {"idle": 1, "quota": 7000}}"#,
                r#"{"pids": {"limit": 5}, "cpu": {"idle": 1, "quota": 7000, "period": 10000}, "unified": {"memory.high": "9"}}"#,
            ),
            (
                r#"{"unified": {"io.max": "8:0 rbps=5 wbps=6\n8:16 rbps=7"}}"#,
                r#"{"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 16, "rate": 1}, {"major": 8, "minor": 0, "rate": 1}]}}"#,
                r#"{"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 16, "rate": 1}, {"major": 8, "minor": 0, "rate": 1}]},
                    "unified": {"io.max": "8:0 wbps=6"}}"#,
            ),
            (
                r#"{"unified": {"io.weight": "default 50\n8:0 70", "rdma.max": "mlx hca_handle=2"}}"#,
                r#"{"blockIO": {"weight": 100}, "rdma": {"mlx": {"hcaHandles": 3}}}"#,
                r#"{"blockIO": {"weight": 100}, "rdma": {"mlx": {"hcaHandles": 3}}, "unified": {"io.weight": "8:0 70"}}"#,
            ),
        ] {
            let update = parsed(before).settled().updated(parsed(asked)).unwrap();
            assert_eq!(update.kept, parsed(kept), "{before} {asked}");
        }
    }

    #[test]
    fn numbers_are_the_kernels() {
        for (text, expected) in [
            ("max\n", Some(-1)),
            ("5", Some(5)),
            ("2K", Some(2048)),
            ("1g", Some(1 << 30)),
            ("x", None),
            ("1kk", None),
        ] {
            assert_eq!(kernel_bytes(text), expected, "{text}");
        }
    }
}
