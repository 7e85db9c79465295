//! What a profile says, read rule by rule: slow, and without any table or tree.

use super::simulate::Data;
use crate::config::{Seccomp, SeccompArchitecture, SeccompComparison, SeccompCondition, SeccompRule};
use crate::seccomp::library::{Name, action_value};
use crate::seccomp::{socketcall, verdicts};

/// The verdict on a call of an architecture that the profile names and of a number that is not too new for it.
pub(super) fn verdict(profile: &Seccomp, architecture: SeccompArchitecture, data: &Data) -> u32 {
    let mut holding: Vec<(Vec<SeccompCondition>, u32)> = Vec::new();
    for rule in profile.rules.iter().filter(|rule| rule.action != profile.default_action) {
        for conditions in matching(rule, architecture, data.number) {
            if conditions.iter().all(|condition| holds(condition, architecture, data)) {
                holding.push((conditions, action_value(rule.action)));
            }
        }
    }
    // The first of the most general ones.
    let general = holding.iter().find(|(conditions, _)| {
        !holding.iter().any(|(other, _)| other.len() < conditions.len() && conditions.starts_with(other))
    });
    general.map_or(action_value(profile.default_action), |(_, action)| *action)
}

/// The condition lists of a rule, once for each of its names that means this number.
fn matching(
    rule: &SeccompRule,
    architecture: SeccompArchitecture,
    number: u32,
) -> Vec<Vec<SeccompCondition>> {
    let always = vec![Vec::new()];
    let alternatives = if rule.alternatives.is_empty() { &always } else { &rule.alternatives };
    let mut found = Vec::new();
    for name in
        rule.names.iter().filter_map(|name| Name::new(name)).filter(|name| name.native_number().is_some())
    {
        let Some(own) = name.number(architecture) else { continue };
        let split = (architecture == SeccompArchitecture::X86).then(|| socketcall::split(own)).flatten();
        for conditions in alternatives {
            let mut conditions = conditions.clone();
            conditions.sort_by_key(|condition| condition.argument);
            match split {
                Some((_, (gate, selector))) if gate == number => {
                    found.push(socketcall::behind_gate(&conditions, selector));
                }
                Some((direct, _)) if direct == Some(number) => found.push(conditions),
                None if u32::try_from(own) == Ok(number) => found.push(conditions),
                _ => {}
            }
        }
    }
    found
}

fn holds(condition: &SeccompCondition, architecture: SeccompArchitecture, data: &Data) -> bool {
    let seen = |value: u64| if verdicts::is_narrow(architecture) { value & 0xffff_ffff } else { value };
    let argument = seen(data.arguments[usize::from(condition.argument)]);
    match condition.comparison {
        SeccompComparison::NotEqual(value) => argument != seen(value),
        SeccompComparison::Less(value) => argument < seen(value),
        SeccompComparison::LessOrEqual(value) => argument <= seen(value),
        SeccompComparison::Equal(value) => argument == seen(value),
        SeccompComparison::GreaterOrEqual(value) => argument >= seen(value),
        SeccompComparison::Greater(value) => argument > seen(value),
        SeccompComparison::MaskedEqual { mask, value } => argument & mask == seen(value & mask),
    }
}
