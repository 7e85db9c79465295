//! What is executed, as execve(2) takes it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use super::check::env;
use super::{Problems, Process};

/// A program with its arguments: bytes without a NUL, as all that the kernel is told of them. Those of a configuration are text, those of a command
/// line need not be.
#[derive(Clone, Debug, Default)]
pub struct Program<'a> {
    /// The program is the first.
    pub arguments: Vec<&'a [u8]>,
    /// `NAME=value` each, no name twice.
    pub environment: Vec<&'a [u8]>,
    /// The working directory, absolute.
    pub cwd: &'a [u8],
}

impl<'a> Program<'a> {
    pub fn of(process: &'a Process) -> Self {
        let bytes = |list: &'a [String]| list.iter().map(String::as_bytes).collect();
        Self {
            arguments: bytes(&process.args),
            environment: bytes(&process.env),
            cwd: process.cwd.as_bytes(),
        }
    }

    /// Adds entries to the environment; of those with the same name the last one's value counts.
    ///
    /// Errors: an entry without a name, or without a value.
    pub fn add_env(&mut self, entries: &'a [OsString]) -> Result<(), Problems> {
        let mut problems = Problems::default();
        self.environment.extend(entries.iter().map(|entry| entry.as_bytes()));
        self.environment = env(&self.environment, &mut problems);
        problems.none()
    }

    /// For people.
    pub fn name(&self) -> String {
        String::from_utf8_lossy(self.arguments.first().copied().unwrap_or_default()).into_owned()
    }
}
