//! Classic BPF, written from its end to its beginning: jumps only lead forward, so what they lead to is there already.

use std::collections::HashMap;

/// struct sock_filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u16,
    pub(super) jump_true: u8,
    pub(super) jump_false: u8,
    pub(super) value: u32,
}

impl Instruction {
    pub(super) fn to_bytes(self) -> [u8; 8] {
        let [a, b] = self.code.to_le_bytes();
        let [w, x, y, z] = self.value.to_le_bytes();
        [a, b, self.jump_true, self.jump_false, w, x, y, z]
    }

    pub(super) fn from_bytes(bytes: &[u8; 8]) -> Self {
        let [a, b, jump_true, jump_false, w, x, y, z] = *bytes;
        Self {
            code: u16::from_le_bytes([a, b]),
            jump_true,
            jump_false,
            value: u32::from_le_bytes([w, x, y, z]),
        }
    }
}

/// Operation codes, from linux/bpf_common.h.
pub(super) const LOAD: u16 = 0x20;
pub(super) const AND: u16 = 0x54;
pub(super) const JUMP: u16 = 0x05;
pub(super) const JUMP_EQUAL: u16 = 0x15;
pub(super) const JUMP_GREATER: u16 = 0x25;
pub(super) const JUMP_GREATER_EQUAL: u16 = 0x35;
pub(super) const RETURN: u16 = 0x06;

/// Places in struct seccomp_data.
pub(super) const NUMBER_OFFSET: u32 = 0;
pub(super) const ARCHITECTURE_OFFSET: u32 = 4;

/// The half of an argument: little-endian, as every host of pinnace is.
pub(super) fn argument_offset(argument: u8, is_high: bool) -> u32 {
    16 + 8 * u32::from(argument) + if is_high { 4 } else { 0 }
}

/// An instruction that can be jumped to: its place counted from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A conditional jump skips 255 instructions at most; a bridge or two may still come between.
const NEAR: usize = 250;

#[derive(Debug, Default)]
pub(super) struct Assembler {
    /// The last instruction first.
    reversed: Vec<Instruction>,
    /// The newest return of each value.
    returns: HashMap<u32, Label>,
}

impl Assembler {
    /// What is written goes before `program`; the label is its beginning.
    pub(super) fn before(program: &[Instruction]) -> (Self, Label) {
        let reversed: Vec<Instruction> = program.iter().rev().copied().collect();
        let label = Label(reversed.len().saturating_sub(1));
        (Self { reversed, returns: HashMap::new() }, label)
    }

    pub(super) fn finish(self) -> Vec<Instruction> {
        self.reversed.into_iter().rev().collect()
    }

    fn push(&mut self, code: u16, jumps: (usize, usize), value: u32) -> Label {
        // Callers have brought both jumps near.
        let (jump_true, jump_false) = (jumps.0 as u8, jumps.1 as u8);
        self.reversed.push(Instruction { code, jump_true, jump_false, value });
        Label(self.reversed.len() - 1)
    }

    /// Instructions between the next one to be written and `target`.
    fn distance(&self, target: Label) -> usize {
        self.reversed.len() - 1 - target.0
    }

    /// A return, or an earlier one of the same value.
    pub(super) fn ret(&mut self, value: u32) -> Label {
        match self.returns.get(&value) {
            Some(&label) if self.distance(label) <= NEAR => label,
            _ => {
                let label = self.push(RETURN, (0, 0), value);
                self.returns.insert(value, label);
                label
            }
        }
    }

    /// Where `target` is reached from with a short jump.
    fn near(&mut self, target: Label) -> Label {
        if self.distance(target) <= NEAR { target } else { self.bridge(target) }
    }

    fn bridge(&mut self, target: Label) -> Label {
        match self.reversed[target.0] {
            Instruction { code: RETURN, value, .. } => self.push(RETURN, (0, 0), value),
            _ => self.push(JUMP, (0, 0), self.distance(target) as u32),
        }
    }

    /// Goes to `yes` if the accumulator compares to `value`, and else to `no`.
    pub(super) fn branch(&mut self, code: u16, value: u32, yes: Label, no: Label) -> Label {
        if yes == no {
            return yes;
        }
        let (yes, no) = (self.near(yes), self.near(no));
        let jumps = (self.distance(yes), self.distance(no));
        self.push(code, jumps, value)
    }

    /// Loads a word of struct seccomp_data, and goes on at `next`.
    pub(super) fn load(&mut self, offset: u32, next: Label) -> Label {
        self.follow(next);
        self.push(LOAD, (0, 0), offset)
    }

    /// Masks the accumulator, and goes on at `next`.
    pub(super) fn and(&mut self, mask: u32, next: Label) -> Label {
        self.follow(next);
        self.push(AND, (0, 0), mask)
    }

    fn follow(&mut self, next: Label) {
        if self.distance(next) != 0 {
            self.bridge(next);
        }
    }
}
