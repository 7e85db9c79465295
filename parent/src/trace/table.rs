//! Traces for people in a terminal.

use std::fmt::Write as _;

use super::{Command, Span};

/// How many of the dearest are marked.
pub(super) const MARKED: usize = 5;

/// Every span of every command: when it began, how long it took, who, and what. The dearest have a star, waits a tilde.
pub fn table(commands: &[Command]) -> String {
    let mut out = String::new();
    for (index, command) in commands.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        // Ignored here and below: writing to a String cannot fail.
        let _ = write!(out, "{gap}{}: {} ms", command.what, milliseconds(command.length()));
        if let Some(id) = &command.trace_id {
            let _ = write!(out, ", trace id {id}");
        }
        if let Some(error) = &command.error {
            let _ = write!(out, ", failed: {error}");
        }
        out.push('\n');
        let _ = writeln!(out, "   {:>8}  {:>7}  {:<6}  {:>4}  WHAT", "BEGIN", "TIME", "WHO", "STEP");
        let dearest = dearest(&command.spans);
        for span in in_order(&command.spans) {
            let mark = match span.is_wait {
                true => '~',
                false if dearest.contains(&span) => '*',
                false => ' ',
            };
            let step = span.step.map_or_else(String::new, |step| step.to_string());
            let (begin, time) =
                (milliseconds(span.begin.saturating_sub(command.begin)), milliseconds(span.length()));
            let _ = writeln!(
                out,
                "{mark}  {begin:>8}  {time:>7}  {:<6}  {step:>4}  {}",
                span.lane.name(),
                span.words
            );
        }
    }
    out
}

/// With three digits behind the point: microseconds.
pub(super) fn milliseconds(nanoseconds: u64) -> String {
    format!("{:.3}", nanoseconds as f64 / 1e6)
}

/// As they began.
pub(super) fn in_order(spans: &[Span]) -> Vec<&Span> {
    let mut spans: Vec<&Span> = spans.iter().collect();
    spans.sort_by_key(|span| (span.begin, std::cmp::Reverse(span.end)));
    spans
}

/// The longest of those that were no waits.
pub(super) fn dearest(spans: &[Span]) -> Vec<&Span> {
    let mut spans: Vec<&Span> = spans.iter().filter(|span| !span.is_wait).collect();
    spans.sort_by_key(|span| std::cmp::Reverse(span.length()));
    spans.truncate(MARKED);
    spans
}
