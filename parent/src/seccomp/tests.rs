//! Our program against libseccomp's: the same verdict for every number, architecture and edge of an argument.

mod generated;
mod plain;
mod simulate;
mod stored;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::assemble::Instruction;
use super::verdicts::Verdict;
use super::{by_library, laid_out, library, verdicts};
use crate::config::{self, Seccomp, SeccompArchitecture, SeccompComparison};
use simulate::{Data, run};

/// Architectures that calls may come from: those that profiles name, and two that nobody knows.
const AUDIT_ARCHITECTURES: [u32; 7] =
    [0xc000_003e, 0x4000_0003, 0xc000_00b7, 0x4000_0028, 0xc000_00f3, 0, u32::MAX];

/// The profile in a config.json of these fields of `linux.seccomp`.
fn profile(fields: serde_json::Value) -> Seccomp {
    let mut spec: serde_json::Value = serde_json::from_str(&config::default_spec(false)).unwrap();
    spec["process"]["terminal"] = false.into();
    spec["linux"]["seccomp"] = fields;
    config::parse(spec.to_string().as_bytes()).unwrap().seccomp.unwrap()
}

/// Numbers at which anything could change: all small ones, around each named one, around each bit of meaning.
fn numbers(profile: &Seccomp) -> BTreeSet<u32> {
    let mut numbers: BTreeSet<u32> = (0..1200).chain(0x4000_0000..0x4000_04b0).collect();
    for edge in [0, 0x3fff_ffff, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, 0xbfff_ffff, 0xc000_0000, u32::MAX] {
        numbers.extend((0..400).map(|distance| u32::wrapping_add(edge, distance).wrapping_sub(200)));
    }
    // libseccomp's own numbers for what an architecture does not have, which must not become real ones.
    numbers.extend((-10_400..-9_900).map(|number: i32| number as u32));
    let names = profile.rules.iter().flat_map(|rule| &rule.names).filter_map(|name| library::Name::new(name));
    for name in names {
        for architecture in verdicts::architectures(profile) {
            let number = name.number(architecture).unwrap_or(0) as u32;
            numbers.extend([number.wrapping_sub(1), number, number.wrapping_add(1)]);
        }
    }
    numbers
}

/// Values at which a condition of the profile could change, in either half, and some that are none.
fn edges(profile: &Seccomp, argument: u8) -> Vec<u64> {
    let mut edges: BTreeSet<u64> = [0, 1, u64::MAX].into();
    let conditions = profile.rules.iter().flat_map(|rule| rule.alternatives.iter().flatten());
    for condition in conditions.filter(|condition| condition.argument == argument) {
        let values = match condition.comparison {
            SeccompComparison::NotEqual(value)
            | SeccompComparison::Less(value)
            | SeccompComparison::LessOrEqual(value)
            | SeccompComparison::Equal(value)
            | SeccompComparison::GreaterOrEqual(value)
            | SeccompComparison::Greater(value) => vec![value],
            SeccompComparison::MaskedEqual { mask, value } => vec![value, value & mask, value | !mask, mask],
        };
        for value in values {
            edges.extend([
                value.wrapping_sub(1),
                value,
                value.wrapping_add(1),
                value ^ 1 << 32,
                value ^ 1 << 63,
            ]);
        }
    }
    // The selectors of socketcall and ipc.
    if argument == 0 {
        edges.extend(0..26);
    }
    edges.into_iter().collect()
}

/// Arguments that matter: each edge of each conditioned argument beside zeros and beside ones, and edges crossed with each other.
fn argument_lists(profile: &Seccomp) -> Vec<[u64; 6]> {
    let conditions = || profile.rules.iter().flat_map(|rule| rule.alternatives.iter().flatten());
    let is_used = |argument: u8| conditions().any(|condition| condition.argument == argument);
    let (mut single, mut crossed) = (Vec::new(), vec![[0; 6]]);
    for argument in (0..6).filter(|&argument| argument == 0 || is_used(argument)) {
        let edges = edges(profile, argument);
        let with = |list: &[u64; 6], edge| {
            let mut list = *list;
            list[usize::from(argument)] = edge;
            list
        };
        single.extend(edges.iter().flat_map(|&edge| [with(&[0; 6], edge), with(&[u64::MAX; 6], edge)]));
        crossed = crossed.iter().flat_map(|list| edges.iter().map(|&edge| with(list, edge))).collect();
        // Not every combination where these are many; an odd step meets all edges of the last argument.
        let step = (crossed.len() / 1000) | 1;
        crossed = crossed.into_iter().step_by(step).collect();
    }
    single.extend(crossed);
    single
}

/// Numbers whose verdict hangs on an argument, on any architecture.
fn conditioned(profile: &Seccomp) -> BTreeSet<u32> {
    let mut numbers = BTreeSet::from([102, 117]);
    for rule in profile.rules.iter().filter(|rule| !rule.alternatives.is_empty()) {
        for name in rule.names.iter().filter_map(|name| library::Name::new(name)) {
            numbers.extend(
                verdicts::architectures(profile)
                    .into_iter()
                    .filter_map(|architecture| Some(name.number(architecture)? as u32)),
            );
        }
    }
    numbers.extend(337..403);
    numbers
}

/// Both programs say the same; false where ours cannot express the profile.
fn check(what: &str, profile: &Seccomp) -> bool {
    let Some(ours) = laid_out(profile) else { return false };
    let theirs = by_library(profile).unwrap();
    check_programs(what, profile, &ours, &theirs);
    true
}

fn check_programs(what: &str, profile: &Seccomp, ours: &[Instruction], theirs: &[Instruction]) {
    let compare = |data: &Data| {
        let (our, their) = (run(ours, data), run(theirs, data));
        assert_eq!(our, their, "{what}: {data:x?}: {our:#x}, and libseccomp says {their:#x}\n{profile:#?}");
    };
    let lists = argument_lists(profile);
    let conditioned = conditioned(profile);
    for architecture in AUDIT_ARCHITECTURES {
        for &number in &numbers(profile) {
            compare(&Data { number, architecture, arguments: [0; 6] });
            compare(&Data { number, architecture, arguments: [u64::MAX; 6] });
        }
        for &number in &conditioned {
            for &arguments in &lists {
                compare(&Data { number, architecture, arguments });
            }
        }
    }
}

fn engines_profiles() -> Vec<(String, Seccomp)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/configs");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut profiles = Vec::new();
    for path in paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "json"))
    {
        let spec: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        if let Some(fields) = spec["linux"].get("seccomp").filter(|fields| !fields.is_null()) {
            profiles.push((path.display().to_string(), profile(fields.clone())));
        }
    }
    profiles
}

#[test]
fn engines_profiles_are_laid_out_and_mean_what_libseccomp_says() {
    let profiles = engines_profiles();
    assert!(profiles.len() > 5);
    for (name, profile) in profiles {
        assert!(check(&name, &profile), "{name} is not laid out");
        let (ours, theirs) = (laid_out(&profile).unwrap().len(), by_library(&profile).unwrap().len());
        eprintln!("{name}: {ours} instructions, of libseccomp {theirs}");
    }
}

#[test]
fn every_name_alone_means_what_libseccomp_says() {
    for action in ["SCMP_ACT_ALLOW", "SCMP_ACT_TRAP"] {
        let names = generated::every_name();
        assert!(names.len() > 350);
        let syscalls = serde_json::json!([{"names": names, "action": action}]);
        let architectures =
            ["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"].as_slice();
        for architectures in [&[], &architectures[..1], &architectures[1..2], architectures] {
            let fields = serde_json::json!({
                "defaultAction": "SCMP_ACT_ERRNO", "architectures": architectures, "syscalls": syscalls
            });
            assert!(check(action, &profile(fields)));
        }
    }
}

#[test]
fn profiles_without_rules_and_for_few_calls_mean_what_libseccomp_says() {
    for action in ["KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP", "ERRNO", "TRACE", "ALLOW", "LOG"] {
        for architectures in
            [&[][..], &["SCMP_ARCH_X86"], &["SCMP_ARCH_X32"], &["SCMP_ARCH_X32", "SCMP_ARCH_X86"]]
        {
            for names in [&[][..], &["read"], &["write", "read", "exit_group"], &["socketcall", "mmap2"]] {
                let mut fields = serde_json::json!({
                    "defaultAction": format!("SCMP_ACT_{action}"), "architectures": architectures
                });
                if !names.is_empty() {
                    fields["syscalls"] = serde_json::json!([{"names": names, "action": "SCMP_ACT_TRAP"}]);
                }
                assert!(check(action, &profile(fields)));
            }
        }
    }
}

#[test]
fn what_is_not_laid_out_is_libseccomps_own() {
    let overlapping = serde_json::json!([
        {"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5, "args": [{"index": 1, "value": 7, "op": "SCMP_CMP_GT"}]},
        {"names": ["ioctl"], "action": "SCMP_ACT_TRAP", "args": [{"index": 1, "value": 9, "op": "SCMP_CMP_GT"}]}
    ]);
    let fields = serde_json::json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": overlapping});
    let foreign = serde_json::json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_RISCV64"],
        "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]});
    for fields in [fields, foreign] {
        let profile = profile(fields);
        assert!(laid_out(&profile).is_none());
        assert!(!super::compile(&profile).unwrap().is_empty());
    }
}

#[test]
fn numbers_that_are_newer_than_the_profile_are_enosys() {
    let fields = serde_json::json!({
        "defaultAction": "SCMP_ACT_KILL_PROCESS", "architectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": ["statx"], "action": "SCMP_ACT_ALLOW"}]
    });
    let verdict = |fields: &serde_json::Value, architecture, number| {
        let program = laid_out(&profile(fields.clone())).unwrap();
        run(&program, &Data { number, architecture, arguments: [0; 6] })
    };
    let (enosys, kill, allow) = (0x0005_0026, 0x8000_0000, 0x7fff_0000);
    let (x86_64, x86) = (AUDIT_ARCHITECTURES[0], AUDIT_ARCHITECTURES[1]);
    for (architecture, number, expected) in [
        (x86_64, 332, allow),
        (x86_64, 331, kill),
        (x86_64, 333, enosys),
        (x86_64, 0x4000_0000 + 332, allow),
        (x86_64, 0x4000_0000 + 333, enosys),
        (x86_64, u32::MAX, enosys),
        (x86, 383, allow),
        (x86, 382, kill),
        (x86, 384, enosys),
    ] {
        assert_eq!(verdict(&fields, architecture, number), expected, "{architecture:x} {number}");
    }
    for (action, errno, expected) in [
        ("SCMP_ACT_LOG", None, 0x7ffc_0000),
        ("SCMP_ACT_TRACE", None, 0x7ff0_0001),
        ("SCMP_ACT_ERRNO", Some(38), enosys),
        ("SCMP_ACT_ERRNO", Some(7), enosys),
        ("SCMP_ACT_TRAP", None, enosys),
    ] {
        let mut fields = fields.clone();
        fields["defaultAction"] = action.into();
        fields["defaultErrnoRet"] = errno.into();
        assert_eq!(verdict(&fields, x86_64, 600), expected, "{action} {errno:?}");
    }
    // A profile that says ENOSYS itself has no more than that.
    let mut fields = fields.clone();
    fields["defaultAction"] = "SCMP_ACT_ERRNO".into();
    fields["defaultErrnoRet"] = 38.into();
    assert_eq!(verdict(&fields, x86_64, 331), enosys);
}

#[test]
fn a_condition_on_a_gate_gives_way_to_the_selector() {
    let fields = serde_json::json!({
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
        "syscalls": [{"names": ["socket"], "action": "SCMP_ACT_TRAP",
            "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 2, "op": "SCMP_CMP_NE"}]}]
    });
    let profile = profile(fields);
    let tables = verdicts::read(&profile).tables.unwrap();
    let x86 = tables.iter().find(|table| table.architecture == SeccompArchitecture::X86).unwrap();
    let Some(Verdict::Depends(alternatives)) = x86.calls.get(&102) else { panic!() };
    assert_eq!(alternatives[0].conditions[0].comparison, SeccompComparison::Equal(1));
    assert!(check("socket", &profile));
}
