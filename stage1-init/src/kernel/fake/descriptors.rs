//! Open files, standard streams and terminals.

use std::format;
use std::string::{String, ToString};

use super::Fake;
use crate::kernel::{Descriptor, Descriptors, Result};

impl Descriptors for Fake {
    fn read(&mut self, file: Descriptor, buffer: &mut [u8]) -> Result<usize> {
        self.call(format!("read {}", self.name(file)))?;
        let count = buffer.len().min(self.content.len());
        buffer.iter_mut().zip(self.content.drain(..count)).for_each(|(to, from)| *to = from);
        Ok(count)
    }

    fn write(&mut self, file: Descriptor, bytes: &[u8]) -> Result<()> {
        self.call(format!("write {} {}", self.name(file), String::from_utf8_lossy(bytes)))
    }

    fn close(&mut self, descriptor: Descriptor) {
        let name = self.name(descriptor);
        self.trace.push(format!("close {name}"));
        self.opened.retain(|(number, _)| *number != descriptor.0);
    }

    fn close_from(&mut self, first: Descriptor) -> Result<()> {
        self.call(String::from("close_from"))?;
        self.opened.retain(|(number, _)| *number < first.0);
        Ok(())
    }

    fn close_on_execute_from(&mut self, first: Descriptor) -> Result<()> {
        self.call(format!("close_on_execute_from {}", first.0))
    }

    fn memory_file(&mut self, content: &[&[u8]]) -> Result<Descriptor> {
        let text = content.concat();
        self.opens(format!("memory_file {}", String::from_utf8_lossy(&text)), "memory file")
    }

    fn duplicate(&mut self, file: Descriptor, number: Descriptor) -> Result<()> {
        self.call(format!("duplicate {} {}", self.name(file), number.0))
    }

    fn set_standard(&mut self, input: Descriptor, output: Descriptor) -> Result<()> {
        self.call(format!("set_standard {} {}", self.name(input), self.name(output)))
    }

    fn give_to_user(&mut self, file: Descriptor, uid: u32) -> Result<()> {
        let name = if Descriptor::STANDARD.contains(&file) { file.0.to_string() } else { self.name(file) };
        self.call(format!("give_to_user {name} {uid}"))
    }

    fn terminal_unlock(&mut self, master: Descriptor) -> Result<()> {
        self.call(format!("terminal_unlock {}", self.name(master)))
    }

    fn terminal_peer(&mut self, master: Descriptor) -> Result<Descriptor> {
        self.opens(format!("terminal_peer {}", self.name(master)), "terminal")
    }

    fn terminal_control(&mut self, terminal: Descriptor) -> Result<()> {
        self.call(format!("terminal_control {}", self.name(terminal)))
    }

    fn terminal_size(&mut self, terminal: Descriptor, width: u16, height: u16) -> Result<()> {
        self.call(format!("terminal_size {} {width}x{height}", self.name(terminal)))
    }
}
