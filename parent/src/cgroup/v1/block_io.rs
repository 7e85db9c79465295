//! v1's controller blkio: weights of the BFQ scheduler, or of CFQ before Linux 5.0, and throttles.

use rustix::io::Errno;

use super::super::writer::Writer;
use crate::config::{BlockIo, DeviceNumber};
use crate::error::{Error, Result};

/// A weight, and the files that may be there for it.
pub(in crate::cgroup) struct Weight {
    /// Below `blockIO`.
    pub(in crate::cgroup) field: String,
    device: Option<DeviceNumber>,
    weight: u16,
    pub(in crate::cgroup) files: &'static [&'static str],
}

/// What cannot be found in every kernel.
pub(in crate::cgroup) fn weights(io: &BlockIo) -> Vec<Weight> {
    let all = [
        ("weight", io.weight, &["blkio.bfq.weight", "blkio.weight"][..]),
        ("leafWeight", io.leaf_weight, &["blkio.leaf_weight"]),
    ];
    let of_all = all.into_iter().filter_map(|(field, weight, files)| {
        Some(Weight { field: field.to_owned(), device: None, weight: weight?, files })
    });
    let of_devices = io.weight_devices.iter().enumerate().flat_map(|(index, entry)| {
        let both = [
            ("weight", entry.weight, &["blkio.bfq.weight_device", "blkio.weight_device"][..]),
            ("leafWeight", entry.leaf_weight, &["blkio.leaf_weight_device"]),
        ];
        both.into_iter().filter_map(move |(name, weight, files)| {
            let field = format!("weightDevice[{index}].{name}");
            Some(Weight { field, device: Some(entry.device), weight: weight?, files })
        })
    });
    of_all.chain(of_devices).collect()
}

pub(super) fn limit(writer: &Writer, io: &BlockIo) -> Result<()> {
    for Weight { field, device, weight, files } in weights(io) {
        first_of(writer, files, &field, |file| match device {
            Some(device) => writer.try_set_key(file, &device.to_string(), &weight.to_string(), "0"),
            None => writer.try_set(file, &weight.to_string()),
        })?;
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
fn first_of(
    writer: &Writer,
    files: &[&str],
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
    Err(Error::new(format!("$.linux.resources.blockIO.{field}: {}", missing(writer.path(), files))))
}

pub(in crate::cgroup) fn missing(path: &str, files: &[&str]) -> String {
    format!("the host's I/O scheduler has no weights: {path} has no {}", files.join(" and no "))
}
