//! Events of a container, one line of JSON each: what it uses, and when the kernel kills in it.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use serde::Serialize;

use super::Container;
use crate::cgroup::{Cgroups, OomReason, Stats};
use crate::error::{Error, Kind, Result};
use crate::launch::{Reactor, block_on};

/// A container that runs, and what it is called.
#[derive(Debug)]
pub struct Events<'c> {
    id: &'c str,
    cgroups: Cgroups,
    init: OwnedFd,
}

/// runc's words.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: &'a str,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Stats(&'a Stats),
    /// Not one of runc's words, whose readers pass over what they do not know.
    Oom {
        reason: OomReason,
    },
}

/// Errors: the container has ended.
pub fn events(container: &Container) -> Result<Events<'_>> {
    let id = &container.id;
    match container.init_handle()? {
        Some(init) => Ok(Events { id, cgroups: container.cgroups(), init }),
        None => Err(Error::of_kind(Kind::NotRunning, format!("container with id {id} is not running"))),
    }
}

impl Events<'_> {
    /// What the container uses now.
    pub fn stats(&self) -> Result<String> {
        self.line("stats", Data::Stats(&self.cgroups.stats()))
    }

    fn line(&self, kind: &'static str, data: Data<'_>) -> Result<String> {
        let event = Event { kind, id: self.id, data };
        let text = serde_json::to_string(&event).map_err(|error| Error::new(format!("events: {error}")))?;
        Ok(text + "\n")
    }

    /// Prints events until the container ends.
    pub fn run(&self, interval: Duration, print: impl Fn(&str) -> Result<()>) -> Result<()> {
        let timer = timer(interval)?;
        let mut oom = self.cgroups.watch_oom()?;
        let reactor = Reactor::default();
        block_on(&reactor, async {
            let oom = async {
                let Some(oom) = &mut oom else { return std::future::pending::<Result<()>>().await };
                loop {
                    reactor.readable(oom.as_fd()).await;
                    if let Some(reason) = oom.take() {
                        print(&self.line("oom", Data::Oom { reason })?)?;
                    }
                }
            };
            let stats = async {
                loop {
                    reactor.readable(timer.as_fd()).await;
                    // Ignored: how often the timer has run out meanwhile does not matter.
                    let _ = rustix::io::read(&timer, &mut [0u8; 8]);
                    print(&self.stats()?)?;
                }
            };
            let end = async {
                reactor.readable(self.init.as_fd()).await;
                Ok(())
            };
            // In this order: what killed the container is told before its end is noticed.
            smol::future::or(oom, smol::future::or(end, stats)).await
        })?;
        // The kernel may tell some milliseconds after the fact.
        if let Some(reason) = oom.and_then(|mut oom| oom.take()) {
            print(&self.line("oom", Data::Oom { reason })?)?;
        }
        Ok(())
    }
}

fn timer(interval: Duration) -> Result<OwnedFd> {
    let failed = |errno| Error::call("timerfd", errno);
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags).map_err(failed)?;
    let interval = Timespec::try_from(interval).map_err(|_| Error::new("duration interval is too long"))?;
    let times = Itimerspec { it_interval: interval, it_value: interval };
    rustix::time::timerfd_settime(&timer, TimerfdTimerFlags::empty(), &times).map_err(failed)?;
    Ok(timer)
}

/// A time as Go writes it: `5s`, `1m30s`, `1.5h`, `300ms`.
pub fn parse_interval(text: &str) -> Result<Duration> {
    let nanoseconds = nanoseconds(text)
        .ok_or_else(|| Error::new(format!("invalid value {text:?} for flag -interval: parse error")))?;
    if nanoseconds < 1.0 {
        return Err(Error::new("duration interval must be greater than 0"));
    }
    Ok(Duration::from_nanos(nanoseconds as u64))
}

fn nanoseconds(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0.0);
    }
    let mut sum = None;
    while !rest.is_empty() {
        let is_number = |letter: char| letter.is_ascii_digit() || letter == '.';
        let (number, after) = rest.split_at(rest.find(|letter| !is_number(letter))?);
        let end = after.find(is_number).unwrap_or(after.len());
        let unit = match &after[..end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        sum = Some(sum.unwrap_or(0.0) + number.parse::<f64>().ok()? * unit);
        rest = &after[end..];
    }
    sum.map(|sum| sign * sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("5s", Some(5000)),
            ("1m30s", Some(90_000)),
            ("1.5h", Some(5_400_000)),
            ("300ms", Some(300)),
            ("5", None),
            ("", None),
            ("s", None),
            ("5x", None),
        ] {
            assert_eq!(parse_interval(text).ok(), expected.map(Duration::from_millis), "{text}");
        }
        for text in ["0", "0s", "-5s"] {
            let error = parse_interval(text).unwrap_err();
            assert_eq!(error.to_string(), "duration interval must be greater than 0", "{text}");
        }
    }
}
