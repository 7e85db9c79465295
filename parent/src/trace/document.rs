//! Traces as files: events in the format that Chrome has introduced and Perfetto opens, one a line.
//!
//! Each command appends its own. The list is never closed, which the format allows, so that the next one can.

use serde_json::{Value, json};

use super::{Lane, Span};
use crate::error::{Error, Result};

/// What one command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Such as `run web`.
    pub what: String,
    /// Its process id.
    pub process: u32,
    /// 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// When it began; nanoseconds of CLOCK_MONOTONIC.
    pub begin: u64,
    /// When it ended.
    pub end: u64,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// In the order in which they ended.
    pub spans: Vec<Span>,
}

impl Command {
    /// Nanoseconds.
    pub fn length(&self) -> u64 {
        self.end.saturating_sub(self.begin)
    }
}

/// The trace id in a traceparent header, if that is one. Later versions may have more parts than this one.
///
/// Source: W3C Trace Context, "traceparent Header".
pub(super) fn trace_id(traceparent: &str) -> Option<String> {
    let parts: Vec<&str> = traceparent.trim().split('-').collect();
    let [version, id, parent, flags, rest @ ..] = parts.as_slice() else { return None };
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let names = |text: &str| text.bytes().any(|byte| byte != b'0');
    let is_valid = is_hex(version, 2)
        && *version != "ff"
        && is_hex(id, 32)
        && names(id)
        && is_hex(parent, 16)
        && names(parent)
        && is_hex(flags, 2)
        && (rest.is_empty() || *version != "00");
    is_valid.then(|| (*id).to_owned())
}

const LANES: [(Lane, &str); 2] = [(Lane::Parent, "parent"), (Lane::Stage1, "stage1")];

impl Lane {
    pub(super) fn name(self) -> &'static str {
        LANES[self as usize].1
    }
}

/// The events of one command, each with a comma behind it.
pub(super) fn written(command: &Command) -> String {
    let process = command.process;
    let mut events = vec![
        json!({"name": "process_name", "ph": "M", "pid": process, "args": {"name": format!("pinnace {}", command.what)}}),
    ];
    for (lane, name) in LANES {
        let thread = lane as u32 + 1;
        events.push(
            json!({"name": "thread_name", "ph": "M", "pid": process, "tid": thread, "args": {"name": name}}),
        );
    }
    let mut whole = event(process, Lane::Parent, &command.what, "command", command.begin, command.end);
    whole["args"] = json!({"traceId": command.trace_id, "error": command.error});
    events.push(whole);
    for span in &command.spans {
        let kind = if span.is_wait { "wait" } else { "work" };
        let mut event = event(process, span.lane, &span.words, kind, span.begin, span.end);
        if let Some(step) = span.step {
            event["args"] = json!({"step": step});
        }
        events.push(event);
    }
    events.iter().map(|event| format!("{event},\n")).collect()
}

/// Times in this format are microseconds.
fn event(process: u32, lane: Lane, name: &str, kind: &str, begin: u64, end: u64) -> Value {
    let microseconds = |nanoseconds: u64| nanoseconds as f64 / 1000.0;
    json!({
        "name": name, "cat": kind, "ph": "X", "pid": process, "tid": lane as u32 + 1,
        "ts": microseconds(begin), "dur": microseconds(end.saturating_sub(begin)),
    })
}

/// The commands in a file's text, in its order, and how many of its lines or events nobody can read: a full disk has torn them, or another
/// program has written them.
pub fn read(text: &str) -> Result<(Vec<Command>, usize)> {
    let (events, mut unread) = events(text)?;
    let mut commands: Vec<Command> = Vec::new();
    for event in events.iter().filter(|event| event["ph"] == "X") {
        let process = event["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0);
        match (read_span(event), commands.last_mut()) {
            (Some(span), _) if event["cat"] == "command" => commands.push(Command {
                what: span.words,
                process,
                trace_id: event["args"]["traceId"].as_str().map(printable),
                begin: span.begin,
                end: span.end,
                error: event["args"]["error"].as_str().map(printable),
                spans: Vec::new(),
            }),
            // The command of another process's spans has been lost.
            (Some(span), Some(command)) if command.process == process => command.spans.push(span),
            _ => unread += 1,
        }
    }
    if commands.is_empty() {
        return Err(Error::new("it is no trace of pinnace: it has no command"));
    }
    Ok((commands, unread))
}

/// The events of a list, closed or not; or else those of its lines that have one each.
fn events(text: &str) -> Result<(Vec<Value>, usize)> {
    let open = text.trim_end().trim_end_matches(']').trim_end().trim_end_matches(',');
    let error = match serde_json::from_str(&format!("{open}]")) {
        Ok(events) => return Ok((events, 0)),
        Err(error) => error,
    };
    let (mut events, mut unread) = (Vec::new(), 0);
    for line in text.lines() {
        let event = line.trim().trim_start_matches(['[', ',']).trim_end_matches([']', ',']).trim();
        match serde_json::from_str::<Value>(event) {
            Ok(event) if event.is_object() => events.push(event),
            _ if event.is_empty() => {}
            _ => unread += 1,
        }
    }
    if events.is_empty() { Err(Error::new(format!("it is no trace: {error}"))) } else { Ok((events, unread)) }
}

/// Names come from a file, and go to a terminal.
fn printable(name: &str) -> String {
    name.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

/// Nanoseconds, some thirty years: no clock of ours shows more, and sums of two stay far below what a number holds.
const TIME_MAX: f64 = 1e18;

fn read_span(event: &Value) -> Option<Span> {
    let nanoseconds = |name: &str| {
        let time = (event[name].as_f64()? * 1000.0).round();
        (0.0..=TIME_MAX).contains(&time).then_some(time as u64)
    };
    let begin = nanoseconds("ts")?;
    let thread = event["tid"].as_u64()?;
    Some(Span {
        lane: LANES.into_iter().find(|(lane, _)| *lane as u64 + 1 == thread)?.0,
        words: printable(event["name"].as_str()?),
        begin,
        end: begin + nanoseconds("dur")?,
        is_wait: event["cat"] == "wait",
        step: event["args"]["step"].as_u64().and_then(|step| u32::try_from(step).ok()),
    })
}
