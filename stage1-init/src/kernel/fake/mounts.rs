//! Mounts, the root and the working directory.

use core::ffi::CStr;
use std::format;
use std::string::String;

use shared_proto::{Attributes, Propagation};

use super::{Fake, text};
use crate::kernel::{Descriptor, Mounts, Open, Result};

impl Mounts for Fake {
    fn mount_number(&mut self, place: Descriptor) -> Result<u64> {
        let name = self.name(place);
        self.call(format!("mount_number {name}"))?;
        Ok(self.mount_number)
    }

    fn has_mount(&mut self, number: u64) -> Result<bool> {
        self.call(format!("has_mount {number}"))?;
        Ok(self.has_mount)
    }

    fn open_tree(
        &mut self,
        directory: Descriptor,
        path: &CStr,
        place: Open,
        recursive: bool,
    ) -> Result<Descriptor> {
        let name = if path.is_empty() { self.name(directory) } else { text(path) };
        let link = if place == Open::PathNoFollow { " nofollow" } else { "" };
        let line = format!("open_tree {} {} recursive={recursive}{link}", self.name(directory), text(path));
        self.opens(line, &format!("tree of {name}"))
    }

    fn open_tree_with(
        &mut self,
        (directory, path): (Descriptor, &CStr),
        attributes: Attributes,
    ) -> Result<Descriptor> {
        let name = if path.is_empty() { self.name(directory) } else { text(path) };
        let line = format!("open_tree_with {} {} {attributes:?}", self.name(directory), text(path));
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
}
