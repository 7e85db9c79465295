//! Looking up and making.

use core::ffi::CStr;
use std::format;
use std::string::String;

use super::{Fake, text};
use crate::kernel::{Descriptor, Errno, Files, Open, Resolve, Result, Status};
use crate::paths::{DT_DIR, DT_REG};

const DT_LNK: u8 = 10;

impl Files for Fake {
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
        if resolve == Resolve::InRootNoSymlinks && self.behind_links.contains(&path.as_str()) {
            self.call(format!("{line} = LOOP"))?;
            return Err(Errno::LOOP);
        }
        if open == Open::Directory && self.known_status(&path).is_some_and(|status| !status.is_directory()) {
            self.call(format!("{line} = NOTDIR"))?;
            return Err(Errno::NOTDIR);
        }
        self.opens(line, &path)
    }

    fn read_link(&mut self, directory: Descriptor, name: &CStr, buffer: &mut [u8]) -> Result<usize> {
        self.call(format!("read_link {} {}", self.name(directory), text(name)))?;
        let link = self.links.iter().find(|(known, _)| *known == text(name)).ok_or(Errno::INVAL)?;
        buffer.iter_mut().zip(link.1.bytes()).for_each(|(to, from)| *to = from);
        Ok(link.1.len())
    }

    fn status(&mut self, file: Descriptor) -> Result<Status> {
        let name = self.name(file);
        self.call(format!("status {name}"))?;
        Ok(self.known_status(&name).unwrap_or(Status { mode: 0o040755, ..Status::default() }))
    }

    fn status_of_entry(&mut self, directory: Descriptor, name: &CStr) -> Result<Status> {
        let name = text(name);
        self.call(format!("status_of_entry {} {name}", self.name(directory)))?;
        Ok(self.known_status(&name).unwrap_or(Status { mode: 0o100644, ..Status::default() }))
    }

    fn read_directory(&mut self, directory: Descriptor, buffer: &mut [u8]) -> Result<usize> {
        self.call(format!("read_directory {}", self.name(directory)))?;
        let mut length = 0;
        for entry in self.entries.pop_front().unwrap_or_default() {
            let (name, kind) = match entry.strip_suffix('/') {
                Some(directory) => (directory, DT_DIR),
                None => entry.strip_suffix('@').map_or((entry, DT_REG), |link| (link, DT_LNK)),
            };
            let bytes = (19 + name.len() + 1).next_multiple_of(8);
            let entry = &mut buffer[length..length + bytes];
            entry.fill(0);
            entry[18] = kind;
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
        Ok(self.known_status(&path).unwrap_or(Status { mode: 0o100755, ..Status::default() }))
    }

    fn is_same_file(&mut self, one: Descriptor, other: Descriptor) -> Result<bool> {
        let (one, other) = (self.name(one), self.name(other));
        self.call(format!("is_same_file {one} {other}"))?;
        Ok(self.links_lead_to_root)
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
}
