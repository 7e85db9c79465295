//! bpf(2), as far as a device policy needs it: load a program, attach it to a cgroup, in the place of those that are there.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use sc::syscall;

use super::devices::Instruction;
use super::files;
use crate::error::check;

// Numbers of linux/bpf.h, which linux-raw-sys leaves out.
const BPF_PROG_LOAD: u32 = 5;
const BPF_PROG_ATTACH: u32 = 8;
const BPF_PROG_DETACH: u32 = 9;
const BPF_PROG_GET_FD_BY_ID: u32 = 13;
const BPF_PROG_QUERY: u32 = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;
const BPF_F_REPLACE: u32 = 4;

/// Programs that the kernel lets one cgroup have of one type (BPF_CGROUP_MAX_PROGS).
const PROGRAMS_MAX: usize = 64;

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

/// The same for BPF_PROG_ATTACH and BPF_PROG_DETACH.
#[repr(C)]
#[derive(Default)]
struct AttachAttributes {
    target: u32,
    program: u32,
    attach_type: u32,
    attach_flags: u32,
    replaced_program: u32,
}

/// The same for BPF_PROG_QUERY, up to its last field: the kernel writes its answers into the caller's structure where its own has them, and
/// does not ask how long ours is. A kernel whose cgroups have BPF_F_BEFORE and BPF_F_AFTER writes `revision`.
#[repr(C)]
#[derive(Default)]
struct QueryAttributes {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    program_ids: u64,
    program_count: u32,
    reserved: u32,
    program_attach_flags: u64,
    link_ids: u64,
    link_attach_flags: u64,
    revision: u64,
}

const _: () = assert!(size_of::<QueryAttributes>() == 64);

/// The same for BPF_PROG_GET_FD_BY_ID.
#[repr(C)]
struct IdAttributes {
    program_id: u32,
    next_id: u32,
    open_flags: u32,
}

/// Puts a device policy in force for a new cgroup. It ends with the cgroup; the descriptor of the program has served.
///
/// Errors, here and below: EPERM for whoever is not the kernel's own root.
pub(super) fn attach_device_policy(
    directory: BorrowedFd<'_>,
    program: &[Instruction],
) -> Result<OwnedFd, Errno> {
    let loaded = load(program)?;
    attach(directory, loaded.as_fd(), None)?;
    Ok(loaded)
}

/// The same where others may be in force, which a cgroup obeys together: the new one takes the place of one of them in one call, so that
/// there is no moment without any.
pub(super) fn replace_device_policies(
    directory: BorrowedFd<'_>,
    program: &[Instruction],
) -> Result<OwnedFd, Errno> {
    let loaded = load(program)?;
    let old = attached(directory)?;
    attach(directory, loaded.as_fd(), old.first().map(AsFd::as_fd))?;
    old.iter().skip(1).try_for_each(|old| detach(directory, old.as_fd()))?;
    Ok(loaded)
}

/// Takes every device policy away.
pub(super) fn detach_device_policies(path: &str) -> Result<(), Errno> {
    let directory = files::try_open_directory(path)?;
    attached(directory.as_fd())?.iter().try_for_each(|old| detach(directory.as_fd(), old.as_fd()))
}

fn load(program: &[Instruction]) -> Result<OwnedFd, Errno> {
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

fn attach(
    directory: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let attributes = AttachAttributes {
        target: directory.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI | if replaced.is_some() { BPF_F_REPLACE } else { 0 },
        replaced_program: replaced.map_or(0, |replaced| replaced.as_raw_fd() as u32),
    };
    // SAFETY: the kernel reads `attributes`, whose size is passed; the descriptors in it are open.
    check(unsafe { syscall!(BPF, BPF_PROG_ATTACH, &raw const attributes, size_of::<AttachAttributes>()) })
}

fn detach(directory: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    let attributes = AttachAttributes {
        target: directory.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        ..AttachAttributes::default()
    };
    // SAFETY: the kernel reads `attributes`, whose size is passed; both descriptors in it are open.
    check(unsafe { syscall!(BPF, BPF_PROG_DETACH, &raw const attributes, size_of::<AttachAttributes>()) })
}

/// The device programs of a cgroup itself, not of those above it.
fn attached(directory: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, Errno> {
    let mut ids = [0u32; PROGRAMS_MAX];
    let mut attributes = QueryAttributes {
        target: directory.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        program_ids: ids.as_mut_ptr() as u64,
        program_count: PROGRAMS_MAX as u32,
        ..QueryAttributes::default()
    };
    // SAFETY: the kernel reads and writes `attributes`, whose size is passed, and writes at most `program_count` ids.
    let returned =
        unsafe { syscall!(BPF, BPF_PROG_QUERY, &raw mut attributes, size_of::<QueryAttributes>()) };
    check(returned)?;
    let count = (attributes.program_count as usize).min(PROGRAMS_MAX);
    let mut programs = Vec::with_capacity(count);
    for id in &ids[..count] {
        let attributes = IdAttributes { program_id: *id, next_id: 0, open_flags: 0 };
        // SAFETY: the kernel reads `attributes`, whose size is passed.
        let returned =
            unsafe { syscall!(BPF, BPF_PROG_GET_FD_BY_ID, &raw const attributes, size_of::<IdAttributes>()) };
        match check(returned) {
            // SAFETY: the call succeeded: this is a new descriptor that nobody else has seen.
            Ok(()) => programs.push(unsafe { OwnedFd::from_raw_fd(returned as RawFd) }),
            // Detached meanwhile.
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(programs)
}
