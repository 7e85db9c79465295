//! What grows: beside idle containers, with many starts at once, and after a burst of them.

use std::time::{Duration, Instant};

use super::child::rest;
use super::contestant::is_interruption;
use super::machine::Ticks;
use super::{Burst, Condition, Cost, Request, Results, Sample, Series, Session, Wave, shuffle};
use pinnace::Result;

/// Time for the kernel to finish what came before.
const SETTLING: Duration = Duration::from_secs(1);

/// Less than this share of all processors' time in use is quiet.
const QUIET_SHARE: f64 = 0.1;

/// Starts one by one before a burst, to compare with.
const STARTS_BEFORE: usize = 10;

impl Session {
    /// One runtime after the other, since each has idle containers of its own: so many are added as the next number asks for.
    pub(super) fn beside_idle(&mut self, request: &Request) -> Result<()> {
        for index in 0..self.contestants.len() {
            let name = self.contestants[index].runtime.name.clone();
            for &count in &request.idle {
                match self.beside(index, count, request) {
                    Err(error) if is_interruption(&error) => return Err(error),
                    Err(error) => {
                        let condition = Condition { rest: 0, idle: Some(count) };
                        let has_part = |series: &Series| series.condition == condition;
                        self.results.give_up(&name, condition.words(), &error, &has_part);
                        break;
                    }
                    Ok(()) => {}
                }
            }
            let (contestant, progress) = (&mut self.contestants[index], &mut self.progress);
            progress.begin(format!("delete, {name}"), contestant.held_count());
            contestant.release_all(|| progress.step());
        }
        Ok(())
    }

    /// One container more than `count` runs: the one to look at and to exec in.
    fn beside(&mut self, index: usize, count: u32, request: &Request) -> Result<()> {
        let (contestant, progress) = (&mut self.contestants[index], &mut self.progress);
        let name = contestant.runtime.name.clone();
        let condition = Condition { rest: 0, idle: Some(count) };
        progress.begin(
            format!("{count} idle, {name}"),
            (count as usize + 1).saturating_sub(contestant.held_count()),
        );
        while contestant.held_count() <= count as usize {
            contestant.hold()?;
            progress.step();
        }
        rest(SETTLING)?;
        progress.begin(format!("beside {count} idle, {name}"), (request.warm_up + request.rounds) as usize);
        for round in 0..request.warm_up + request.rounds {
            let costs = [
                ("run", contestant.run(Duration::ZERO)?),
                ("exec", contestant.exec(Duration::ZERO)?),
                ("state", contestant.state(Duration::ZERO)?),
                ("list", contestant.list(Duration::ZERO)?),
            ];
            if round >= request.warm_up {
                for (command, cost) in costs {
                    self.results.add(&name, command, condition, cost);
                }
            }
            progress.step();
        }
        Ok(())
    }

    /// Waves of so many starts, interleaved; as many waves as make up the rounds.
    pub(super) fn at_once(&mut self, at_once: u32, request: &Request) -> Result<()> {
        let what = format!("{at_once} {} at once", if at_once == 1 { "start" } else { "starts" });
        let wave_count = request.rounds.div_ceil(at_once);
        let mut playing: Vec<usize> = (0..self.contestants.len()).collect();
        self.progress.begin(what.clone(), (wave_count as usize + 1) * playing.len());
        // One more, which does not count.
        for wave in 0..=wave_count {
            shuffle(&mut playing, &mut self.chance);
            self.each(&mut playing, &what, &|_| false, &mut |contestant, results| {
                let (costs, elapsed) = contestant.run_at_once(at_once)?;
                if wave > 0 {
                    results.add_wave(&contestant.runtime.name, at_once, costs, elapsed);
                }
                Ok(())
            })?;
        }
        let has_finished = |wave: &Wave| wave.at_once != at_once || wave.elapsed.len() == wave_count as usize;
        self.results.waves.retain(has_finished);
        Ok(())
    }

    /// One runtime after the other: a burst, and a start each second while the kernel tidies up.
    pub(super) fn burst(&mut self, count: u32, request: &Request) -> Result<()> {
        for index in 0..self.contestants.len() {
            match self.burst_of(index, count, request) {
                Err(error) if is_interruption(&error) => return Err(error),
                Err(error) => {
                    let name = self.contestants[index].runtime.name.clone();
                    self.results.give_up(&name, format!("a burst of {count}"), &error, &|_| false);
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn burst_of(&mut self, index: usize, count: u32, request: &Request) -> Result<()> {
        let (contestant, progress) = (&self.contestants[index], &mut self.progress);
        let runtime = contestant.runtime.name.clone();
        progress.begin(format!("burst of {count}, {runtime}"), request.watch as usize);
        rest(SETTLING)?;
        let mut before = Vec::new();
        for _ in 0..STARTS_BEFORE {
            before.push(contestant.run(Duration::ZERO)?);
        }
        let (costs, elapsed) = contestant.run_at_once(count)?;
        let (end, mut ticks, mut after) = (Instant::now(), Ticks::now(), Vec::new());
        for second in 1..=request.watch {
            let due = end + Duration::from_secs(u64::from(second));
            rest(due.saturating_duration_since(Instant::now()))?;
            let (at, busy) = (end.elapsed(), Ticks::now().share_since(ticks));
            let start = contestant.run(Duration::ZERO)?;
            ticks = Ticks::now();
            after.push(Sample { at, start, busy });
            progress.step();
        }
        let wave = Wave { runtime, at_once: count, costs, elapsed: vec![elapsed] };
        self.results.bursts.push(Burst { wave, before, after });
        Ok(())
    }
}

impl Results {
    fn add_wave(&mut self, runtime: &str, at_once: u32, costs: Vec<Cost>, elapsed: Duration) {
        match self.waves.iter_mut().find(|wave| wave.runtime == runtime && wave.at_once == at_once) {
            Some(wave) => {
                wave.costs.extend(costs);
                wave.elapsed.push(elapsed);
            }
            None => {
                self.waves.push(Wave { runtime: runtime.to_owned(), at_once, costs, elapsed: vec![elapsed] })
            }
        }
    }
}

impl Wave {
    /// Containers per second, over all waves.
    pub(super) fn per_second(&self) -> f64 {
        let seconds: f64 = self.elapsed.iter().map(Duration::as_secs_f64).sum();
        self.costs.len() as f64 / seconds
    }
}

impl Burst {
    /// Seconds until the machine was quiet, and stayed so; None if it was not in the time that it was watched.
    pub(super) fn quiet_after(&self) -> Option<f64> {
        let busy = |sample: &Sample| sample.busy >= QUIET_SHARE;
        match self.after.iter().rposition(busy) {
            None => self.after.first().map(|_| 0.0),
            Some(last) => self.after.get(last + 1).map(|sample| sample.at.as_secs_f64()),
        }
    }
}
