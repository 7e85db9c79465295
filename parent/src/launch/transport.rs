//! Frames and descriptors over a SOCK_SEQPACKET pair: one frame, one message.

use std::cell::Cell;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use shared_proto::bootstrap::MAGIC_MEMFD;
use shared_proto::limits::{BUILD_ID_BYTES, FRAME_BYTES, FRAME_DESCRIPTOR_COUNT_MAX, INLINE_BYTES_MAX};
use shared_proto::{EncodeError, Message, Reply, Report, encode, encoded_bytes};

use crate::error::{Error, Result};
use crate::plan::Plan;

/// Written by build.rs into both programs.
const BUILD_ID: &[u8; BUILD_ID_BYTES] = match env!("PINNACE_BUILD_ID").as_bytes().first_chunk() {
    Some(id) => id,
    None => panic!("build.rs writes a build id of this length"),
};

/// One end of the conversation.
#[derive(Debug)]
pub(super) struct Socket {
    descriptor: OwnedFd,
    /// stage1 has ended without reading all that we had sent.
    was_reset: Cell<bool>,
}

impl From<OwnedFd> for Socket {
    fn from(descriptor: OwnedFd) -> Self {
        Self { descriptor, was_reset: Cell::new(false) }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Socket {
    /// Our end, and stage1's.
    pub(super) fn pair() -> Result<(Self, OwnedFd)> {
        let (childs, ours) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(|errno| Error::call("socketpair", errno))?;
        Ok((Self::from(ours), childs))
    }

    /// Encodes the plan and leaves it in the socket, where stage1 finds it when it begins. One that is too large for the socket
    /// travels as a sealed memfd.
    pub(super) fn send_bootstrap(&self, plan: &Plan<'_>, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        let message = Message {
            bootstrap: plan.bootstrap,
            steps: &plan.steps,
            arguments: &plan.program.arguments,
            environment: &plan.program.environment,
        };
        let mut bytes = vec![0; encoded_bytes(&message)];
        encode(&message, BUILD_ID, &mut bytes).map_err(|error| match error {
            EncodeError::TooLarge => Error::new("args, env and mounts together are too large"),
            EncodeError::ItemWithNul => Error::new("a path of dev.pinnace.landlock holds a NUL byte"),
        })?;
        if bytes.len() <= INLINE_BYTES_MAX {
            match self.send_bytes(&bytes, descriptors) {
                // The administrator has made socket buffers small.
                Err(Errno::MSGSIZE) => {}
                sent => return sent.map_err(|errno| Error::call("send the plan", errno)),
            }
        }
        let memfd = super::spawn::sealed_memfd(c"pinnace-plan", &bytes, false)?;
        let descriptors: Vec<BorrowedFd<'_>> =
            std::iter::once(memfd.as_fd()).chain(descriptors.iter().copied()).collect();
        let mut announcement = [0; 16];
        announcement[..8].copy_from_slice(&MAGIC_MEMFD);
        announcement[8..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.send_bytes(&announcement, &descriptors).map_err(|errno| Error::call("send the plan", errno))
    }

    /// Sends one reply with its descriptors. A stage1 that has ended meanwhile is not an error here: its report, or its death, is.
    pub(super) fn send(&self, reply: Reply, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        match self.send_bytes(&reply.encode(), descriptors) {
            Ok(()) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(errno) => Err(Error::call("send to stage1", errno)),
        }
    }

    /// The next report, with the descriptor of one that has any; `None` at the end of the file.
    pub(super) fn receive_report(&self) -> Result<Option<(Report, Option<OwnedFd>)>> {
        let mut frame = [0; FRAME_BYTES];
        let mut slices = [IoSliceMut::new(&mut frame)];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut receive = || {
            rustix::io::retry_on_intr(|| {
                rustix::net::recvmsg(&self.descriptor, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
            })
        };
        let received = match receive() {
            // stage1 ended with replies of ours unread. The kernel says that once, and then hands out what stage1 had sent.
            Err(Errno::CONNRESET) => {
                self.was_reset.set(true);
                receive()
            }
            received => received,
        };
        let bytes = match received {
            Ok(message) if message.flags.contains(ReturnFlags::CTRUNC) => {
                return Err(Error::new("receive from stage1: too many open files"));
            }
            Ok(message) if message.flags.contains(ReturnFlags::TRUNC) => {
                return Err(Error::new("stage1 sent a report that is too long"));
            }
            Ok(message) => message.bytes,
            Err(Errno::CONNRESET) => 0,
            Err(errno) => return Err(Error::call("receive from stage1", errno)),
        };
        if bytes == 0 {
            return Ok(None);
        }
        let mut descriptors = ancillary.drain().flat_map(|message| match message {
            RecvAncillaryMessage::ScmRights(rights) => Some(rights).into_iter().flatten(),
            _ => None.into_iter().flatten(),
        });
        let descriptor = descriptors.next();
        let report = Report::decode(&frame[..bytes])
            .filter(|report| report.descriptor_count() == usize::from(descriptor.is_some()));
        match report {
            Some(report) => Ok(Some((report, descriptor))),
            None => Err(Error::new("stage1 sent a malformed report")),
        }
    }

    /// Whether there is a report to read, or the end of the file.
    pub(super) fn has_report(&self) -> bool {
        let mut polled = [PollFd::new(&self.descriptor, PollFlags::IN)];
        rustix::event::poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))
            .is_ok_and(|count| count > 0)
    }

    /// Whether the other end was closed while words of ours were unread. Who executes a program has read them all.
    pub(super) fn was_reset(&self) -> bool {
        self.was_reset.get()
    }

    fn send_bytes(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> std::result::Result<(), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FRAME_DESCRIPTOR_COUNT_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(Errno::TOOMANYREFS);
        }
        rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(
                &self.descriptor,
                &[IoSlice::new(bytes)],
                &mut ancillary,
                SendFlags::NOSIGNAL,
            )
        })
        .map(drop)
    }
}
