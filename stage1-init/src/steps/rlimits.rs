//! Resource limits of the process.

use shared_proto::Call;

use crate::kernel::{At, Fault, Kernel};

/// Source: prlimit(2); `u64::MAX` is RLIM64_INFINITY.
pub(super) fn set<K: Kernel>(kernel: &mut K, resource: u32, soft: u64, hard: u64) -> Result<(), Fault> {
    kernel.set_rlimit(resource, soft, hard).at(Call::SetRlimit)
}
