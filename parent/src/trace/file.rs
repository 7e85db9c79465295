//! The file that commands append to.

use std::fs::{File, OpenOptions};
use std::io::{Error as IoError, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags};

use crate::error::{Error, Result};

/// What every file begins with. It is never closed.
const BEGIN: &str = "[\n";

/// How the first event of every file begins: the name of a process, which is a command's. Other lists are somebody else's.
const FIRST_EVENT: &[u8] = br#"{"args":{"name":"pinnace "#;

/// How much of a file's end is looked at: a tool's bracket, and white space about it.
const TAIL_BYTES: u64 = 64;

/// Between two looks at a lock that somebody has, and how many there are. A start waits for no reader of its trace.
const LOCK_PAUSE: Duration = Duration::from_millis(5);
const LOCK_LOOKS: usize = 20;

/// Opens the file to append to it, or makes it.
pub(super) fn open(path: &Path) -> Result<File> {
    let failed = |error| Error::io("open", &error);
    let mut options = OpenOptions::new();
    // A fifo that nobody reads does not keep us.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    options.read(true).append(true).create(true).mode(0o600).custom_flags(flags.bits() as i32);
    let file = options.open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Error::new("it is not a regular file"));
    }
    let mut head = [0; TAIL_BYTES as usize];
    let length = file.read_at(&mut head, 0).map_err(failed)?;
    let head = head[..length].trim_ascii_start();
    let is_trace = match head.strip_prefix(b"[") {
        Some(events) => {
            let first = events.trim_ascii_start();
            // It may be torn.
            first.starts_with(b"]") || first.starts_with(FIRST_EVENT) || FIRST_EVENT.starts_with(first)
        }
        None => length == 0,
    };
    if is_trace { Ok(file) } else { Err(Error::new("it holds something else, and is left alone")) }
}

/// Appends the lines in one write: all of them, or none.
pub(super) fn append(mut file: &File, lines: &str) -> std::io::Result<()> {
    let is_locked = lock(file);
    let length = file.metadata()?.len();
    let (kept, between) = join(file, length)?;
    // What others may be writing to is added to alone.
    if is_locked && kept < length {
        file.set_len(kept)?;
    }
    let text = format!("{between}{lines}");
    let written = match file.write(text.as_bytes()) {
        Ok(written) if written == text.len() => Ok(()),
        // The rest would meet the same end: no space, or a limit.
        Ok(_) => Err(IoError::from(rustix::io::Errno::NOSPC)),
        Err(error) => Err(error),
    };
    if written.is_err() && is_locked {
        // Ignored: readers leave out a line that is torn.
        let _ = file.set_len(kept);
    }
    written
}

/// Whether nobody else appends meanwhile. Who may read the file may lock it, for as long as he wants.
fn lock(file: &File) -> bool {
    (0..LOCK_LOOKS).any(|look| {
        if look > 0 {
            sleep(LOCK_PAUSE);
        }
        rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive).is_ok()
    })
}

/// How much of a file of this length stays, and what comes between it and a new line. A tool may have closed the list, and a full disk torn a line.
fn join(file: &File, length: u64) -> std::io::Result<(u64, &'static str)> {
    let mut tail = [0; TAIL_BYTES as usize];
    let begin = length.saturating_sub(TAIL_BYTES);
    let read = file.read_at(&mut tail, begin)?;
    let tail = &tail[..read];
    if tail.is_empty() {
        return Ok((length, BEGIN));
    }
    let events = match tail.trim_ascii_end().strip_suffix(b"]") {
        Some(open) => open.trim_ascii_end(),
        None => tail.trim_ascii_end(),
    };
    let is_closed = events.len() < tail.trim_ascii_end().len();
    let kept = if is_closed { begin + events.len() as u64 } else { length };
    Ok(match events.last() {
        Some(b'}') => (kept, ",\n"),
        _ if is_closed || tail.last() != Some(&b'\n') => (kept, "\n"),
        _ => (kept, ""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn lines_are_joined_to_whatever_a_file_ends_with() {
        let path = std::env::temp_dir().join(format!("pinnace-trace-{}", std::process::id()));
        for (before, after) in [
            ("", "[\n{\"new\"},\n"),
            ("[\n", "[\n{\"new\"},\n"),
            ("[", "[\n{\"new\"},\n"),
            ("[\n{\"a\"},\n", "[\n{\"a\"},\n{\"new\"},\n"),
            ("[\n{\"a\"},", "[\n{\"a\"},\n{\"new\"},\n"),
            ("[\n{\"a\"}", "[\n{\"a\"},\n{\"new\"},\n"),
            ("[\n{\"a\"}\n]\n", "[\n{\"a\"},\n{\"new\"},\n"),
            ("[{\"a\"},]", "[{\"a\"},\n{\"new\"},\n"),
            ("[]", "[\n{\"new\"},\n"),
            ("[\n{\"ar", "[\n{\"ar\n{\"new\"},\n"),
        ] {
            let ours = |text: &str| text.replace("{\"a\"}", "{\"args\":{\"name\":\"pinnace run a\"}}");
            fs::write(&path, ours(before)).unwrap();
            append(&open(&path).unwrap(), "{\"new\"},\n").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), ours(after), "{before}");
        }
        for other in ["{}", "[1, 2]", "[{\"arr\":1}]", "root:x:0:0", " "] {
            fs::write(&path, other).unwrap();
            assert!(open(&path).is_err(), "{other}");
        }
        fs::remove_file(&path).unwrap();
    }
}
