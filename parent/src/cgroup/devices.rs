//! Which devices a container may open and make: the configured rules, and what every container may.
//!
//! Of reading, writing and making a device, each is decided by the last rule that speaks of it; what is asked for together is allowed if all
//! of it is. So rules for the same device add up, whatever stands between them.

use std::collections::BTreeMap;

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

/// The policy as a program of type BPF_PROG_TYPE_CGROUP_DEVICE.
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
    for rule in policy.rules.iter().rev() {
        program.extend(rule_block(rule));
    }
    program.push(instruction(MOVE_IMMEDIATE, VERDICT, 0, 0, i32::from(policy.allow_by_default)));
    program.push(instruction(EXIT, 0, 0, 0, 0));
    program
}

/// One rule: jumps behind itself where it does not apply.
fn rule_block(rule: &DeviceRule) -> Vec<Instruction> {
    let kind = match rule.kind {
        DeviceRuleKind::Character => TYPE_CHARACTER,
        DeviceRuleKind::Block => TYPE_BLOCK,
    };
    let mut block = vec![instruction(JUMP_NOT_EQUAL_IMMEDIATE, KIND, 0, 0, kind)];
    for (register, number) in [(MAJOR, rule.major), (MINOR, rule.minor)] {
        if let Some(number) = number {
            // Compared in another register, or the kernel's verifier would follow each number that it knows then through all rules behind this one:
            // some hundreds of them would be too many.
            block.push(instruction(MOVE, SCRATCH, register, 0, 0));
            block.push(instruction(XOR_IMMEDIATE, SCRATCH, 0, 0, number as i32));
            block.push(instruction(JUMP_NOT_EQUAL_IMMEDIATE, SCRATCH, 0, 0, 0));
        }
    }
    let bit = |has: bool, bit: i32| if has { bit } else { 0 };
    let access = bit(rule.mknod, ACCESS_MKNOD) | bit(rule.read, ACCESS_READ) | bit(rule.write, ACCESS_WRITE);
    if access == ACCESS_MKNOD | ACCESS_READ | ACCESS_WRITE {
        // Decides whatever is left.
    } else if rule.allow {
        // Others may allow the rest.
        block.push(instruction(AND_IMMEDIATE, ACCESS, 0, 0, !access));
        block.push(instruction(JUMP_NOT_EQUAL_IMMEDIATE, ACCESS, 0, 0, 0));
    } else {
        // Denies what it names any of.
        block.push(instruction(MOVE, SCRATCH, ACCESS, 0, 0));
        block.push(instruction(AND_IMMEDIATE, SCRATCH, 0, 0, access));
        block.push(instruction(JUMP_EQUAL_IMMEDIATE, SCRATCH, 0, 0, 0));
    }
    block.push(instruction(MOVE_IMMEDIATE, VERDICT, 0, 0, i32::from(rule.allow)));
    block.push(instruction(EXIT, 0, 0, 0, 0));
    let end = block.len();
    for (index, step) in block.iter_mut().enumerate() {
        if matches!(step.code, JUMP_NOT_EQUAL_IMMEDIATE | JUMP_EQUAL_IMMEDIATE) {
            step.offset = (end - index - 1) as i16;
        }
    }
    block
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
