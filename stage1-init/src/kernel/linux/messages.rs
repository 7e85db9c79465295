//! Messages, and the memory that they are in.

use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};

use linux_raw_sys::general as uapi;
use rustix::fd::BorrowedFd;
use rustix::fs;
use rustix::mm::{MapFlags, ProtFlags};
use rustix::net::{
    self, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags,
};
use sc::syscall;
use shared_proto::Mark;
use shared_proto::limits::{FRAME_DESCRIPTOR_COUNT_MAX, INLINE_BYTES_MAX};

use super::{Linux, keep, lend};
use crate::kernel::{Descriptor, Errno, Messages, Result};
use crate::receive::{DescriptorList, LASTING_BYTES};

/// Bytes for the descriptors of one datagram.
const ANCILLARY_BYTES: usize = rustix::cmsg_space!(ScmRights(FRAME_DESCRIPTOR_COUNT_MAX));

/// The part of a datagram that carries descriptors.
fn rights<'a, 'd>(
    space: &'a mut [MaybeUninit<u8>],
    descriptors: &'a [BorrowedFd<'d>],
) -> Result<SendAncillaryBuffer<'a, 'a, 'd>> {
    let mut ancillary = SendAncillaryBuffer::new(space);
    match ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        true => Ok(ancillary),
        false => Err(Errno::TOOMANYREFS),
    }
}

impl Messages for Linux {
    fn receive(
        &mut self,
        socket: Descriptor,
        buffer: &mut [u8],
        descriptors: &mut DescriptorList,
    ) -> Result<usize> {
        let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [rustix::io::IoSliceMut::new(buffer)];
        let received = net::recvmsg(lend(socket), &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        if received.flags.contains(net::ReturnFlags::TRUNC) {
            return Err(Errno::MSGSIZE);
        }
        if received.flags.contains(net::ReturnFlags::CTRUNC) {
            // There is room for as many as the protocol allows: it is the limit of open files that keeps them out.
            return Err(Errno::MFILE);
        }
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                for descriptor in rights {
                    descriptors.push(keep(descriptor)).map_err(|_| Errno::PROTO)?;
                }
            }
        }
        Ok(received.bytes)
    }

    fn send(&mut self, socket: Descriptor, bytes: &[u8]) -> Result<()> {
        net::send(lend(socket), bytes, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    fn send_descriptor(&mut self, socket: Descriptor, bytes: &[u8], descriptor: Descriptor) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let descriptors = [lend(descriptor)];
        let mut ancillary = rights(&mut space, &descriptors)?;
        let slices = [rustix::io::IoSlice::new(bytes)];
        net::sendmsg(lend(socket), &slices, &mut ancillary, SendFlags::NOSIGNAL).map(drop)
    }

    fn send_descriptor_by_sendmmsg(
        &mut self,
        socket: Descriptor,
        bytes: &[u8],
        descriptor: Descriptor,
    ) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let descriptors = [lend(descriptor)];
        let mut ancillary = rights(&mut space, &descriptors)?;
        let slices = [rustix::io::IoSlice::new(bytes)];
        let mut messages = [net::MMsgHdr::new(&slices, &mut ancillary)];
        net::sendmmsg(lend(socket), &mut messages, SendFlags::NOSIGNAL).map(drop)
    }

    fn accept(&mut self, listener: Descriptor) -> Result<Descriptor> {
        net::accept_with(lend(listener), SocketFlags::CLOEXEC).map(keep)
    }

    fn message_memory(&mut self) -> &'static mut [u8] {
        const BYTES: usize = INLINE_BYTES_MAX + LASTING_BYTES;
        static mut MEMORY: [u8; BYTES] = [0; BYTES];
        static IS_TAKEN: AtomicBool = AtomicBool::new(false);
        if IS_TAKEN.swap(true, Ordering::Relaxed) {
            return &mut [];
        }
        let memory = &raw mut MEMORY;
        // SAFETY: nothing else names this memory, and whoever asks a second time does not come here.
        unsafe { &mut *memory }
    }

    fn map_memory(&mut self, bytes: usize) -> Result<&'static mut [u8]> {
        // SAFETY: a new private mapping, at a place that the kernel chooses, touches no memory that exists.
        let memory = unsafe {
            rustix::mm::mmap_anonymous(
                ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?
        };
        // SAFETY: the mapping is zeroed, `bytes` long, never unmapped, and no one else has its address.
        Ok(unsafe { core::slice::from_raw_parts_mut(memory.cast(), bytes) })
    }

    fn map_file(&mut self, file: Descriptor, bytes: usize) -> Result<&'static [u8]> {
        // A length behind the end would be a SIGBUS later.
        if fs::fstat(lend(file))?.st_size < bytes as i64 || bytes == 0 {
            return Err(Errno::INVAL);
        }
        // SAFETY: as in `map_memory`; the parent has sealed the file against writing and shrinking.
        let memory = unsafe {
            rustix::mm::mmap(ptr::null_mut(), bytes, ProtFlags::READ, MapFlags::PRIVATE, lend(file), 0)?
        };
        // SAFETY: the mapping is `bytes` long, inside the file, never unmapped and never written.
        Ok(unsafe { core::slice::from_raw_parts(memory.cast(), bytes) })
    }

    fn take_notes(&mut self, file: Descriptor, bytes: usize) -> Result<()> {
        if fs::fstat(lend(file))?.st_size < bytes as i64 || bytes == 0 {
            return Err(Errno::INVAL);
        }
        // SAFETY: as in `map_memory`; the file is the parent's, who does not shrink it.
        let memory = unsafe {
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            rustix::mm::mmap(ptr::null_mut(), bytes, protection, MapFlags::SHARED, lend(file), 0)?
        };
        // No reference: the parent reads the file while we write it.
        self.notes = Some((memory.cast(), bytes / size_of::<Mark>()));
        Ok(())
    }

    fn note(&mut self, label: u32) {
        let Some((place, left @ 1..)) = self.notes else { return };
        let mut now = uapi::__kernel_timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the kernel writes the structure that it is given. (rustix would look for a vDSO first.)
        let _ = unsafe { syscall!(CLOCK_GETTIME, uapi::CLOCK_REALTIME, &raw mut now) };
        let nanoseconds = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
        let mark = Mark { label: label.into(), reserved: 0.into(), nanoseconds: nanoseconds.into() };
        // SAFETY: `take_notes` has mapped room for `left` more marks here, which is never unmapped; a mark has no alignment.
        self.notes = unsafe {
            place.write_volatile(mark);
            Some((place.add(1), left - 1))
        };
    }
}
