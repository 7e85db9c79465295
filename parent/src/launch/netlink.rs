//! rtnetlink(7), as far as network devices are moved: requests, their answers, and nothing kept.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use linux_raw_sys::general::CLONE_NEWNET;
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::error::{Error, Result};
use crate::namespaces;

/// From linux/netlink.h and linux/rtnetlink.h.
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CREATE: u16 = 0x400;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;

/// From linux/if_link.h and linux/if.h.
const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_EXT_MASK: u16 = 29;
const RTEXT_FILTER_SKIP_STATS: u32 = 8;
const IFF_UP: u32 = 1;

/// From linux/if_addr.h.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
const IFA_RT_PRIORITY: u16 = 9;
const IFA_F_NODAD: u32 = 0x02;
const IFA_F_PERMANENT: u32 = 0x80;
const IFA_F_NOPREFIXROUTE: u32 = 0x200;

/// RT_SCOPE_UNIVERSE: the address is good everywhere.
const SCOPE_GLOBAL: u8 = 0;

const HEADER_BYTES: usize = 16;

/// Bytes of struct ifinfomsg and of struct ifaddrmsg.
const LINK_BYTES: usize = 16;
const ADDRESS_BYTES: usize = 8;

/// Bytes of one answer; the kernel fills at most half as many at a time.
const ANSWER_BYTES: usize = 64 << 10;

/// Dumps during which something changed are asked for again, but not for ever.
const DUMP_ATTEMPTS: usize = 10;

/// A socket to the routing part of one network namespace: that in which it was made.
#[derive(Debug)]
pub(super) struct Netlink(OwnedFd);

/// A device as the kernel describes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) is_up: bool,
}

/// An address that can be given to another device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    family: u8,
    prefix_bits: u8,
    flags: u32,
    /// Those that make up the address, as the kernel told them.
    attributes: Vec<(u16, Vec<u8>)>,
}

impl Netlink {
    /// In the calling thread's namespace.
    pub(super) fn open() -> Result<Self> {
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .map(Self)
            .map_err(|errno| Error::call("open a netlink socket", errno))
    }

    /// In another one.
    pub(super) fn open_in(namespace: BorrowedFd<'_>) -> Result<Self> {
        namespaces::inside(&[(namespace, CLONE_NEWNET)], Self::open)?
    }

    /// The device with this name.
    pub(super) fn link(&self, name: &str) -> std::result::Result<Link, Errno> {
        let request = Request::link(RTM_GETLINK, 0, 0, 0)
            .attribute(IFLA_IFNAME, &name_bytes(name))
            .attribute(IFLA_EXT_MASK, &RTEXT_FILTER_SKIP_STATS.to_ne_bytes());
        let answers = self.ask(request, 0)?;
        let body =
            answers.iter().find(|answer| answer.kind == RTM_NEWLINK).ok_or(Errno::NODEV)?.body.as_slice();
        let (index, flags) = (word(body, 4).ok_or(Errno::PROTO)?, word(body, 8).ok_or(Errno::PROTO)?);
        Ok(Link { index, is_up: flags & IFF_UP != 0 })
    }

    /// Takes a device to another namespace under another name.
    pub(super) fn send_away(
        &self,
        index: u32,
        namespace: BorrowedFd<'_>,
        name: &str,
    ) -> std::result::Result<(), Errno> {
        let request = Request::link(RTM_NEWLINK, index, 0, 0)
            .attribute(IFLA_NET_NS_FD, &namespace.as_raw_fd().to_ne_bytes())
            .attribute(IFLA_IFNAME, &name_bytes(name));
        self.ask(request, 0).map(drop)
    }

    /// Gives a device a name; of a template such as `net%d` the kernel makes one.
    pub(super) fn rename(&self, index: u32, name: &str) -> std::result::Result<(), Errno> {
        let request = Request::link(RTM_NEWLINK, index, 0, 0).attribute(IFLA_IFNAME, &name_bytes(name));
        self.ask(request, 0).map(drop)
    }

    pub(super) fn set_up(&self, index: u32) -> std::result::Result<(), Errno> {
        self.ask(Request::link(RTM_NEWLINK, index, IFF_UP, IFF_UP), 0).map(drop)
    }

    /// The addresses of a device that somebody gave it for good, and that mean the same everywhere.
    pub(super) fn permanent_addresses(&self, index: u32) -> std::result::Result<Vec<Address>, Errno> {
        for _ in 0..DUMP_ATTEMPTS {
            let answers = self.ask(Request::new(RTM_GETADDR, &[0; ADDRESS_BYTES]), NLM_F_DUMP)?;
            if !answers.iter().any(|answer| answer.flags & NLM_F_DUMP_INTR != 0) {
                let bodies = answers.iter().filter(|answer| answer.kind == RTM_NEWADDR);
                return Ok(bodies.filter_map(|answer| permanent_address(&answer.body, index)).collect());
            }
        }
        Err(Errno::AGAIN)
    }

    pub(super) fn add_address(&self, index: u32, address: &Address) -> std::result::Result<(), Errno> {
        let [a, b, c, d] = index.to_ne_bytes();
        let body = [address.family, address.prefix_bits, 0, SCOPE_GLOBAL, a, b, c, d];
        let mut request = Request::new(RTM_NEWADDR, &body);
        for (kind, value) in &address.attributes {
            request = request.attribute(*kind, value);
        }
        let request = request.attribute(IFA_FLAGS, &address.flags.to_ne_bytes());
        self.ask(request, NLM_F_CREATE | NLM_F_EXCL).map(drop)
    }

    /// Sends a request and gathers its answers, up to the one that says that it is done.
    fn ask(&self, request: Request, flags: u16) -> std::result::Result<Vec<Answer>, Errno> {
        let bytes = request.finish(flags | NLM_F_REQUEST | NLM_F_ACK);
        rustix::net::send(&self.0, &bytes, SendFlags::empty())?;
        let mut answers = Vec::new();
        let mut buffer = vec![0; ANSWER_BYTES];
        loop {
            let (_, length) = rustix::io::retry_on_intr(|| {
                rustix::net::recv(&self.0, buffer.as_mut_slice(), RecvFlags::TRUNC)
            })?;
            let mut rest = buffer.get(..length).ok_or(Errno::MSGSIZE)?;
            while let Some((answer, behind)) = Answer::split(rest) {
                match answer.kind {
                    NLMSG_ERROR => return answer.error().map(|()| answers),
                    NLMSG_DONE => return Ok(answers),
                    _ => answers.push(answer),
                }
                rest = behind;
            }
        }
    }
}

/// One message of the kernel.
struct Answer {
    kind: u16,
    flags: u16,
    body: Vec<u8>,
}

impl Answer {
    /// The first message, and what lies behind it.
    fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let length = word(bytes, 0)? as usize;
        let body = bytes.get(HEADER_BYTES..length)?.to_vec();
        let behind = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((Self { kind: half(bytes, 4)?, flags: half(bytes, 6)?, body }, behind))
    }

    /// What an NLMSG_ERROR says; 0 is success.
    fn error(&self) -> std::result::Result<(), Errno> {
        match word(&self.body, 0).map(u32::cast_signed) {
            Some(0) => Ok(()),
            Some(negative) => Err(Errno::from_raw_os_error(-negative)),
            None => Err(Errno::PROTO),
        }
    }
}

/// A message to the kernel: header, body, attributes.
struct Request(Vec<u8>);

impl Request {
    fn new(kind: u16, body: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER_BYTES];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(body);
        Self(bytes)
    }

    /// A message about a device: index, flags, and which of them change.
    fn link(kind: u16, index: u32, flags: u32, change: u32) -> Self {
        let mut body = [0; LINK_BYTES];
        for (place, number) in [(4, index), (8, flags), (12, change)] {
            body[place..place + 4].copy_from_slice(&number.to_ne_bytes());
        }
        Self::new(kind, &body)
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        // Names and addresses: far below the field's 64 KiB.
        let length = (4 + value.len()) as u16;
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn finish(mut self, flags: u16) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0[6..8].copy_from_slice(&flags.to_ne_bytes());
        self.0
    }
}

/// The address in an RTM_NEWADDR, if it is one of this device that should go with it.
fn permanent_address(body: &[u8], index: u32) -> Option<Address> {
    let &[family, prefix_bits, short_flags, scope] = body.first_chunk()?;
    let mut address = Address { family, prefix_bits, flags: u32::from(short_flags), attributes: Vec::new() };
    let mut rest = body.get(ADDRESS_BYTES..)?;
    while let (Some(length), Some(kind)) = (half(rest, 0), half(rest, 2)) {
        let value = rest.get(4..usize::from(length))?;
        match kind {
            IFA_FLAGS => address.flags = word(value, 0)?,
            IFA_ADDRESS | IFA_LOCAL | IFA_BROADCAST | IFA_RT_PRIORITY => {
                address.attributes.push((kind, value.to_vec()));
            }
            _ => {}
        }
        rest = rest.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
    }
    let is_wanted =
        word(body, 4) == Some(index) && scope == SCOPE_GLOBAL && address.flags & IFA_F_PERMANENT != 0;
    // The other flags are what became of the address where it was.
    address.flags &= IFA_F_NODAD | IFA_F_NOPREFIXROUTE;
    is_wanted.then_some(address)
}

fn name_bytes(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|half| u16::from_ne_bytes(*half))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found_and_a_stranger_is_not() {
        let netlink = Netlink::open().unwrap();
        assert_eq!(netlink.link("lo").unwrap().index, 1);
        assert_eq!(netlink.link("no-such-device").err(), Some(Errno::NODEV));
        // Its addresses are of the host's scope, or came by themselves.
        assert_eq!(netlink.permanent_addresses(1).unwrap().len(), 0);
    }

    #[test]
    fn only_permanent_global_addresses_of_the_device_go_with_it() {
        let body = |scope: u8, flags: u32, index: u8| {
            let mut body = Request::new(RTM_NEWADDR, &[2, 24, 0, scope, index, 0, 0, 0])
                .attribute(IFA_LOCAL, &[10, 0, 0, 1])
                .attribute(3, b"eth0\0")
                .attribute(IFA_FLAGS, &flags.to_ne_bytes())
                .0;
            body.drain(..HEADER_BYTES);
            body
        };
        let address = permanent_address(&body(0, 0x280, 7), 7).unwrap();
        let attributes = vec![(IFA_LOCAL, vec![10, 0, 0, 1])];
        assert_eq!(address, Address { family: 2, prefix_bits: 24, flags: 0x200, attributes });
        for (scope, flags, index) in [(253, 0x80, 7), (0, 0, 7), (0, 0x80, 8)] {
            assert_eq!(permanent_address(&body(scope, flags, index), 7), None);
        }
    }
}
