//! What the process may do.

use core::ptr;

use linux_raw_sys::general as uapi;
use linux_raw_sys::{landlock, prctl};
use sc::syscall;
use shared_proto::limits::FILTER_INSTRUCTION_BYTES;

use super::{Linux, check, control};
use crate::kernel::{Descriptor, Errno, NEW_LISTENER, Privileges, Result};

/// From linux/seccomp.h and linux/filter.h.
const SECCOMP_SET_MODE_FILTER: u32 = 1;

/// struct sock_fprog, with its instructions as the bytes that they are.
#[repr(C)]
struct SockFilterProgram {
    count: u16,
    instructions: *const u8,
}

const _: () = assert!(size_of::<SockFilterProgram>() == 16);

impl Privileges for Linux {
    fn keep_capabilities(&mut self) -> Result<()> {
        control(prctl::PR_SET_KEEPCAPS, 1, 0)
    }

    fn drop_bounding(&mut self, capability: u32) -> Result<()> {
        control(prctl::PR_CAPBSET_DROP, capability as usize, 0)
    }

    fn set_capabilities(&mut self, effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
        let header = uapi::__user_cap_header_struct { version: uapi::_LINUX_CAPABILITY_VERSION_3, pid: 0 };
        let half = |shift: u32| uapi::__user_cap_data_struct {
            effective: (effective >> shift) as u32,
            permitted: (permitted >> shift) as u32,
            inheritable: (inheritable >> shift) as u32,
        };
        let data = [half(0), half(32)];
        // SAFETY: version 3 of the header announces two data structures, which `data` has; the kernel only reads.
        check(unsafe { syscall!(CAPSET, ptr::from_ref(&header), data.as_ptr()) })?;
        Ok(())
    }

    fn held_capabilities(&mut self) -> Result<u64> {
        let header = uapi::__user_cap_header_struct { version: uapi::_LINUX_CAPABILITY_VERSION_3, pid: 0 };
        let mut data = [uapi::__user_cap_data_struct { effective: 0, permitted: 0, inheritable: 0 }; 2];
        // SAFETY: version 3 of the header announces two data structures, which `data` has room for.
        check(unsafe { syscall!(CAPGET, ptr::from_ref(&header), data.as_mut_ptr()) })?;
        let [low, high] = data.map(|half| u64::from(half.permitted));
        Ok(low | high << 32)
    }

    fn clear_ambient(&mut self) -> Result<()> {
        control(prctl::PR_CAP_AMBIENT, prctl::PR_CAP_AMBIENT_CLEAR_ALL as usize, 0)
    }

    fn raise_ambient(&mut self, capability: u32) -> Result<()> {
        control(prctl::PR_CAP_AMBIENT, prctl::PR_CAP_AMBIENT_RAISE as usize, capability as usize)
    }

    fn set_no_new_privileges(&mut self) -> Result<()> {
        control(prctl::PR_SET_NO_NEW_PRIVS, 1, 0)
    }

    fn install_filter(&mut self, flags: u32, program: &[u8]) -> Result<Option<Descriptor>> {
        let count = u16::try_from(program.len() / FILTER_INSTRUCTION_BYTES).map_err(|_| Errno::INVAL)?;
        let program = SockFilterProgram { count, instructions: program.as_ptr() };
        // SAFETY: `program` announces no more instructions than its slice holds, and the kernel copies them, byte by byte.
        let returned =
            check(unsafe { syscall!(SECCOMP, SECCOMP_SET_MODE_FILTER, flags, ptr::from_ref(&program)) })?;
        Ok((flags & NEW_LISTENER != 0).then_some(Descriptor(returned as i32)))
    }

    fn landlock_ruleset(&mut self, handled: u64) -> Result<Descriptor> {
        let attributes =
            landlock::landlock_ruleset_attr { handled_access_fs: handled, handled_access_net: 0, scoped: 0 };
        // Older kernels know the first field only, and what is not set need not be told.
        let size = size_of_val(&attributes.handled_access_fs);
        // SAFETY: the kernel reads `size` bytes of `attributes`, which is longer.
        let returned = unsafe {
            sc::platform::syscall3(
                uapi::__NR_landlock_create_ruleset as usize,
                ptr::from_ref(&attributes).expose_provenance(),
                size,
                0,
            )
        };
        check(returned).map(|number| Descriptor(number as i32))
    }

    fn landlock_allow(&mut self, ruleset: Descriptor, place: Descriptor, rights: u64) -> Result<()> {
        let rule = landlock::landlock_path_beneath_attr { allowed_access: rights, parent_fd: place.0 };
        // SAFETY: a rule of this type is the structure that the kernel reads.
        check(unsafe {
            sc::platform::syscall4(
                uapi::__NR_landlock_add_rule as usize,
                ruleset.0 as usize,
                landlock::landlock_rule_type::LANDLOCK_RULE_PATH_BENEATH as usize,
                ptr::from_ref(&rule).expose_provenance(),
                0,
            )
        })?;
        Ok(())
    }

    fn landlock_restrict(&mut self, ruleset: Descriptor) -> Result<()> {
        // SAFETY: numbers only.
        check(unsafe {
            sc::platform::syscall2(uapi::__NR_landlock_restrict_self as usize, ruleset.0 as usize, 0)
        })?;
        Ok(())
    }
}
