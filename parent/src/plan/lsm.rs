//! Labels of the security modules. What the host does not have cannot be asked of it: going on without would be a container
//! that is less confined than its configuration says.

use shared_proto::{Phase, Step};

use super::{Draft, Request, Unsupported};
use crate::config::Config;
use crate::host::SecurityHost;

/// Filesystems whose files the kernel labels itself, and that refuse a context.
const LABELLED_BY_THE_KERNEL: [&str; 4] = ["proc", "sysfs", "cgroup", "cgroup2"];

/// Plans the program's labels; they come before the keyring, which gets the same.
pub(super) fn plan<'a>(draft: &mut Draft<'a>, request: &Request<'a>) {
    let process = &request.config.process;
    if let Some(label) = &process.selinux_label {
        draft.push(Phase::Identity, Step::SetSelinuxLabel { label });
    }
    if let Some(profile) = &process.apparmor_profile {
        draft.push(Phase::Identity, Step::SetAppArmorProfile { profile });
    }
}

/// The labels that nobody would enforce.
pub(super) fn unsupported(config: &Config, security: SecurityHost) -> Vec<Unsupported> {
    let mut missing = Vec::new();
    let needs_selinux = [
        ("$.process.selinuxLabel", config.process.selinux_label.is_some()),
        ("$.linux.mountLabel", config.mount_label.is_some()),
    ];
    for (path, is_set) in needs_selinux {
        if is_set && !security.selinux {
            let reason = "selinux label is specified in config, but selinux is disabled or not supported";
            missing.push(Unsupported { path, reason: reason.into() });
        }
    }
    if let Some(profile) = &config.process.apparmor_profile
        && !security.apparmor
    {
        let reason =
            format!("profile {profile:?} is specified in config, but apparmor is disabled or not supported");
        missing.push(Unsupported { path: "$.process.apparmorProfile", reason });
    }
    missing
}

/// The mount data of a new filesystem, with the container's label where it takes one.
pub(super) fn labelled<'a>(draft: &Draft<'a>, request: &Request<'a>, fstype: &str, data: &'a str) -> &'a str {
    match label(request, fstype) {
        Some(label) => {
            // A label may have commas; stage1 looks for the words behind the last of the others.
            let separator = if data.is_empty() { "" } else { "," };
            draft.keep(format!("{data}{separator}context=\"{label}\""))
        }
        None => data,
    }
}

/// The label that the files of a new filesystem get.
pub(super) fn label<'a>(request: &Request<'a>, fstype: &str) -> Option<&'a str> {
    let label = request.config.mount_label.as_deref();
    label.filter(|_| !LABELLED_BY_THE_KERNEL.contains(&fstype))
}
