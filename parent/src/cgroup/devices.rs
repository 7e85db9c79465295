//! Which devices a container may open and make: the configured rules, and what every container may.
//!
//! Of reading, writing and making a device, each is decided by the last rule that speaks of it; what is asked for together is allowed if all
//! of it is. So rules for the same device add up, whatever stands between them.

use std::collections::{BTreeMap, BTreeSet};

use super::files;
use crate::config::{DevicePolicy, DeviceRule, DeviceRuleKind};

/// The configured policy with runc's defaults behind it.
pub(super) fn with_defaults(configured: &DevicePolicy) -> DevicePolicy {
    let mut policy = configured.clone();
    if !policy.allow_by_default || policy.rules.iter().any(|rule| !rule.allow) {
        policy.rules.extend(DEFAULTS);
    }
    policy
}

/// Major 10, minor 200 is tun, which containers have come to rely on.
const DEFAULTS: [DeviceRule; 11] = [
    DeviceRule { read: false, write: false, ..default_rule(DeviceRuleKind::Character, None, None) },
    DeviceRule { read: false, write: false, ..default_rule(DeviceRuleKind::Block, None, None) },
    default_rule(DeviceRuleKind::Character, Some(1), Some(3)),
    default_rule(DeviceRuleKind::Character, Some(1), Some(8)),
    default_rule(DeviceRuleKind::Character, Some(1), Some(7)),
    default_rule(DeviceRuleKind::Character, Some(5), Some(0)),
    default_rule(DeviceRuleKind::Character, Some(1), Some(5)),
    default_rule(DeviceRuleKind::Character, Some(1), Some(9)),
    default_rule(DeviceRuleKind::Character, Some(136), None),
    default_rule(DeviceRuleKind::Character, Some(5), Some(2)),
    default_rule(DeviceRuleKind::Character, Some(10), Some(200)),
];

const fn default_rule(kind: DeviceRuleKind, major: Option<u32>, minor: Option<u32>) -> DeviceRule {
    DeviceRule { allow: true, kind, major, minor, read: true, write: true, mknod: true }
}

/// The names of drivers by their major numbers, as systemd's groups of devices are called.
pub(super) fn group_names(kind: DeviceRuleKind) -> BTreeMap<u32, String> {
    parse_group_names(&files::read("/proc/devices").unwrap_or_default(), kind)
}

/// Source: proc_devices(5): two lists with a title each.
fn parse_group_names(text: &str, kind: DeviceRuleKind) -> BTreeMap<u32, String> {
    let title = if kind == DeviceRuleKind::Block { "Block devices:" } else { "Character devices:" };
    let list = text.lines().skip_while(|line| *line != title).skip(1).take_while(|line| !line.is_empty());
    let mut names = BTreeMap::new();
    for (number, name) in list.filter_map(|line| line.trim().split_once(' ')) {
        if let Ok(number) = number.parse() {
            names.entry(number).or_insert_with(|| name.to_owned());
        }
    }
    names
}

/// One eBPF instruction as the kernel reads it (linux/bpf.h, struct bpf_insn).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    code: u8,
    /// Destination in the low half, source in the high one.
    registers: u8,
    offset: i16,
    immediate: i32,
}

// Codes of linux/bpf.h, composed: class, size or operation, mode or source.
const LOAD_WORD: u8 = 0x61;
const MOVE: u8 = 0xbc;
const MOVE_IMMEDIATE: u8 = 0xb4;
const AND_IMMEDIATE: u8 = 0x54;
const SHIFT_RIGHT_IMMEDIATE: u8 = 0x74;
const XOR_IMMEDIATE: u8 = 0xa4;
const JUMP_NOT_EQUAL_IMMEDIATE: u8 = 0x56;
const JUMP_EQUAL_IMMEDIATE: u8 = 0x16;
const JUMP_ALWAYS: u8 = 0x05;
const EXIT: u8 = 0x95;

// What the context of BPF_PROG_TYPE_CGROUP_DEVICE says.
const TYPE_BLOCK: i32 = 1;
const TYPE_CHARACTER: i32 = 2;
const ACCESS_MKNOD: i32 = 1;
const ACCESS_READ: i32 = 2;
const ACCESS_WRITE: i32 = 4;

// Registers: the verdict, the context and scratch, then what is asked for; what is allowed of it already is no more in ACCESS.
const VERDICT: u8 = 0;
const SCRATCH: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;

const fn instruction(code: u8, destination: u8, source: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: destination | source << 4, offset, immediate }
}

/// A jump to a place that is known when its block is whole: where the block's verdict is, or behind the block.
const HIT: i16 = -1;
const END: i16 = -2;

/// The kernel's verifier follows a number that it knows through all that comes behind. If a policy has so many majors at most, it may know them.
const KNOWN_MAJORS_MAX: usize = 8;

/// The policy as a program of type BPF_PROG_TYPE_CGROUP_DEVICE. What it costs to load is the verifier's, some microsecond for each instruction.
pub(super) fn program(policy: &DevicePolicy) -> Vec<Instruction> {
    let mut program = vec![
        // { u32 access_type; u32 major; u32 minor; }, where access_type is (access << 16) | type.
        instruction(LOAD_WORD, KIND, SCRATCH, 0, 0),
        instruction(MOVE, ACCESS, KIND, 0, 0),
        instruction(AND_IMMEDIATE, KIND, 0, 0, 0xffff),
        instruction(SHIFT_RIGHT_IMMEDIATE, ACCESS, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, SCRATCH, 4, 0),
        instruction(LOAD_WORD, MINOR, SCRATCH, 8, 0),
    ];
    let majors: BTreeSet<u32> = policy.rules.iter().filter_map(|rule| rule.major).collect();
    let knows_majors = majors.len() <= KNOWN_MAJORS_MAX;
    let mut rules = policy.rules.as_slice();
    while let [.., last] = rules {
        let alike = rules.iter().rev().take(RUN_MAX).take_while(|rule| is_alike(rule, last)).count();
        let (before, run) = rules.split_at(rules.len() - alike);
        program.extend(block(last, run, knows_majors));
        rules = before;
    }
    program.push(instruction(MOVE_IMMEDIATE, VERDICT, 0, 0, i32::from(policy.allow_by_default)));
    program.push(instruction(EXIT, 0, 0, 0, 0));
    program
}

/// Rules in one block: the offsets of its jumps have 16 bits. The verifier's own bound on jumps comes first, and config.json has half as many rules.
const RUN_MAX: usize = 4096;

/// Whether two rules say the same of different devices: then it does not matter which of them comes first.
fn is_alike(one: &DeviceRule, other: &DeviceRule) -> bool {
    let DeviceRule { allow, kind, major: _, minor: _, read, write, mknod } = *one;
    (allow, kind, read, write, mknod) == (other.allow, other.kind, other.read, other.write, other.mknod)
}

/// A run of rules that are `alike`: jumps behind itself where none of them applies, or leaves something to decide.
fn block(alike: &DeviceRule, run: &[DeviceRule], knows_majors: bool) -> Vec<Instruction> {
    let kind = match alike.kind {
        DeviceRuleKind::Character => TYPE_CHARACTER,
        DeviceRuleKind::Block => TYPE_BLOCK,
    };
    let bit = |has: bool, bit: i32| if has { bit } else { 0 };
    let access =
        bit(alike.mknod, ACCESS_MKNOD) | bit(alike.read, ACCESS_READ) | bit(alike.write, ACCESS_WRITE);
    let decides_all = access == ACCESS_MKNOD | ACCESS_READ | ACCESS_WRITE;
    let mut block = vec![instruction(JUMP_NOT_EQUAL_IMMEDIATE, KIND, 0, END, kind)];
    if run.iter().all(|rule| rule.major.is_some() || rule.minor.is_some()) {
        block.extend(device_tests(run, knows_majors, decides_all));
        block.push(instruction(JUMP_ALWAYS, 0, 0, END, 0));
    }
    let hit = block.len();
    if decides_all {
        // Whatever is left.
    } else if alike.allow {
        // Others may allow the rest.
        block.push(instruction(AND_IMMEDIATE, ACCESS, 0, 0, !access));
        block.push(instruction(JUMP_NOT_EQUAL_IMMEDIATE, ACCESS, 0, END, 0));
    } else {
        // Denies what it names any of.
        block.push(instruction(MOVE, SCRATCH, ACCESS, 0, 0));
        block.push(instruction(AND_IMMEDIATE, SCRATCH, 0, 0, access));
        block.push(instruction(JUMP_EQUAL_IMMEDIATE, SCRATCH, 0, END, 0));
    }
    block.push(instruction(MOVE_IMMEDIATE, VERDICT, 0, 0, i32::from(alike.allow)));
    block.push(instruction(EXIT, 0, 0, 0, 0));
    let end = block.len();
    for (index, step) in block.iter_mut().enumerate() {
        match step.offset {
            HIT => step.offset = (hit - index - 1) as i16,
            END => step.offset = (end - index - 1) as i16,
            _ => {}
        }
    }
    block
}

/// Jumps to HIT for the devices of these rules, each of which names some.
fn device_tests(run: &[DeviceRule], knows_majors: bool, decides_all: bool) -> Vec<Instruction> {
    let mut devices = BTreeMap::<Option<u32>, BTreeSet<Option<u32>>>::new();
    for rule in run {
        devices.entry(rule.major).or_default().insert(rule.minor);
    }
    let mut tests = Vec::new();
    for (major, minors) in devices {
        let mut inner = Vec::new();
        let has_all = minors.contains(&None);
        for minor in minors.into_iter().flatten().filter(|_| !has_all) {
            // Behind a hit that leaves nothing to decide there is nothing to follow a number through.
            compare(&mut inner, (MINOR, minor), decides_all, (JUMP_EQUAL_IMMEDIATE, HIT));
        }
        if let Some(major) = major {
            let jump = match has_all {
                true => (JUMP_EQUAL_IMMEDIATE, HIT),
                // 4,096 rules have some 16,000 instructions.
                false => (JUMP_NOT_EQUAL_IMMEDIATE, inner.len() as i16),
            };
            compare(&mut tests, (MAJOR, major), knows_majors, jump);
        }
        tests.append(&mut inner);
    }
    tests
}

/// Jumps if a register is, or is not, this number; in a copy of it, unless the verifier may know it afterwards.
fn compare(
    tests: &mut Vec<Instruction>,
    (register, number): (u8, u32),
    may_be_known: bool,
    (jump, offset): (u8, i16),
) {
    if may_be_known {
        tests.push(instruction(jump, register, 0, offset, number as i32));
        return;
    }
    tests.push(instruction(MOVE, SCRATCH, register, 0, 0));
    tests.push(instruction(XOR_IMMEDIATE, SCRATCH, 0, 0, number as i32));
    tests.push(instruction(jump, SCRATCH, 0, offset, 0));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel would.
    fn verdict(program: &[Instruction], kind: i32, access: i32, major: i32, minor: i32) -> bool {
        let context = [access << 16 | kind, major, minor];
        let mut registers = [0i32; 6];
        let mut next = 0usize;
        loop {
            let step = program[next];
            let (to, from) = (usize::from(step.registers & 15), usize::from(step.registers >> 4));
            next += 1;
            let jump = match step.code {
                LOAD_WORD => {
                    registers[to] = context[step.offset as usize / 4];
                    false
                }
                MOVE => {
                    registers[to] = registers[from];
                    false
                }
                MOVE_IMMEDIATE => {
                    registers[to] = step.immediate;
                    false
                }
                AND_IMMEDIATE => {
                    registers[to] &= step.immediate;
                    false
                }
                XOR_IMMEDIATE => {
                    registers[to] ^= step.immediate;
                    false
                }
                SHIFT_RIGHT_IMMEDIATE => {
                    registers[to] = (registers[to] as u32 >> step.immediate) as i32;
                    false
                }
                JUMP_ALWAYS => true,
                JUMP_NOT_EQUAL_IMMEDIATE => registers[to] != step.immediate,
                JUMP_EQUAL_IMMEDIATE => registers[to] == step.immediate,
                EXIT => return registers[0] == 1,
                code => panic!("code {code:#x}"),
            };
            if jump {
                next += step.offset as usize;
            }
        }
    }

    /// What these rules allow where nothing is by default.
    fn denying(rules: &[DeviceRule]) -> Vec<Instruction> {
        program(&with_defaults(&DevicePolicy { allow_by_default: false, rules: rules.to_vec() }))
    }

    #[test]
    fn the_defaults_are_allowed_and_nothing_else() {
        let program = denying(&[]);
        assert!(verdict(&program, TYPE_CHARACTER, ACCESS_READ | ACCESS_WRITE, 1, 3));
        assert!(verdict(&program, TYPE_CHARACTER, ACCESS_MKNOD, 4, 64));
        assert!(verdict(&program, TYPE_CHARACTER, ACCESS_READ, 136, 9));
        assert!(!verdict(&program, TYPE_CHARACTER, ACCESS_READ, 1, 1));
        assert!(!verdict(&program, TYPE_BLOCK, ACCESS_READ, 8, 0));
        assert!(verdict(&program, TYPE_BLOCK, ACCESS_MKNOD, 8, 0));
    }

    #[test]
    fn a_later_rule_counts_and_a_denied_part_denies_the_whole() {
        let allow = default_rule(DeviceRuleKind::Block, Some(8), None);
        let deny_writes = DeviceRule { allow: false, read: false, mknod: false, ..allow };
        let program = denying(&[allow, deny_writes]);
        assert!(verdict(&program, TYPE_BLOCK, ACCESS_READ, 8, 1));
        assert!(!verdict(&program, TYPE_BLOCK, ACCESS_READ | ACCESS_WRITE, 8, 1));
    }

    #[test]
    fn rules_for_the_same_devices_add_up() {
        let read =
            DeviceRule { write: false, mknod: false, ..default_rule(DeviceRuleKind::Block, Some(8), None) };
        let write = DeviceRule { read: false, write: true, ..read };
        let both = |rules: &[DeviceRule], major| {
            verdict(&denying(rules), TYPE_BLOCK, ACCESS_READ | ACCESS_WRITE, major, 1)
        };
        assert!(both(&[read, write], 8));
        assert!(!both(&[read, write], 9));
        let other = DeviceRule { major: Some(9), ..read };
        assert!(both(&[read, other, write], 8));
        assert!(!both(&[read, other, write], 9));
        // What is taken back between them is gone.
        let deny = DeviceRule { allow: false, ..read };
        assert!(!both(&[read, deny, write], 8));
        assert!(both(&[deny, read, write], 8));
        let deny_all_blocks = DeviceRule { major: None, write: true, mknod: true, ..deny };
        assert!(!both(&[read, deny_all_blocks, write], 8));
    }

    /// What the rules say, one after the other.
    fn decided(policy: &DevicePolicy, kind: DeviceRuleKind, access: i32, major: u32, minor: u32) -> bool {
        let of_bit = |bit: i32| {
            let speaks = |rule: &&DeviceRule| {
                let named = (rule.major.unwrap_or(major), rule.minor.unwrap_or(minor));
                let says = [(rule.mknod, ACCESS_MKNOD), (rule.read, ACCESS_READ), (rule.write, ACCESS_WRITE)];
                rule.kind == kind && named == (major, minor) && says.contains(&(true, bit))
            };
            policy.rules.iter().rev().find(speaks).map_or(policy.allow_by_default, |rule| rule.allow)
        };
        [ACCESS_MKNOD, ACCESS_READ, ACCESS_WRITE].into_iter().all(|bit| access & bit == 0 || of_bit(bit))
    }

    #[test]
    fn programs_decide_as_the_rules_one_after_the_other() {
        use proptest::prelude::*;

        let kinds = [DeviceRuleKind::Character, DeviceRuleKind::Block];
        let number = || prop_oneof![Just(None), (0u32..4).prop_map(Some), Just(Some(u32::MAX))];
        let rule = (any::<bool>(), 0..2usize, number(), number(), 1..8u8).prop_map(
            move |(allow, kind, major, minor, access)| DeviceRule {
                allow,
                kind: kinds[kind],
                major,
                minor,
                read: access & 1 != 0,
                write: access & 2 != 0,
                mknod: access & 4 != 0,
            },
        );
        let few_kinds = rule.clone().prop_map(|rule| DeviceRule {
            allow: true,
            read: true,
            write: true,
            mknod: true,
            ..rule
        });
        let rules = prop::collection::vec(prop_oneof![rule, few_kinds], 0..12);
        proptest!(|(rules in rules, allow_by_default: bool)| {
            let policy = DevicePolicy { allow_by_default, rules };
            let program = program(&policy);
            for (kind, number) in kinds.into_iter().zip([TYPE_CHARACTER, TYPE_BLOCK]) {
                for access in 1..8 {
                    for (major, minor) in [(0, 0), (1, 3), (3, 1), (2, 9), (u32::MAX, 2), (9, u32::MAX)] {
                        let says = verdict(&program, number, access, major as i32, minor as i32);
                        prop_assert_eq!(says, decided(&policy, kind, access, major, minor));
                    }
                }
            }
        });
    }

    #[test]
    fn a_program_for_many_majors_is_the_same_in_other_words() {
        let rules: Vec<DeviceRule> = (0..40)
            .map(|major| default_rule(DeviceRuleKind::Block, Some(major), (major % 3 != 0).then_some(major)))
            .collect();
        let policy = DevicePolicy { allow_by_default: false, rules };
        let program = program(&policy);
        for (major, minor) in (0..42u32).flat_map(|major| (0..42u32).map(move |minor| (major, minor))) {
            let expected = decided(&policy, DeviceRuleKind::Block, ACCESS_READ, major, minor);
            assert_eq!(verdict(&program, TYPE_BLOCK, ACCESS_READ, major as i32, minor as i32), expected);
        }
    }

    #[test]
    fn the_defaults_are_a_short_program() {
        assert_eq!(denying(&[]).len(), 34);
    }

    #[test]
    fn allow_all_needs_no_program() {
        let everything = DevicePolicy { allow_by_default: true, rules: Vec::new() };
        assert_eq!(with_defaults(&everything), everything);
    }

    #[test]
    fn drivers_have_names() {
        let text = "Character devices:\n  1 mem\n  4 /dev/vc/0\n  4 tty\n136 pts\n\nBlock devices:\n  8 sd\n";
        let characters = parse_group_names(text, DeviceRuleKind::Character);
        assert_eq!(characters.get(&136).map(String::as_str), Some("pts"));
        assert_eq!(characters.get(&4).map(String::as_str), Some("/dev/vc/0"));
        assert_eq!(characters.get(&8), None);
        assert_eq!(parse_group_names(text, DeviceRuleKind::Block).len(), 1);
    }
}
