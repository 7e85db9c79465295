//! This process and its copies.

use core::ffi::CStr;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::{End, Fake, text};
use crate::kernel::{Child, Descriptor, Ended, Errno, Leave, Memory, NamespaceKind, Processes, Result};

impl Processes for Fake {
    fn die_with_parent(&mut self) -> Result<()> {
        self.call(String::from("die_with_parent"))
    }

    fn set_undumpable(&mut self) -> Result<()> {
        self.call(String::from("set_undumpable"))
    }

    fn set_session(&mut self) -> Result<()> {
        self.call(String::from("set_session"))
    }

    fn set_group(&mut self) -> Result<()> {
        self.call(String::from("set_group"))
    }

    fn reset_signal(&mut self, signal: u32) -> Result<()> {
        self.call(format!("reset_signal {signal}"))
    }

    fn unblock_signals(&mut self) -> Result<()> {
        self.call(String::from("unblock_signals"))
    }

    fn set_umask(&mut self, umask: u32) {
        self.trace.push(format!("set_umask {umask:o}"));
    }

    fn process_id(&mut self) -> i32 {
        self.trace.push(String::from("process_id"));
        42
    }

    fn set_namespace(&mut self, namespace: Descriptor, kind: NamespaceKind) -> Result<()> {
        self.call(format!("set_namespace {} {kind:?}", self.name(namespace)))
    }

    fn unshare(&mut self, kind: NamespaceKind) -> Result<()> {
        self.call(format!("unshare {kind:?}"))
    }

    fn unshare_all(&mut self, kinds: u32) -> Result<()> {
        self.call(format!("unshare_all {kinds:#x}"))
    }

    fn join_process(&mut self, process: Descriptor, kinds: u32) -> Result<()> {
        self.call(format!("join_process {} {kinds:#x}", self.name(process)))
    }

    fn loopback_up(&mut self) -> Result<()> {
        self.call(String::from("loopback_up"))
    }

    fn fork(&mut self) -> Result<Option<Child>> {
        self.call(String::from("fork"))?;
        if self.is_child {
            return Ok(None);
        }
        Ok(Some(Child { pid: 7, handle: self.hand_out("child") }))
    }

    fn fork_sibling(&mut self, memory: Memory, socket: Descriptor, leave: Leave<Self>) -> Result<()> {
        self.call(format!("fork_sibling {memory:?}"))?;
        if self.stays_behind {
            let sibling = Child { pid: 8, handle: self.hand_out("sibling") };
            leave(self, socket, sibling);
        }
        Ok(())
    }

    fn wait(&mut self, child: Child, timeout_ms: u32) -> Result<Option<Ended>> {
        self.call(format!("wait {} {timeout_ms}", self.name(child.handle)))?;
        Ok(self.ended.pop_front().unwrap_or(Some(Ended::Exited(0))))
    }

    fn kill_group(&mut self, child: Child) {
        self.trace.push(format!("kill_group {}", child.pid));
    }

    fn execute<'a>(
        &mut self,
        program: &CStr,
        arguments: impl ExactSizeIterator<Item = &'a CStr>,
        environment: impl Iterator<Item = &'a CStr>,
    ) -> Errno {
        let arguments: Vec<String> = arguments.map(text).collect();
        let environment: Vec<String> = environment.map(text).collect();
        let line = format!("execute {} {arguments:?} {environment:?}", text(program));
        match self.call(line) {
            Err(errno) => errno,
            Ok(()) => std::panic::panic_any(End::Executed),
        }
    }

    fn exit(&mut self, status: i32) -> ! {
        self.trace.push(format!("exit {status}"));
        std::panic::panic_any(End::Exited(status))
    }
}
