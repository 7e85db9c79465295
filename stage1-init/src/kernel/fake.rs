//! A kernel that records calls as lines of text, and fails the one that it is told to.

use core::ffi::CStr;
use std::borrow::ToOwned;
use std::boxed::Box;
use std::collections::VecDeque;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use shared_proto::limits::{NODE_COUNT_MAX, PROCESSOR_COUNT_MAX};
use shared_proto::{Attributes, Propagation, Scheduler};
use zerocopy::little_endian::U32;

use super::{
    Child, Descriptor, Ended, Errno, Kernel, NEW_LISTENER, NamespaceKind, NodeMask, Open, ProcessorMask,
    Resolve, Result, Status,
};
use crate::receive::DescriptorList;

/// How a start ended, thrown by `exit` and `execute`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Exited(i32),
    Executed,
}

/// What one `receive` hands out: bytes and the number of descriptors that come with them. No bytes are the end of the file.
pub(crate) type Datagram = (Vec<u8>, usize);

/// See the module.
pub(crate) struct Fake {
    /// One line a call.
    pub(crate) trace: Vec<String>,
    pub(crate) datagrams: VecDeque<Datagram>,
    /// The call with this index fails with that errno.
    pub(crate) fail: Option<(usize, Errno)>,
    /// Each call whose line starts with this fails with that errno.
    pub(crate) refused: Vec<(&'static str, Errno)>,
    /// The same, for one call.
    pub(crate) refused_once: Vec<(&'static str, Errno)>,
    /// Paths that do not exist.
    pub(crate) missing: Vec<&'static str>,
    /// What `status` says of a path that was opened; anything else is a directory.
    pub(crate) modes: Vec<(&'static str, Status)>,
    /// What symlinks say, by name. What was made by then leads somewhere.
    pub(crate) links: Vec<(&'static str, &'static str)>,
    /// What `read_directory` finds, call by call; then nothing.
    pub(crate) entries: VecDeque<Vec<&'static str>>,
    /// The names of the extended attributes that every file has.
    pub(crate) attributes: &'static [u8],
    /// What is left to read.
    pub(crate) content: VecDeque<u8>,
    pub(crate) current_directory_is_reachable: bool,
    pub(crate) filesystem_type: u64,
    pub(crate) mount_number: u64,
    pub(crate) has_mount: bool,
    /// What is reached through symlinks is the root.
    pub(crate) links_lead_to_root: bool,
    /// That of /dev/pts.
    pub(crate) terminals_type: u64,
    /// How many descriptors were open at the same time, at most.
    pub(crate) most_open: usize,
    /// This is the copy that `fork` makes.
    pub(crate) is_child: bool,
    /// This is the process that `fork_sibling` leaves behind.
    pub(crate) stays_behind: bool,
    /// How children end, one after the other.
    pub(crate) ended: VecDeque<Option<Ended>>,
    takes_notes: bool,
    next_descriptor: i32,
    opened: Vec<(i32, String)>,
}

impl Fake {
    pub(crate) fn new(datagrams: Vec<Datagram>) -> Self {
        Self {
            trace: Vec::new(),
            datagrams: datagrams.into(),
            fail: None,
            refused: Vec::new(),
            refused_once: Vec::new(),
            missing: Vec::new(),
            modes: Vec::new(),
            links: Vec::new(),
            entries: VecDeque::new(),
            attributes: b"",
            content: VecDeque::new(),
            current_directory_is_reachable: true,
            filesystem_type: 0x9fa0,
            mount_number: 7,
            has_mount: true,
            links_lead_to_root: false,
            terminals_type: 0x1cd1,
            most_open: 0,
            is_child: false,
            stays_behind: false,
            ended: VecDeque::new(),
            takes_notes: false,
            next_descriptor: 10,
            opened: Vec::new(),
        }
    }

    fn call(&mut self, line: String) -> Result<()> {
        let index = self.trace.len();
        let failing = self.fail.filter(|&(failing, _)| failing == index).map(|(_, errno)| errno);
        let once = self.refused_once.iter().position(|(start, _)| line.starts_with(start));
        let once = once.map(|index| self.refused_once.remove(index).1);
        let refused = self.refused.iter().find(|(start, _)| line.starts_with(start)).map(|&(_, errno)| errno);
        match failing.or(once).or(refused) {
            Some(errno) => {
                self.trace.push(format!("{line} = {errno:?}"));
                Err(errno)
            }
            None => {
                self.trace.push(line);
                Ok(())
            }
        }
    }

    fn opens(&mut self, line: String, name: &str) -> Result<Descriptor> {
        self.call(line)?;
        Ok(self.hand_out(name))
    }

    fn hand_out(&mut self, name: &str) -> Descriptor {
        let number = self.next_descriptor;
        self.next_descriptor += 1;
        self.opened.push((number, name.to_owned()));
        self.most_open = self.most_open.max(self.opened.len());
        Descriptor(number)
    }

    /// The name under which a descriptor was opened; using a closed one is a defect.
    fn name(&self, descriptor: Descriptor) -> String {
        if descriptor == Descriptor::CURRENT_DIRECTORY {
            return String::from("cwd");
        }
        if descriptor.0 < 10 {
            return String::from("socket");
        }
        let found = self.opened.iter().find(|(number, _)| *number == descriptor.0);
        found.map_or_else(|| panic!("descriptor {} is not open", descriptor.0), |(_, name)| name.clone())
    }
}

fn text(text: &CStr) -> String {
    text.to_string_lossy().into_owned()
}

impl Kernel for Fake {
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
        Box::leak(std::vec![0; shared_proto::limits::INLINE_BYTES_MAX].into_boxed_slice())
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

    fn read_link(&mut self, directory: Descriptor, name: &CStr, buffer: &mut [u8]) -> Result<usize> {
        self.call(format!("read_link {} {}", self.name(directory), text(name)))?;
        let link = self.links.iter().find(|(known, _)| *known == text(name)).ok_or(Errno::INVAL)?;
        buffer.iter_mut().zip(link.1.bytes()).for_each(|(to, from)| *to = from);
        Ok(link.1.len())
    }

    fn die_with_parent(&mut self) -> Result<()> {
        self.call(String::from("die_with_parent"))
    }

    fn set_undumpable(&mut self) -> Result<()> {
        self.call(String::from("set_undumpable"))
    }

    fn set_session(&mut self) -> Result<()> {
        self.call(String::from("set_session"))
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

    fn duplicate(&mut self, file: Descriptor, number: Descriptor) -> Result<()> {
        self.call(format!("duplicate {} {}", self.name(file), number.0))
    }

    fn give_to_user(&mut self, file: Descriptor, uid: u32) -> Result<()> {
        let name = if Descriptor::STANDARD.contains(&file) { file.0.to_string() } else { self.name(file) };
        self.call(format!("give_to_user {name} {uid}"))
    }

    fn set_affinity(&mut self, mask: &ProcessorMask) -> Result<()> {
        let numbers = (0..PROCESSOR_COUNT_MAX as usize).filter(|bit| mask[bit / 64] & (1 << (bit % 64)) != 0);
        self.call(format!("set_affinity {:?}", numbers.collect::<Vec<_>>()))
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

    fn fork_sibling(&mut self) -> Result<Option<Child>> {
        self.call(String::from("fork_sibling"))?;
        Ok(self.stays_behind.then(|| Child { pid: 8, handle: self.hand_out("sibling") }))
    }

    fn wait(&mut self, child: Child, timeout_ms: u32) -> Result<Option<Ended>> {
        self.call(format!("wait {} {timeout_ms}", self.name(child.handle)))?;
        Ok(self.ended.pop_front().unwrap_or(Some(Ended::Exited(0))))
    }

    fn set_group(&mut self) -> Result<()> {
        self.call(String::from("set_group"))
    }

    fn kill_group(&mut self, child: Child) {
        self.trace.push(format!("kill_group {}", child.pid));
    }

    fn process_id(&mut self) -> i32 {
        self.trace.push(String::from("process_id"));
        42
    }

    fn memory_file(&mut self, content: &[&[u8]]) -> Result<Descriptor> {
        let text = content.concat();
        self.opens(format!("memory_file {}", String::from_utf8_lossy(&text)), "memory file")
    }

    fn set_standard(&mut self, input: Descriptor, output: Descriptor) -> Result<()> {
        self.call(format!("set_standard {} {}", self.name(input), self.name(output)))
    }

    fn open(
        &mut self,
        directory: Descriptor,
        path: &CStr,
        open: Open,
        resolve: Resolve,
    ) -> Result<Descriptor> {
        let path = text(path);
        let line = format!("open {} {path} {open:?} {resolve:?}", self.name(directory));
        if self.missing.contains(&path.as_str()) {
            self.call(format!("{line} = NOENT"))?;
            return Err(Errno::NOENT);
        }
        self.opens(line, &path)
    }

    fn status(&mut self, file: Descriptor) -> Result<Status> {
        let name = self.name(file);
        self.call(format!("status {name}"))?;
        let known = self.modes.iter().find(|(path, _)| *path == name).map(|&(_, status)| status);
        Ok(known.unwrap_or(Status { mode: 0o040755, ..Status::default() }))
    }

    fn status_of_entry(&mut self, directory: Descriptor, name: &CStr) -> Result<Status> {
        let name = text(name);
        self.call(format!("status_of_entry {} {name}", self.name(directory)))?;
        let known = self.modes.iter().find(|(path, _)| *path == name).map(|&(_, status)| status);
        Ok(known.unwrap_or(Status { mode: 0o100644, ..Status::default() }))
    }

    fn read_directory(&mut self, directory: Descriptor, buffer: &mut [u8]) -> Result<usize> {
        self.call(format!("read_directory {}", self.name(directory)))?;
        let mut length = 0;
        for name in self.entries.pop_front().unwrap_or_default() {
            let bytes = (19 + name.len() + 1).next_multiple_of(8);
            let entry = &mut buffer[length..length + bytes];
            entry.fill(0);
            entry[16..18].copy_from_slice(&(bytes as u16).to_le_bytes());
            entry[19..19 + name.len()].copy_from_slice(name.as_bytes());
            length += bytes;
        }
        Ok(length)
    }

    fn list_attributes(&mut self, file: Descriptor, buffer: &mut [u8]) -> Result<usize> {
        self.call(format!("list_attributes {}", self.name(file)))?;
        buffer[..self.attributes.len()].copy_from_slice(self.attributes);
        Ok(self.attributes.len())
    }

    fn attribute(&mut self, file: Descriptor, name: &CStr, buffer: &mut [u8]) -> Result<usize> {
        self.call(format!("attribute {} {}", self.name(file), text(name)))?;
        buffer[..5].copy_from_slice(b"value");
        Ok(5)
    }

    fn is_writable(&mut self, file: Descriptor) -> Result<bool> {
        let name = self.name(file);
        self.call(format!("is_writable {name}"))?;
        Ok(file != Descriptor::STANDARD[0])
    }

    fn status_of(&mut self, path: &CStr) -> Result<Status> {
        let path = text(path);
        self.call(format!("status_of {path}"))?;
        if self.missing.contains(&path.as_str()) {
            return Err(Errno::NOENT);
        }
        let known = self.modes.iter().find(|(known, _)| *known == path).map(|&(_, status)| status);
        Ok(known.unwrap_or(Status { mode: 0o100755, ..Status::default() }))
    }

    fn is_same_file(&mut self, one: Descriptor, other: Descriptor) -> Result<bool> {
        let (one, other) = (self.name(one), self.name(other));
        self.call(format!("is_same_file {one} {other}"))?;
        Ok(self.links_lead_to_root)
    }

    fn mount_number(&mut self, place: Descriptor) -> Result<u64> {
        let name = self.name(place);
        self.call(format!("mount_number {name}"))?;
        Ok(self.mount_number)
    }

    fn has_mount(&mut self, number: u64) -> Result<bool> {
        self.call(format!("has_mount {number}"))?;
        Ok(self.has_mount)
    }

    fn filesystem_type(&mut self, file: Descriptor) -> Result<u64> {
        let name = self.name(file);
        self.call(format!("filesystem_type {name}"))?;
        Ok(if name == "/dev/pts" { self.terminals_type } else { self.filesystem_type })
    }

    fn check_executable(&mut self, path: &CStr) -> Result<()> {
        self.call(format!("check_executable {}", text(path)))
    }

    fn current_directory_is_reachable(&mut self) -> Result<bool> {
        self.call(String::from("current_directory_is_reachable"))?;
        Ok(self.current_directory_is_reachable)
    }

    fn make_directory(&mut self, directory: Descriptor, name: &CStr, mode: u32) -> Result<()> {
        self.call(format!("make_directory {} {} {mode:o}", self.name(directory), text(name)))
    }

    fn make_file(&mut self, directory: Descriptor, name: &CStr) -> Result<()> {
        self.call(format!("make_file {} {}", self.name(directory), text(name)))
    }

    fn make_node(
        &mut self,
        directory: Descriptor,
        name: &CStr,
        mode: u32,
        major: u32,
        minor: u32,
    ) -> Result<()> {
        self.call(format!("make_node {} {} {mode:o} {major}:{minor}", self.name(directory), text(name)))
    }

    fn make_node_like(&mut self, directory: Descriptor, name: &CStr, other: Status) -> Result<()> {
        self.call(format!("make_node_like {} {} {:o}", self.name(directory), text(name), other.mode))
    }

    fn copy_content(&mut self, from: Descriptor, to: Descriptor) -> Result<usize> {
        self.call(format!("copy_content {} {}", self.name(from), self.name(to)))?;
        Ok(0)
    }

    fn change_mode(&mut self, directory: Descriptor, name: &CStr, mode: u32) -> Result<()> {
        self.call(format!("change_mode {} {} {mode:o}", self.name(directory), text(name)))
    }

    fn set_attribute(&mut self, file: Descriptor, name: &CStr, value: &[u8]) -> Result<()> {
        let value = String::from_utf8_lossy(value);
        self.call(format!("set_attribute {} {} {value}", self.name(file), text(name)))
    }

    fn make_symlink(&mut self, directory: Descriptor, name: &CStr, target: &CStr) -> Result<()> {
        self.call(format!("make_symlink {} {} {}", self.name(directory), text(name), text(target)))
    }

    fn change_owner(&mut self, directory: Descriptor, name: &CStr, uid: u32, gid: u32) -> Result<()> {
        self.call(format!("change_owner {} {} {uid}:{gid}", self.name(directory), text(name)))
    }

    fn open_tree(&mut self, directory: Descriptor, path: &CStr, recursive: bool) -> Result<Descriptor> {
        let name = if path.is_empty() { self.name(directory) } else { text(path) };
        let line = format!("open_tree {} {} recursive={recursive}", self.name(directory), text(path));
        self.opens(line, &format!("tree of {name}"))
    }

    fn move_mount(&mut self, mount: Descriptor, directory: Descriptor, path: &CStr) -> Result<()> {
        self.call(format!("move_mount {} to {} {}", self.name(mount), self.name(directory), text(path)))
    }

    fn set_propagation(
        &mut self,
        directory: Descriptor,
        path: &CStr,
        propagation: Propagation,
    ) -> Result<()> {
        self.call(format!("set_propagation {} {} {propagation:?}", self.name(directory), text(path)))
    }

    fn set_attributes(&mut self, mount: Descriptor, attributes: Attributes, recursive: bool) -> Result<()> {
        self.call(format!("set_attributes {} {attributes:?} recursive={recursive}", self.name(mount)))
    }

    fn set_attributes_private(&mut self, mount: Descriptor, attributes: Attributes) -> Result<()> {
        self.call(format!("set_attributes_private {} {attributes:?}", self.name(mount)))
    }

    fn set_owners(&mut self, mount: Descriptor, namespace: Descriptor) -> Result<()> {
        self.call(format!("set_owners {} {}", self.name(mount), self.name(namespace)))
    }

    fn mount(&mut self, source: &CStr, target: &CStr, fstype: &CStr, flags: u32, data: &CStr) -> Result<()> {
        let [source, target, fstype, data] = [source, target, fstype, data].map(text);
        self.call(format!("mount {fstype} {source} on {target} {flags:#x} {data}"))
    }

    fn filesystem_open(&mut self, fstype: &CStr) -> Result<Descriptor> {
        self.opens(format!("filesystem_open {}", text(fstype)), &format!("new {}", text(fstype)))
    }

    fn filesystem_set(&mut self, filesystem: Descriptor, key: &CStr, value: Option<&CStr>) -> Result<()> {
        let value = value.map_or(String::new(), |value| format!("={}", text(value)));
        self.call(format!("filesystem_set {} {}{value}", self.name(filesystem), text(key)))
    }

    fn filesystem_create(&mut self, filesystem: Descriptor) -> Result<()> {
        self.call(format!("filesystem_create {}", self.name(filesystem)))
    }

    fn filesystem_mount(&mut self, filesystem: Descriptor, attributes: u32) -> Result<Descriptor> {
        let name = self.name(filesystem).replace("new", "mount of");
        self.opens(format!("filesystem_mount {} {attributes:#x}", self.name(filesystem)), &name)
    }

    fn unmount_detached(&mut self, path: &CStr) -> Result<()> {
        self.call(format!("unmount_detached {}", text(path)))
    }

    fn pivot_root(&mut self, new: &CStr, old: &CStr) -> Result<()> {
        self.call(format!("pivot_root {} {}", text(new), text(old)))
    }

    fn change_root(&mut self, path: &CStr) -> Result<()> {
        self.call(format!("change_root {}", text(path)))
    }

    fn change_directory(&mut self, path: &CStr) -> Result<()> {
        self.call(format!("change_directory {}", text(path)))
    }

    fn change_directory_to(&mut self, directory: Descriptor) -> Result<()> {
        self.call(format!("change_directory_to {}", self.name(directory)))
    }

    fn set_hostname(&mut self, name: &[u8]) -> Result<()> {
        self.call(format!("set_hostname {}", String::from_utf8_lossy(name)))
    }

    fn set_domainname(&mut self, name: &[u8]) -> Result<()> {
        self.call(format!("set_domainname {}", String::from_utf8_lossy(name)))
    }

    fn new_session_keyring(&mut self) -> Result<()> {
        self.call(String::from("new_session_keyring"))
    }

    fn set_rlimit(&mut self, resource: u32, soft: u64, hard: u64) -> Result<()> {
        self.call(format!("set_rlimit {resource} {soft} {hard}"))
    }

    fn set_scheduler(&mut self, scheduler: &Scheduler) -> Result<()> {
        self.call(format!("set_scheduler {scheduler:?}"))
    }

    fn set_io_priority(&mut self, packed: u32) -> Result<()> {
        self.call(format!("set_io_priority {packed:#x}"))
    }

    fn set_personality(&mut self, domain: u32) -> Result<()> {
        self.call(format!("set_personality {domain}"))
    }

    fn set_memory_policy(&mut self, mode: u32, mask: &NodeMask) -> Result<()> {
        let nodes = (0..NODE_COUNT_MAX as usize).filter(|node| mask[node / 64] & (1 << (node % 64)) != 0);
        self.call(format!("set_memory_policy {mode:#x} {:?}", nodes.collect::<Vec<_>>()))
    }

    fn set_label(&mut self, file: Descriptor, label: &CStr) -> Result<()> {
        self.call(format!("set_label {} {}", self.name(file), text(label)))
    }

    fn set_groups(&mut self, groups: &[U32]) -> Result<()> {
        let groups: Vec<String> = groups.iter().map(|group| group.get().to_string()).collect();
        self.call(format!("set_groups {}", groups.join(",")))
    }

    fn set_group_id(&mut self, gid: u32) -> Result<()> {
        self.call(format!("set_group_id {gid}"))
    }

    fn set_user_id(&mut self, uid: u32) -> Result<()> {
        self.call(format!("set_user_id {uid}"))
    }

    fn keep_capabilities(&mut self) -> Result<()> {
        self.call(String::from("keep_capabilities"))
    }

    fn drop_bounding(&mut self, capability: u32) -> Result<()> {
        if capability > 40 {
            return Err(Errno::INVAL);
        }
        self.call(format!("drop_bounding {capability}"))
    }

    fn set_capabilities(&mut self, effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
        self.call(format!("set_capabilities {effective:#x} {permitted:#x} {inheritable:#x}"))
    }

    fn held_capabilities(&mut self) -> Result<u64> {
        self.call(String::from("held_capabilities")).map(|()| 0x1)
    }

    fn clear_ambient(&mut self) -> Result<()> {
        self.call(String::from("clear_ambient"))
    }

    fn raise_ambient(&mut self, capability: u32) -> Result<()> {
        self.call(format!("raise_ambient {capability}"))
    }

    fn set_no_new_privileges(&mut self) -> Result<()> {
        self.call(String::from("set_no_new_privileges"))
    }

    fn landlock_ruleset(&mut self, handled: u64) -> Result<Descriptor> {
        self.opens(format!("landlock_ruleset {handled:#x}"), "ruleset")
    }

    fn landlock_allow(&mut self, ruleset: Descriptor, place: Descriptor, rights: u64) -> Result<()> {
        self.call(format!("landlock_allow {} {} {rights:#x}", self.name(ruleset), self.name(place)))
    }

    fn landlock_restrict(&mut self, ruleset: Descriptor) -> Result<()> {
        self.call(format!("landlock_restrict {}", self.name(ruleset)))
    }

    fn install_filter(&mut self, flags: u32, program: &[u8]) -> Result<Option<Descriptor>> {
        self.call(format!("install_filter {flags:#x} {} bytes", program.len()))?;
        Ok((flags & NEW_LISTENER != 0).then(|| self.hand_out("filter's listener")))
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
