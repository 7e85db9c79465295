//! `mutations SECONDS [SEED]`: random damage to the seeds, without coverage, for machines that have no nightly compiler.
//!
//! A panic ends it; the input that led there is printed in hexadecimal.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pinnace_fuzz::{bootstrap, config, frame, seeds};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let Some(Ok(seconds)) = arguments.next() else {
        eprintln!("usage: mutations SECONDS [SEED]");
        return ExitCode::from(2);
    };
    let start = match arguments.next() {
        Some(Ok(seed)) => seed,
        _ => std::time::UNIX_EPOCH.elapsed().map_or(1, |elapsed| elapsed.as_nanos() as u64),
    };
    println!("mutations: {seconds} seconds, random seed {start}");
    let third = Duration::from_millis(seconds * 1000 / 3);
    let mut random = Random(start | 1);
    let is_clean = fuzz("bootstrap", &seeds::bootstraps(), bootstrap, third, &mut random)
        && fuzz("config", &seeds::configs(), config, third, &mut random)
        && fuzz("frame", &seeds::frames(), frame, third, &mut random);
    if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fuzz(
    name: &str,
    seeds: &[Vec<u8>],
    target: fn(&[u8]) -> bool,
    time: Duration,
    random: &mut Random,
) -> bool {
    let end = Instant::now() + time;
    let (mut run_count, mut accepted_count) = (0u64, 0u64);
    while Instant::now() < end {
        for _ in 0..256 {
            let input = damaged(seeds, random);
            match catch_unwind(AssertUnwindSafe(|| target(&input))) {
                Ok(accepted) => accepted_count += u64::from(accepted),
                Err(_) => {
                    let digits: String = input.iter().map(|byte| format!("{byte:02x}")).collect();
                    println!(
                        "{name}: panic after {run_count} inputs with
{digits}"
                    );
                    return false;
                }
            }
            run_count += 1;
        }
    }
    println!("{name}: {run_count} inputs, {accepted_count} accepted, no finding");
    true
}

/// A seed with one to eight changes.
fn damaged(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(8) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        match random.below(7) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next() as u8,
            2 => bytes[at] = [0, 1, b'/', 0x7f, 0x80, 0xff][random.below(6)],
            3 => bytes.truncate(at),
            4 => bytes.insert(at, random.next() as u8),
            5 => {
                let end = (at + random.below(100)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                // A piece of another seed: whole records land where records are, now and then.
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len());
                let length = random.below(160).min(other.len() - from).min(bytes.len() - at);
                bytes[at..at + length].copy_from_slice(&other[from..from + length]);
            }
        }
    }
    bytes
}

/// xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
