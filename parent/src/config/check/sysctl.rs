//! `linux.sysctl`: only what belongs to a namespace of the container's own.

use oci_spec::runtime::Linux;
use shared_proto::limits::OPTION_BYTES_MAX;

use super::super::problems::Problems;
use super::super::{Namespace, Namespaces, Sysctl};

/// Parameters of the ipc namespace.
const IPC: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

/// Bytes of a parameter's name; the longest of the kernel's has some eighty.
const NAME_BYTES_MAX: usize = 240;

pub(super) fn check(
    linux: Option<&Linux>,
    namespaces: &Namespaces,
    has_domainname: bool,
    problems: &mut Problems,
) -> Vec<Sysctl> {
    let parameters = linux.and_then(|linux| linux.sysctl().as_ref()).into_iter().flatten();
    let mut sysctls = Vec::new();
    for (written, value) in parameters {
        let path = format_args!("$.linux.sysctl[{written:?}]");
        let name = slashed(written);
        problems.check_text(path, written, NAME_BYTES_MAX);
        problems.check_text(path, value, OPTION_BYTES_MAX);
        // Some parameters take lists of lines: one value must not become two (CVE-2022-0811).
        let is_none =
            |part: &str| part.is_empty() || part == "." || part == ".." || part.contains(char::is_whitespace);
        if value.contains('\n') || name.split('/').any(is_none) {
            problems.add(path, "the name or the value is malformed");
        } else if let Some(reason) = refusal(&name, written, namespaces, has_domainname) {
            problems.add(path, reason);
        }
        sysctls.push(Sysctl { name, value: value.clone() });
    }
    sysctls.sort_by(|left, right| left.name.cmp(&right.name));
    sysctls
}

/// Why the container may not have this parameter, in runc's words.
fn refusal(name: &str, written: &str, namespaces: &Namespaces, has_domainname: bool) -> Option<String> {
    let own = |namespace: &Namespace| *namespace != Namespace::Inherit;
    let not_separate = || Some(format!("sysctl {written:?} is not in a separate kernel namespace"));
    let conflict = |field| {
        Some(format!("sysctl {written:?} is not allowed as it conflicts with the OCI {field:?} field"))
    };
    match name {
        "kernel/hostname" => conflict("hostname"),
        "kernel/domainname" if has_domainname => conflict("domainname"),
        "kernel/domainname" if own(&namespaces.uts) => None,
        _ if (IPC.contains(&name) || name.starts_with("fs/mqueue/")) && own(&namespaces.ipc) => None,
        _ if name.starts_with("net/") && own(&namespaces.network) => None,
        _ if name.starts_with("net/") => {
            Some(format!("sysctl {written:?} not allowed in host network namespace"))
        }
        _ if name.starts_with("user/") && own(&namespaces.user) => None,
        _ if name.starts_with("user/") => {
            Some(format!("setting ucounts without a user namespace not allowed: {written}"))
        }
        _ => not_separate(),
    }
}

/// A name with the separator that comes first in it: `net.ipv4.conf.eth0/1.x` means eth0.1, as sysctl(8) has it.
fn slashed(name: &str) -> String {
    let first = name.find(['.', '/']).and_then(|position| name[position..].chars().next());
    match first {
        Some('.') => name
            .chars()
            .map(|letter| match letter {
                '.' => '/',
                '/' => '.',
                letter => letter,
            })
            .collect(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_separator_decides() {
        for (written, name) in [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/conf/eth0.1/mtu", "net/ipv4/conf/eth0.1/mtu"),
            ("net.ipv4.conf.eth0/1.mtu", "net/ipv4/conf/eth0.1/mtu"),
        ] {
            assert_eq!(slashed(written), name);
        }
    }

    #[test]
    fn the_hosts_parameters_are_refused_in_runcs_words() {
        let host = Namespaces::default();
        let own =
            Namespaces { network: Namespace::New, ipc: Namespace::New, uts: Namespace::New, ..host.clone() };
        let check =
            |name: &str, namespaces: &Namespaces| refusal(name, &name.replace('/', "."), namespaces, false);
        assert_eq!(check("net/ipv4/ip_forward", &own), None);
        assert_eq!(check("kernel/shmmax", &own), None);
        assert!(
            check("net/ipv4/ip_forward", &host).unwrap().contains("not allowed in host network namespace")
        );
        assert!(check("vm/swappiness", &own).unwrap().contains("is not in a separate kernel namespace"));
        assert!(check("kernel/hostname", &own).unwrap().contains("conflicts with"));
    }
}
