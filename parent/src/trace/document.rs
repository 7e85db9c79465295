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
    /// In the order in which they ended.
    pub spans: Vec<Span>,
}

/// The trace id in a traceparent header, if that is one.
///
/// Source: W3C Trace Context, "traceparent Header".
pub(super) fn trace_id(traceparent: &str) -> Option<String> {
    let mut parts = traceparent.trim().split('-');
    let is_hex = |text: &&str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    parts.next().filter(|version| version.len() == 2 && is_hex(version))?;
    let id = parts.next().filter(|id| id.len() == 32 && is_hex(id))?;
    id.bytes().any(|byte| byte != b'0').then(|| id.to_owned())
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
    whole["args"] = json!({"traceId": command.trace_id});
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

/// The commands in a file's text, in its order.
pub fn read(text: &str) -> Result<Vec<Command>> {
    let open = text.trim_end().trim_end_matches(']').trim_end().trim_end_matches(',');
    let events: Vec<Value> = serde_json::from_str(&format!("{open}]"))
        .map_err(|error| Error::new(format!("it is no trace: {error}")))?;
    let mut commands: Vec<Command> = Vec::new();
    for event in events.iter().filter(|event| event["ph"] == "X") {
        let span = read_span(event).ok_or_else(|| Error::new("it is no trace of pinnace"))?;
        match commands.last_mut() {
            _ if event["cat"] == "command" => commands.push(Command {
                what: span.words,
                process: event["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or(0),
                trace_id: event["args"]["traceId"].as_str().map(printable),
                begin: span.begin,
                end: span.end,
                spans: Vec::new(),
            }),
            Some(command) => command.spans.push(span),
            None => return Err(Error::new("it is no trace of pinnace")),
        }
    }
    if commands.is_empty() { Err(Error::new("it has no command")) } else { Ok(commands) }
}

/// Names come from a file, and go to a terminal.
fn printable(name: &str) -> String {
    name.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect()
}

fn read_span(event: &Value) -> Option<Span> {
    let nanoseconds = |name: &str| event[name].as_f64().map(|time| (time * 1000.0).round() as u64);
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
