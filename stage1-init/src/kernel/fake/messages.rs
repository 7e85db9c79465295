//! What is said to the parent.

use std::boxed::Box;
use std::format;
use std::string::String;

use super::Fake;
use crate::kernel::{Descriptor, Errno, Messages, Result};
use crate::receive::{DescriptorList, LASTING_BYTES};

impl Messages for Fake {
    fn receive(
        &mut self,
        socket: Descriptor,
        buffer: &mut [u8],
        descriptors: &mut DescriptorList,
    ) -> Result<usize> {
        self.call(format!("receive {}", self.name(socket)))?;
        let (bytes, count) = self.datagrams.pop_front().unwrap_or_default();
        buffer[..bytes.len()].copy_from_slice(&bytes);
        for index in 0..count {
            let descriptor = self.hand_out(&format!("received {index}"));
            descriptors.push(descriptor).map_err(|_| Errno::PROTO)?;
        }
        Ok(bytes.len())
    }

    fn send(&mut self, socket: Descriptor, bytes: &[u8]) -> Result<()> {
        let report = shared_proto::Report::decode(bytes).expect("stage1 sends reports");
        self.call(format!("send {} {report:?}", self.name(socket)))
    }

    fn send_descriptor(&mut self, socket: Descriptor, bytes: &[u8], descriptor: Descriptor) -> Result<()> {
        let report = shared_proto::Report::decode(bytes).expect("stage1 sends reports");
        self.call(format!("send_descriptor {} {report:?} {}", self.name(socket), self.name(descriptor)))
    }

    fn send_descriptor_by_sendmmsg(
        &mut self,
        socket: Descriptor,
        bytes: &[u8],
        descriptor: Descriptor,
    ) -> Result<()> {
        self.send_descriptor(socket, bytes, descriptor)?;
        self.call(String::from("by sendmmsg"))
    }

    fn accept(&mut self, listener: Descriptor) -> Result<Descriptor> {
        self.opens(format!("accept {}", self.name(listener)), "caller")
    }

    fn message_memory(&mut self) -> &'static mut [u8] {
        Box::leak(std::vec![0; shared_proto::limits::INLINE_BYTES_MAX + LASTING_BYTES].into_boxed_slice())
    }

    fn map_memory(&mut self, bytes: usize) -> Result<&'static mut [u8]> {
        self.call(format!("map_memory {bytes}"))?;
        Ok(Box::leak(std::vec![0; bytes].into_boxed_slice()))
    }

    fn map_file(&mut self, file: Descriptor, bytes: usize) -> Result<&'static [u8]> {
        self.call(format!("map_file {} {bytes}", self.name(file)))?;
        let (content, _) = self.datagrams.pop_front().unwrap_or_default();
        Ok(Box::leak(content.into_boxed_slice()))
    }

    fn take_notes(&mut self, file: Descriptor, bytes: usize) -> Result<()> {
        self.takes_notes = true;
        self.call(format!("take_notes {} {bytes}", self.name(file)))
    }

    fn note(&mut self, label: u32) {
        if self.takes_notes {
            self.trace.push(format!("note {label:#x}"));
        }
    }
}
