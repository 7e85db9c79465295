//! Limits of huge pages, which both versions of cgroups have.

use rustix::io::Errno;

use super::writer::Writer;
use crate::config::HugepageLimit;
use crate::error::{Error, Result};

/// Limits what is used, and where the kernel can, what is reserved: a program is told so by mmap(2) instead of being killed later.
/// `word` is how the version calls a limit.
pub(super) fn limit(writer: &Writer, limits: &[HugepageLimit], word: &str) -> Result<()> {
    for (index, limit) in limits.iter().enumerate() {
        let (size, bytes) = (&limit.page_size, limit.bytes.to_string());
        let used = format!("hugetlb.{size}.{word}");
        match writer.try_set(&used, &bytes) {
            Ok(()) => {}
            Err(Errno::NOENT) if writer.read("cgroup.procs").is_ok() => {
                return Err(Error::new(format!(
                    "$.linux.resources.hugepageLimits[{index}]: the host has no limit for pages of {size}: \
                     {}/{used} is missing",
                    writer.path()
                )));
            }
            Err(errno) => return Err(writer.failed(&used, &bytes, errno)),
        }
        let reserved = format!("hugetlb.{size}.rsvd.{word}");
        match writer.try_set(&reserved, &bytes) {
            // Kernels before 5.7, and some configurations.
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(writer.failed(&reserved, &bytes, errno)),
        }
    }
    Ok(())
}
