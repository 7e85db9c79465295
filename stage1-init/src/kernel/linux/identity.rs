//! Names, limits, and who the process is.

use core::ffi::CStr;
use core::ptr;

use linux_raw_sys::general as uapi;
use rustix::{fs, system, thread};
use sc::syscall;
use shared_proto::Scheduler;
use shared_proto::limits::NODE_COUNT_MAX;
use zerocopy::little_endian::U32;

use super::{Linux, check, lend};
use crate::kernel::{Descriptor, Identity, NodeMask, ProcessorMask, Result};

/// From linux/keyctl.h and linux/ioprio.h, which linux-raw-sys leaves out.
const KEYCTL_JOIN_SESSION_KEYRING: usize = 1;
const IOPRIO_WHO_PROCESS: usize = 1;

/// struct sched_attr of linux/sched/types.h in its first version, likewise.
#[repr(C)]
struct SchedulerAttributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

const _: () = assert!(size_of::<SchedulerAttributes>() == 48);

impl Identity for Linux {
    fn set_hostname(&mut self, name: &[u8]) -> Result<()> {
        system::sethostname(name)
    }

    fn set_domainname(&mut self, name: &[u8]) -> Result<()> {
        system::setdomainname(name)
    }

    fn new_session_keyring(&mut self) -> Result<()> {
        // SAFETY: a null name joins a new anonymous keyring; the other arguments are numbers.
        check(unsafe { syscall!(KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, ptr::null::<u8>()) })?;
        Ok(())
    }

    fn set_rlimit(&mut self, resource: u32, soft: u64, hard: u64) -> Result<()> {
        let limit = uapi::rlimit64 { rlim_cur: soft, rlim_max: hard };
        // SAFETY: `limit` is the structure that the call reads; no old limit is asked for.
        check(unsafe { syscall!(PRLIMIT64, 0usize, resource, ptr::from_ref(&limit), ptr::null::<u8>()) })?;
        Ok(())
    }

    fn set_scheduler(&mut self, scheduler: &Scheduler) -> Result<()> {
        let attributes = SchedulerAttributes {
            size: size_of::<SchedulerAttributes>() as u32,
            policy: scheduler.policy,
            flags: u64::from(scheduler.flags),
            nice: scheduler.nice,
            priority: scheduler.priority,
            runtime: scheduler.runtime,
            deadline: scheduler.deadline,
            period: scheduler.period,
        };
        // SAFETY: `attributes` begins with its size, beyond which the kernel does not read; the other arguments are numbers.
        check(unsafe { syscall!(SCHED_SETATTR, 0usize, ptr::from_ref(&attributes), 0usize) })?;
        Ok(())
    }

    fn set_io_priority(&mut self, packed: u32) -> Result<()> {
        // SAFETY: numbers only; process 0 is the caller.
        check(unsafe { syscall!(IOPRIO_SET, IOPRIO_WHO_PROCESS, 0usize, packed) })?;
        Ok(())
    }

    fn set_personality(&mut self, domain: u32) -> Result<()> {
        // SAFETY: a number only.
        check(unsafe { syscall!(PERSONALITY, domain) })?;
        Ok(())
    }

    fn set_memory_policy(&mut self, mode: u32, mask: &NodeMask) -> Result<()> {
        // The kernel reads one bit less than it is told of.
        const BITS: u32 = NODE_COUNT_MAX + 1;
        // SAFETY: the kernel reads `NODE_COUNT_MAX` bits, which `mask` has.
        check(unsafe { syscall!(SET_MEMPOLICY, mode, mask.as_ptr(), BITS) })?;
        Ok(())
    }

    fn set_affinity(&mut self, mask: &ProcessorMask) -> Result<()> {
        // SAFETY: the kernel reads as many bytes as `mask` has; 0 is the calling thread.
        check(unsafe { syscall!(SCHED_SETAFFINITY, 0usize, size_of::<ProcessorMask>(), mask.as_ptr()) })?;
        Ok(())
    }

    fn set_label(&mut self, file: Descriptor, label: &CStr) -> Result<()> {
        // The NUL belongs to the value, as libselinux writes it.
        fs::fsetxattr(lend(file), c"security.selinux", label.to_bytes_with_nul(), fs::XattrFlags::empty())
    }

    fn set_groups(&mut self, groups: &[U32]) -> Result<()> {
        // SAFETY: the kernel reads `len` little-endian 32-bit numbers, byte by byte, from memory that holds as many.
        check(unsafe { syscall!(SETGROUPS, groups.len(), groups.as_ptr()) })?;
        Ok(())
    }

    fn set_group_id(&mut self, gid: u32) -> Result<()> {
        let gid = fs::Gid::from_raw(gid);
        thread::set_thread_res_gid(gid, gid, gid)
    }

    fn set_user_id(&mut self, uid: u32) -> Result<()> {
        let uid = fs::Uid::from_raw(uid);
        thread::set_thread_res_uid(uid, uid, uid)
    }
}
