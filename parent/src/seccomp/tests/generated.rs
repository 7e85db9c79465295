//! Profiles that nobody wrote: names, actions and conditions by chance, the same ones every time.

use super::simulate::{Data, run};
use super::{argument_lists, check_programs, conditioned, plain, profile};
use crate::config::{Seccomp, SeccompArchitecture};
use crate::seccomp::assemble::Instruction;
use crate::seccomp::layout::{answers_enosys, audit};
use crate::seccomp::library::Name;
use crate::seccomp::{by_library, laid_out, verdicts};

/// Every name that libseccomp knows on this architecture or on those of its kin.
pub(super) fn every_name() -> Vec<String> {
    let numbers = (0..1024).chain(-10_400..0);
    numbers.filter_map(Name::of_native_number).collect()
}

/// xorshift64*: reproducible, and good enough for choices.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

const NAMES: [&str; 14] = [
    "ioctl",
    "clone",
    "socket",
    "accept",
    "semget",
    "shmat",
    "personality",
    "read",
    "mmap",
    "mmap2",
    "recv",
    "sendmsg",
    "execve",
    "nosuchcall",
];
const ARCHITECTURES: [&str; 4] = ["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"];
const OPERATORS: [&str; 7] = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
const VALUES: [u64; 9] =
    [0, 1, 2, 9, 0x1_0000_0000, 0x1_0000_0001, 0xffff_ffff, 0xffff_ffff_0000_0000, u64::MAX];

fn rule(chance: &mut Chance, actions: &[&str], arguments: usize, operators: &[&str]) -> serde_json::Value {
    let names: Vec<&str> = (0..1 + chance.below(3)).map(|_| chance.of(&NAMES)).collect();
    let mut conditions = Vec::new();
    for argument in 0..arguments {
        if chance.below(2) == 0 {
            let op = chance.of(operators);
            conditions.push(serde_json::json!({
                "index": argument, "op": format!("SCMP_CMP_{op}"),
                "value": chance.of(&VALUES), "valueTwo": chance.of(&VALUES),
            }));
        }
    }
    if chance.below(8) == 0 {
        conditions.extend(conditions.first().cloned());
    }
    serde_json::json!({"names": names, "action": chance.of(actions), "args": conditions})
}

/// Of so many profiles: how many are laid out, and of those how many libseccomp itself compiles to something that contradicts them.
///
/// libseccomp 2.5.4 does so where conditioned calls stand beside others that the architecture does not have, or have conditions on several
/// arguments: it leaves a rule out, or lets another call's take its place (its own listing, seccomp_export_pfc(3), then tells the rules as
/// they are). Ours is held to the rules themselves.
fn check_generated(count: u64, actions: &[&str], arguments: usize, operators: &[&str]) -> (usize, usize) {
    let (mut laid_out_count, mut contradicted_count) = (0, 0);
    for seed in 1..=count {
        let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let architectures: Vec<&str> =
            ARCHITECTURES.iter().copied().filter(|_| chance.below(2) == 0).collect();
        let rules: Vec<_> =
            (0..1 + chance.below(5)).map(|_| rule(&mut chance, actions, arguments, operators)).collect();
        let default = chance.of(&["SCMP_ACT_ERRNO", "SCMP_ACT_ALLOW", "SCMP_ACT_KILL"]);
        let profile = profile(serde_json::json!({
            "defaultAction": default, "architectures": architectures, "syscalls": rules
        }));
        let Some(ours) = laid_out(&profile) else { continue };
        laid_out_count += 1;
        contradicted_count += usize::from(!check_meaning(&format!("seed {seed}"), &profile, &ours));
    }
    (laid_out_count, contradicted_count)
}

/// Ours means what the rules say; whether libseccomp's does. Where that does, the two are compared over everything.
fn check_meaning(what: &str, profile: &Seccomp, ours: &[Instruction]) -> bool {
    let theirs = by_library(profile).unwrap();
    let lists = argument_lists(profile);
    let mut agrees = true;
    for architecture in verdicts::architectures(profile) {
        let lasts = verdicts::last_numbers(profile);
        let (_, last) = *lasts.iter().find(|(known, _)| *known == architecture).unwrap();
        let is_bounded = answers_enosys(profile)
            && lasts.iter().any(|&(known, last)| audit(known) == audit(architecture) && last.is_some());
        for &number in conditioned(profile).iter().filter(|&&number| !is_bounded || Some(number) <= last) {
            let is_x32 = architecture == SeccompArchitecture::X32;
            let is_of_x32 = number >= 0x4000_0000 && audit(architecture) == audit(SeccompArchitecture::X32);
            if is_x32 != is_of_x32 {
                continue;
            }
            for &arguments in &lists {
                let data = Data { number, architecture: audit(architecture), arguments };
                let meant = plain::verdict(profile, architecture, &data);
                assert_eq!(run(ours, &data), meant, "{what}: {data:x?}\n{profile:#?}");
                agrees &= run(&theirs, &data) == meant;
            }
        }
    }
    if agrees {
        check_programs(what, profile, ours, &theirs);
    }
    agrees
}

#[test]
fn rules_of_one_action_mean_what_they_say() {
    let (laid_out, contradicted) = check_generated(40, &["SCMP_ACT_TRAP"], 3, &OPERATORS);
    assert_eq!(laid_out, 40);
    assert!(contradicted <= 12, "{contradicted}");
}

#[test]
fn rules_of_several_actions_mean_what_they_say_or_are_libseccomps_own() {
    for (arguments, operators) in [(1, &OPERATORS[..]), (2, &OPERATORS[..]), (3, &["EQ", "NE"])] {
        let (laid_out, contradicted) =
            check_generated(25, &["SCMP_ACT_TRAP", "SCMP_ACT_LOG"], arguments, operators);
        assert!(laid_out > 12 && contradicted <= 5, "{laid_out} {contradicted}");
    }
}

/// One call with one or two conditions, of every kind and on every edge: there libseccomp makes no mistake.
#[test]
fn conditions_on_one_call_mean_what_libseccomp_says() {
    let conditions = |argument: usize| {
        let mut list = Vec::new();
        for (index, op) in OPERATORS.iter().enumerate() {
            for (value, value_two) in VALUES.iter().zip(VALUES.iter().cycle().skip(index)) {
                list.push(serde_json::json!({
                    "index": argument, "op": format!("SCMP_CMP_{op}"), "value": value, "valueTwo": value_two
                }));
            }
        }
        list
    };
    let mut lists: Vec<Vec<_>> = conditions(0).into_iter().map(|condition| vec![condition]).collect();
    for first in conditions(0).into_iter().step_by(4) {
        lists.extend(conditions(1).into_iter().step_by(5).map(|second| vec![first.clone(), second]));
    }
    for args in lists {
        let profile = profile(serde_json::json!({
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": [{"names": ["mmap"], "action": "SCMP_ACT_TRAP", "args": args}]
        }));
        let ours = laid_out(&profile).unwrap();
        let theirs = by_library(&profile).unwrap();
        for arguments in argument_lists(&profile) {
            for (architecture, number) in [
                (SeccompArchitecture::X86_64, 9),
                (SeccompArchitecture::X32, 0x4000_0009),
                (SeccompArchitecture::X86, 90),
            ] {
                let data = Data { number, architecture: audit(architecture), arguments };
                assert_eq!(run(&ours, &data), run(&theirs, &data), "{data:x?}\n{profile:#?}");
            }
        }
    }
}
