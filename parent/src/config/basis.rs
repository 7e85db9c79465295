//! What `exec` needs of a configuration, kept with the container: what becomes of config.json later has no effect on it.

use serde::{Deserialize, Serialize};

use super::{
    Config, Hooks, IdMappings, Landlock, MemoryPolicy, Namespace, Namespaces, Process, Resources, Root,
};

/// The part of a [`Config`] that counts for every process in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    pub process: Process,
    pub namespaces: Namespaces,
    pub id_mappings: IdMappings,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personality: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<MemoryPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landlock: Option<Landlock>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<KeptFilter>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_original_groups: bool,
    /// For the mounts to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount_label: Option<String>,
    pub no_new_keyring: bool,
    /// The container's root is not its mount namespace's.
    pub has_other_root: bool,
}

/// The compiled filter for system calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFilter {
    /// SECCOMP_FILTER_FLAG_* bits.
    pub flags: u32,
    /// struct sock_filter after struct sock_filter, as hexadecimal digits.
    program: String,
}

impl KeptFilter {
    pub fn new(flags: u32, program: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digits = program.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let program = digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect();
        Self { flags, program }
    }

    /// `None` if the digits are damaged.
    pub fn program(&self) -> Option<Vec<u8>> {
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let pair = |pair: &[u8]| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?);
        self.program.as_bytes().chunks(2).map(pair).collect()
    }
}

impl Basis {
    pub fn new(config: &Config, filter: Option<KeptFilter>, no_new_keyring: bool, no_pivot: bool) -> Self {
        Self {
            process: config.process.clone(),
            namespaces: config.namespaces.clone(),
            id_mappings: config.id_mappings.clone(),
            personality: config.personality,
            memory_policy: config.memory_policy.clone(),
            landlock: config.landlock.clone(),
            filter,
            keep_original_groups: config.keep_original_groups,
            mount_label: config.mount_label.clone(),
            no_new_keyring,
            has_other_root: no_pivot || config.namespaces.mount != Namespace::New,
        }
    }

    /// A configuration for one more process: the container's tree, names and limits are there already, and nothing is said of them. Of the
    /// namespaces only the user namespace decides how the process is made.
    pub fn into_config(self) -> Config {
        let Self { process, namespaces, id_mappings, personality, memory_policy, landlock, .. } = self;
        Config {
            keep_original_groups: self.keep_original_groups,
            oci_version: String::new(),
            process,
            root: Root { path: String::from("/"), readonly: false },
            hostname: None,
            domainname: None,
            mounts: Vec::new(),
            namespaces: Namespaces { user: namespaces.user, ..Namespaces::default() },
            id_mappings,
            time_offsets: String::new(),
            devices: Vec::new(),
            net_devices: Vec::new(),
            sysctls: Vec::new(),
            masked_paths: Vec::new(),
            readonly_paths: Vec::new(),
            rootfs_propagation: None,
            cgroups_path: None,
            resources: Resources::default(),
            personality,
            memory_policy,
            intel_rdt: None,
            landlock,
            mount_label: None,
            seccomp: None,
            hooks: Hooks::default(),
            annotations: std::collections::BTreeMap::new(),
            warnings: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_comes_back_as_it_was() {
        let program: Vec<u8> = (0..=255).collect();
        assert_eq!(KeptFilter::new(8, &program).program(), Some(program));
        assert_eq!(KeptFilter { flags: 0, program: String::from("0g") }.program(), None);
        assert_eq!(KeptFilter { flags: 0, program: String::from("0") }.program(), None);
    }
}
