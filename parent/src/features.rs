//! `features`: what this program can do, whichever host it is on.
//!
//! Every list is made from the table by which a configuration is accepted.
//! Source: runtime-spec 1.3.0, features.md and features-linux.md; printed as runc prints it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::cgroup;
use crate::config::{self, HookPoint};
use crate::error::{Error, Result};
use crate::seccomp;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Features {
    oci_version_min: &'static str,
    oci_version_max: &'static str,
    hooks: Vec<&'static str>,
    mount_options: Vec<String>,
    linux: Linux,
    annotations: BTreeMap<&'static str, String>,
    /// A name that ends with a full stop means all that begin so.
    potentially_unsafe_config_annotations: Vec<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    namespaces: Vec<&'static str>,
    capabilities: Vec<&'static str>,
    cgroup: CgroupFeatures,
    seccomp: SeccompFeatures,
    apparmor: Enabled,
    selinux: Enabled,
    intel_rdt: IntelRdt,
    memory_policy: MemoryPolicy,
    mount_extensions: MountExtensions,
    net_devices: Enabled,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CgroupFeatures {
    v1: bool,
    v2: bool,
    systemd: bool,
    systemd_user: bool,
    rdma: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SeccompFeatures {
    enabled: bool,
    actions: Vec<String>,
    operators: Vec<String>,
    archs: Vec<String>,
    known_flags: Vec<String>,
    supported_flags: Vec<String>,
}

#[derive(Serialize)]
struct Enabled {
    enabled: bool,
}

#[derive(Serialize)]
struct IntelRdt {
    enabled: bool,
    schemata: bool,
    monitoring: bool,
}

#[derive(Serialize)]
struct MemoryPolicy {
    modes: Vec<&'static str>,
    flags: Vec<&'static str>,
}

#[derive(Serialize)]
struct MountExtensions {
    idmap: Enabled,
}

const ENABLED: Enabled = Enabled { enabled: true };

/// The document, as JSON text.
pub fn features() -> Result<String> {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"    "));
    document().serialize(&mut serializer).map_err(|error| Error::new(format!("features: {error}")))?;
    Ok(format!("{}\n", String::from_utf8_lossy(&text)))
}

fn document() -> Features {
    let [major, minor, micro] = seccomp::library_version();
    Features {
        oci_version_min: "1.0.0",
        oci_version_max: "1.3.0",
        hooks: HookPoint::ALL.map(HookPoint::name).to_vec(),
        mount_options: config::mount_options(),
        linux: linux(),
        annotations: BTreeMap::from([
            ("dev.pinnace.build", env!("PINNACE_SOURCE_ID").to_owned()),
            ("dev.pinnace.version", env!("CARGO_PKG_VERSION").to_owned()),
            ("io.github.seccomp.libseccomp.version", format!("{major}.{minor}.{micro}")),
        ]),
        potentially_unsafe_config_annotations: annotations(),
    }
}

fn linux() -> Linux {
    let seccomp = config::seccomp_names();
    let (modes, flags) = config::memory_policy_names();
    Linux {
        namespaces: config::namespace_names(),
        capabilities: config::capability_names(),
        cgroup: CgroupFeatures {
            v1: true,
            v2: true,
            systemd: cgroup::SYSTEMD_SUPPORTED,
            systemd_user: cgroup::SYSTEMD_SUPPORTED,
            rdma: true,
        },
        seccomp: SeccompFeatures {
            enabled: true,
            actions: seccomp.actions,
            operators: seccomp.operators,
            archs: seccomp.architectures,
            known_flags: seccomp.flags.clone(),
            // The kernel is asked for them directly, and so libseccomp's age does not matter.
            supported_flags: seccomp.flags,
        },
        apparmor: ENABLED,
        selinux: ENABLED,
        intel_rdt: IntelRdt { enabled: true, schemata: true, monitoring: true },
        memory_policy: MemoryPolicy { modes, flags },
        mount_extensions: MountExtensions { idmap: ENABLED },
        net_devices: ENABLED,
    }
}

fn annotations() -> Vec<&'static str> {
    let properties = cgroup::SYSTEMD_SUPPORTED.then_some("org.systemd.property.");
    config::ANNOTATION_NAMES.into_iter().chain(properties).collect()
}
