//! cgroups: of which version, with which controllers, and who may make them.

use std::fs;

use super::{Mounts, Symptom};
use crate::cgroup::{self, SYSTEMD_SUPPORTED};
use crate::container::cannot_limit_devices;
use crate::host::{CGROUP_MOUNT, CgroupHost, HostFacts};

pub(super) struct Facts {
    host: CgroupHost,
    /// Those that the caller's containers can be limited by.
    controllers: Vec<String>,
    /// In how many hierarchies a cgroup would have to be made, and in how many of them the caller can.
    hierarchy_count: usize,
    writable_count: usize,
    /// Whoever cannot make all of them does without.
    forgives: bool,
    /// Devices cannot be limited from where we are, and that is asked of every cgroup that can.
    cannot_limit_devices: bool,
    favors_dynamic_changes: bool,
    /// Removed cgroups whose memory is not given back yet.
    dying_count: u64,
    systemd: Systemd,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Systemd {
    /// This build has no manager for it.
    NotBuilt,
    /// The host was not booted with it.
    Absent,
    Reachable,
    Unreachable(String),
}

impl Facts {
    pub(super) fn read(host: &HostFacts, mounts: &Mounts) -> Self {
        let placement = cgroup::place(&host.cgroups, None, "pinnace-doctor").unwrap_or_default();
        let forgives = !host.is_privileged();
        let writable = placement.clone().writable();
        let made = if forgives { &writable } else { &placement };
        let is_cgroup = |fstype: &str| fstype.starts_with("cgroup");
        let favors = |options: &str| options.split(',').any(|option| option == "favordynmods");
        Self {
            controllers: controllers(host),
            hierarchy_count: placement.all().count(),
            writable_count: writable.all().count(),
            forgives,
            cannot_limit_devices: cannot_limit_devices(made, host),
            favors_dynamic_changes: mounts
                .0
                .iter()
                .any(|mount| is_cgroup(&mount.fstype) && favors(&mount.options)),
            dying_count: dying_count(),
            systemd: systemd(!host.is_privileged()),
            host: host.cgroups.clone(),
        }
    }
}

fn controllers(host: &HostFacts) -> Vec<String> {
    let all = match &host.cgroups {
        CgroupHost::None => return Vec::new(),
        CgroupHost::V1 { hierarchies, .. } => {
            let all = hierarchies.iter().flat_map(|hierarchy| hierarchy.controllers.iter().cloned());
            return all.filter(|name| !name.starts_with("name=")).collect();
        }
        // An ordinary user's containers are beside the user's own cgroup.
        CgroupHost::V2 { unified } if !host.is_privileged() => {
            let parent = unified.own.rsplit_once('/').map_or("", |(parent, _)| parent);
            format!("{}{parent}/cgroup.controllers", unified.mountpoint)
        }
        CgroupHost::V2 { unified } => format!("{}/cgroup.controllers", unified.mountpoint),
    };
    let text = fs::read_to_string(all).unwrap_or_default();
    text.split_whitespace().map(String::from).collect()
}

fn dying_count() -> u64 {
    let text = fs::read_to_string(format!("{CGROUP_MOUNT}/cgroup.stat")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("nr_dying_descendants "));
    line.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn systemd(of_user: bool) -> Systemd {
    if !SYSTEMD_SUPPORTED {
        return Systemd::NotBuilt;
    }
    // Source: sd_booted(3).
    if !fs::exists("/run/systemd/system").unwrap_or(false) {
        return Systemd::Absent;
    }
    match cgroup::ask_systemd(of_user) {
        Ok(()) => Systemd::Reachable,
        Err(error) => Systemd::Unreachable(error.to_string()),
    }
}

/// Beyond this many, what walks all cgroups is felt.
const DYING_MAX: u64 = 2000;

pub(super) fn judge(facts: &Facts) -> Vec<Symptom> {
    let mut found = vec![version(&facts.host)];
    if facts.host != CgroupHost::None {
        found.push(making(facts));
        found.extend(lacking(facts));
        if facts.cannot_limit_devices {
            found.push(
                Symptom::missing("cgroups", "we are root in a user namespace, and can make cgroups of v1's devices controller")
                    .meaning("no container starts: the kernel lets only the host's root set their rules")
                    .advice("start pinnace outside of that namespace; or keep it from writing there; or use cgroup v2")
                    .preventing_starts(true),
            );
        }
    }
    if facts.favors_dynamic_changes {
        found.push(
            Symptom::note("cgroups", "mounted with favordynmods")
                .meaning(
                    "forks and exits cost more, and moving processes costs less: pinnace moves none, other programs do",
                )
                .advice("remount with nofavordynmods, if nobody else on this host needs it"),
        );
    }
    if facts.dying_count > DYING_MAX {
        found.push(
            Symptom::slow("cgroups", format!("{} removed cgroups hold memory", facts.dying_count))
                .meaning("the kernel still walks them when it counts or reclaims memory")
                .advice("files in tmpfs, or shared memory, that containers have left keep them; removing those frees them"),
        );
    }
    found.extend(manager(&facts.systemd));
    found
}

fn version(host: &CgroupHost) -> Symptom {
    const ADVICE: &str = "boot with cgroup v2 alone (systemd.unified_cgroup_hierarchy=1 where systemd is)";
    match host {
        CgroupHost::None => Symptom::missing("cgroups", format!("none is mounted at {CGROUP_MOUNT}"))
            .meaning("no container can be limited, or paused, and nobody knows its processes")
            .advice(format!("mount -t cgroup2 cgroup2 {CGROUP_MOUNT}")),
        CgroupHost::V1 { hierarchies, unified } => {
            let name = if unified.is_some() { "v1, with a v2 hierarchy beside (hybrid)" } else { "v1" };
            let meaning = "a start makes and enters a directory in each hierarchy, a deletion removes each; v2 has one, in which \
                           the container is born. Killing all processes goes one by one";
            Symptom::slow("cgroups", format!("{name}: {} hierarchies", hierarchies.len()))
                .meaning(meaning)
                .advice(ADVICE)
        }
        CgroupHost::V2 { .. } => Symptom::ok("cgroups", "v2"),
    }
}

fn making(facts: &Facts) -> Symptom {
    let (writable, all) = (facts.writable_count, facts.hierarchy_count);
    if writable == all {
        return Symptom::ok("cgroups", "we can make them");
    }
    let symptom = Symptom::missing("cgroups", format!("we can make them in {writable} of {all} hierarchies"));
    match (facts.forgives, writable) {
        (false, _) => symptom
            .meaning("no container starts: its cgroups cannot be made")
            .advice("see who mounts them read-only, or keeps us out; or --rootless true, which does without those")
            .preventing_starts(true),
        (true, 0) => symptom
            .meaning("containers of ours start without: no limits, no pause")
            .advice("with v2 and systemd, `systemd-run --user --scope -p Delegate=yes`, or --systemd-cgroup"),
        (true, _) => symptom.meaning("containers of ours do without the others, and their limits"),
    }
}

/// The controllers without which everyday limits cannot be set.
fn lacking(facts: &Facts) -> Option<Symptom> {
    let has = |name: &&str| !facts.controllers.iter().any(|have| have == name);
    let io = if matches!(facts.host, CgroupHost::V2 { .. }) { "io" } else { "blkio" };
    let missing: Vec<&str> = ["cpu", "cpuset", io, "memory", "pids"].into_iter().filter(has).collect();
    (!missing.is_empty()).then(|| {
        Symptom::missing("cgroups", format!("no controller {}", missing.join(", ")))
            .meaning("configurations that limit these are refused")
            .advice("the kernel's command line may have switched them off (cgroup_disable=), or whoever delegates our cgroup keeps them")
    })
}

fn manager(systemd: &Systemd) -> Option<Symptom> {
    const SUBJECT: &str = "systemd";
    match systemd {
        Systemd::NotBuilt => Some(
            Symptom::note(SUBJECT, "this build of pinnace has no manager for it")
                .meaning("--systemd-cgroup is refused"),
        ),
        Systemd::Absent => {
            Some(Symptom::note(SUBJECT, "it does not run this host").meaning("--systemd-cgroup is refused"))
        }
        Systemd::Reachable => Some(Symptom::ok(SUBJECT, "it answers")),
        Systemd::Unreachable(reason) => Some(
            Symptom::missing(SUBJECT, format!("it does not answer us: {reason}"))
                .meaning("--systemd-cgroup fails")
                .advice(
                    "for an ordinary user: a login session, or `loginctl enable-linger`, and XDG_RUNTIME_DIR",
                ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use crate::host::Hierarchy;

    fn facts() -> Facts {
        let unified = Hierarchy {
            mountpoint: String::from(CGROUP_MOUNT),
            controllers: Vec::new(),
            own: String::from("/a"),
        };
        Facts {
            host: CgroupHost::V2 { unified },
            controllers: ["cpu", "cpuset", "io", "memory", "pids"].map(String::from).to_vec(),
            hierarchy_count: 1,
            writable_count: 1,
            forgives: true,
            cannot_limit_devices: false,
            favors_dynamic_changes: false,
            dying_count: 3,
            systemd: Systemd::Reachable,
        }
    }

    fn levels(facts: &Facts) -> Vec<Level> {
        judge(facts).iter().map(|each| each.level).collect()
    }

    #[test]
    fn the_unified_hierarchy_alone_is_as_it_should_be() {
        assert_eq!(levels(&facts()), [Level::Ok, Level::Ok, Level::Ok]);
    }

    #[test]
    fn old_hierarchies_are_slow_and_lack_what_is_not_mounted() {
        let hierarchy = |name: &str| Hierarchy {
            mountpoint: format!("{CGROUP_MOUNT}/{name}"),
            controllers: vec![String::from(name)],
            own: String::from("/"),
        };
        let host =
            CgroupHost::V1 { hierarchies: vec![hierarchy("memory"), hierarchy("pids")], unified: None };
        let found = judge(&Facts { host, controllers: vec!["memory".into(), "pids".into()], ..facts() });
        assert_eq!((found[0].level, found[0].found.as_str()), (Level::Slow, "v1: 2 hierarchies"));
        assert_eq!(found[2].found, "no controller cpu, cpuset, blkio");
    }

    #[test]
    fn without_cgroups_there_is_one_finding_about_them() {
        let none = Facts { host: CgroupHost::None, systemd: Systemd::Absent, ..facts() };
        assert_eq!(levels(&none), [Level::Missing, Level::Note]);
    }

    #[test]
    fn what_others_have_set_is_told() {
        let told = Facts {
            favors_dynamic_changes: true,
            dying_count: DYING_MAX + 1,
            systemd: Systemd::Unreachable(String::from("connect: permission denied")),
            writable_count: 0,
            ..facts()
        };
        assert_eq!(levels(&told), [Level::Ok, Level::Missing, Level::Note, Level::Slow, Level::Missing]);
        let prevents = |facts: &Facts| judge(facts).iter().any(|each| each.prevents_starts);
        assert!(!prevents(&told) && prevents(&Facts { forgives: false, ..told }));
        assert!(prevents(&Facts { cannot_limit_devices: true, ..facts() }));
    }
}
