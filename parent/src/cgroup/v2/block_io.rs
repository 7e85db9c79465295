//! v2's controller io: weights of the BFQ scheduler or of the cost model, and throttles.

use rustix::io::Errno;

use super::super::files;
use super::super::writer::Writer;
use crate::config::{BlockIo, DeviceNumber};
use crate::error::{Error, Result};
use crate::host::CGROUP_MOUNT;

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
                // Passed over, with a warning before.
                Err(Errno::OPNOTSUPP) if !has_weights(entry.device) => Ok(true),
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

/// Whether weights mean anything to a disk: BFQ is its scheduler, or it has a cost model.
pub(super) fn has_weights(disk: DeviceNumber) -> bool {
    let scheduler = files::read(&format!("/sys/dev/block/{disk}/queue/scheduler"));
    let models = files::read(&format!("{CGROUP_MOUNT}/io.cost.qos"));
    scheduler.is_ok_and(|list| list.contains("[bfq]"))
        || models.is_ok_and(|list| has_cost_model(&list, &disk.to_string()))
}

/// In the lines `8:0 enable=1 ctrl=auto …`.
fn has_cost_model(list: &str, disk: &str) -> bool {
    list.lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .any(|words| words.starts_with(&[disk, "enable=1"]))
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
    fn a_cost_model_is_one_that_is_enabled() {
        let list = "254:0 enable=1 ctrl=auto rpct=0.00\n8:0 enable=0 ctrl=auto\n";
        for (disk, expected) in [("254:0", true), ("8:0", false), ("25:0", false)] {
            assert_eq!(has_cost_model(list, disk), expected, "{disk}");
        }
    }

    #[test]
    fn weights_are_stretched_to_the_general_scale() {
        for (weight, expected) in [(10, 1), (100, 910), (500, 4950), (1000, 10_000)] {
            assert_eq!(general_weight(weight), expected, "{weight}");
        }
    }
}
