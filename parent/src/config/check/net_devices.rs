//! `linux.netDevices`.

use std::collections::BTreeMap;

use oci_spec::runtime::Linux;

use super::super::problems::Problems;
use super::super::{Namespace, Namespaces, NetDevice};

/// Bytes of a device's name (IFNAMSIZ without its NUL).
const NAME_BYTES_MAX: usize = 15;

pub(super) fn check(
    linux: Option<&Linux>,
    namespaces: &Namespaces,
    problems: &mut Problems,
) -> Vec<NetDevice> {
    let listed = linux.and_then(|linux| linux.net_devices().as_ref()).into_iter().flatten();
    let sorted: BTreeMap<_, _> = listed.collect();
    if !sorted.is_empty() && namespaces.network == Namespace::Inherit {
        problems.add("$.linux.netDevices", "unable to move network devices without a NET namespace");
    }
    let mut devices: Vec<NetDevice> = Vec::with_capacity(sorted.len());
    for (name, device) in sorted {
        let path = format_args!("$.linux.netDevices[{name:?}]");
        if !is_name(name) || name.contains('%') {
            problems.add(path, format!("invalid network device name {name:?}"));
        }
        let inside = device.name().as_deref().filter(|inside| !inside.is_empty()).unwrap_or(name);
        if inside != name && !(is_name(inside) && is_template_or_plain(inside)) {
            problems.add(format_args!("{path}.name"), format!("invalid network device name {inside:?}"));
        }
        let is_taken = devices.iter().any(|other| other.inside == inside);
        if is_taken && !inside.contains('%') {
            problems
                .add(format_args!("{path}.name"), format!("two network devices would be named {inside:?}"));
        }
        devices.push(NetDevice { name: name.clone(), inside: inside.to_owned() });
    }
    devices
}

/// The kernel's rule (dev_valid_name).
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| !matches!(byte, b'/' | b':' | 0 | 0x0b) && !byte.is_ascii_whitespace();
    !matches!(name, "" | "." | "..") && name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed)
}

/// The kernel takes `%d` once, and no other `%`.
fn is_template_or_plain(name: &str) -> bool {
    match name.split_once('%') {
        None => true,
        Some((_, rest)) => rest.starts_with('d') && !rest.contains('%'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_kernel_takes() {
        for good in ["eth0", "a", "123456789012345", "eth0.7", "net%d", "%d"] {
            assert!(is_name(good) && is_template_or_plain(good), "{good}");
        }
        for bad in
            ["", ".", "..", "a/b", "a b", "a:b", "a\tb", "1234567890123456", "a%", "%s", "%d%d", "a%%d"]
        {
            assert!(!is_name(bad) || !is_template_or_plain(bad), "{bad}");
        }
    }
}
