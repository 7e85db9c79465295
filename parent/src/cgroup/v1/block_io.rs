//! v1's controller blkio: weights of the BFQ scheduler, or of CFQ before Linux 5.0, and throttles.

use rustix::io::Errno;

use super::super::writer::Writer;
use crate::config::{BlockIo, DeviceNumber};
use crate::error::{Error, Result};

pub(super) fn limit(writer: &Writer, io: &BlockIo) -> Result<()> {
    if let Some(weight) = io.weight {
        let files = ["blkio.bfq.weight", "blkio.weight"];
        first_of(writer, files, "weight", |file| writer.try_set(file, &weight.to_string()))?;
    }
    if let Some(weight) = io.leaf_weight {
        let files = ["blkio.leaf_weight"];
        first_of(writer, files, "leafWeight", |file| writer.try_set(file, &weight.to_string()))?;
    }
    let for_device = |file: &str, device: DeviceNumber, weight: u16| {
        writer.try_set_key(file, &device.to_string(), &weight.to_string(), "0")
    };
    for (index, entry) in io.weight_devices.iter().enumerate() {
        if let Some(weight) = entry.weight {
            let files = ["blkio.bfq.weight_device", "blkio.weight_device"];
            let field = format!("weightDevice[{index}].weight");
            first_of(writer, files, &field, |file| for_device(file, entry.device, weight))?;
        }
        if let Some(weight) = entry.leaf_weight {
            let files = ["blkio.leaf_weight_device"];
            let field = format!("weightDevice[{index}].leafWeight");
            first_of(writer, files, &field, |file| for_device(file, entry.device, weight))?;
        }
    }
    for (file, throttles) in [
        ("blkio.throttle.read_bps_device", &io.read_bps),
        ("blkio.throttle.write_bps_device", &io.write_bps),
        ("blkio.throttle.read_iops_device", &io.read_iops),
        ("blkio.throttle.write_iops_device", &io.write_iops),
    ] {
        for throttle in throttles {
            writer.set_key(file, &throttle.device.to_string(), &throttle.rate.to_string(), "0")?;
        }
    }
    Ok(())
}

/// Writes the first file that the kernel has.
fn first_of<const N: usize>(
    writer: &Writer,
    files: [&str; N],
    field: &str,
    write: impl Fn(&str) -> std::result::Result<(), Errno>,
) -> Result<()> {
    for file in files {
        match write(file) {
            Ok(()) => return Ok(()),
            Err(Errno::NOENT) => {}
            Err(errno) => {
                let path = writer.path();
                return Err(Error::call(
                    format_args!("$.linux.resources.blockIO.{field}: write {path}/{file}"),
                    errno,
                ));
            }
        }
    }
    Err(Error::new(format!(
        "$.linux.resources.blockIO.{field}: the host's I/O scheduler has no weights: {} has no {}",
        writer.path(),
        files.join(" and no ")
    )))
}
