//! /proc/PID/mountinfo, read for expectations.

use pinnace_tests::Outcome;

#[derive(Clone, Debug)]
pub(crate) struct Mount {
    pub(crate) point: String,
    pub(crate) options: Vec<String>,
    /// `shared:N`, `master:N`, `unbindable`; empty for a private mount.
    pub(crate) propagation: String,
    pub(crate) kind: String,
    pub(crate) super_options: Vec<String>,
}

impl Mount {
    #[track_caller]
    pub(crate) fn expect(&self, options: &[&str]) -> &Self {
        for option in options {
            assert!(self.options.iter().any(|have| have == option), "no `{option}`: {self:?}");
        }
        self
    }
}

/// The visible mount on `point`, from the output of `cat /proc/self/mountinfo`.
#[track_caller]
pub(crate) fn find(outcome: &Outcome, point: &str) -> Mount {
    let text = outcome.succeeded();
    // The last one covers the earlier ones.
    all(text)
        .into_iter()
        .rev()
        .find(|mount| mount.point == point)
        .unwrap_or_else(|| panic!("no mount on {point}:\n{text}"))
}

pub(crate) fn all(text: &str) -> Vec<Mount> {
    text.lines().filter_map(parse).collect()
}

fn parse(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<_> = left.split(' ').collect();
    let right: Vec<_> = right.split(' ').collect();
    let words = |list: &str| list.split(',').map(str::to_owned).collect();
    Some(Mount {
        point: left.get(4)?.to_string(),
        options: words(left.get(5)?),
        propagation: left.get(6..)?.join(" "),
        kind: right.first()?.to_string(),
        super_options: words(right.get(2)?),
    })
}
