//! Names, limits, and who the process is.

use core::ffi::CStr;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use shared_proto::Scheduler;
use shared_proto::limits::{NODE_COUNT_MAX, PROCESSOR_COUNT_MAX};
use zerocopy::little_endian::U32;

use super::{Fake, text};
use crate::kernel::{Descriptor, Identity, NodeMask, ProcessorMask, Result};

impl Identity for Fake {
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

    fn set_affinity(&mut self, mask: &ProcessorMask) -> Result<()> {
        let numbers = (0..PROCESSOR_COUNT_MAX as usize).filter(|bit| mask[bit / 64] & (1 << (bit % 64)) != 0);
        self.call(format!("set_affinity {:?}", numbers.collect::<Vec<_>>()))
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
}
