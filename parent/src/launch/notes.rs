//! stage1's notes of what it does and when, for a trace.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::MemfdFlags;
use rustix::time::{ClockId, clock_gettime};
use shared_proto::trace::{STEP, trace_bytes};
use shared_proto::{Mark, Moment, Phase, Step};

use crate::error::{Error, Result};
use crate::plan::{Plan, show};
use crate::trace::{Lane, Span, now};

/// A file in memory that stage1 writes and we read.
#[derive(Debug)]
pub struct Notes {
    file: OwnedFd,
    /// When stage1 was about to be born.
    born: u64,
}

impl Notes {
    /// Room for the notes on a plan.
    pub fn new(plan: &Plan<'_>) -> Result<Self> {
        let make = || {
            let file = rustix::fs::memfd_create(c"pinnace-trace", MemfdFlags::CLOEXEC)?;
            rustix::fs::ftruncate(&file, trace_bytes(plan.steps.len()) as u64)?;
            Ok(file)
        };
        let file = make().map_err(|errno| Error::call("make memory for the trace", errno))?;
        Ok(Self { file, born: now() })
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// What stage1 has done up to now, when it was last heard of.
    pub fn spans(&self, plan: &Plan<'_>) -> Vec<Span> {
        let mut bytes = vec![0; trace_bytes(plan.steps.len())];
        // Ignored: a trace without them says enough.
        let read = rustix::io::pread(&self.file, &mut bytes, 0).unwrap_or(0);
        spans(plan, Mark::all(&bytes[..read]), self.born, clock_difference(), now())
    }
}

/// What makes the one clock that is the same in all time namespaces ours.
fn clock_difference() -> u64 {
    let real = clock_gettime(ClockId::Realtime);
    now().wrapping_sub(real.tv_sec as u64 * 1_000_000_000 + real.tv_nsec as u64)
}

/// stage1 does one thing after the other: each note ends what the one before it began.
fn spans(
    plan: &Plan<'_>,
    marks: impl Iterator<Item = Mark>,
    born: u64,
    difference: u64,
    last_heard: u64,
) -> Vec<Span> {
    let lane = Lane::Stage1;
    let (mut begin, mut last) = (born, None);
    let mut spans = Vec::new();
    for mark in marks {
        let (label, end) = (mark.label.get(), mark.nanoseconds.get().wrapping_add(difference));
        let moment = Moment::from_number(label);
        let (words, is_wait, step) = match moment {
            Some(moment) => (moment.words().to_owned(), moment.is_wait(), None),
            None => (show::deed(plan, label & !STEP), false, Some(label & !STEP)),
        };
        spans.push(Span { lane, words, begin, end, is_wait, step });
        (begin, last) = (end, Some((moment, step)));
    }
    if let Some((words, step)) = last.and_then(|(moment, step)| behind(plan, moment, step)) {
        spans.push(Span { lane, words, begin, end: last_heard.max(begin), is_wait: false, step });
    }
    spans
}

/// What came behind the last note, until stage1 was heard of; `None` if it still waits for its start.
fn behind(plan: &Plan<'_>, moment: Option<Moment>, step: Option<u32>) -> Option<(String, Option<u32>)> {
    let phase = |step: u32| plan.steps.get(step as usize).map(|phased| phased.phase);
    let is_locked_down = moment == Some(Moment::Closed) || step.and_then(phase) == Some(Phase::Lockdown);
    let filter = plan.steps.iter().position(|phased| matches!(phased.step, Step::InstallSeccomp { .. }));
    let program = plan.program.name();
    match (moment, filter) {
        (Some(Moment::ProgramFound), _) => None,
        (_, Some(step)) if is_locked_down => {
            let words = format!("{}, execute {program}", show::deed(plan, step as u32));
            Some((words, Some(step as u32)))
        }
        _ if is_locked_down => Some((format!("execute {program}"), None)),
        _ => Some((String::from("not finished"), None)),
    }
}
