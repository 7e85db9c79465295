//! Where errors and warnings leave the program: runc's formats, since engines parse them.
//!
//! Without `--log` a record goes to standard error. With it the record goes to the file, and an error's bare message goes to
//! standard error as well. As with crun the file may be a daemon of the host's, `syslog:NAME` or `journald:NAME`.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;

use crate::error::{Error, Result};

/// `--log-format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A line of `key=value`.
    #[default]
    Text,
    /// An object a line.
    Json,
}

/// How grave a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// What is done.
    Debug,
    /// What somebody should know although all went well.
    Warning,
    /// Why a command fails.
    Error,
}

/// The one logger of a command.
#[derive(Debug)]
pub struct Log {
    destination: Destination,
    format: Format,
    /// What is less grave is not written.
    level: Level,
}

/// Where records go.
#[derive(Debug)]
enum Destination {
    None,
    Stderr,
    File(File),
    /// Daemons, and the name under which they keep our records; the format is theirs.
    Syslog(UnixDatagram, String),
    Journal(UnixDatagram, String),
}

impl Destination {
    /// Opens (and if need be makes) the log file, or finds the daemon.
    fn open(path: &Path) -> Result<Self> {
        let text = path.to_str().unwrap_or_default();
        if let Some(name) = text.strip_prefix("syslog:") {
            return Ok(Self::Syslog(connect("/dev/log")?, name.to_owned()));
        }
        if let Some(name) = text.strip_prefix("journald:") {
            return Ok(Self::Journal(connect("/run/systemd/journal/socket")?, name.to_owned()));
        }
        let path = text.strip_prefix("file:").map_or(path, Path::new);
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o644).custom_flags(OFlags::SYNC.bits() as i32);
        let opened = options.open(path);
        opened.map(Self::File).map_err(|error| Error::io(format_args!("open {}", path.display()), &error))
    }
}

fn connect(path: &str) -> Result<UnixDatagram> {
    let connected = UnixDatagram::unbound().and_then(|socket| socket.connect(path).map(|()| socket));
    connected.map_err(|error| Error::io(format_args!("connect {path}"), &error))
}

impl Log {
    /// Errors: the file cannot be opened, or the daemon is not there.
    pub fn open(path: Option<&Path>, format: Format, level: Level) -> Result<Self> {
        let destination = path.map_or(Ok(Destination::Stderr), Destination::open)?;
        Ok(Self { destination, format, level })
    }

    /// A logger to standard error, for what goes wrong before the arguments are read.
    pub fn to_stderr() -> Self {
        Self { destination: Destination::Stderr, format: Format::Text, level: Level::Warning }
    }

    /// A logger that keeps everything to itself.
    pub const fn none() -> Self {
        Self { destination: Destination::None, format: Format::Text, level: Level::Error }
    }

    /// Why the command fails.
    pub fn error(&self, message: &str) {
        self.record(Level::Error, message);
        if !matches!(self.destination, Destination::Stderr | Destination::None) {
            // Ignored: nothing is left to tell it to.
            let _ = writeln!(std::io::stderr(), "{message}");
        }
    }

    /// What somebody should know although all went well.
    pub fn warning(&self, message: &str) {
        if self.level <= Level::Warning {
            self.record(Level::Warning, message);
        }
    }

    /// What is done; the text is made only if it is written.
    pub fn debug(&self, message: impl FnOnce() -> String) {
        if self.level <= Level::Debug {
            self.record(Level::Debug, &message());
        }
    }

    fn record(&self, level: Level, message: &str) {
        let record = || {
            let time = rfc3339_seconds(SystemTime::now());
            match self.format {
                Format::Text => text_record(level, message, &time),
                Format::Json => json_record(level, message, &time),
            }
        };
        // Ignored: a full disk must not change what the command does.
        let _ = match &self.destination {
            Destination::None => Ok(()),
            Destination::Stderr => std::io::stderr().write_all(record().as_bytes()),
            Destination::File(file) => (&mut &*file).write_all(record().as_bytes()),
            Destination::Syslog(socket, name) => {
                socket.send(syslog_record(level, message, name).as_bytes()).map(drop)
            }
            Destination::Journal(socket, name) => {
                socket.send(&journal_record(level, message, name)).map(drop)
            }
        };
    }
}

/// The severities of syslog(3).
fn severity(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warning => 4,
        Level::Debug => 7,
    }
}

/// The facility is `user`, 1. Source: syslog(3), RFC 3164.
fn syslog_record(level: Level, message: &str, name: &str) -> String {
    format!("<{}>{name}: {message}", (1 << 3) + severity(level))
}

/// systemd's native protocol: the one field that may have line breaks has its length before it.
fn journal_record(level: Level, message: &str, name: &str) -> Vec<u8> {
    let fields = format!("PRIORITY={}\nSYSLOG_IDENTIFIER={name}\nMESSAGE\n", severity(level));
    [fields.as_bytes(), &(message.len() as u64).to_le_bytes(), message.as_bytes(), b"\n"].concat()
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

    #[test]
    fn records_of_daemons_are_in_their_formats() {
        assert_eq!(syslog_record(Level::Error, "a", "web"), "<11>web: a");
        assert_eq!(
            journal_record(Level::Warning, "a\nb", "web"),
            b"PRIORITY=4\nSYSLOG_IDENTIFIER=web\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n"
        );
    }
}
