//! Capability names and numbers (linux/capability.h).

use oci_spec::runtime::{Capabilities, Capability};

/// In the order of their numbers.
const CAPABILITIES: [(Capability, &str); 41] = [
    (Capability::Chown, "CAP_CHOWN"),
    (Capability::DacOverride, "CAP_DAC_OVERRIDE"),
    (Capability::DacReadSearch, "CAP_DAC_READ_SEARCH"),
    (Capability::Fowner, "CAP_FOWNER"),
    (Capability::Fsetid, "CAP_FSETID"),
    (Capability::Kill, "CAP_KILL"),
    (Capability::Setgid, "CAP_SETGID"),
    (Capability::Setuid, "CAP_SETUID"),
    (Capability::Setpcap, "CAP_SETPCAP"),
    (Capability::LinuxImmutable, "CAP_LINUX_IMMUTABLE"),
    (Capability::NetBindService, "CAP_NET_BIND_SERVICE"),
    (Capability::NetBroadcast, "CAP_NET_BROADCAST"),
    (Capability::NetAdmin, "CAP_NET_ADMIN"),
    (Capability::NetRaw, "CAP_NET_RAW"),
    (Capability::IpcLock, "CAP_IPC_LOCK"),
    (Capability::IpcOwner, "CAP_IPC_OWNER"),
    (Capability::SysModule, "CAP_SYS_MODULE"),
    (Capability::SysRawio, "CAP_SYS_RAWIO"),
    (Capability::SysChroot, "CAP_SYS_CHROOT"),
    (Capability::SysPtrace, "CAP_SYS_PTRACE"),
    (Capability::SysPacct, "CAP_SYS_PACCT"),
    (Capability::SysAdmin, "CAP_SYS_ADMIN"),
    (Capability::SysBoot, "CAP_SYS_BOOT"),
    (Capability::SysNice, "CAP_SYS_NICE"),
    (Capability::SysResource, "CAP_SYS_RESOURCE"),
    (Capability::SysTime, "CAP_SYS_TIME"),
    (Capability::SysTtyConfig, "CAP_SYS_TTY_CONFIG"),
    (Capability::Mknod, "CAP_MKNOD"),
    (Capability::Lease, "CAP_LEASE"),
    (Capability::AuditWrite, "CAP_AUDIT_WRITE"),
    (Capability::AuditControl, "CAP_AUDIT_CONTROL"),
    (Capability::Setfcap, "CAP_SETFCAP"),
    (Capability::MacOverride, "CAP_MAC_OVERRIDE"),
    (Capability::MacAdmin, "CAP_MAC_ADMIN"),
    (Capability::Syslog, "CAP_SYSLOG"),
    (Capability::WakeAlarm, "CAP_WAKE_ALARM"),
    (Capability::BlockSuspend, "CAP_BLOCK_SUSPEND"),
    (Capability::AuditRead, "CAP_AUDIT_READ"),
    (Capability::Perfmon, "CAP_PERFMON"),
    (Capability::Bpf, "CAP_BPF"),
    (Capability::CheckpointRestore, "CAP_CHECKPOINT_RESTORE"),
];

/// The number of a capability, by its upper-case name with `CAP_`.
pub fn number(name: &str) -> Option<u32> {
    CAPABILITIES.iter().position(|&(_, known)| known == name).map(|position| position as u32)
}

/// Bit N is capability number N.
pub(super) fn mask(set: Option<&Capabilities>) -> u64 {
    let number = |capability| CAPABILITIES.iter().position(|(known, _)| known == capability);
    set.into_iter().flatten().filter_map(number).fold(0, |mask, number| mask | 1 << number)
}

/// The name of a capability, by its number.
pub fn capability_name(number: u32) -> Option<&'static str> {
    CAPABILITIES.get(number as usize).map(|&(_, name)| name)
}

/// All names, in the order of their numbers.
pub fn capability_names() -> Vec<&'static str> {
    CAPABILITIES.iter().map(|&(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        for (name, expected) in [("CAP_CHOWN", 0), ("CAP_SYS_ADMIN", 21), ("CAP_CHECKPOINT_RESTORE", 40)] {
            assert_eq!(number(name), Some(expected), "{name}");
            assert_eq!(capability_name(expected), Some(name));
        }
        assert_eq!(number("cap_chown"), None);
        let set = Capabilities::from([Capability::Chown, Capability::SysAdmin]);
        assert_eq!(mask(Some(&set)), 1 | 1 << 21);
    }
}
