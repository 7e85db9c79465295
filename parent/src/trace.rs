//! Where the time of a command goes (`--trace`, PINNACE_TRACE): spans of the parent and of stage1 on one axis.
//!
//! Off, it is one comparison a span. On, the parent looks at its clock twice a span, and stage1 once a step.

mod document;
mod svg;
mod table;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags};
use rustix::time::{ClockId, clock_gettime};

use crate::error::{Error, Result};

pub use document::{Command, read};
pub use svg::draw;
pub use table::table;

/// Who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The runtime.
    Parent,
    /// The program that it launches into the container.
    Stage1,
}

/// One thing that took time. Times are nanoseconds of CLOCK_MONOTONIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Who did it.
    pub lane: Lane,
    /// What was done.
    pub words: String,
    /// When it began.
    pub begin: u64,
    /// When it ended.
    pub end: u64,
    /// Nothing was done but to wait for somebody else.
    pub is_wait: bool,
    /// The number that the plan and errors show.
    pub step: Option<u32>,
}

impl Span {
    /// Nanoseconds.
    fn length(&self) -> u64 {
        self.end.saturating_sub(self.begin)
    }
}

/// The spans of one command in the making.
#[derive(Debug)]
pub struct Trace(Option<Recorder>);

#[derive(Debug)]
struct Recorder {
    file: File,
    began: u64,
    about: RefCell<String>,
    /// W3C's header of whoever wants to have this as a part of something larger.
    traceparent: RefCell<Option<String>>,
    spans: RefCell<Vec<Span>>,
}

impl Trace {
    /// Nobody wants to know.
    pub const fn off() -> Self {
        Self(None)
    }

    /// Appends to the file, which is made if it is missing.
    pub fn to(path: &Path) -> Result<Self> {
        let mut options = OpenOptions::new();
        // A fifo that nobody reads is no place for a trace.
        options.append(true).create(true).mode(0o644).custom_flags(OFlags::NONBLOCK.bits() as i32);
        let file = options.open(path);
        let file = file.map_err(|error| Error::io(format_args!("open trace {}", path.display()), &error))?;
        let traceparent = RefCell::new(std::env::var("TRACEPARENT").ok());
        let (about, spans) = (RefCell::default(), RefCell::default());
        Ok(Self(Some(Recorder { file, began: now(), about, traceparent, spans })))
    }

    /// Whose time it is: a command and a container's id.
    pub fn about(&self, command: &str, id: &str) {
        if let Some(recorder) = &self.0 {
            *recorder.about.borrow_mut() = format!("{command} {id}");
        }
    }

    /// The traceparent that counts where the environment has none.
    pub fn within(&self, traceparent: Option<&String>) {
        if let Some(recorder) = &self.0 {
            let mut own = recorder.traceparent.borrow_mut();
            *own = own.take().or_else(|| traceparent.cloned());
        }
    }

    /// Whether somebody wants to know.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Does what takes a span of time.
    pub fn span<T>(&self, words: &str, work: impl FnOnce() -> T) -> T {
        self.timed(words, false, work)
    }

    /// Waits for somebody else.
    pub fn wait<T>(&self, words: &str, work: impl FnOnce() -> T) -> T {
        self.timed(words, true, work)
    }

    fn timed<T>(&self, words: &str, is_wait: bool, work: impl FnOnce() -> T) -> T {
        let Some(recorder) = &self.0 else { return work() };
        let begin = now();
        let done = work();
        let (lane, words, end) = (Lane::Parent, words.to_owned(), now());
        recorder.spans.borrow_mut().push(Span { lane, words, begin, end, is_wait, step: None });
        done
    }

    /// Takes over what somebody else has measured.
    pub fn add(&self, spans: Vec<Span>) {
        if let Some(recorder) = &self.0 {
            recorder.spans.borrow_mut().extend(spans);
        }
    }

    /// Appends all that was recorded to the file, unless nobody has said what it is about.
    pub fn write(&self) -> Result<()> {
        let Some(recorder) = &self.0 else { return Ok(()) };
        let what = recorder.about.take();
        if what.is_empty() {
            return Ok(());
        }
        let command = Command {
            what,
            process: std::process::id(),
            trace_id: recorder.traceparent.take().as_deref().and_then(document::trace_id),
            begin: recorder.began,
            end: now(),
            spans: recorder.spans.take(),
        };
        let failed = |error| Error::io("write trace", &error);
        // Others may append as well. Ignored: what cannot be locked is no file that grows.
        let _ = rustix::fs::flock(&recorder.file, FlockOperation::LockExclusive);
        let is_new = recorder.file.metadata().map_err(failed)?.len() == 0;
        let text = format!("{}{}", if is_new { "[\n" } else { "" }, document::written(&command));
        (&recorder.file).write_all(text.as_bytes()).map_err(failed)
    }
}

/// CLOCK_MONOTONIC in nanoseconds.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
