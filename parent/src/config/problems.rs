//! What is wrong with a config.json: all of it at once, each with its JSON path.

use std::fmt;

use crate::error::{Error, Kind};

/// Problems that are printed of one file; more of them help nobody.
const PRINTED_MAX: usize = 50;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Such as `$.linux.namespaces[2].path`.
    pub path: String,
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.reason)
    }
}

/// Everything that was found, in the order in which it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Errors: there are some.
    pub fn none(self) -> std::result::Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }

    /// As those of `file`, in one line.
    pub(super) fn counted(&self, file: &str) -> String {
        let printed: Vec<String> = self.0.iter().take(PRINTED_MAX).map(Problem::to_string).collect();
        let rest = if self.0.len() > PRINTED_MAX { "; …" } else { "" };
        format!("{file} has {} problems: {}{rest}", self.0.len(), printed.join("; "))
    }

    /// Paths are written only when they are needed: most files have no problem.
    pub(super) fn add(&mut self, path: impl fmt::Display, reason: impl Into<String>) {
        self.0.push(Problem { path: one_line(path.to_string()), reason: one_line(reason.into()) });
    }

    /// Refuses NUL bytes, which no path or name of the kernel can hold, and text over `bytes_max` bytes.
    pub(super) fn check_text(&mut self, path: impl fmt::Display, text: &str, bytes_max: usize) {
        if text.contains('\0') {
            self.add(&path, "contains a NUL byte");
        }
        if text.len() > bytes_max {
            self.add(path, format!("is longer than {bytes_max} bytes"));
        }
    }
}

/// One line, since a log record is one line.
impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [problem] => write!(formatter, "config.json: {problem}"),
            _ => formatter.write_str(&self.counted("config.json")),
        }
    }
}

/// Text from the file may hold line ends and terminal escapes.
pub fn one_line(text: String) -> String {
    if text.contains(char::is_control) {
        let escape = |letter: char| match letter.is_control() {
            true => letter.escape_default().to_string(),
            false => String::from(letter),
        };
        text.chars().map(escape).collect()
    } else {
        text
    }
}

/// Why a file is no configuration.
#[derive(Debug)]
pub enum Refusal {
    /// It cannot be read, or it is not a JSON object.
    Unreadable(Error),
    Problems(Problems),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unreadable(error) => error.with_kind(Kind::InvalidConfig),
            Refusal::Problems(problems) => problems.into(),
        }
    }
}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Error::of_kind(Kind::InvalidConfig, problems.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_one_line() {
        let mut problems = Problems::default();
        problems.add("$.a", "bad\nname");
        assert_eq!(problems.to_string(), "config.json: $.a: bad\\nname");
        problems.add("$.b", "missing");
        assert_eq!(problems.to_string(), "config.json has 2 problems: $.a: bad\\nname; $.b: missing");
    }
}
