//! Security modules and seccomp, which configurations may ask for.

use super::Symptom;
use crate::host::{HostFacts, SecurityHost, has_seccomp};
use crate::plan::LANDLOCK_ABI_MIN;

pub(super) struct Facts {
    modules: SecurityHost,
    has_seccomp: bool,
}

impl Facts {
    pub(super) fn read(host: &HostFacts) -> Self {
        Self { modules: host.security, has_seccomp: has_seccomp() }
    }
}

pub(super) fn judge(facts: &Facts) -> Vec<Symptom> {
    let SecurityHost { apparmor, selinux, landlock_abi } = facts.modules;
    let module = |has_it: bool, name: &'static str, field: &str| {
        if has_it {
            return Symptom::ok(name, "is enabled");
        }
        Symptom::note(name, "is not enabled").meaning(format!("configurations with {field} are refused"))
    };
    let landlock = match landlock_abi {
        0 => Symptom::missing("Landlock", "is not enabled")
            .advice("lsm=landlock,… on the kernel's command line"),
        abi if abi < LANDLOCK_ABI_MIN => {
            Symptom::missing("Landlock", format!("ABI {abi}, and {LANDLOCK_ABI_MIN} is needed"))
                .advice("Linux 6.2 or later")
        }
        abi => Symptom::ok("Landlock", format!("ABI {abi}")),
    };
    let refused = "configurations with the annotation dev.pinnace.landlock are refused";
    let seccomp = match facts.has_seccomp {
        true => Symptom::ok("seccomp", "the kernel has filters"),
        false => Symptom::missing("seccomp", "the kernel has no filters")
            .meaning("configurations with a profile, as every engine's, are refused")
            .advice("a kernel with CONFIG_SECCOMP_FILTER"),
    };
    vec![
        seccomp,
        module(apparmor, "AppArmor", "process.apparmorProfile"),
        module(selinux, "SELinux", "process.selinuxLabel or linux.mountLabel"),
        if landlock_abi < LANDLOCK_ABI_MIN { landlock.meaning(refused) } else { landlock },
    ]
}

#[cfg(test)]
mod tests {
    use super::super::Level::{self, Missing, Note, Ok};
    use super::*;

    #[test]
    fn what_is_not_there_is_told_with_what_it_is_for() {
        let check = |landlock_abi, has, expected: [Level; 4]| {
            let modules = SecurityHost { apparmor: has, selinux: has, landlock_abi };
            let found = judge(&Facts { modules, has_seccomp: has });
            assert_eq!(found.iter().map(|each| each.level).collect::<Vec<_>>(), expected);
            assert!(found.iter().all(|each| each.level == Ok || each.meaning.is_some()));
        };
        check(7, true, [Ok, Ok, Ok, Ok]);
        check(0, false, [Missing, Note, Note, Missing]);
        check(2, true, [Ok, Ok, Ok, Missing]);
    }
}
