//! v2's controllers cpu and cpuset.

use rustix::io::Errno;

use super::super::writer::Writer;
use crate::config::Cpu;
use crate::error::Result;

pub(super) fn limit(writer: &Writer, cpu: &Cpu) -> Result<()> {
    if let Some(idle) = cpu.idle {
        writer.set("cpu.idle", idle)?;
    }
    // An idle cgroup has no weight.
    if let Some(shares) = cpu.shares.filter(|_| cpu.idle != Some(1)) {
        writer.set("cpu.weight", weight(shares))?;
    }
    limit_bandwidth(writer, cpu)?;
    for (file, list) in [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)] {
        if let Some(list) = list {
            writer.set(file, list)?;
        }
    }
    Ok(())
}

/// A burst may not exceed the quota that is in force: one that cannot come before the quota comes behind it.
fn limit_bandwidth(writer: &Writer, cpu: &Cpu) -> Result<()> {
    let bandwidth = bandwidth(cpu, || writer.read("cpu.max").ok());
    let mut later = None;
    if let Some(burst) = cpu.burst {
        match writer.try_set("cpu.max.burst", &burst.to_string()) {
            Err(Errno::INVAL) if bandwidth.is_some() => later = Some(burst),
            // Before Linux 5.14 there are no bursts.
            Err(Errno::NOENT) if burst == 0 => {}
            set => set.map_err(|errno| writer.failed("cpu.max.burst", &burst.to_string(), errno))?,
        }
    }
    if let Some(bandwidth) = bandwidth {
        writer.set("cpu.max", bandwidth)?;
    }
    later.map_or(Ok(()), |burst| writer.set("cpu.max.burst", burst))
}

/// The line for cpu.max. A quota alone leaves the period as it is; a period alone has to bring the quota, which `now` tells.
fn bandwidth(cpu: &Cpu, now: impl FnOnce() -> Option<String>) -> Option<String> {
    let quota = cpu.quota.map(|quota| if quota > 0 { quota.to_string() } else { String::from("max") });
    match (quota, cpu.period) {
        (quota, None) => quota,
        (Some(quota), Some(period)) => Some(format!("{quota} {period}")),
        (None, Some(period)) => {
            let now = now().unwrap_or_default();
            Some(format!("{} {period}", now.split_ascii_whitespace().next().unwrap_or("max")))
        }
    }
}

/// v1's shares as v2's weight: a curve through 2 → 1, 1024 → 100 and 262144 → 10000, as the current runc and crun have it.
pub(in super::super) fn weight(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10f64.powf(exponent).ceil() as u64
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights_on_the_current_curve() {
        for (shares, expected) in [(2, 1), (512, 59), (1024, 100), (2048, 174), (262_144, 10_000)] {
            assert_eq!(weight(shares), expected, "{shares}");
        }
    }

    #[test]
    fn a_quota_or_a_period_alone_keeps_the_other() {
        let line = |quota, period| {
            bandwidth(&Cpu { quota, period, ..Cpu::default() }, || Some(String::from("7000 100000\n")))
        };
        assert_eq!(line(None, None), None);
        assert_eq!(line(Some(5000), None).as_deref(), Some("5000"));
        assert_eq!(line(Some(-1), Some(50000)).as_deref(), Some("max 50000"));
        assert_eq!(line(None, Some(50000)).as_deref(), Some("7000 50000"));
    }
}
