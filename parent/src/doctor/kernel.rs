//! The kernel: its age and what is done in another way because of it, and what makes all its work slower.

use std::fs;

use super::{Symptom, line, number};
use crate::host::{
    KERNEL_MIN, Need, PREFERRED_MANY, TIME_NAMESPACE, Version, WAIT_KILLABLE, WEIGHTED_INTERLEAVE,
    has_keyrings, kernel_version,
};

pub(super) struct Facts {
    version: Option<Version>,
    /// Who may execute what is in a memfd; `None` before Linux 6.3.
    memfd_noexec: Option<u64>,
    has_keys: bool,
    /// Grace periods of RCU are never hurried, or always.
    rcu_normal: bool,
    rcu_expedited: bool,
    /// What the kernel does against faults of the processor: names and texts.
    mitigations: Vec<(String, String)>,
    is_guest: bool,
    processor_count: usize,
}

impl Facts {
    pub(super) fn read() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let mut flags = cpuinfo.lines().filter(|line| line.starts_with("flags"));
        let directory =
            fs::read_dir("/sys/devices/system/cpu/vulnerabilities").into_iter().flatten().flatten();
        let mut mitigations: Vec<_> = directory
            .filter_map(|entry| Some((entry.file_name().into_string().ok()?, line(entry.path().to_str()?)?)))
            .collect();
        mitigations.sort();
        Self {
            version: kernel_version(),
            memfd_noexec: number("/proc/sys/vm/memfd_noexec"),
            has_keys: has_keyrings(),
            rcu_normal: number("/sys/kernel/rcu_normal") == Some(1),
            rcu_expedited: number("/sys/kernel/rcu_expedited") == Some(1),
            mitigations,
            is_guest: flags.any(|line| line.split_whitespace().any(|flag| flag == "hypervisor")),
            processor_count: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        }
    }
}

/// What only some configurations ask for.
const NEEDS: [Need; 4] = [TIME_NAMESPACE, PREFERRED_MANY, WEIGHTED_INTERLEAVE, WAIT_KILLABLE];

/// What is done otherwise on a kernel that is older, where it is, and what that means.
const FALLBACKS: [(Version, &str, &str); 2] = [
    (
        (6, 3),
        "memfd_create knows no MFD_EXEC",
        "it is called twice for each copy of stage1; nothing else is different",
    ),
    (
        (6, 15),
        "a pidfd does not keep the exit code",
        "programs that embed pinnace learn it as the parent only (exit codes of commands are not concerned)",
    ),
];

pub(super) fn judge(facts: &Facts) -> Vec<Symptom> {
    let mut found = vec![version(facts.version)];
    if let Some(running) = facts.version {
        found.extend(fallbacks(running));
    }
    if facts.memfd_noexec == Some(2) {
        let text = "vm.memfd_noexec is 2: nothing in a memfd can be executed";
        found.push(
            Symptom::missing("memfd", text)
                .meaning("stage1 is executed from a sealed memfd: no container starts")
                .advice("sysctl vm.memfd_noexec=1, which still refuses who does not ask for it")
                .preventing_starts(true),
        );
    }
    if !facts.has_keys {
        found.push(
            Symptom::note("keyrings", "the kernel has no key management")
                .meaning("containers get no session keyring of their own, and there is none to share"),
        );
    }
    found.extend(rcu(facts));
    found.extend(mitigations(&facts.mitigations));
    if facts.is_guest {
        found.push(Symptom::note("virtual machine", "the processors are virtual").meaning(
            "page faults, executions and wake-ups of another processor cost more than on the host; more so in a nested one",
        ));
    }
    if facts.processor_count == 1 {
        let meaning = "pinnace and stage1 take turns, where two processors would let them work at once";
        found.push(
            Symptom::slow("processors", "we may use one").meaning(meaning).advice("allow us a second one"),
        );
    }
    found
}

fn version(version: Option<Version>) -> Symptom {
    match version {
        None => Symptom::note("kernel", "its release does not begin with a version"),
        Some(running) if running < KERNEL_MIN => Symptom::missing("kernel", text(running))
            .meaning(format!("no container starts: {} brought mount_setattr", text(KERNEL_MIN)))
            .advice("a newer kernel")
            .preventing_starts(true),
        Some(running) => Symptom::ok("kernel", text(running)),
    }
}

fn text((major, minor): Version) -> String {
    format!("Linux {major}.{minor}")
}

fn fallbacks(running: Version) -> impl Iterator<Item = Symptom> {
    let otherwise = FALLBACKS.into_iter().filter(move |(since, ..)| running < *since);
    let otherwise = otherwise.map(|(since, found, meaning)| {
        Symptom::note("kernel", format!("{found} before {}", text(since))).meaning(meaning)
    });
    let missing = NEEDS.into_iter().filter(move |need| running < need.since);
    otherwise.chain(missing.map(|Need { what, since }| {
        Symptom::missing("kernel", format!("{what} needs {}", text(since)))
            .meaning("configurations that ask for it are refused")
    }))
}

/// Unmounting waits for a grace period, and every start detaches the host's tree.
fn rcu(facts: &Facts) -> Option<Symptom> {
    if facts.rcu_normal {
        let meaning = "what waits for a grace period waits for some 10 ms: detaching the host's tree at every start, \
                       removing a network namespace";
        let found = "rcu_normal is 1: grace periods are not hurried";
        return Some(
            Symptom::slow("RCU", found)
                .meaning(meaning)
                .advice("echo 0 >/sys/kernel/rcu_normal, or boot without rcupdate.rcu_normal"),
        );
    }
    facts.rcu_expedited.then(|| {
        Symptom::note("RCU", "rcu_expedited is 1: all grace periods are hurried")
            .meaning("starts do not wait; programs that must not be interrupted pay for that")
    })
}

/// Those that cost at every entry into the kernel, of which a start has hundreds.
fn mitigations(all: &[(String, String)]) -> Vec<Symptom> {
    let is_dear = |(name, text): &&(String, String)| match name.as_str() {
        "meltdown" => text.starts_with("Mitigation: PTI"),
        "spectre_v2" => text.starts_with("Mitigation: IBRS"),
        "retbleed" => text.starts_with("Mitigation: IBRS") || text.starts_with("Mitigation: untrained"),
        _ => false,
    };
    let dear = all.iter().filter(is_dear);
    dear.map(|(name, text)| {
        Symptom::slow("mitigations", format!("{name}: {text}"))
            .meaning("every system call and page fault pays for it; so do all other programs")
            .advice("a newer processor; to switch it off (mitigations=) is for hosts that trust all their programs")
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn facts() -> Facts {
        Facts {
            version: Some((6, 18)),
            memfd_noexec: Some(0),
            has_keys: true,
            rcu_normal: false,
            rcu_expedited: false,
            mitigations: vec![(String::from("meltdown"), String::from("Not affected"))],
            is_guest: false,
            processor_count: 2,
        }
    }

    #[track_caller]
    fn check(facts: &Facts, expected: &[(Level, &str, bool)]) {
        let found = judge(facts);
        let short: Vec<_> =
            found.iter().map(|each| (each.level, each.subject, each.prevents_starts)).collect();
        assert_eq!(short, expected, "{found:#?}");
    }

    #[test]
    fn a_new_kernel_is_as_it_should_be() {
        check(&facts(), &[(Level::Ok, "kernel", false)]);
    }

    #[test]
    fn an_old_kernel_has_its_ways_and_lacks_features() {
        let count = FALLBACKS.len() + NEEDS.len();
        let found = judge(&Facts { version: Some((5, 12)), ..facts() });
        assert_eq!((found.len(), found.iter().any(|each| each.prevents_starts)), (1 + count, false));
        let found = judge(&Facts { version: Some((5, 11)), ..facts() });
        assert!(found[0].prevents_starts && found[0].level == Level::Missing, "{:?}", found[0]);
    }

    #[test]
    fn what_cannot_be_executed_prevents_starts() {
        let expected = [(Level::Ok, "kernel", false), (Level::Missing, "memfd", true)];
        check(&Facts { memfd_noexec: Some(2), ..facts() }, &expected);
        check(&Facts { memfd_noexec: Some(1), ..facts() }, &expected[..1]);
    }

    #[test]
    fn what_costs_at_every_call_is_slow() {
        let dear = [("meltdown", "Mitigation: PTI"), ("spectre_v2", "Mitigation: IBRS; IBPB: conditional")];
        let cheap = [
            ("spectre_v2", "Mitigation: Retpolines; PBRSB-eIBRS: Not affected"),
            ("mds", "Mitigation: Clear CPU buffers"),
        ];
        let owned = |(name, text): (&str, &str)| (String::from(name), String::from(text));
        assert_eq!(mitigations(&dear.map(owned)).len(), 2);
        assert_eq!(mitigations(&cheap.map(owned)).len(), 0);
        let slow = Facts { rcu_normal: true, processor_count: 1, ..facts() };
        check(
            &slow,
            &[(Level::Ok, "kernel", false), (Level::Slow, "RCU", false), (Level::Slow, "processors", false)],
        );
    }
}
