//! v2's controller io: weights of the BFQ scheduler or of the cost model, and throttles.

use rustix::io::Errno;

use super::super::writer::Writer;
use crate::config::BlockIo;
use crate::error::{Error, Result};

const NO_LIMIT: &str = "rbps=max wbps=max riops=max wiops=max";

pub(super) fn limit(writer: &Writer, io: &BlockIo) -> Result<()> {
    if let Some(weight) = io.weight {
        set_weight("weight", |file, convert| match writer.try_set(file, &convert(weight).to_string()) {
            Err(Errno::NOENT) => Ok(false),
            set => set.map(|()| true).map_err(|errno| writer.failed(file, &weight.to_string(), errno)),
        })?;
    }
    for (index, entry) in io.weight_devices.iter().enumerate() {
        let Some(weight) = entry.weight else { continue };
        let device = entry.device.to_string();
        set_weight(&format!("weightDevice[{index}]"), |file, convert| {
            let value = convert(weight).to_string();
            match writer.try_set_key(file, &device, &value, "default") {
                Err(Errno::NOENT) => Ok(false),
                set => set
                    .map(|()| true)
                    .map_err(|errno| writer.failed(file, &format!("{device} {value}"), errno)),
            }
        })?;
    }
    for (word, throttles) in
        [("rbps", &io.read_bps), ("wbps", &io.write_bps), ("riops", &io.read_iops), ("wiops", &io.write_iops)]
    {
        for throttle in throttles {
            let rate = if throttle.rate == 0 { String::from("max") } else { throttle.rate.to_string() };
            writer.set_key("io.max", &throttle.device.to_string(), &format!("{word}={rate}"), NO_LIMIT)?;
        }
    }
    Ok(())
}

/// BFQ's file takes the configuration's weights, the general one has a scale of its own. `set` tells whether the file is there.
fn set_weight(field: &str, set: impl Fn(&str, fn(u16) -> u64) -> Result<bool>) -> Result<()> {
    if set("io.bfq.weight", u64::from)? || set("io.weight", |weight| general_weight(weight.into()))? {
        return Ok(());
    }
    Err(Error::new(format!(
        "$.linux.resources.blockIO.{field}: the host has no I/O weights: neither io.bfq.weight nor io.weight is there"
    )))
}

/// 10 to 1000 as 1 to 10000, in a straight line.
pub(in super::super) fn general_weight(weight: u64) -> u64 {
    1 + weight.saturating_sub(10) * 9999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_stretched_to_the_general_scale() {
        for (weight, expected) in [(10, 1), (100, 910), (500, 4950), (1000, 10_000)] {
            assert_eq!(general_weight(weight), expected, "{weight}");
        }
    }
}
