//! Where errors and warnings leave the program: runc's formats, since engines parse them.
//!
//! Without `--log` a record goes to standard error. With it the record goes to the file, and an error's bare message goes to
//! standard error as well.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;

use crate::error::{Error, Result};

/// `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// How grave a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Warning,
    Error,
}

/// The one logger of a command.
#[derive(Debug)]
pub struct Log {
    file: Option<File>,
    format: Format,
    /// What is less grave is not written.
    level: Level,
}

impl Log {
    /// Opens (and if need be makes) the log file.
    pub fn open(path: Option<&Path>, format: Format, level: Level) -> Result<Self> {
        let open = |path: &Path| {
            let mut options = OpenOptions::new();
            options.append(true).create(true).mode(0o644).custom_flags(OFlags::SYNC.bits() as i32);
            options.open(path).map_err(|error| Error::io(format_args!("open {}", path.display()), &error))
        };
        Ok(Self { file: path.map(open).transpose()?, format, level })
    }

    /// A logger to standard error, for what goes wrong before the arguments are read.
    pub fn to_stderr() -> Self {
        Self { file: None, format: Format::Text, level: Level::Warning }
    }

    pub fn error(&self, message: &str) {
        self.record(Level::Error, message);
        if self.file.is_some() {
            // Ignored: nothing is left to tell it to.
            let _ = writeln!(std::io::stderr(), "{message}");
        }
    }

    pub fn warning(&self, message: &str) {
        if self.level <= Level::Warning {
            self.record(Level::Warning, message);
        }
    }

    pub fn debug(&self, message: impl FnOnce() -> String) {
        if self.level <= Level::Debug {
            self.record(Level::Debug, &message());
        }
    }

    fn record(&self, level: Level, message: &str) {
        let time = rfc3339_seconds(SystemTime::now());
        let record = match self.format {
            Format::Text => text_record(level, message, &time),
            Format::Json => json_record(level, message, &time),
        };
        // Ignored: a full disk must not change what the command does.
        let _ = match &self.file {
            Some(file) => (&mut &*file).write_all(record.as_bytes()),
            None => std::io::stderr().write_all(record.as_bytes()),
        };
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Debug => "debug",
        Level::Warning => "warning",
        Level::Error => "error",
    }
}

/// logrus's text: the message in Go's quotes.
fn text_record(level: Level, message: &str, time: &str) -> String {
    format!("time=\"{time}\" level={} msg={}\n", word(level), serde_json::Value::from(message))
}

/// logrus's JSON: keys in alphabetical order.
fn json_record(level: Level, message: &str, time: &str) -> String {
    format!(
        "{{\"level\":\"{}\",\"msg\":{},\"time\":\"{time}\"}}\n",
        word(level),
        serde_json::Value::from(message)
    )
}

/// `2026-11-24T13:00:00Z`
pub fn rfc3339_seconds(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("{}Z", date_time(seconds))
}

/// `2026-11-24T13:00:00.123456789Z`
pub fn rfc3339_nanoseconds(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut text = date_time(since.as_secs());
    // Ignored: writing to a String cannot fail.
    let _ = write!(text, ".{:09}Z", since.subsec_nanos());
    text
}

/// Civil date from days since 1970, after Howard Hinnant's days algorithm ("chrono-Compatible Low-Level Date Algorithms").
fn date_time(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_rfc_3339() {
        let time = UNIX_EPOCH + Duration::new(1_709_210_096, 7);
        assert_eq!(rfc3339_seconds(time), "2024-02-29T12:34:56Z");
        assert_eq!(rfc3339_nanoseconds(time), "2024-02-29T12:34:56.000000007Z");
        assert_eq!(rfc3339_seconds(UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn records_are_those_of_runc() {
        assert_eq!(text_record(Level::Error, "a \"b\"", "T"), "time=\"T\" level=error msg=\"a \\\"b\\\"\"\n");
        assert_eq!(
            json_record(Level::Warning, "x", "T"),
            "{\"level\":\"warning\",\"msg\":\"x\",\"time\":\"T\"}\n"
        );
    }
}
