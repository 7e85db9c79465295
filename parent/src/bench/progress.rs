//! How far the benchmark is, on a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// Letters of the bar.
const WIDTH: usize = 30;

/// More often would cost more than it tells.
const PAUSE: Duration = Duration::from_millis(100);

/// One line on standard error that is written anew; nothing where that is no terminal.
pub(crate) struct Progress {
    is_shown: bool,
    what: String,
    done: usize,
    total: usize,
    begun: Instant,
    drawn: Option<Instant>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let is_shown = std::io::stderr().is_terminal();
        Self { is_shown, what: String::new(), done: 0, total: 0, begun: Instant::now(), drawn: None }
    }

    /// Something new is being done, in so many steps.
    pub(crate) fn begin(&mut self, what: String, total: usize) {
        *self = Self { what, total, done: 0, begun: Instant::now(), drawn: None, ..*self };
        self.draw();
    }

    /// One step of it is done.
    pub(crate) fn step(&mut self) {
        self.done += 1;
        if self.drawn.is_none_or(|drawn| drawn.elapsed() >= PAUSE) {
            self.draw();
        }
    }

    fn draw(&mut self) {
        if self.is_shown {
            self.drawn = Some(Instant::now());
            let line = line(&self.what, self.done, self.total, self.begun.elapsed());
            // Ignored: who does not see it does not miss it.
            let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
        }
    }
}

impl Drop for Progress {
    /// Leaves an empty line to whatever is printed next.
    fn drop(&mut self) {
        if self.is_shown {
            // Ignored: as above.
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// `run, back to back  [##########--------------------]   5/15   2 s left`
fn line(what: &str, done: usize, total: usize, elapsed: Duration) -> String {
    let filled = (WIDTH * done).checked_div(total).unwrap_or(WIDTH).min(WIDTH);
    let bar = format!("{}{}", "#".repeat(filled), "-".repeat(WIDTH - filled));
    let left = match done {
        0 => String::new(),
        _ => {
            let left = elapsed.as_secs_f64() / done as f64 * total.saturating_sub(done) as f64;
            format!("{left:4.0} s left")
        }
    };
    format!("{what:<24} [{bar}] {done:>4}/{total:<4} {left}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_grows_and_tells_what_is_left() {
        let at = |done| line("run", done, 4, Duration::from_secs(3));
        assert!(at(0).ends_with("[------------------------------]    0/4    "), "{}", at(0));
        assert!(at(3).contains("[######################--------]    3/4       1 s left"), "{}", at(3));
        assert!(at(4).contains("[##############################]    4/4       0 s left"), "{}", at(4));
    }
}
