//! What a profile says about each number of each architecture, as libseccomp reads it.

use std::collections::{BTreeMap, HashSet};

use shared_proto::limits::FILTER_INSTRUCTION_COUNT_MAX;

use super::library::Name;
use super::socketcall;
use crate::config::{
    Seccomp, SeccompAction, SeccompArchitecture, SeccompComparison, SeccompCondition, SeccompRule,
};

/// The rules of one architecture.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) architecture: SeccompArchitecture,
    /// By number; what is not there has the default action.
    pub(super) calls: BTreeMap<u32, Verdict>,
    /// The largest number that the profile names, in whatever rule.
    pub(super) last: Option<u32>,
}

/// What becomes of a call that the profile names. Actions are never the default one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Always(SeccompAction),
    /// Where none of these holds, the default. At most one holds, or those that hold agree.
    Depends(Vec<Alternative>),
}

/// Conditions that must hold together, in the order of their arguments, each argument once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Alternative {
    pub(super) conditions: Vec<SeccompCondition>,
    pub(super) action: SeccompAction,
}

/// The architectures of a profile, with the native one.
pub(super) fn architectures(profile: &Seccomp) -> Vec<SeccompArchitecture> {
    let mut architectures = profile.architectures.clone();
    if !architectures.contains(&NATIVE) {
        architectures.push(NATIVE);
    }
    architectures
}

#[cfg(target_arch = "x86_64")]
const NATIVE: SeccompArchitecture = SeccompArchitecture::X86_64;
#[cfg(target_arch = "aarch64")]
const NATIVE: SeccompArchitecture = SeccompArchitecture::Aarch64;

/// Arguments of 32 bits: libseccomp then looks at the low half alone, of the argument and of the value that is written.
pub(super) fn is_narrow(architecture: SeccompArchitecture) -> bool {
    matches!(architecture, SeccompArchitecture::X86 | SeccompArchitecture::X32 | SeccompArchitecture::Arm)
}

/// What the rules of a profile say.
#[derive(Debug)]
pub(super) struct Reading {
    /// One for each architecture; `None` where what the rules say together hangs on the order in which libseccomp happens to look at them.
    pub(super) tables: Option<Vec<Table>>,
    /// Rules with conditions, of the architecture that has most of them: each takes an instruction, whoever lays them out.
    pub(super) rule_count: usize,
}

/// Reads a profile. What has more rules than a filter has instructions is counted, and not looked at.
pub(super) fn read(profile: &Seccomp) -> Reading {
    let mut drafts: Vec<Draft> = architectures(profile).into_iter().map(Draft::new).collect();
    for rule in &profile.rules {
        for name in rule.names.iter().filter_map(|name| Name::new(name)) {
            // A name that libseccomp does not know is passed over, as runc does.
            if name.native_number().is_none() {
                continue;
            }
            for draft in &mut drafts {
                draft.add(&name, rule, profile.default_action);
            }
        }
    }
    let rule_count = drafts.iter().map(|draft| draft.rule_count).max().unwrap_or(0);
    let is_too_large = rule_count > FILTER_INSTRUCTION_COUNT_MAX;
    let tables = if is_too_large { None } else { drafts.into_iter().map(Draft::finish).collect() };
    Reading { tables, rule_count }
}

/// For each architecture the largest number that the profile names.
pub(super) fn last_numbers(profile: &Seccomp) -> Vec<(SeccompArchitecture, Option<u32>)> {
    let names = || profile.rules.iter().flat_map(|rule| &rule.names).filter_map(|name| Name::new(name));
    let last = |architecture| names().filter_map(|name| own_number(&name, architecture)).max();
    architectures(profile).into_iter().map(|architecture| (architecture, last(architecture))).collect()
}

/// The number of a call that this architecture has.
fn own_number(name: &Name, architecture: SeccompArchitecture) -> Option<u32> {
    name.number(architecture).and_then(|number| u32::try_from(number).ok())
}

struct Draft {
    architecture: SeccompArchitecture,
    calls: BTreeMap<u32, Call>,
    last: Option<u32>,
    /// Of all calls together.
    rule_count: usize,
}

/// The rules for one call, none twice. One without a condition stands alone.
#[derive(Default)]
struct Call {
    alternatives: Vec<Alternative>,
    known: HashSet<Alternative>,
    /// Those that were not kept too.
    rule_count: usize,
}

impl Draft {
    fn new(architecture: SeccompArchitecture) -> Self {
        Self { architecture, calls: BTreeMap::new(), last: None, rule_count: 0 }
    }

    fn add(&mut self, name: &Name, rule: &SeccompRule, default_action: SeccompAction) {
        let Some(number) = name.number(self.architecture) else { return };
        self.last = self.last.max(u32::try_from(number).ok());
        if rule.action == default_action {
            return;
        }
        let always = [Vec::new()];
        let alternatives = if rule.alternatives.is_empty() { &always[..] } else { &rule.alternatives };
        for conditions in alternatives {
            let mut conditions: Vec<_> =
                conditions.iter().map(|condition| self.narrowed(*condition)).collect();
            conditions.sort_by_key(|condition| condition.argument);
            let split = match self.architecture {
                SeccompArchitecture::X86 => socketcall::split(number),
                _ => None,
            };
            if let Some((_, (gate, selector))) = split {
                self.push(gate, socketcall::behind_gate(&conditions, selector), rule.action);
            }
            // A negative number is libseccomp's own, of a call that this architecture does not have.
            let direct = split.and_then(|(direct, _)| direct).or(u32::try_from(number).ok());
            if let Some(number) = direct {
                self.push(number, conditions, rule.action);
            }
        }
    }

    fn push(&mut self, number: u32, conditions: Vec<SeccompCondition>, action: SeccompAction) {
        let call = self.calls.entry(number).or_default();
        let is_settled = call.alternatives.iter().take(1).any(|first| first.conditions.is_empty());
        let new = Alternative { conditions, action };
        if is_settled || call.known.contains(&new) {
            return;
        }
        if new.conditions.is_empty() {
            self.rule_count -= call.rule_count;
            *call = Call { alternatives: vec![new], ..Call::default() };
            return;
        }
        call.rule_count += 1;
        self.rule_count += 1;
        // Beyond that nobody looks at them.
        if self.rule_count <= FILTER_INSTRUCTION_COUNT_MAX {
            call.known.insert(new.clone());
            call.alternatives.push(new);
        }
    }

    fn narrowed(&self, condition: SeccompCondition) -> SeccompCondition {
        let low = if is_narrow(self.architecture) { u64::from(u32::MAX) } else { u64::MAX };
        let comparison = match condition.comparison {
            SeccompComparison::NotEqual(value) => SeccompComparison::NotEqual(value & low),
            SeccompComparison::Less(value) => SeccompComparison::Less(value & low),
            SeccompComparison::LessOrEqual(value) => SeccompComparison::LessOrEqual(value & low),
            SeccompComparison::Equal(value) => SeccompComparison::Equal(value & low),
            SeccompComparison::GreaterOrEqual(value) => SeccompComparison::GreaterOrEqual(value & low),
            SeccompComparison::Greater(value) => SeccompComparison::Greater(value & low),
            // libseccomp looks at no bit outside the mask.
            SeccompComparison::MaskedEqual { mask, value } => {
                SeccompComparison::MaskedEqual { mask: mask & low, value: value & mask & low }
            }
        };
        SeccompCondition { comparison, ..condition }
    }

    fn finish(self) -> Option<Table> {
        let mut calls = BTreeMap::new();
        for (number, call) in self.calls {
            calls.insert(number, settle(call.alternatives)?);
        }
        Some(Table { architecture: self.architecture, calls, last: self.last })
    }
}

/// What several rules for one call mean together. The first one without a condition wins over all others, before and behind it; one that
/// another's conditions begin with wins over that.
fn settle(alternatives: Vec<Alternative>) -> Option<Verdict> {
    if let Some(always) = alternatives.first().filter(|first| first.conditions.is_empty()) {
        return Some(Verdict::Always(always.action));
    }
    let mut settled: Vec<Alternative> = Vec::with_capacity(alternatives.len());
    for new in alternatives {
        if settled.iter().any(|old| new.conditions.starts_with(&old.conditions) && old != &new) {
            if settled.iter().any(|old| old.conditions == new.conditions) {
                return None;
            }
            continue;
        }
        settled.retain(|old| !old.conditions.starts_with(&new.conditions));
        settled.push(new);
    }
    for (index, left) in settled.iter().enumerate() {
        for right in &settled[index + 1..] {
            if left.action != right.action && !are_disjoint(&left.conditions, &right.conditions) {
                return None;
            }
        }
    }
    Some(Verdict::Depends(settled))
}

/// Whether no call fulfils both; false where that is not plain to see.
fn are_disjoint(left: &[SeccompCondition], right: &[SeccompCondition]) -> bool {
    left.iter().any(|left| {
        right
            .iter()
            .any(|right| left.argument == right.argument && contradict(left.comparison, right.comparison))
    })
}

fn contradict(left: SeccompComparison, right: SeccompComparison) -> bool {
    use SeccompComparison::{Equal, MaskedEqual, NotEqual};

    match (left, right) {
        (NotEqual(a), Equal(b)) | (Equal(b), NotEqual(a)) => a == b,
        (MaskedEqual { mask, value }, Equal(whole)) | (Equal(whole), MaskedEqual { mask, value }) => {
            whole & mask != value
        }
        (MaskedEqual { mask: a, value: x }, MaskedEqual { mask: b, value: y }) => x & b != y & a,
        _ => match (interval(left), interval(right)) {
            (Some((a, b)), Some((c, d))) => b < c || d < a,
            _ => false,
        },
    }
}

/// First and last value; empty if the first is larger.
fn interval(comparison: SeccompComparison) -> Option<(u64, u64)> {
    match comparison {
        SeccompComparison::Equal(value) => Some((value, value)),
        SeccompComparison::Less(0) | SeccompComparison::Greater(u64::MAX) => Some((1, 0)),
        SeccompComparison::Less(value) => Some((0, value - 1)),
        SeccompComparison::LessOrEqual(value) => Some((0, value)),
        SeccompComparison::Greater(value) => Some((value + 1, u64::MAX)),
        SeccompComparison::GreaterOrEqual(value) => Some((value, u64::MAX)),
        SeccompComparison::NotEqual(_) | SeccompComparison::MaskedEqual { .. } => None,
    }
}
