//! Device rules as v1 has them: what holds by default, and exceptions from it, each for itself.
//!
//! The kernel takes an exception away for the very same numbers alone, and passes over everything else without a word: a rule that would cut a piece
//! out of an exception does nothing. So it is found out beforehand what is left of all rules.

use std::fmt::{self, Write};

use crate::config::{DevicePolicy, DeviceRule, DeviceRuleKind};
use crate::error::{Error, Result};

use super::super::files;
use super::super::writer::Undo;

const READ: u8 = 1;
const WRITE: u8 = 2;
const MKNOD: u8 = 4;

/// Devices, and what is done with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Exception {
    /// `c` or `b`.
    kind: char,
    major: Option<u32>,
    minor: Option<u32>,
    access: u8,
}

impl Exception {
    fn of(rule: &DeviceRule) -> Self {
        let bit = |has: bool, bit: u8| if has { bit } else { 0 };
        let access = bit(rule.read, READ) | bit(rule.write, WRITE) | bit(rule.mknod, MKNOD);
        let kind = match rule.kind {
            DeviceRuleKind::Character => 'c',
            DeviceRuleKind::Block => 'b',
        };
        Self { kind, major: rule.major, minor: rule.minor, access }
    }

    fn has_same_numbers(&self, other: &Self) -> bool {
        (self.kind, self.major, self.minor) == (other.kind, other.major, other.minor)
    }

    /// Whether there is a device that both mean, and something that both say of it.
    fn meets(&self, other: &Self) -> bool {
        let meet = |one: Option<u32>, other: Option<u32>| one.is_none() || other.is_none() || one == other;
        self.kind == other.kind
            && meet(self.major, other.major)
            && meet(self.minor, other.minor)
            && self.access & other.access != 0
    }

    /// Whether every device of the other is one of this.
    fn holds(&self, other: &Self) -> bool {
        let holds = |one: Option<u32>, other: Option<u32>| one.is_none() || one == other;
        self.kind == other.kind && holds(self.major, other.major) && holds(self.minor, other.minor)
    }
}

/// As the files take it, and show it.
impl fmt::Display for Exception {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_char(self.kind)?;
        for (before, number) in [(' ', self.major), (':', self.minor)] {
            formatter.write_char(before)?;
            match number {
                Some(number) => write!(formatter, "{number}")?,
                None => formatter.write_char('*')?,
            }
        }
        formatter.write_char(' ')?;
        let letters = [(READ, 'r'), (WRITE, 'w'), (MKNOD, 'm')];
        letters
            .iter()
            .filter(|(bit, _)| self.access & bit != 0)
            .try_for_each(|(_, letter)| formatter.write_char(*letter))
    }
}

/// The lines that make exceptions from what holds by default.
///
/// Errors: what is allowed, or denied, has a hole, which no list of exceptions has.
pub(in super::super) fn lines(policy: &DevicePolicy) -> Result<Vec<String>> {
    let mut exceptions: Vec<Exception> = Vec::new();
    for rule in &policy.rules {
        let piece = Exception::of(rule);
        if rule.allow == policy.allow_by_default {
            take_away(&mut exceptions, &piece, rule.allow)?;
        } else {
            match exceptions.iter_mut().find(|exception| exception.has_same_numbers(&piece)) {
                Some(exception) => exception.access |= piece.access,
                None => exceptions.push(piece),
            }
        }
    }
    Ok(exceptions.iter().map(Exception::to_string).collect())
}

fn take_away(exceptions: &mut Vec<Exception>, piece: &Exception, allows: bool) -> Result<()> {
    for exception in exceptions.iter_mut().filter(|exception| exception.meets(piece)) {
        if !piece.holds(exception) {
            let (verb, holding) = if allows { ("allow", "denied") } else { ("deny", "allowed") };
            return Err(Error::new(format!(
                "$.linux.resources.devices: cgroup v1 cannot {verb} {piece} where {exception} is {holding}"
            )));
        }
        exception.access &= !piece.access;
    }
    exceptions.retain(|exception| exception.access != 0);
    Ok(())
}

/// What brings a cgroup's rules back to what they are now: nothing is allowed at first, then each line of the list.
pub(super) fn undo(path: &str) -> Vec<Undo> {
    let list = files::read(&format!("{path}/devices.list")).unwrap_or_default();
    let change = |file: &str, lines| Undo { file: format!("{path}/{file}"), lines };
    vec![
        change("devices.allow", list.lines().map(str::to_owned).collect()),
        change("devices.deny", vec![String::from("a")]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words such as `+c 10:229 rwm`.
    fn rule(text: &str) -> DeviceRule {
        let words: Vec<&str> = text.split([' ', ':']).collect();
        let number = |text: &str| text.parse().ok();
        let kind = match &words[0][1..] {
            "c" => DeviceRuleKind::Character,
            _ => DeviceRuleKind::Block,
        };
        DeviceRule {
            allow: text.starts_with('+'),
            kind,
            major: number(words[1]),
            minor: number(words[2]),
            read: words[3].contains('r'),
            write: words[3].contains('w'),
            mknod: words[3].contains('m'),
        }
    }

    fn check(allow_by_default: bool, rules: &[&str], expected: std::result::Result<&[&str], &str>) {
        let policy = DevicePolicy { allow_by_default, rules: rules.iter().map(|text| rule(text)).collect() };
        let lines = lines(&policy).map_err(|error| error.to_string());
        match expected {
            Ok(expected) => assert_eq!(lines.unwrap(), expected, "{rules:?}"),
            Err(reason) => assert!(lines.unwrap_err().ends_with(reason), "{rules:?}"),
        }
    }

    #[test]
    fn exceptions_are_what_is_left_of_the_rules() {
        check(false, &["+c 1:3 rw", "+c 136:* rwm", "+b *:* m"], Ok(&["c 1:3 rw", "c 136:* rwm", "b *:* m"]));
        check(false, &["+c 1:3 r", "+c 1:3 w", "+b 8:0 rwm"], Ok(&["c 1:3 rw", "b 8:0 rwm"]));
        check(false, &["+c 10:229 rwm", "-c 10:229 w"], Ok(&["c 10:229 rm"]));
        // The kernel itself would leave what the wider rule holds.
        check(false, &["+c 10:229 rwm", "+c 11:0 r", "-c 10:* rwm"], Ok(&["c 11:0 r"]));
        check(true, &["-b 8:* rwm", "+b 8:* r"], Ok(&["b 8:* wm"]));
    }

    #[test]
    fn holes_are_refused() {
        let reason = "cannot deny c 10:229 rwm where c 10:* rwm is allowed";
        check(false, &["+c 10:* rwm", "-c 10:229 rwm"], Err(reason));
        check(true, &["-c 1:* rwm", "+c 1:3 rw"], Err("cannot allow c 1:3 rw where c 1:* rwm is denied"));
        check(false, &["+c *:5 r", "-c 4:* r"], Err("cannot deny c 4:* r where c *:5 r is allowed"));
        // They say nothing of the same thing.
        check(false, &["+c 10:* r", "-c 10:229 w", "-b 10:229 r"], Ok(&["c 10:* r"]));
    }
}
