//! Kernel, namespaces, privileges, devices: what the configuration needs, and this host or this user does not have.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use linux_raw_sys::general as uapi;
use rustix::net::{AddressFamily, SocketType};
use rustix::process::{Resource, getrlimit};

use super::Findings;
use crate::config::{
    Config, IdMapping, MountKind, Namespace, SECCOMP_WAIT_KILLABLE_RECV, capability_name, memory_mode_name,
    rlimit_name,
};
use crate::error::errno_text;
use crate::host::HostFacts;
use crate::launch;

/// major, minor.
type Version = (u32, u32);

/// mount_setattr(2), without which no mount gets its flags.
const KERNEL_MIN: Version = (5, 12);

pub(super) fn check(config: &Config, host: &HostFacts, findings: &mut Findings) {
    if let Some(running) = kernel_version() {
        check_kernel(config, running, findings);
    }
    check_namespaces(config, findings);
    check_user_namespace(config, host, findings);
    check_privileges(config, host, findings);
    check_capabilities(config, findings);
    check_net_devices(config, host, findings);
    check_sysctls(config, findings);
    check_memory_nodes(config, findings);
    check_listener(config, findings);
}

fn kernel_version() -> Option<Version> {
    parse_version(&rustix::system::uname().release().to_string_lossy())
}

/// The first two numbers of `6.1.0-9-amd64`.
fn parse_version(release: &str) -> Option<Version> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn check_kernel(config: &Config, running: Version, findings: &mut Findings) {
    const MODE: &str = "$.linux.memoryPolicy.mode";
    let mode = config.memory_policy.as_ref().and_then(|policy| memory_mode_name(policy.mode));
    let waits_killable =
        config.seccomp.as_ref().is_some_and(|profile| profile.flags & SECCOMP_WAIT_KILLABLE_RECV != 0);
    let needs = [
        (true, "$", KERNEL_MIN, "any container"),
        (config.namespaces.time == Namespace::New, "$.linux.namespaces", (6, 1), "a new time namespace"),
        (mode == Some("MPOL_PREFERRED_MANY"), MODE, (5, 15), "MPOL_PREFERRED_MANY"),
        (mode == Some("MPOL_WEIGHTED_INTERLEAVE"), MODE, (6, 9), "MPOL_WEIGHTED_INTERLEAVE"),
        (waits_killable, "$.linux.seccomp.flags", (5, 19), "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"),
    ];
    for (is_asked, path, least, what) in needs {
        if is_asked && running < least {
            let (major, minor) = least;
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
    const PATH: &str = "$.linux.namespaces";
    for (name, kernel_name, flag, namespace) in namespaces(config) {
        match namespace {
            Namespace::Inherit => {}
            Namespace::New => {
                if !Path::new("/proc/self/ns").join(kernel_name).exists() {
                    findings.error(PATH, format!("{name}: the kernel has no such namespaces"));
                }
            }
            Namespace::Join(path) => {
                if let Err(error) = launch::check_namespace(path, flag) {
                    findings.error(PATH, format!("{name}: {error}"));
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
        if host.uid != 0 && !is_own && !is_in_path(helper) {
            let reason = format!("only {own} itself can be mapped without {helper}, which is not in PATH");
            findings.error(format!("$.linux.{field}"), reason);
        }
    }
}

fn is_in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// What root may and others may not.
fn check_privileges(config: &Config, host: &HostFacts, findings: &mut Findings) {
    if host.uid == 0 {
        return;
    }
    for (index, limit) in config.process.rlimits.iter().enumerate() {
        let own = rlimit_name(limit.resource).and_then(resource).and_then(|kind| getrlimit(kind).maximum);
        if let Some(own) = own.filter(|own| limit.hard > *own) {
            let reason = format!("raising it above {own} needs CAP_SYS_RESOURCE");
            findings.error(format!("$.process.rlimits[{index}].hard"), reason);
        }
    }
    let own = fs::read_to_string("/proc/self/oom_score_adj").ok();
    let own = own.and_then(|text| text.trim().parse::<i32>().ok()).unwrap_or(0);
    if config.process.oom_score_adj.is_some_and(|score| score < own) {
        let reason = format!("lowering it below {own} needs CAP_SYS_RESOURCE");
        findings.error("$.process.oomScoreAdj", reason);
    }
}

/// Nobody can give what he does not have; in a user namespace of its own the container's root has all.
fn check_capabilities(config: &Config, findings: &mut Findings) {
    let Some(sets) = config.process.capabilities.as_ref() else { return };
    if config.namespaces.user != Namespace::Inherit {
        return;
    }
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let own = status.lines().find_map(|line| line.strip_prefix("CapPrm:"));
    let Some(own) = own.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) else { return };
    for (name, set) in [("effective", sets.effective), ("permitted", sets.permitted)] {
        let missing: Vec<_> = (0..64).filter(|number| set & !own & 1 << number != 0).collect();
        if !missing.is_empty() {
            let names: Vec<_> = missing.into_iter().filter_map(capability_name).collect();
            let reason = format!("the runtime itself lacks {}", names.join(", "));
            findings.error(format!("$.process.capabilities.{name}"), reason);
        }
    }
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "RLIMIT_CPU" => Resource::Cpu,
        "RLIMIT_FSIZE" => Resource::Fsize,
        "RLIMIT_DATA" => Resource::Data,
        "RLIMIT_STACK" => Resource::Stack,
        "RLIMIT_CORE" => Resource::Core,
        "RLIMIT_RSS" => Resource::Rss,
        "RLIMIT_NPROC" => Resource::Nproc,
        "RLIMIT_NOFILE" => Resource::Nofile,
        "RLIMIT_MEMLOCK" => Resource::Memlock,
        "RLIMIT_AS" => Resource::As,
        "RLIMIT_LOCKS" => Resource::Locks,
        "RLIMIT_SIGPENDING" => Resource::Sigpending,
        "RLIMIT_MSGQUEUE" => Resource::Msgqueue,
        "RLIMIT_NICE" => Resource::Nice,
        "RLIMIT_RTPRIO" => Resource::Rtprio,
        "RLIMIT_RTTIME" => Resource::Rttime,
        _ => return None,
    })
}

fn check_net_devices(config: &Config, host: &HostFacts, findings: &mut Findings) {
    if config.net_devices.is_empty() {
        return;
    }
    if host.uid != 0 {
        findings.error("$.linux.netDevices", "moving network devices needs CAP_NET_ADMIN");
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
    for sysctl in &config.sysctls {
        if Path::new("/proc/sys").join(&sysctl.name).exists() {
            continue;
        }
        let path = format!("$.linux.sysctl[{:?}]", sysctl.name.replace('/', "."));
        if sysctl.name.starts_with("net/") {
            findings.warning(path, format!("/proc/sys/{} is not in the host's network", sysctl.name));
        } else {
            findings.error(path, format!("/proc/sys/{} does not exist", sysctl.name));
        }
    }
}

fn check_memory_nodes(config: &Config, findings: &mut Findings) {
    const RELATIVE_NODES: u32 = 1 << 14;
    let Some(policy) = &config.memory_policy else { return };
    let Ok(online) = fs::read_to_string("/sys/devices/system/node/online") else { return };
    let is_online = |node: u32| {
        online.trim().split(',').any(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let range = first.parse::<u32>().ok().zip(last.parse::<u32>().ok());
            range.is_some_and(|(first, last)| (first..=last).contains(&node))
        })
    };
    let is_absolute = policy.flags & RELATIVE_NODES == 0;
    if is_absolute && !policy.nodes.is_empty() && !policy.nodes.iter().any(|&node| is_online(node)) {
        let reason = format!("none of the nodes is online: the host has {}", online.trim());
        findings.error("$.linux.memoryPolicy.nodes", reason);
    }
}

/// `create` does not call the agent, but whoever starts the container will.
fn check_listener(config: &Config, findings: &mut Findings) {
    let Some(listener) = config.seccomp.as_ref().and_then(|profile| profile.listener.as_ref()) else {
        return;
    };
    let is_socket = fs::metadata(&listener.path).is_ok_and(|data| data.file_type().is_socket());
    if !is_socket {
        let reason = format!("no socket is at {}: start would fail", listener.path);
        findings.warning("$.linux.seccomp.listenerPath", reason);
    }
}

/// A filesystem that the kernel does not have yet; a module may bring it.
pub(super) fn check_filesystem(kind: &MountKind, path: &str, findings: &mut Findings) {
    let MountKind::Filesystem { fstype, .. } = kind else { return };
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !known.lines().any(|line| line.split_whitespace().last() == Some(fstype)) {
        findings.warning(format!("{path}.type"), format!("{fstype} is not in /proc/filesystems yet"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_the_first_two_numbers() {
        for (release, expected) in
            [("6.1.0-9-amd64", Some((6, 1))), ("5.10", Some((5, 10))), ("6.18+", Some((6, 18))), ("x", None)]
        {
            assert_eq!(parse_version(release), expected, "{release}");
        }
    }
}
