//! The name of a compiled profile: a digest over everything that the program depends on. Two profiles with one name cannot be.

use sha2::{Digest, Sha256};

use super::library;
use crate::config::{Seccomp, SeccompAction, SeccompComparison, SeccompCondition, SeccompRule};

/// SHA-256.
pub(super) type Key = [u8; 32];

/// The key of a profile, with this version of pinnace and libseccomp on this architecture.
pub(super) fn of(profile: &Seccomp) -> Key {
    // A field more is an error here until it is part of the digest. Flags and listener are not in the program.
    let Seccomp { default_action, default_is_enosys, architectures, flags: _, rules, listener: _ } = profile;
    let mut digest = Writer(Vec::with_capacity(16 << 10));
    digest.text("pinnace seccomp");
    // What `compile` makes of a profile may change with any of our sources.
    digest.text(env!("PINNACE_SOURCE_ID"));
    for part in library::version() {
        digest.number(u64::from(part));
    }
    digest.text(std::env::consts::ARCH);
    digest.action(*default_action);
    digest.number(u64::from(*default_is_enosys));
    digest.number(architectures.len() as u64);
    for architecture in architectures {
        digest.number(u64::from(library::token(*architecture)));
    }
    digest.number(rules.len() as u64);
    for rule in rules {
        digest.rule(rule);
    }
    Sha256::digest(&digest.0).into()
}

/// Fields one after the other. Each has a fixed length or its length before it, so that no two profiles make the same bytes.
struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend(text.as_bytes());
    }

    fn action(&mut self, action: SeccompAction) {
        self.number(u64::from(library::action_value(action)));
    }

    fn rule(&mut self, rule: &SeccompRule) {
        let SeccompRule { names, action, alternatives } = rule;
        self.number(names.len() as u64);
        for name in names {
            self.text(name);
        }
        self.action(*action);
        self.number(alternatives.len() as u64);
        for conditions in alternatives {
            self.number(conditions.len() as u64);
            for condition in conditions {
                self.condition(condition);
            }
        }
    }

    fn condition(&mut self, condition: &SeccompCondition) {
        let (operator, value, more) = match condition.comparison {
            SeccompComparison::NotEqual(value) => (1, value, 0),
            SeccompComparison::Less(value) => (2, value, 0),
            SeccompComparison::LessOrEqual(value) => (3, value, 0),
            SeccompComparison::Equal(value) => (4, value, 0),
            SeccompComparison::GreaterOrEqual(value) => (5, value, 0),
            SeccompComparison::Greater(value) => (6, value, 0),
            SeccompComparison::MaskedEqual { mask, value } => (7, mask, value),
        };
        for number in [u64::from(condition.argument), operator, value, more] {
            self.number(number);
        }
    }
}
