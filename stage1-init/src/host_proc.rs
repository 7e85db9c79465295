//! The procfs and sysfs mounts of an old root that stays below the new one.
//!
//! Without pivot_root the host's tree lies under the container's for good, where whoever gets around chroot finds it; and whether a user
//! namespace may mount a procfs of its own the kernel decides by the ones that are there already.

use core::ffi::CStr;

use shared_proto::Call;

use crate::kernel::{At, Descriptor, Errno, Fault, Kernel, Open, Resolve};
use crate::paths::PathBuffer;

/// Bytes of the list of mounts that is understood: some ten thousand mounts.
const LIST_BYTES_MAX: usize = 4 << 20;

/// MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC.
const COVER_FLAGS: u32 = 0xf;

/// Takes away every procfs and sysfs of the mount namespace but those of the container, whose root is attached at `root`, and covers those that
/// belong to whom we may not take them from.
#[inline(never)]
pub(crate) fn take_away<K: Kernel>(kernel: &mut K, root: &CStr) -> Result<(), Fault> {
    let host = Descriptor::CURRENT_DIRECTORY;
    let file = kernel.open(host, c"/proc/self/mountinfo", Open::Read, Resolve::Host).at(Call::Open)?;
    let list = kernel.map_memory(LIST_BYTES_MAX).at(Call::Map)?;
    let mut filled = 0;
    loop {
        let free = list.get_mut(filled..).filter(|free| !free.is_empty());
        let free = free.ok_or(Errno::TOOBIG).at(Call::Read)?;
        match kernel.read(file, free).at(Call::Read)? {
            0 => break,
            bytes => filled += bytes,
        }
    }
    kernel.close(file);
    for line in list.get(..filled).unwrap_or_default().split(|byte| *byte == b'\n') {
        if let Some(mount_point) = shows_the_kernel(line) {
            take_one_away(kernel, mount_point, root)?;
        }
    }
    Ok(())
}

fn take_one_away<K: Kernel>(kernel: &mut K, mount_point: &[u8], root: &CStr) -> Result<(), Fault> {
    let path = PathBuffer::unescaped(mount_point).at(Call::Unmount)?;
    let path = path.as_c_str();
    if path.to_bytes().strip_prefix(root.to_bytes()).is_some_and(|rest| rest.starts_with(b"/")) {
        return Ok(());
    }
    match kernel.unmount_detached(path) {
        // It was below one that is gone already.
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
        // Locked by a user namespace above us; or it was below another, and the place behind it is no mount.
        Err(Errno::INVAL | Errno::PERM) => {
            kernel.mount(c"tmpfs", path, c"tmpfs", COVER_FLAGS, c"").at(Call::Mount)
        }
        unmounted => unmounted.at(Call::Unmount),
    }
}

/// The mount point in a line of mountinfo, still escaped, if a procfs or sysfs is there (proc_pid_mountinfo(5)).
fn shows_the_kernel(line: &[u8]) -> Option<&[u8]> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mount_point = fields.nth(4)?;
    let fstype = fields.skip_while(|field| *field != b"-").nth(1)?;
    matches!(fstype, b"proc" | b"sysfs").then_some(mount_point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_procfs_and_sysfs_shows_the_kernel() {
        assert_eq!(shows_the_kernel(b"22 1 0:21 / /proc rw shared:5 - proc proc rw"), Some(&b"/proc"[..]));
        assert_eq!(
            shows_the_kernel(b"23 1 0:22 / /sys rw shared:6 master:1 - sysfs sysfs rw"),
            Some(&b"/sys"[..])
        );
        assert_eq!(shows_the_kernel(b"24 1 0:23 / /proc/x rw - tmpfs proc rw"), None);
        assert_eq!(shows_the_kernel(b"25 1 0:23 /a\\040-\\040proc /b rw - ext4 /dev/a rw"), None);
        assert_eq!(shows_the_kernel(b""), None);
    }
}
