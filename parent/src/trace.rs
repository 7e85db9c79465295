//! Where the time of a command goes (`--trace`, PINNACE_TRACE): spans of the parent and of stage1 on one axis.
//!
//! Off, it is one comparison a span. On, the parent looks at its clock twice a span, and stage1 once a step.

mod document;
mod file;
mod svg;
mod table;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

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
    /// Of whoever wants to have this as a part of something larger.
    trace_id: RefCell<Option<String>>,
    spans: RefCell<Vec<Span>>,
    error: RefCell<Option<String>>,
}

impl Trace {
    /// Nobody wants to know.
    pub const fn off() -> Self {
        Self(None)
    }

    /// Appends to the file, which is made if it is missing, and then is its owner's alone: it names what containers do.
    ///
    /// Errors: it cannot be opened, is no regular file, or holds something else.
    pub fn to(path: &Path) -> Result<Self> {
        let file =
            file::open(path).map_err(|error| error.context(format_args!("trace {}", path.display())))?;
        let header = std::env::var("TRACEPARENT").ok();
        let trace_id = RefCell::new(header.as_deref().and_then(document::trace_id));
        let (about, spans, error) = (RefCell::default(), RefCell::default(), RefCell::default());
        Ok(Self(Some(Recorder { file, began: now(), about, trace_id, spans, error })))
    }

    /// Whose time it is: a command and a container's id.
    pub fn about(&self, command: &str, id: &str) {
        if let Some(recorder) = &self.0 {
            *recorder.about.borrow_mut() = format!("{command} {id}");
        }
    }

    /// Whose annotation `dev.pinnace.traceparent` counts where the environment has no traceparent.
    pub fn within(&self, annotations: &BTreeMap<String, String>) {
        if let Some(recorder) = &self.0 {
            let mut own = recorder.trace_id.borrow_mut();
            let annotated = || annotations.get("dev.pinnace.traceparent");
            *own = own.take().or_else(|| document::trace_id(annotated()?));
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

    /// Why the command has failed: of a start, the step that it came to.
    pub fn failed(&self, error: &Error) {
        if let Some(recorder) = &self.0 {
            recorder.error.borrow_mut().get_or_insert_with(|| error.to_string());
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
            trace_id: recorder.trace_id.take(),
            begin: recorder.began,
            end: now(),
            error: recorder.error.take(),
            spans: recorder.spans.take(),
        };
        file::append(&recorder.file, &document::written(&command))
            .map_err(|error| Error::io("write trace", &error))
    }
}

/// CLOCK_MONOTONIC in nanoseconds.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
