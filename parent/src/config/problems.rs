//! What is wrong with a config.json: all of it at once, each with its JSON path.

use std::fmt;

use crate::error::Error;

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
    pub(super) fn add(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        self.0.push(Problem { path: path.into(), reason: reason.into() });
    }

    /// Notes a field that is set although pinnace cannot do it yet.
    pub(super) fn not_implemented(&mut self, path: impl Into<String>, is_set: bool) {
        if is_set {
            self.add(path, "not implemented yet");
        }
    }

    /// Refuses NUL bytes, which no path or name of the kernel can hold, and text over `bytes_max` bytes.
    pub(super) fn check_text(&mut self, path: &str, text: &str, bytes_max: usize) {
        if text.contains('\0') {
            self.add(path, "contains a NUL byte");
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
            problems => {
                write!(formatter, "config.json has {} problems: ", problems.len())?;
                for (index, problem) in problems.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(formatter, "{separator}{problem}")?;
                }
                Ok(())
            }
        }
    }
}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        Error::new(problems.to_string())
    }
}
