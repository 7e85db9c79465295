//! Namespaces: which kinds the kernel has and lets be made, and what an ordinary user needs for a user namespace.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Mounts, Symptom, line, number};
use crate::cgroup;
use crate::container::subordinate_ids;
use crate::host::{HostFacts, OwnIds, find_in_path, is_covered, owns_mount_namespace};

/// The files of /proc/self/ns, and the sysctls that bound their number.
const KINDS: [(&str, &str); 8] = [
    ("mnt", "mnt"),
    ("pid", "pid"),
    ("net", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("cgroup", "cgroup"),
    ("user", "user"),
    ("time", "time"),
];

/// Those that the default configuration makes new.
const NEEDED: [&str; 5] = ["mnt", "pid", "net", "ipc", "uts"];

pub(super) struct Facts {
    /// The kinds that this kernel does not have, and those of which none can be made.
    absent: Vec<&'static str>,
    forbidden: Vec<&'static str>,
    /// The caller needs a user namespace for every container.
    is_ordinary: bool,
    /// Sysctls by which distributions keep ordinary users from user namespaces.
    unprivileged_denied: bool,
    apparmor_restricts: bool,
    /// A profile of ours may allow them.
    has_profile: bool,
    ids: Ids,
    /// Something is mounted over a part of every procfs, or sysfs, that we see.
    is_proc_covered: bool,
    is_sysfs_covered: bool,
    hides_processes: bool,
    /// Our user namespace is not the host's.
    is_inner: bool,
    /// What root needs in a user namespace that is not the host's: a mount namespace of that, and the ids of the default configuration.
    owns_mounts: bool,
    /// A container that sees its cgroups gets them from our mount namespace.
    sends_cgroups: bool,
    has_default_ids: bool,
}

/// The group of terminals, which the default configuration mounts /dev/pts for.
const TERMINAL_GROUP: u32 = 5;

/// What an ordinary user's containers have beside the user's own id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ids {
    /// That many user and group ids, and programs that may map them.
    Ranges(u32, u32),
    NoRange,
    NoHelper,
    /// The helpers are there, and have not the privilege that they are for.
    PlainHelper,
}

impl Facts {
    pub(super) fn read(host: &HostFacts, mounts: &Mounts) -> Self {
        let kinds = || KINDS.into_iter();
        let exists = |name: &str| Path::new("/proc/self/ns").join(name).exists();
        let is_bounded = |name: &str| number(&format!("/proc/sys/user/max_{name}_namespaces")) == Some(0);
        let names = |(name, _): (&'static str, &str)| name;
        Self {
            absent: kinds().filter(|(name, _)| !exists(name)).map(names).collect(),
            forbidden: kinds().filter(|(_, sysctl)| is_bounded(sysctl)).map(names).collect(),
            is_ordinary: host.uid != 0,
            unprivileged_denied: number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0),
            apparmor_restricts: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1),
            has_profile: line("/proc/thread-self/attr/current")
                .is_some_and(|own| own.trim_end_matches('\0') != "unconfined"),
            ids: ids(host.uid),
            is_proc_covered: is_covered("proc"),
            is_sysfs_covered: is_covered("sysfs"),
            is_inner: !host.is_initial_user_namespace,
            hides_processes: hides_processes(mounts),
            owns_mounts: owns_mount_namespace(),
            sends_cgroups: sends_cgroups(host),
            has_default_ids: OwnIds::read().has_gids(TERMINAL_GROUP, 1),
        }
    }
}

fn sends_cgroups(host: &HostFacts) -> bool {
    let placement = cgroup::place(&host.cgroups, None, "pinnace-doctor").unwrap_or_default();
    let made = if host.is_privileged() { placement } else { placement.writable() };
    !made.views().is_empty()
}

/// Whether a start of this user's has somebody else map its ids.
pub(super) fn needs_helpers(uid: u32) -> bool {
    matches!(ids(uid), Ids::Ranges(..) | Ids::PlainHelper)
}

fn ids(uid: u32) -> Ids {
    let (Some((_, uids)), Some((_, gids))) = subordinate_ids(uid) else { return Ids::NoRange };
    let Some(helpers) = ["newuidmap", "newgidmap"].into_iter().map(find_in_path).collect::<Option<Vec<_>>>()
    else {
        return Ids::NoHelper;
    };
    // Set-uid root, or with file capabilities, which are an extended attribute.
    let is_privileged = |path: &Path| {
        fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o4000 != 0)
            || rustix::fs::getxattr(path, "security.capability", &mut [0u8; 64]).is_ok()
    };
    if helpers.iter().all(|path| is_privileged(path)) { Ids::Ranges(uids, gids) } else { Ids::PlainHelper }
}

/// Source: proc(5), "hidepid".
fn hides_processes(mounts: &Mounts) -> bool {
    let hides =
        |option: &str| option.strip_prefix("hidepid=").is_some_and(|value| value != "0" && value != "off");
    let proc = mounts.0.iter().rfind(|mount| mount.point == "/proc");
    proc.is_some_and(|proc| proc.options.split(',').any(hides))
}

pub(super) fn judge(facts: &Facts) -> Vec<Symptom> {
    let mut found = kinds(facts);
    if !facts.is_ordinary {
        if facts.forbidden.contains(&"user") || facts.absent.contains(&"user") {
            found.push(
                Symptom::missing("user namespaces", "none can be made")
                    .meaning("configurations with a user namespace are refused, and ordinary users have no containers")
                    .advice("sysctl user.max_user_namespaces"),
            );
        }
        found.extend(inner_root(facts));
        return found;
    }
    found.extend(ordinary(facts));
    found
}

/// What concerns root in a user namespace that somebody else has made.
fn inner_root(facts: &Facts) -> Vec<Symptom> {
    let mut found = Vec::new();
    if !facts.owns_mounts {
        found.push(
            Symptom::missing("mounts", "our mount namespace belongs to another user namespace")
                .meaning("we may not copy mounts of it: containers that see their cgroups of v1 do not start")
                .advice("a mount namespace beside the user namespace: unshare -m")
                .preventing_starts(facts.sends_cgroups),
        );
    }
    if !facts.has_default_ids {
        found.push(
            Symptom::missing("ids", format!("our user namespace has no group {TERMINAL_GROUP}"))
                .meaning("the default configuration does not start, whose terminals belong to that group")
                .advice(
                    "map more ids (unshare --map-auto), or the configuration of `pinnace spec --rootless`",
                )
                .preventing_starts(true),
        );
    }
    if facts.is_inner {
        found.extend(covered("procfs", facts.is_proc_covered));
        found.extend(covered("sysfs", facts.is_sysfs_covered));
    }
    found
}

fn kinds(facts: &Facts) -> Vec<Symptom> {
    const SUBJECT: &str = "namespaces";
    let mut found = Vec::new();
    for (names, why, advice) in [
        (&facts.absent, "the kernel has no such namespaces", "a kernel that is built with them"),
        (&facts.forbidden, "their greatest number is 0", "sysctl user.max_KIND_namespaces"),
    ] {
        for name in names.iter().filter(|name| **name != "user") {
            let is_needed = NEEDED.contains(name);
            let meaning = if is_needed {
                "the default configuration wants a new one"
            } else {
                "configurations that want one are refused"
            };
            found.push(
                Symptom::missing(SUBJECT, format!("{name}: {why}"))
                    .meaning(meaning)
                    .advice(advice)
                    .preventing_starts(is_needed),
            );
        }
    }
    if found.is_empty() {
        found.push(Symptom::ok(SUBJECT, "all kinds can be made"));
    }
    found
}

/// What concerns those whose containers have a user namespace in any case.
fn ordinary(facts: &Facts) -> Vec<Symptom> {
    const SUBJECT: &str = "user namespaces";
    let mut found = Vec::new();
    let never = |what: &str| {
        Symptom::missing(SUBJECT, what).meaning("no container of ours starts").preventing_starts(true)
    };
    if facts.absent.contains(&"user") {
        found.push(never("the kernel has none").advice("a kernel with CONFIG_USER_NS"));
    } else if facts.forbidden.contains(&"user") {
        found.push(never("user.max_user_namespaces is 0").advice("sysctl user.max_user_namespaces, as root"));
    } else if facts.unprivileged_denied {
        let advice = "sysctl kernel.unprivileged_userns_clone=1, as root";
        found.push(never("kernel.unprivileged_userns_clone is 0: only root makes them").advice(advice));
    } else if facts.apparmor_restricts && !facts.has_profile {
        let advice = "a profile for pinnace with `userns,`, or the sysctl 0, as root";
        let found_it = "kernel.apparmor_restrict_unprivileged_userns is 1, and we have no AppArmor profile";
        found.push(never(found_it).advice(advice));
    } else if facts.apparmor_restricts {
        found.push(
            Symptom::note(SUBJECT, "kernel.apparmor_restrict_unprivileged_userns is 1")
                .meaning("our AppArmor profile has to allow them: otherwise they come without capabilities, and no container starts")
                .advice("`userns,` in the profile, or the sysctl 0, as root"),
        );
    } else {
        found.push(Symptom::ok(SUBJECT, "we can make them"));
    }
    found.push(mapped(facts.ids));
    found.extend(covered("procfs", facts.is_proc_covered));
    if facts.hides_processes {
        found.push(
            Symptom::note("procfs", "/proc hides processes of others (hidepid)")
                .meaning("the runtime cannot look at a first process that is not root in its container, whose ids are others than ours"),
        );
    }
    found
}

/// A filesystem of which the kernel refuses a new one where only user namespaces let us make it.
fn covered(subject: &'static str, is_covered: bool) -> Option<Symptom> {
    is_covered.then(|| {
        Symptom::missing(subject, format!("parts of every {subject} that we see are covered"))
            .meaning("the kernel refuses us a new one, which the default configuration mounts: we are in a container, perhaps")
            .advice("whoever made that one can leave it uncovered, or containers here bind what they see")
            .preventing_starts(true)
    })
}

fn mapped(ids: Ids) -> Symptom {
    const SUBJECT: &str = "ids";
    let alone = "containers of ours have the one id 0; programs that change their user fail";
    match ids {
        Ids::Ranges(uids, gids) => {
            Symptom::ok(SUBJECT, format!("{uids} user ids and {gids} group ids beside our own"))
        }
        Ids::NoRange => Symptom::missing(SUBJECT, "no range of ours is in /etc/subuid and /etc/subgid")
            .meaning(alone)
            .advice("usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME, as root"),
        Ids::NoHelper => Symptom::missing(SUBJECT, "newuidmap and newgidmap are not in PATH")
            .meaning(alone)
            .advice("the package uidmap, or shadow-utils"),
        Ids::PlainHelper => {
            Symptom::missing(SUBJECT, "newuidmap or newgidmap has neither the set-uid bit nor capabilities")
                .meaning("it may map nothing: containers of ours do not start")
                .advice("chmod u+s, as the package has it")
                .preventing_starts(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Level, Mounted};
    use super::*;

    fn facts() -> Facts {
        Facts {
            absent: Vec::new(),
            forbidden: Vec::new(),
            is_ordinary: true,
            unprivileged_denied: false,
            apparmor_restricts: false,
            has_profile: false,
            ids: Ids::Ranges(65536, 65536),
            is_proc_covered: false,
            is_sysfs_covered: false,
            is_inner: false,
            hides_processes: false,
            owns_mounts: true,
            sends_cgroups: true,
            has_default_ids: true,
        }
    }

    #[track_caller]
    fn check(facts: &Facts, levels: &[Level], prevents: bool) {
        let found = judge(facts);
        let short: Vec<Level> = found.iter().map(|each| each.level).collect();
        assert_eq!(short, levels, "{found:#?}");
        assert_eq!(found.iter().any(|each| each.prevents_starts), prevents, "{found:#?}");
    }

    #[test]
    fn an_ordinary_user_needs_what_root_does_not() {
        use Level::{Missing, Note, Ok};

        check(&facts(), &[Ok, Ok, Ok], false);
        check(&Facts { is_ordinary: false, ..facts() }, &[Ok], false);
        check(&Facts { unprivileged_denied: true, ..facts() }, &[Ok, Missing, Ok], true);
        check(&Facts { unprivileged_denied: true, is_ordinary: false, ..facts() }, &[Ok], false);
        check(&Facts { forbidden: vec!["user"], ..facts() }, &[Ok, Missing, Ok], true);
        check(&Facts { forbidden: vec!["user"], is_ordinary: false, ..facts() }, &[Ok, Missing], false);
        let restricted = || Facts { apparmor_restricts: true, ids: Ids::NoRange, ..facts() };
        check(&restricted(), &[Ok, Missing, Missing], true);
        check(&Facts { has_profile: true, ..restricted() }, &[Ok, Note, Missing], false);
        check(&Facts { ids: Ids::PlainHelper, ..facts() }, &[Ok, Ok, Missing], true);
        check(
            &Facts { is_proc_covered: true, hides_processes: true, ..facts() },
            &[Ok, Ok, Ok, Missing, Note],
            true,
        );
    }

    #[test]
    fn root_of_an_inner_namespace_needs_mounts_and_ids() {
        use Level::{Missing, Ok};

        let root = || Facts { is_ordinary: false, ..facts() };
        check(&Facts { owns_mounts: false, ..root() }, &[Ok, Missing], true);
        check(&Facts { owns_mounts: false, sends_cgroups: false, ..root() }, &[Ok, Missing], false);
        check(&Facts { has_default_ids: false, ..root() }, &[Ok, Missing], true);
        check(&Facts { has_default_ids: false, ..facts() }, &[Ok, Ok, Ok], false);
        let covered = || Facts { is_proc_covered: true, is_sysfs_covered: true, ..root() };
        check(&Facts { is_inner: true, ..covered() }, &[Ok, Missing, Missing], true);
        check(&covered(), &[Ok], false);
    }

    #[test]
    fn kinds_that_every_container_wants_prevent_starts() {
        check(&Facts { absent: vec!["time"], is_ordinary: false, ..facts() }, &[Level::Missing], false);
        check(&Facts { forbidden: vec!["net"], is_ordinary: false, ..facts() }, &[Level::Missing], true);
    }

    #[test]
    fn hidden_processes_are_an_option_of_proc() {
        for (options, expected) in
            [("rw", false), ("rw,hidepid=0", false), ("rw,hidepid=2", true), ("rw,hidepid=invisible", true)]
        {
            let proc = Mounted { point: "/proc".into(), fstype: "proc".into(), options: options.into() };
            assert_eq!(hides_processes(&Mounts(vec![proc])), expected, "{options}");
        }
    }
}
