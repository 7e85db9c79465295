//! What a reader of the figures has to know of the machine.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use pinnace::log::rfc3339_seconds;

/// statfs(2)'s number for tmpfs, from linux/magic.h.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// Above this the machine is not idle, and figures of different benchmarks are hard to compare.
const IDLE_LOAD: f64 = 0.3;

/// The machine, and how busy it was.
#[derive(Clone, Debug)]
pub struct Machine {
    pub(crate) kernel: String,
    pub(crate) processors: usize,
    /// As the kernel names the first one; empty where it has no name.
    pub(crate) processor: String,
    pub(crate) cgroups: String,
    pub(crate) state_on_tmpfs: bool,
    /// `2026-11-24T13:00:00Z`
    pub(crate) begun: String,
    /// The load of the last minute, before and after.
    pub(crate) load_before: f64,
    pub(crate) load_after: f64,
}

impl Machine {
    /// Looks at it. `state` is where the runtimes will keep their state.
    pub fn read(state: &Path) -> Self {
        let name = rustix::system::uname();
        let load = load();
        let (processors, processor) = processors(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default());
        Self {
            kernel: format!("{} {}", name.release().to_string_lossy(), name.machine().to_string_lossy()),
            processors,
            processor,
            cgroups: cgroups(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()),
            state_on_tmpfs: rustix::fs::statfs(state).is_ok_and(|status| status.f_type as u64 == TMPFS_MAGIC),
            begun: rfc3339_seconds(SystemTime::now()),
            load_before: load,
            load_after: load,
        }
    }

    /// To be called when all is measured.
    pub(crate) fn note_end(&mut self) {
        self.load_after = load();
    }

    /// A line of warning if others were at work when the benchmark began.
    pub(crate) fn warning(&self) -> Option<String> {
        (self.load_before > IDLE_LOAD).then(|| {
            format!(
                "Not idle: the load was {:.2}. Compare ratios, and not these figures with others.",
                self.load_before
            )
        })
    }

    /// What there is to know, as pairs of a name and words.
    pub(crate) fn facts(&self) -> Vec<(&'static str, String)> {
        let processors = format!(
            "{} × {}",
            self.processors,
            if self.processor.is_empty() { "?" } else { &self.processor }
        );
        vec![
            ("Date", self.begun.clone()),
            ("Kernel", format!("Linux {}", self.kernel)),
            ("Processors", processors),
            ("cgroups", self.cgroups.clone()),
            ("State directories", String::from(if self.state_on_tmpfs { "on a tmpfs" } else { "on a disk" })),
            (
                "Load",
                format!(
                    "{:.2} before, {:.2} after (the benchmark itself included)",
                    self.load_before, self.load_after
                ),
            ),
        ]
    }
}

/// 0 where the kernel does not tell.
fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

/// Which hierarchies are mounted where every distribution mounts them.
fn cgroups(mountinfo: &str) -> String {
    let of_type = |name: &str| {
        let is_it = |line: &&str| line.contains(" /sys/fs/cgroup") && line.contains(&format!(" - {name} "));
        mountinfo.lines().filter(is_it).count()
    };
    match (of_type("cgroup"), of_type("cgroup2")) {
        (0, 0) => String::from("none"),
        (0, _) => String::from("v2"),
        (count, 0) => format!("v1, {count} hierarchies"),
        (count, _) => format!("v1, {count} hierarchies, and v2 beside them (hybrid)"),
    }
}

/// How many there are, and the name of the first.
fn processors(cpuinfo: &str) -> (usize, String) {
    let (mut count, mut name) = (0, String::new());
    for (key, value) in cpuinfo.lines().filter_map(|line| line.split_once(':')) {
        match key.trim_end() {
            "processor" => count += 1,
            "model name" if name.is_empty() => name.push_str(value.trim()),
            _ => {}
        }
    }
    (count, name)
}

/// Ticks of all processors since the machine has started: those that somebody used, and all.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ticks {
    busy: u64,
    all: u64,
}

impl Ticks {
    pub(crate) fn now() -> Self {
        Self::parse(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    /// The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
    fn parse(stat: &str) -> Self {
        let words = stat.lines().next().unwrap_or_default().split_ascii_whitespace().skip(1).take(8);
        let ticks: Vec<u64> = words.map(|word| word.parse().unwrap_or(0)).collect();
        let all = ticks.iter().sum();
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        Self { busy: all - idle, all }
    }

    /// The share of time that was used since then: 0 to 1.
    pub(crate) fn share_since(self, then: Self) -> f64 {
        let (busy, all) = (self.busy.saturating_sub(then.busy), self.all.saturating_sub(then.all));
        if all == 0 { 0.0 } else { busy as f64 / all as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_used_by_all_but_the_idle() {
        let before = Ticks::parse("cpu  100 0 50 800 50 0 0 0 7 0\ncpu0 1 2 3\n");
        assert_eq!(before, Ticks { busy: 150, all: 1000 });
        let after = Ticks::parse("cpu  110 0 60 860 60 5 5 0 9 0\n");
        assert!((after.share_since(before) - 0.3).abs() < 1e-9);
        assert!(after.share_since(after).abs() < 1e-9);
    }

    #[test]
    fn the_cgroup_hierarchies_are_those_that_are_mounted() {
        let v1 = "30 25 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n31 25 0:27 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
        let v2 = "32 25 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroups(""), "none");
        assert_eq!(cgroups(v1), "v1, 2 hierarchies");
        assert_eq!(cgroups(v2), "v2");
        assert_eq!(cgroups(&format!("{v1}{v2}")), "v1, 2 hierarchies, and v2 beside them (hybrid)");
    }

    #[test]
    fn processors_are_counted_and_have_the_name_that_the_kernel_gives_them() {
        let two = "processor\t: 0\nmodel name\t: A: B\n\nprocessor\t: 1\nmodel name\t: C\n";
        assert_eq!(processors(two), (2, String::from("A: B")));
        assert_eq!(processors("processor\t: 0\nBogoMIPS\t: 50.00\n"), (1, String::new()));
    }
}
