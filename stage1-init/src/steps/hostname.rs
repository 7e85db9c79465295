//! The names of the container's UTS namespace.

use core::ffi::CStr;

use shared_proto::Call;

use crate::kernel::{At, Fault, Kernel};

pub(super) fn hostname<K: Kernel>(kernel: &mut K, name: &CStr) -> Result<(), Fault> {
    kernel.set_hostname(name.to_bytes()).at(Call::SetHostname)
}

pub(super) fn domainname<K: Kernel>(kernel: &mut K, name: &CStr) -> Result<(), Fault> {
    kernel.set_domainname(name.to_bytes()).at(Call::SetDomainname)
}
