//! What the caller may do: capabilities, and what somebody has put around it.

use super::namespaces::needs_helpers;
use super::{Symptom, line};
use crate::config::capability_number;
use crate::host::{HostFacts, own_capabilities};

pub(super) struct Facts {
    /// An ordinary user has none, and needs none: a user namespace gives its own.
    is_ordinary: bool,
    /// A bit for each.
    capabilities: u64,
    /// A seccomp filter is around us.
    is_filtered: bool,
    has_no_new_privileges: bool,
    /// newuidmap(1) maps ids for containers of ours.
    needs_helpers: bool,
    /// The AppArmor profile or SELinux context that we are in, if one confines us.
    confinement: Option<String>,
}

impl Facts {
    pub(super) fn read(host: &HostFacts) -> Self {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let own = line("/proc/thread-self/attr/current").map(|text| text.trim_end_matches('\0').to_owned());
        Self {
            is_ordinary: host.uid != 0,
            capabilities: own_capabilities(),
            is_filtered: field("Seccomp:").is_some_and(|mode| mode != "0"),
            has_no_new_privileges: field("NoNewPrivs:") == Some("1"),
            needs_helpers: host.uid != 0 && needs_helpers(host.uid),
            confinement: own.filter(|own| host.security.apparmor && !own.is_empty() && own != "unconfined"),
        }
    }
}

/// Those without which the default configuration's start fails, and what it does with each. (Seen by taking away one after the other.)
const NEEDED: [(&str, &str); 5] = [
    ("CAP_SYS_ADMIN", "makes namespaces and mounts"),
    ("CAP_NET_ADMIN", "brings the loopback up"),
    ("CAP_SETGID", "becomes the program's groups"),
    ("CAP_SETPCAP", "drops what the program shall not have"),
    ("CAP_MKNOD", "makes devices"),
];

/// Those that other configurations miss.
const WANTED: [(&str, &str); 7] = [
    ("CAP_SETUID", "becomes a user other than root"),
    ("CAP_CHOWN", "gives devices and terminals to others"),
    ("CAP_DAC_OVERRIDE", "works in directories of others"),
    ("CAP_SYS_RESOURCE", "raises limits (rlimits, a lower oomScoreAdj)"),
    ("CAP_SYS_CHROOT", "enters a mount namespace that is joined"),
    ("CAP_KILL", "signals containers of other users"),
    ("CAP_SYS_PTRACE", "looks at processes of other users"),
];

pub(super) fn judge(facts: &Facts) -> Vec<Symptom> {
    let mut found = if facts.is_ordinary { Vec::new() } else { capabilities(facts.capabilities) };
    if facts.is_filtered {
        found.push(
            Symptom::slow("seccomp", "a filter is around us")
                .meaning("every system call of a start passes it, and those that it forbids fail; containers get it, too")
                .advice("whoever started us decides: a container manager's --security-opt seccomp=unconfined, a unit's SystemCallFilter="),
        );
    }
    if facts.has_no_new_privileges {
        let symptom = if facts.needs_helpers {
            Symptom::missing("privileges", "no_new_privs is set: newuidmap and newgidmap have no effect")
                .meaning("no container of ours starts: we have ids of /etc/subuid, which they are to map")
                .preventing_starts(true)
        } else {
            Symptom::note("privileges", "no_new_privs is set")
                .meaning("set-uid programs in containers have no effect, whatever they say")
        };
        found.push(symptom.advice("a unit's NoNewPrivileges=no, or start from elsewhere"));
    }
    if let Some(profile) = &facts.confinement {
        found.push(
            Symptom::note("AppArmor", format!("we are in the profile {profile}"))
                .meaning("it may keep us from mounts, and containers from profiles of their own"),
        );
    }
    found
}

fn capabilities(own: u64) -> Vec<Symptom> {
    const SUBJECT: &str = "capabilities";
    let lacks =
        |(name, _): &(&str, &str)| capability_number(name).is_none_or(|number| own & 1 << number == 0);
    let mut found: Vec<Symptom> = NEEDED
        .iter()
        .chain(&WANTED)
        .filter(|entry| lacks(entry))
        .map(|&(name, use_of_it)| {
            let is_needed = NEEDED.iter().any(|(needed, _)| *needed == name);
            let meaning = if is_needed { "no container starts" } else { "some configurations fail" };
            Symptom::missing(SUBJECT, format!("we lack {name}"))
                .meaning(format!("{meaning}: it {use_of_it}"))
                .advice("whoever started us has taken it away: a container manager's --cap-add, a unit's CapabilityBoundingSet=")
                .preventing_starts(is_needed)
        })
        .collect();
    if found.is_empty() {
        found.push(Symptom::ok(SUBJECT, "we have all that starts need"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    fn facts() -> Facts {
        Facts {
            is_ordinary: false,
            capabilities: u64::MAX,
            is_filtered: false,
            has_no_new_privileges: false,
            needs_helpers: false,
            confinement: None,
        }
    }

    #[track_caller]
    fn check(facts: &Facts, expected: &[(Level, &str, bool)]) {
        let found = judge(facts);
        let short: Vec<_> =
            found.iter().map(|each| (each.level, each.found.as_str(), each.prevents_starts)).collect();
        assert_eq!(short, expected);
    }

    #[test]
    fn capabilities_are_told_by_their_names() {
        let bit = |name| 1u64 << capability_number(name).expect("a name");
        check(&facts(), &[(Level::Ok, "we have all that starts need", false)]);
        let some = Facts { capabilities: !bit("CAP_CHOWN") & !bit("CAP_SYS_ADMIN"), ..facts() };
        check(
            &some,
            &[(Level::Missing, "we lack CAP_SYS_ADMIN", true), (Level::Missing, "we lack CAP_CHOWN", false)],
        );
        check(&Facts { is_ordinary: true, capabilities: 0, ..facts() }, &[]);
    }

    #[test]
    fn what_is_around_us_is_told() {
        let around = Facts {
            is_ordinary: true,
            is_filtered: true,
            has_no_new_privileges: true,
            needs_helpers: true,
            confinement: Some(String::from("docker-default (enforce)")),
            ..facts()
        };
        let no_new = "no_new_privs is set: newuidmap and newgidmap have no effect";
        let profile = "we are in the profile docker-default (enforce)";
        check(
            &around,
            &[
                (Level::Slow, "a filter is around us", false),
                (Level::Missing, no_new, true),
                (Level::Note, profile, false),
            ],
        );
        // One id of our own the kernel lets us map ourselves.
        let alone = Facts { is_ordinary: true, has_no_new_privileges: true, ..facts() };
        check(&alone, &[(Level::Note, "no_new_privs is set", false)]);
    }
}
