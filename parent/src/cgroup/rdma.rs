//! Limits of RDMA devices, which both versions of cgroups have in the same file.

use super::writer::Writer;
use crate::config::RdmaLimit;
use crate::error::Result;

pub(super) fn limit<'l>(
    writer: &Writer,
    limits: impl IntoIterator<Item = (&'l String, &'l RdmaLimit)>,
) -> Result<()> {
    for (device, limit) in limits {
        writer.set_key("rdma.max", device, &words(limit), "hca_handle=max hca_object=max")?;
    }
    Ok(())
}

fn words(limit: &RdmaLimit) -> String {
    let limits = [("hca_handle", limit.hca_handles), ("hca_object", limit.hca_objects)];
    let words = limits.iter().filter_map(|(name, limit)| limit.map(|limit| format!("{name}={limit}")));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rdma_limits_are_in_the_kernels_words() {
        let limit = |hca_handles, hca_objects| RdmaLimit { hca_handles, hca_objects };
        assert_eq!(words(&limit(Some(3), Some(0))), "hca_handle=3 hca_object=0");
        assert_eq!(words(&limit(None, Some(7))), "hca_object=7");
    }
}
