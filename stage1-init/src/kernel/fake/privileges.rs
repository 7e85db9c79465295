//! What the process may do.

use std::format;
use std::string::String;

use super::Fake;
use crate::kernel::{Descriptor, Errno, NEW_LISTENER, Privileges, Result};

impl Privileges for Fake {
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

    fn install_filter(&mut self, flags: u32, program: &[u8]) -> Result<Option<Descriptor>> {
        self.call(format!("install_filter {flags:#x} {} bytes", program.len()))?;
        Ok((flags & NEW_LISTENER != 0).then(|| self.hand_out("filter's listener")))
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
}
