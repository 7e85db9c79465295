//! Our own program for a profile: for each architecture a tree over ranges of numbers, with the conditions at its leaves.
//!
//! The kernel translates a filter when it is loaded, and runs it for every number once to find those that are always allowed. libseccomp's
//! list of comparisons costs more than a millisecond there; a tree a tenth of it, at the start and at each call.

use super::assemble::*;
use super::library::{action_value, token};
use super::verdicts::{Alternative, Table, Verdict, is_narrow};
use crate::config::{Seccomp, SeccompArchitecture, SeccompComparison, SeccompCondition};

/// The bit in the numbers of x32, which shares its architecture with x86_64.
const X32_BIT: u32 = 0x4000_0000;

/// SECCOMP_RET_ERRNO with ENOSYS.
const RETURN_ENOSYS: u32 = 0x0005_0026;
/// SECCOMP_RET_KILL_THREAD, for architectures that the profile does not name: libseccomp's, and so every runtime's.
const RETURN_BAD_ARCHITECTURE: u32 = 0;

/// The program; `None` where some architecture is not one of those that are laid out here.
pub(super) fn program(profile: &Seccomp, tables: &[Table]) -> Option<Vec<Instruction>> {
    let mut assembler = Assembler::default();
    let default = action_value(profile.default_action);
    let mut next = assembler.ret(RETURN_BAD_ARCHITECTURE);
    for (audit, spans) in spans(profile, tables)? {
        let tree = Tree { spans: &spans, default };
        let root = tree.lay(&mut assembler, 0, spans.len());
        let begin = assembler.load(NUMBER_OFFSET, root);
        next = assembler.branch(JUMP_EQUAL, audit, begin, next);
    }
    assembler.load(ARCHITECTURE_OFFSET, next);
    Some(assembler.finish())
}

/// libseccomp's program with the same answer in front of it for numbers that the profile is too old for.
pub(super) fn with_enosys(
    profile: &Seccomp,
    lasts: &[(SeccompArchitecture, Option<u32>)],
    program: &[Instruction],
) -> Vec<Instruction> {
    let (mut assembler, filter) = Assembler::before(program);
    if !answers_enosys(profile) {
        return assembler.finish();
    }
    let last_of = |wanted| lasts.iter().find(|(known, _)| *known == wanted).and_then(|&(_, last)| last);
    let mut next = filter;
    for &(architecture, last) in lasts.iter().filter(|(known, _)| *known != SeccompArchitecture::X32) {
        let x32_last = match architecture {
            SeccompArchitecture::X86_64 => last_of(SeccompArchitecture::X32),
            _ => None,
        };
        let Some(highest) = x32_last.or(last) else { continue };
        let enosys = assembler.ret(RETURN_ENOSYS);
        let mut check = assembler.branch(JUMP_GREATER, highest, enosys, filter);
        if let (Some(_), Some(last)) = (x32_last, last) {
            let below = assembler.branch(JUMP_GREATER, last, enosys, filter);
            check = assembler.branch(JUMP_GREATER_EQUAL, X32_BIT, check, below);
        }
        let begin = assembler.load(NUMBER_OFFSET, check);
        next = assembler.branch(JUMP_EQUAL, audit(architecture), begin, next);
    }
    if next != filter {
        assembler.load(ARCHITECTURE_OFFSET, next);
    }
    assembler.finish()
}

/// runc's rule: a profile that refuses what it does not name would refuse calls that are newer than it, and with an errno that no program
/// expects; they get ENOSYS instead. One whose default lets them through, or says ENOSYS itself, decides by itself.
pub(super) fn answers_enosys(profile: &Seccomp) -> bool {
    use crate::config::SeccompAction::{Allow, Log, Trace};

    !profile.default_is_enosys && !matches!(profile.default_action, Allow | Log | Trace(_))
}

/// AUDIT_ARCH_*: libseccomp's tokens but for x32.
pub(super) fn audit(architecture: SeccompArchitecture) -> u32 {
    match architecture {
        SeccompArchitecture::X32 => token(SeccompArchitecture::X86_64),
        _ => token(architecture),
    }
}

/// Numbers from `first` to the next span's that share a leaf.
struct Span<'t> {
    first: u32,
    leaf: Leaf<'t>,
}

#[derive(Clone, Copy, PartialEq)]
enum Leaf<'t> {
    Return(u32),
    Check { alternatives: &'t [Alternative], is_narrow: bool },
}

/// For each audit architecture all numbers, in spans.
fn spans<'t>(profile: &Seccomp, tables: &'t [Table]) -> Option<Vec<(u32, Vec<Span<'t>>)>> {
    let find = |wanted| tables.iter().find(|table| table.architecture == wanted);
    let x32 = find(SeccompArchitecture::X32);
    let mut list = Vec::new();
    for table in tables {
        let mut line = Line::new(action_value(profile.default_action));
        match table.architecture {
            SeccompArchitecture::X86 | SeccompArchitecture::Arm | SeccompArchitecture::Aarch64 => {
                line.add_table(table, 0, u32::MAX);
            }
            SeccompArchitecture::X86_64 => {
                line.add_table(table, 0, X32_BIT - 1);
                match x32 {
                    Some(x32) => line.add_table(x32, X32_BIT, u32::MAX),
                    // The number -1 is what a tracer leaves behind that skips a call: libseccomp lets it through to the default.
                    None => line.add(X32_BIT, u32::MAX - 1, Leaf::Return(RETURN_BAD_ARCHITECTURE)),
                }
            }
            // Laid out with x86_64.
            SeccompArchitecture::X32 if find(SeccompArchitecture::X86_64).is_some() => continue,
            _ => return None,
        }
        if answers_enosys(profile) {
            let x32_last = x32
                .filter(|_| table.architecture == SeccompArchitecture::X86_64)
                .and_then(|table| table.last);
            match (table.last, x32_last) {
                (Some(last), Some(x32_last)) => {
                    line.add_enosys(last, X32_BIT - 1);
                    line.add_enosys(x32_last, u32::MAX);
                }
                (Some(last), None) | (None, Some(last)) => line.add_enosys(last, u32::MAX),
                (None, None) => {}
            }
        }
        list.push((audit(table.architecture), line.spans()));
    }
    Some(list)
}

/// All numbers in a row, written on piece by piece. What is written later lies over what is there.
struct Line<'t> {
    default: Leaf<'t>,
    pieces: Vec<(u32, u32, Leaf<'t>)>,
}

impl<'t> Line<'t> {
    fn new(default: u32) -> Self {
        Self { default: Leaf::Return(default), pieces: Vec::new() }
    }

    fn add(&mut self, first: u32, last: u32, leaf: Leaf<'t>) {
        self.pieces.push((first, last, leaf));
    }

    fn add_table(&mut self, table: &'t Table, first: u32, last: u32) {
        for (&number, verdict) in table.calls.range(first..=last) {
            let leaf = match verdict {
                Verdict::Always(action) => Leaf::Return(action_value(*action)),
                Verdict::Depends(alternatives) => {
                    Leaf::Check { alternatives, is_narrow: is_narrow(table.architecture) }
                }
            };
            self.add(number, number, leaf);
        }
    }

    /// Above `known` up to `last`.
    fn add_enosys(&mut self, known: u32, last: u32) {
        if known < last {
            self.pieces.retain(|&(first, _, _)| !(known + 1..=last).contains(&first));
            self.add(known + 1, last, Leaf::Return(RETURN_ENOSYS));
        }
    }

    /// The same in order, from 0, without two neighbours that are alike.
    fn spans(mut self) -> Vec<Span<'t>> {
        self.pieces.sort_by_key(|&(first, _, _)| first);
        let mut spans: Vec<Span<'t>> = Vec::new();
        let mut push = |first, leaf| match spans.last_mut() {
            Some(span) if span.leaf == leaf => {}
            _ => spans.push(Span { first, leaf }),
        };
        let mut next = Some(0);
        for (first, last, leaf) in self.pieces {
            if let Some(next) = next
                && next < first
            {
                push(next, self.default);
            }
            push(first, leaf);
            next = last.checked_add(1);
        }
        if let Some(next) = next {
            push(next, self.default);
        }
        spans
    }
}

struct Tree<'t> {
    spans: &'t [Span<'t>],
    default: u32,
}

impl Tree<'_> {
    /// The tree over the spans from `begin` to before `end`, of which there is at least one. The accumulator holds the number.
    fn lay(&self, assembler: &mut Assembler, begin: usize, end: usize) -> Label {
        if end - begin == 1 {
            return match self.spans[begin].leaf {
                Leaf::Return(value) => assembler.ret(value),
                Leaf::Check { alternatives, is_narrow } => {
                    check(assembler, alternatives, is_narrow, self.default)
                }
            };
        }
        let middle = begin + (end - begin) / 2;
        let above = self.lay(assembler, middle, end);
        let below = self.lay(assembler, begin, middle);
        assembler.branch(JUMP_GREATER_EQUAL, self.spans[middle].first, above, below)
    }
}

/// One alternative after the other, and then the default.
fn check(assembler: &mut Assembler, alternatives: &[Alternative], is_narrow: bool, default: u32) -> Label {
    let mut otherwise = assembler.ret(default);
    for alternative in alternatives.iter().rev() {
        let mut next = assembler.ret(action_value(alternative.action));
        for condition in alternative.conditions.iter().rev() {
            next = compare(assembler, *condition, is_narrow, next, otherwise);
        }
        otherwise = next;
    }
    otherwise
}

/// Goes to `yes` if the condition holds, and else to `no`: the high half of the argument first, where there is one.
fn compare(
    assembler: &mut Assembler,
    condition: SeccompCondition,
    is_narrow: bool,
    yes: Label,
    no: Label,
) -> Label {
    let argument = condition.argument;
    let (code, value, yes, no) = match condition.comparison {
        SeccompComparison::Equal(value) => (JUMP_EQUAL, value, yes, no),
        SeccompComparison::NotEqual(value) => (JUMP_EQUAL, value, no, yes),
        SeccompComparison::Greater(value) => (JUMP_GREATER, value, yes, no),
        SeccompComparison::LessOrEqual(value) => (JUMP_GREATER, value, no, yes),
        SeccompComparison::GreaterOrEqual(value) => (JUMP_GREATER_EQUAL, value, yes, no),
        SeccompComparison::Less(value) => (JUMP_GREATER_EQUAL, value, no, yes),
        SeccompComparison::MaskedEqual { mask, value } => {
            let low = masked(assembler, (argument, false), mask as u32, value as u32, yes, no);
            return match (mask >> 32) as u32 {
                0 => low,
                high => masked(assembler, (argument, true), high, (value >> 32) as u32, low, no),
            };
        }
    };
    let low = assembler.branch(code, value as u32, yes, no);
    let low = assembler.load(argument_offset(argument, false), low);
    if is_narrow {
        return low;
    }
    let high = (value >> 32) as u32;
    let equal = assembler.branch(JUMP_EQUAL, high, low, no);
    let begin = match code {
        JUMP_EQUAL => equal,
        _ => assembler.branch(JUMP_GREATER, high, yes, equal),
    };
    assembler.load(argument_offset(argument, true), begin)
}

fn masked(
    assembler: &mut Assembler,
    (argument, is_high): (u8, bool),
    mask: u32,
    value: u32,
    yes: Label,
    no: Label,
) -> Label {
    let begin = assembler.branch(JUMP_EQUAL, value, yes, no);
    let begin = assembler.and(mask, begin);
    assembler.load(argument_offset(argument, is_high), begin)
}
