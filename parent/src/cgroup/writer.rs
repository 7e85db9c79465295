//! The files of one cgroup: written at a start, or changed by an update that can be taken back.

use std::cell::RefCell;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::files;
use crate::error::{Error, Result};

#[derive(Debug)]
pub(super) struct Writer {
    path: String,
    /// What was in each file before it was written, the first first. A start needs none of it: the whole cgroup goes if it fails.
    undo: Option<RefCell<Vec<Undo>>>,
    /// Nothing is written: somebody else is about to.
    only_reads: bool,
}

/// How a file comes back to what was in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Undo {
    pub(super) file: String,
    /// One write each.
    pub(super) lines: Vec<String>,
}

impl Writer {
    /// Writes and forgets.
    pub(super) fn new(path: String) -> Self {
        Self { path, undo: None, only_reads: false }
    }

    /// Reads each file before it is written.
    pub(super) fn with_undo(path: String) -> Self {
        Self { path, undo: Some(RefCell::default()), only_reads: false }
    }

    /// Reads each file that would be written, and writes none: for what another changes.
    pub(super) fn only_reading(path: String) -> Self {
        Self { only_reads: true, ..Self::with_undo(path) }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn read(&self, file: &str) -> std::result::Result<String, Errno> {
        files::read(&format!("{}/{file}", self.path))
    }

    /// The first number in a file.
    pub(super) fn number(&self, file: &str) -> Option<u64> {
        self.read(file).ok()?.trim_end().parse().ok()
    }

    /// Writes a file of one value; the error names the file and the value.
    pub(super) fn set(&self, file: &str, value: impl ToString) -> Result<()> {
        let value = value.to_string();
        self.try_set(file, &value).map_err(|errno| self.failed(file, &value, errno))
    }

    /// The same for callers that know what to do about an errno.
    pub(super) fn try_set(&self, file: &str, value: &str) -> std::result::Result<(), Errno> {
        self.write(file, value, |old| match old.trim_end() {
            // A file that is empty is emptied by an empty line. Not every kernel takes that for a cpuset with processes: what it came to
            // is the next best.
            "" => {
                let effective = self.read(&format!("{file}.effective"));
                effective.into_iter().chain([String::from("\n")]).collect()
            }
            old => old.lines().map(str::to_owned).collect(),
        })
    }

    /// Writes a line of a file that has one for each device: `key value`. `none` is the value that takes the line away.
    pub(super) fn set_key(&self, file: &str, key: &str, value: &str, none: &str) -> Result<()> {
        self.try_set_key(file, key, value, none)
            .map_err(|errno| self.failed(file, &format!("{key} {value}"), errno))
    }

    pub(super) fn try_set_key(
        &self,
        file: &str,
        key: &str,
        value: &str,
        none: &str,
    ) -> std::result::Result<(), Errno> {
        self.write(file, &format!("{key} {value}"), |old| {
            let line = old.lines().find(|line| line.split(' ').next() == Some(key));
            vec![line.map_or_else(|| format!("{key} {none}"), str::to_owned)]
        })
    }

    fn write(
        &self,
        file: &str,
        value: &str,
        undo: impl FnOnce(&str) -> Vec<String>,
    ) -> std::result::Result<(), Errno> {
        let path = format!("{}/{file}", self.path);
        let Some(log) = &self.undo else { return files::write(&path, value) };
        // What cannot be read cannot be brought back; whether it can be written is another question.
        let lines = files::read(&path).map(|old| undo(&old));
        if !self.only_reads {
            files::write(&path, value)?;
        } else if lines == Err(Errno::NOENT) {
            // There may be another file for it.
            return Err(Errno::NOENT);
        }
        if let Ok(lines) = lines {
            log.borrow_mut().push(Undo { file: path, lines });
        }
        Ok(())
    }

    pub(super) fn failed(&self, file: &str, value: &str, errno: Errno) -> Error {
        Error::call(format_args!("write {value:?} to {}/{file}", self.path), errno)
    }

    /// Brings back what was there, the last change first: what was allowed on the way there is allowed on the way back.
    pub(super) fn undo(self) {
        undo(&self.into_log());
    }

    /// What brings it back, in the order of the changes.
    pub(super) fn into_log(self) -> Vec<Undo> {
        self.undo.map(RefCell::into_inner).unwrap_or_default()
    }
}

/// Takes changes back, the last one first.
pub(super) fn undo(log: &[Undo]) {
    for change in log.iter().rev() {
        for line in &change.lines {
            // Ignored: the other values are still to be brought back, and who calls this has another error to tell, or none.
            let _ = files::write(&change.file, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_update_is_taken_back_from_the_end() {
        let directory = std::env::temp_dir().join(format!("pinnace-writer-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.to_str().unwrap().to_owned();
        fs::write(directory.join("limit"), "7").unwrap();
        fs::write(directory.join("io.max"), "8:0 rbps=1").unwrap();
        let writer = Writer::with_undo(path.clone());
        writer.set("limit", 8).unwrap();
        writer.set("limit", 9).unwrap();
        writer.set_key("io.max", "8:0", "rbps=2", "rbps=max").unwrap();
        assert!(writer.set("missing", 1).is_err());
        assert_eq!(fs::read_to_string(directory.join("limit")).unwrap(), "9");
        writer.undo();
        assert_eq!(fs::read_to_string(directory.join("limit")).unwrap(), "7");
        assert_eq!(fs::read_to_string(directory.join("io.max")).unwrap(), "8:0 rbps=1");

        fs::write(directory.join("limit"), "8").unwrap();
        let writer = Writer::only_reading(path.clone());
        writer.set("limit", 9).unwrap();
        assert!(writer.set("missing", 1).is_err());
        fs::write(directory.join("limit"), "9").unwrap();
        writer.undo();
        assert_eq!(fs::read_to_string(directory.join("limit")).unwrap(), "8");

        let writer = Writer::with_undo(path);
        writer.set_key("io.max", "8:9", "rbps=2", "rbps=max").unwrap();
        writer.undo();
        let text = fs::read_to_string(directory.join("io.max")).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        assert!(text.starts_with("8:9 rbps=max"), "{text}");
    }
}
