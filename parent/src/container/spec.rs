//! The configuration to begin with.

use crate::config;
use crate::error::Result;
use crate::host::{CgroupHost, HostFacts, Questions};

/// A config.json as runc writes it for this host: a shell on a terminal. With `rootless` one for the caller, who is not root.
pub fn default_config(rootless: bool) -> Result<String> {
    let host = HostFacts::read(Questions::default())?;
    // On a v2 host runc's default has a cgroup namespace.
    let unified = matches!(host.cgroups, CgroupHost::V2 { .. });
    Ok(match rootless {
        false => config::default_spec(unified),
        true => config::rootless_spec(unified, host.uid, rustix::process::getegid().as_raw()),
    })
}
