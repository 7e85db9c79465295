//! Containers of ordinary users: a user namespace where the configuration has none, and cgroups where there are any.

use linux_raw_sys::general as uapi;

use crate::cgroup::Placement;
use crate::config::{
    self, Config, HookPoint, IdMapping, IdMappings, Mount, MountKind, Namespace, Problem, Problems,
};
use crate::error::{Error, Result};
use crate::host::{HostFacts, find_in_path};

/// Gives the container what an ordinary user cannot do without. Nothing changes for root.
///
/// Errors: the container wants ids that the user has not, or hooks in what the user may not look at.
pub(super) fn adapt(config: &mut Config, host: &HostFacts) -> std::result::Result<(), Problems> {
    let is_joined = matches!(config.namespaces.user, Namespace::Join(_));
    if host.uid != 0 && is_joined && !config.hooks.at(HookPoint::CreateContainer).is_empty() {
        // The kernel shows the namespaces of stage1, which was executed outside of that user namespace, to the host's root alone.
        let reason = "only root can run them where the user namespace is a joined one";
        return Err(Problems(vec![Problem {
            path: String::from("$.hooks.createContainer"),
            reason: String::from(reason),
        }]));
    }
    if host.uid == 0 || config.namespaces.user != Namespace::Inherit {
        return Ok(());
    }
    config.namespaces.user = Namespace::New;
    config.id_mappings = mappings(host.uid, rustix::process::getegid().as_raw());
    // A group that nobody is mapped to cannot own terminals.
    let is_mapped = |gid: u32| is_mapped(&config.id_mappings.gids, gid);
    for mount in &mut config.mounts {
        if matches!(&mount.kind, MountKind::Filesystem { fstype, .. } if fstype == "devpts") {
            let keeps = |option: &&str| {
                option.strip_prefix("gid=").and_then(|gid| gid.parse().ok()).is_none_or(is_mapped)
            };
            mount.data = mount.data.split(',').filter(keeps).collect::<Vec<_>>().join(",");
        }
    }
    config::unmapped(config).none()
}

fn is_mapped(list: &[IdMapping], id: u32) -> bool {
    list.iter().any(|mapping| id >= mapping.container && id - mapping.container < mapping.size)
}

/// The caller as root, and the ids that the administrator has given to the caller behind that.
fn mappings(uid: u32, gid: u32) -> IdMappings {
    let (uids, gids) = match subordinate_ids(uid) {
        // Both or neither: a group alone could not be given up.
        (Some(uids), Some(gids)) if has_helpers() => (Some(uids), Some(gids)),
        _ => (None, None),
    };
    let list = |own: u32, range: Option<Range>| {
        let first = IdMapping { container: 0, host: own, size: 1 };
        let rest = range.map(|(host, size)| IdMapping { container: 1, host, size });
        std::iter::once(first).chain(rest).collect()
    };
    IdMappings { uids: list(uid, uids), gids: list(gid, gids) }
}

/// The first of a range of ids, and their number.
type Range = (u32, u32);

/// The ranges of user and group ids that the administrator has given to a user.
pub(crate) fn subordinate_ids(uid: u32) -> (Option<Range>, Option<Range>) {
    let name = std::fs::read_to_string("/etc/passwd").ok().and_then(|text| user_name(&text, uid));
    let subordinate = |file: &str| {
        std::fs::read_to_string(file).ok().and_then(|text| range(&text, name.as_deref().unwrap_or(""), uid))
    };
    (subordinate("/etc/subuid"), subordinate("/etc/subgid"))
}

/// Who on the host is to own the container's cgroup: its user, if it can see that cgroup alone, and write there (runc does the same).
pub(super) fn cgroup_owner(config: &Config) -> Option<u32> {
    let is_writable = |mount: &Mount| {
        matches!(mount.kind, MountKind::Cgroup { .. })
            && mount.attributes.set & u64::from(uapi::MOUNT_ATTR_RDONLY) == 0
    };
    if config.namespaces.cgroup != Namespace::New || !config.mounts.iter().any(is_writable) {
        return None;
    }
    let uid = config.process.user.uid;
    let owner = match config.namespaces.user {
        Namespace::Inherit => Some(uid),
        Namespace::New => host_id(&config.id_mappings.uids, uid),
        // Whose ids are known to the kernel alone.
        Namespace::Join(_) => None,
    };
    // It is root's as it was made.
    owner.filter(|owner| *owner != 0)
}

fn host_id(list: &[IdMapping], id: u32) -> Option<u32> {
    let mapping =
        list.iter().find(|mapping| id >= mapping.container && id - mapping.container < mapping.size)?;
    Some(mapping.host + (id - mapping.container))
}

/// newuidmap(1) and newgidmap(1) are set-uid programs that not every host has.
fn has_helpers() -> bool {
    ["newuidmap", "newgidmap"].into_iter().all(|helper| find_in_path(helper).is_some())
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// The first range of a user, by name or number: `name:100000:65536` (subuid(5)).
fn range(text: &str, name: &str, uid: u32) -> Option<Range> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let is_own = (!name.is_empty() && owner == name) || owner.parse() == Ok(uid);
        let numbers = (fields.next()?.parse().ok()?, fields.next()?.trim().parse().ok()?);
        is_own.then_some(numbers)
    })
}

/// The cgroups that the caller can make. Where there are none the container goes without, unless they were asked for.
///
/// Errors: limits or a path were asked for, and nothing can be made.
pub(super) fn place(placement: Placement, config: &Config, host: &HostFacts) -> Result<Placement> {
    let writable = placement.writable();
    if writable.is_empty() && host.uid != 0 && config.cgroups_path.is_some() {
        return Err(Error::new(
            "$.linux.cgroupsPath: no cgroup hierarchy can be written: delegate one to the user",
        ));
    }
    if writable.is_empty() && config.resources.has_limits() {
        return Err(Error::new(
            "$.linux.resources: no cgroup hierarchy can be written: limits cannot be set",
        ));
    }
    Ok(writable)
}

/// Whether the cgroups need what the kernel gives to nobody but the host's root: rules for devices, on v1.
pub(crate) fn cannot_limit_devices(placement: &Placement, host: &HostFacts) -> bool {
    let has_devices =
        |view: &crate::cgroup::View| view.options.iter().any(|controller| controller == "devices");
    !host.is_initial_user_namespace && placement.views().iter().any(has_devices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_belong_to_names_and_numbers() {
        let text = "other:1:2\nweb:100000:65536\n33:5:6\n";
        assert_eq!(range(text, "web", 1000), Some((100_000, 65536)));
        assert_eq!(range(text, "", 33), Some((5, 6)));
        assert_eq!(range(text, "nobody", 7), None);
        assert_eq!(user_name("root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\n", 33).as_deref(), Some("web"));
    }

    #[test]
    fn ids_are_mapped_within_their_ranges() {
        let list = [
            IdMapping { container: 0, host: 1000, size: 1 },
            IdMapping { container: 1, host: 100_000, size: 10 },
        ];
        for (id, expected) in [(0, true), (1, true), (10, true), (11, false)] {
            assert_eq!(is_mapped(&list, id), expected, "{id}");
        }
        assert_eq!(host_id(&list, 10), Some(100_009));
        assert_eq!(host_id(&list, 11), None);
    }
}
