//! bpf(2), as far as a device policy needs it: load a program, attach it to a cgroup.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use sc::syscall;

use super::devices::Instruction;
use super::files;
use crate::error::{Error, Result, check};

// Numbers of linux/bpf.h, which linux-raw-sys leaves out.
const BPF_PROG_LOAD: u32 = 5;
const BPF_PROG_ATTACH: u32 = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The part of union bpf_attr that BPF_PROG_LOAD reads for this type; the kernel takes what lies behind it as zero.
#[repr(C)]
struct LoadAttributes {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    program_flags: u32,
}

/// The same for BPF_PROG_ATTACH.
#[repr(C)]
struct AttachAttributes {
    target: u32,
    program: u32,
    attach_type: u32,
    attach_flags: u32,
}

/// Puts a device policy in force for the cgroup at `path`. It ends with the cgroup.
pub(super) fn attach_device_policy(path: &str, program: &[Instruction]) -> Result<()> {
    let directory = files::open_directory(path)?;
    let loaded = load(program).map_err(|errno| Error::call("load the device policy", errno))?;
    let attributes = AttachAttributes {
        target: directory.as_raw_fd() as u32,
        program: loaded.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: the kernel reads `attributes`, whose size is passed; both descriptors in it are open.
    let returned =
        unsafe { syscall!(BPF, BPF_PROG_ATTACH, &raw const attributes, size_of::<AttachAttributes>()) };
    check(returned).map_err(|errno| Error::call(format_args!("attach the device policy to {path}"), errno))
}

fn load(program: &[Instruction]) -> std::result::Result<OwnedFd, Errno> {
    let attributes = LoadAttributes {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        instruction_count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
        kernel_version: 0,
        program_flags: 0,
    };
    // SAFETY: the kernel reads `attributes`, whose size is passed, the instructions in their number, and the NUL-terminated licence.
    let returned =
        unsafe { syscall!(BPF, BPF_PROG_LOAD, &raw const attributes, size_of::<LoadAttributes>()) };
    check(returned)?;
    // SAFETY: the call succeeded: this is a new descriptor that nobody else has seen.
    Ok(unsafe { OwnedFd::from_raw_fd(returned as RawFd) })
}
