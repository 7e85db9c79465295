//! Kernel, namespaces, capabilities, devices: what the configuration needs, and this host or this user does not have.

use std::fs;
use std::path::Path;

use linux_raw_sys::general as uapi;
use rustix::net::{AddressFamily, SocketType};

use super::{Findings, limits};
use crate::config::{
    Config, IdMapping, Idmap, IdmapMappings, MountKind, Namespace, SECCOMP_WAIT_KILLABLE_RECV,
    capability_name, memory_mode_name,
};
use crate::error::errno_text;
use crate::host::{
    HostFacts, KERNEL_MIN, Need, OwnIds, PREFERRED_MANY, TIME_NAMESPACE, Version, WAIT_KILLABLE,
    WEIGHTED_INTERLEAVE, find_in_path, is_covered, kernel_version, own_capabilities,
};
use crate::launch;

pub(super) fn check(config: &Config, host: &HostFacts, findings: &mut Findings) {
    if let Some(running) = kernel_version() {
        check_kernel(config, running, findings);
    }
    check_namespaces(config, findings);
    check_user_namespace(config, host, findings);
    check_ids(config, &OwnIds::read(), findings);
    check_capabilities(config, findings);
    check_owners(config, host, findings);
    check_covered(config, host, findings);
    check_net_devices(config, host, findings);
    check_sysctls(config, findings);
    check_memory_nodes(config, findings);
    check_apparmor_profile(config, host, findings);
}

/// Names of stacks (`a//&b`) and of other policy namespaces (`:ns:a`) are left to the kernel.
fn check_apparmor_profile(config: &Config, host: &HostFacts, findings: &mut Findings) {
    let Some(profile) = config.process.apparmor_profile.as_deref().filter(|_| host.security.apparmor) else {
        return;
    };
    // Readable to root where securityfs is mounted.
    let Ok(loaded) = fs::read_to_string("/sys/kernel/security/apparmor/profiles") else { return };
    let is_simple = !profile.starts_with(':') && !profile.contains('&');
    let mut names = loaded.lines().filter_map(|line| Some(line.rsplit_once(" (")?.0));
    if is_simple && profile != "unconfined" && !names.any(|name| name == profile) {
        findings.error("$.process.apparmorProfile", format!("{profile}: no such profile is loaded"));
    }
}

fn check_kernel(config: &Config, running: Version, findings: &mut Findings) {
    const MODE: &str = "$.linux.memoryPolicy.mode";
    let mode = config.memory_policy.as_ref().and_then(|policy| memory_mode_name(policy.mode));
    let waits_killable =
        config.seccomp.as_ref().is_some_and(|profile| profile.flags & SECCOMP_WAIT_KILLABLE_RECV != 0);
    let needs = [
        (true, "$", Need { what: "any container", since: KERNEL_MIN }),
        (config.namespaces.time == Namespace::New, "$.linux.namespaces", TIME_NAMESPACE),
        (mode == Some("MPOL_PREFERRED_MANY"), MODE, PREFERRED_MANY),
        (mode == Some("MPOL_WEIGHTED_INTERLEAVE"), MODE, WEIGHTED_INTERLEAVE),
        (waits_killable, "$.linux.seccomp.flags", WAIT_KILLABLE),
    ];
    for (is_asked, path, Need { what, since: (major, minor) }) in needs {
        if is_asked && running < (major, minor) {
            let reason =
                format!("{what} needs Linux {major}.{minor}, and this is {}.{}", running.0, running.1);
            findings.error(path, reason);
        }
    }
}

/// The spec's names, the kernel's, and the flags of clone(2).
fn namespaces(config: &Config) -> [(&'static str, &'static str, u32, &Namespace); 8] {
    let all = &config.namespaces;
    [
        ("pid", "pid", uapi::CLONE_NEWPID, &all.pid),
        ("network", "net", uapi::CLONE_NEWNET, &all.network),
        ("mount", "mnt", uapi::CLONE_NEWNS, &all.mount),
        ("ipc", "ipc", uapi::CLONE_NEWIPC, &all.ipc),
        ("uts", "uts", uapi::CLONE_NEWUTS, &all.uts),
        ("cgroup", "cgroup", uapi::CLONE_NEWCGROUP, &all.cgroup),
        ("user", "user", uapi::CLONE_NEWUSER, &all.user),
        ("time", "time", uapi::CLONE_NEWTIME, &all.time),
    ]
}

fn check_namespaces(config: &Config, findings: &mut Findings) {
    for (name, kernel_name, flag, namespace) in namespaces(config) {
        let entry = config.namespaces.entry(flag).unwrap_or_default();
        match namespace {
            Namespace::Inherit => {}
            Namespace::New => {
                if !Path::new("/proc/self/ns").join(kernel_name).exists() {
                    findings.error(entry, format!("{name}: the kernel has no such namespaces"));
                }
            }
            Namespace::Join(path) => {
                if let Err(error) = launch::check_namespace(path, flag) {
                    findings.error(format!("{entry}.path"), format!("{name}: {error}"));
                }
            }
        }
    }
}

/// Whether a new user namespace can be made and filled.
fn check_user_namespace(config: &Config, host: &HostFacts, findings: &mut Findings) {
    const PATH: &str = "$.linux.namespaces";
    if config.namespaces.user != Namespace::New {
        return;
    }
    let number = |file: &str| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    if number("/proc/sys/user/max_user_namespaces") == Some(0) {
        findings.error(PATH, "user: /proc/sys/user/max_user_namespaces is 0");
    }
    if host.is_privileged() {
        return;
    }
    if number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) {
        let reason = "user: /proc/sys/kernel/unprivileged_userns_clone lets only root make user namespaces";
        findings.error(PATH, reason);
    }
    if number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        let reason = "user: apparmor_restrict_unprivileged_userns may leave the container without privileges";
        findings.warning(PATH, reason);
    }
    let own_gid = rustix::process::getegid().as_raw();
    for (field, list, own, helper) in [
        ("uidMappings", &config.id_mappings.uids, host.uid, "newuidmap"),
        ("gidMappings", &config.id_mappings.gids, own_gid, "newgidmap"),
    ] {
        let is_own = matches!(list.as_slice(), [IdMapping { host, size: 1, .. }] if *host == own);
        if host.uid != 0 && !is_own && find_in_path(helper).is_none() {
            let reason = format!("only {own} itself can be mapped without {helper}, which is not in PATH");
            findings.error(format!("$.linux.{field}"), reason);
        }
    }
}

/// Ids that our own user namespace does not have. (What a new one maps for an ordinary user, newuidmap judges.)
fn check_ids(config: &Config, own: &OwnIds, findings: &mut Findings) {
    const REASON: &str = "our own user namespace has no such id";
    match config.namespaces.user {
        Namespace::Join(_) => {}
        Namespace::New => {
            let lists = [
                ("uidMappings", &config.id_mappings.uids, OwnIds::has_uids as fn(&OwnIds, u32, u32) -> bool),
                ("gidMappings", &config.id_mappings.gids, OwnIds::has_gids),
            ];
            for (field, list, has) in lists {
                for (index, mapping) in list.iter().enumerate() {
                    if !has(own, mapping.host, mapping.size) {
                        let path = format!("$.linux.{field}[{index}].hostID");
                        let last = u64::from(mapping.host) + u64::from(mapping.size) - 1;
                        findings.error(path, format!("{} to {last}: {REASON}", mapping.host));
                    }
                }
            }
        }
        Namespace::Inherit => {
            let user = &config.process.user;
            if !own.has_uids(user.uid, 1) {
                findings.error("$.process.user.uid", format!("{}: {REASON}", user.uid));
            }
            if !own.has_gids(user.gid, 1) {
                findings.error("$.process.user.gid", format!("{}: {REASON}", user.gid));
            }
            for (index, &gid) in
                user.additional_gids.iter().enumerate().filter(|(_, gid)| !own.has_gids(**gid, 1))
            {
                findings.error(format!("$.process.user.additionalGids[{index}]"), format!("{gid}: {REASON}"));
            }
            for (index, mount) in config.mounts.iter().enumerate() {
                if !matches!(mount.kind, MountKind::Filesystem { .. }) {
                    continue;
                }
                let is_alien = |option: &&str| match option.split_once('=') {
                    Some(("uid", uid)) => uid.parse().is_ok_and(|uid| !own.has_uids(uid, 1)),
                    Some(("gid", gid)) => gid.parse().is_ok_and(|gid| !own.has_gids(gid, 1)),
                    _ => false,
                };
                for option in mount.data.split(',').filter(is_alien) {
                    findings.error(format!("$.mounts[{index}].options"), format!("{option}: {REASON}"));
                }
            }
        }
    }
}

/// Nobody can give what they do not have, and is warned; in a user namespace of its own the container's root has all.
fn check_capabilities(config: &Config, findings: &mut Findings) {
    let Some(sets) = config.process.capabilities.as_ref() else { return };
    let names = |set: u64| {
        let names = (0..u64::BITS).filter(|number| set & 1 << number != 0).filter_map(capability_name);
        names.collect::<Vec<_>>().join(", ")
    };
    // Source: capset(2).
    let unbounded = sets.inheritable & !sets.bounding;
    if unbounded != 0 {
        let reason = format!("{} cannot be inheritable without being in the bounding set", names(unbounded));
        findings.error("$.process.capabilities.inheritable", reason);
    }
    if config.namespaces.user != Namespace::Inherit {
        return;
    }
    let own = own_capabilities();
    for (name, set) in [("effective", sets.effective), ("permitted", sets.permitted)] {
        let missing = set & !own;
        if missing != 0 {
            let reason = format!("the runtime itself lacks {}", names(missing));
            findings.warning(format!("$.process.capabilities.{name}"), reason);
        }
    }
}

/// Owners that a namespace file says are for who can open that. Other owners are for who is root where the filesystem was mounted: mount_setattr(2) wants CAP_SYS_ADMIN in the superblock's user namespace.
fn check_owners(config: &Config, host: &HostFacts, findings: &mut Findings) {
    for (index, mount) in config.mounts.iter().enumerate() {
        if let Some(Idmap { mappings: IdmapMappings::Namespace(path), .. }) = &mount.idmap
            && let Err(error) = launch::check_namespace(path, uapi::CLONE_NEWUSER)
        {
            findings.error(format!("$.mounts[{index}].options"), format!("idmap: {error}"));
        }
        let is_bind = mount.idmap.is_some() && matches!(mount.kind, MountKind::Bind { .. });
        if is_bind && host.is_initial_user_namespace && host.uid != 0 {
            findings.error(format!("$.mounts[{index}]"), launch::OWNERS_OF_ROOT);
        }
    }
}

/// In a mount namespace of another user namespace than the host's there is no new procfs or sysfs that shows more than the one that is seen.
fn check_covered(config: &Config, host: &HostFacts, findings: &mut Findings) {
    if host.is_initial_user_namespace && config.namespaces.user == Namespace::Inherit {
        return;
    }
    for (index, mount) in config.mounts.iter().enumerate() {
        if let MountKind::Filesystem { fstype, .. } = &mount.kind
            && ["proc", "sysfs"].contains(&fstype.as_str())
            && is_covered(fstype)
        {
            let reason = format!(
                "{fstype}: the kernel refuses a new one, since parts of every one that we see are covered"
            );
            findings.error(format!("$.mounts[{index}]"), reason);
        }
    }
}

fn check_net_devices(config: &Config, host: &HostFacts, findings: &mut Findings) {
    if config.net_devices.is_empty() {
        return;
    }
    if host.uid != 0 {
        findings.error("$.linux.netDevices", "moving network devices needs CAP_NET_ADMIN");
    }
    for device in &config.net_devices {
        let path = format!("$.linux.netDevices[{:?}]", device.name);
        if device.name == "lo" {
            findings.error(path, "the loopback device cannot be moved");
        } else if device.inside == "lo" {
            findings.error(format!("{path}.name"), "every network namespace has a device lo already");
        }
    }
    let Ok(socket) = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None) else { return };
    for device in &config.net_devices {
        if let Err(errno) = rustix::net::netdevice::name_to_index(&socket, &device.name) {
            let path = format!("$.linux.netDevices[{:?}]", device.name);
            findings.error(path, format!("find it: {}", errno_text(errno)));
        }
    }
}

/// A file that the host does not have is an error, but for what a new network namespace may have and ours not.
fn check_sysctls(config: &Config, findings: &mut Findings) {
    let is_numbers = |text: &str| text.split_whitespace().all(|word| word.parse::<i64>().is_ok());
    for sysctl in &config.sysctls {
        let file = Path::new("/proc/sys").join(&sysctl.name);
        let path = format!("$.linux.sysctl[{:?}]", sysctl.name.replace('/', "."));
        if file.exists() {
            // What a value means is the kernel's secret, but numbers were there before.
            let now = fs::read_to_string(&file).unwrap_or_default();
            if !now.trim().is_empty() && is_numbers(&now) && !is_numbers(&sysctl.value) {
                let reason = format!("{:?} is no number, and {} is there now", sysctl.value, now.trim());
                findings.warning(path, reason);
            }
        } else if sysctl.name.starts_with("net/") {
            findings.warning(path, format!("{} is not in the host's network", file.display()));
        } else {
            findings.error(path, format!("{} does not exist", file.display()));
        }
    }
}

fn check_memory_nodes(config: &Config, findings: &mut Findings) {
    const RELATIVE_NODES: u32 = 1 << 14;
    let Some(policy) = &config.memory_policy else { return };
    let Ok(online) = fs::read_to_string("/sys/devices/system/node/online") else { return };
    let Ok(nodes) = limits::numbers(&online) else { return };
    let is_absolute = policy.flags & RELATIVE_NODES == 0;
    if is_absolute && !policy.nodes.is_empty() && !policy.nodes.iter().any(|node| nodes.contains(node)) {
        let reason = format!("none of the nodes is online: the host has {}", online.trim());
        findings.error("$.linux.memoryPolicy.nodes", reason);
    }
}
