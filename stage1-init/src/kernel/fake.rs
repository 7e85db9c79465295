//! A kernel that records calls as lines of text, and fails the one that it is told to.

use core::ffi::CStr;
use std::borrow::ToOwned;
use std::collections::VecDeque;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::{Descriptor, Ended, Errno, Result, Status};

mod descriptors;
mod files;
mod identity;
mod messages;
mod mounts;
mod privileges;
mod processes;

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
    /// Paths with a symlink on the way.
    pub(crate) behind_links: Vec<&'static str>,
    /// What `read_directory` finds, call by call; then nothing.
    /// Directories end in `/`, symlinks in `@`.
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
            behind_links: Vec::new(),
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

    fn known_status(&self, name: &str) -> Option<Status> {
        self.modes.iter().find(|(known, _)| *known == name).map(|&(_, status)| status)
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
