//! The path of a value in a JSON document, as `$.linux.namespaces[2].path`.

use std::fmt;

use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Name(String),
    Index(usize),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct JsonPath(pub(super) Vec<Segment>);

impl JsonPath {
    pub(super) fn name(&self, name: &str) -> Self {
        self.then(Segment::Name(name.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Segment::Index(index))
    }

    fn then(&self, segment: Segment) -> Self {
        let mut path = self.clone();
        path.0.push(segment);
        path
    }

    /// The names alone, for comparing: `["linux", "devices", "type"]`.
    pub(super) fn names(&self) -> Vec<&str> {
        let names = self.0.iter().filter_map(|segment| match segment {
            Segment::Name(name) => Some(name.as_str()),
            Segment::Index(_) => None,
        });
        names.collect()
    }

    /// The path of what holds the value, and the value's place in it.
    pub(super) fn split_last(&self) -> Option<(Self, &Segment)> {
        let (last, parents) = self.0.split_last()?;
        Some((Self(parents.to_vec()), last))
    }

    /// The value that the path leads to.
    pub(super) fn find<'v>(&self, tree: &'v mut Value) -> Option<&'v mut Value> {
        self.0.iter().try_fold(tree, |value, segment| match segment {
            Segment::Name(name) => value.get_mut(name.as_str()),
            Segment::Index(index) => value.get_mut(*index),
        })
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("$")?;
        for segment in &self.0 {
            match segment {
                Segment::Index(index) => write!(formatter, "[{index}]")?,
                Segment::Name(name) if is_plain(name) => write!(formatter, ".{name}")?,
                Segment::Name(name) => write!(formatter, "[{name:?}]")?,
            }
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether two written paths are of one value, or one leads through the other.
pub(super) fn are_related(left: &str, right: &str) -> bool {
    let leads = |short: &str, long: &str| {
        long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    leads(left, right) || leads(right, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_words_are_quoted() {
        let path = JsonPath::default().name("linux").name("sysctl").name("net.core.x").index(2);
        assert_eq!(path.to_string(), r#"$.linux.sysctl["net.core.x"][2]"#);
    }

    #[test]
    fn relation_ends_at_a_whole_segment() {
        assert!(are_related("$.mounts[1]", "$.mounts[1].type"));
        assert!(are_related("$.mounts[1].type", "$.mounts"));
        assert!(!are_related("$.mounts[1]", "$.mounts[10].type"));
        assert!(!are_related("$.process.user", "$.process.username"));
    }
}
