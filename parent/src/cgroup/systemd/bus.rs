//! A D-Bus connection of our own: one socket, blocking, with a time-out that says what was waited for.
//!
//! A client library would start threads before the container does, and weigh more than the rest of the cgroup code; what is needed is
//! six methods and one signal.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use super::message::{self, HEADER_BYTES, Incoming, Target, Value};
use crate::error::{Error, Result};
use crate::host;

/// Whose systemd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(in super::super) enum Owner {
    System,
    User,
}

/// How long systemd may take for all that is asked of it at once: runc waits as long.
const TIMEOUT: Duration = Duration::from_secs(30);

const DRIVER: Target<'_> = Target {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};

/// A connection; calls are collected and leave together.
#[derive(Debug)]
pub(super) struct Bus {
    socket: OwnedFd,
    serial: u32,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
    deadline: Instant,
}

impl Bus {
    /// Connects, says who we are, and asks to be told of the ends of `unit`'s jobs. One wait: for the server to know us.
    pub(super) fn connect(owner: Owner, unit: &str) -> Result<Self> {
        let mut bus = Self {
            socket: connect_to_any(&addresses(owner)?)?,
            serial: 0,
            outgoing: Vec::new(),
            incoming: Vec::new(),
            deadline: Instant::now() + TIMEOUT,
        };
        bus.authenticate()?;
        // systemd's own socket has no bus behind it, and answers with errors that nobody waits for.
        bus.queue(DRIVER, "Hello", false, &[]);
        let rule = format!(
            "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',\
             member='JobRemoved',arg2='{unit}'"
        );
        bus.queue(DRIVER, "AddMatch", false, &[Value::text(rule)]);
        Ok(bus)
    }

    /// Adds a call to what will be sent; its serial number is that of the answer.
    pub(super) fn queue(
        &mut self,
        target: Target<'_>,
        method: &str,
        wants_reply: bool,
        body: &[Value],
    ) -> u32 {
        self.serial += 1;
        self.outgoing.extend(message::call(self.serial, target, method, wants_reply, body));
        self.serial
    }

    /// Sends what was queued.
    pub(super) fn flush(&mut self, what_for: &str) -> Result<()> {
        let outgoing = std::mem::take(&mut self.outgoing);
        self.send(&outgoing, what_for)
    }

    /// The next message that could matter.
    pub(super) fn next(&mut self, what_for: &str) -> Result<Incoming> {
        loop {
            let header: Option<&[u8; HEADER_BYTES]> = self.incoming.first_chunk();
            if let Some(header) = header {
                let malformed =
                    || Error::new(format!("malformed D-Bus message while waiting for {what_for}"));
                let whole = message::message_bytes(header).ok_or_else(malformed)?;
                if self.incoming.len() >= whole {
                    let rest = self.incoming.split_off(whole);
                    let message = std::mem::replace(&mut self.incoming, rest);
                    match message::parse(&message).ok_or_else(malformed)? {
                        Incoming::Other => continue,
                        incoming => return Ok(incoming),
                    }
                }
            }
            self.receive(what_for)?;
        }
    }

    /// SASL, in the mechanism that every bus has: the kernel vouches for our user id.
    fn authenticate(&mut self) -> Result<()> {
        const WHAT_FOR: &str = "the D-Bus server to let us in";
        let hello = if host::is_initial_user_namespace() {
            let uid = rustix::process::geteuid().as_raw().to_string();
            let digits: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
            format!("\0AUTH EXTERNAL {digits}\r\nBEGIN\r\n")
        } else {
            // Who we are outside is not known here, and need not be said: the server asks for it, and takes an empty answer.
            String::from("\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")
        };
        self.send(hello.as_bytes(), WHAT_FOR)?;
        loop {
            while let Some(end) = self.incoming.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.incoming.drain(..end + 2).collect();
                let line = String::from_utf8_lossy(&line[..end]);
                match line.split(' ').next() {
                    Some("OK") => return Ok(()),
                    Some("DATA") => {}
                    _ => return Err(Error::new(format!("the D-Bus server does not let us in: {line}"))),
                }
            }
            self.receive(WHAT_FOR)?;
        }
    }

    fn send(&mut self, mut bytes: &[u8], what_for: &str) -> Result<()> {
        while !bytes.is_empty() {
            match rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, what_for)?,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::call(format_args!("D-Bus: send for {what_for}"), errno)),
            }
        }
        Ok(())
    }

    fn receive(&mut self, what_for: &str) -> Result<()> {
        let mut buffer = [0; 4096];
        loop {
            match rustix::net::recv(&self.socket, &mut buffer, rustix::net::RecvFlags::DONTWAIT) {
                Ok((0, _)) => {
                    return Err(Error::new(format!(
                        "the D-Bus server closed the connection while waiting for {what_for}"
                    )));
                }
                Ok((bytes, _)) => {
                    self.incoming.extend_from_slice(&buffer[..bytes]);
                    return Ok(());
                }
                Err(Errno::AGAIN) => self.wait(PollFlags::IN, what_for)?,
                Err(Errno::INTR) => {}
                Err(errno) => {
                    return Err(Error::call(
                        format_args!("D-Bus: receive while waiting for {what_for}"),
                        errno,
                    ));
                }
            }
        }
    }

    fn wait(&self, events: PollFlags, what_for: &str) -> Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut polled = [PollFd::from_borrowed_fd(self.socket.as_fd(), events)];
        match rustix::event::poll(&mut polled, Some(&timeout)) {
            Ok(0) => {
                Err(Error::new(format!("timed out after {} s of waiting for {what_for}", TIMEOUT.as_secs())))
            }
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(Error::call("D-Bus: poll", errno)),
        }
    }
}

/// Where the bus may be, the likeliest first; the last one is systemd's own socket, for hosts without a bus.
fn addresses(owner: Owner) -> Result<Vec<Address>> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut found = Vec::new();
    match owner {
        Owner::System => {
            let text = variable("DBUS_SYSTEM_BUS_ADDRESS");
            found.extend(parse_addresses(text.as_deref().unwrap_or("unix:path=/run/dbus/system_bus_socket")));
            found.push(Address::Path("/run/systemd/private".into()));
        }
        Owner::User => {
            let runtime = variable("XDG_RUNTIME_DIR");
            match (variable("DBUS_SESSION_BUS_ADDRESS"), &runtime) {
                (Some(text), _) => found.extend(parse_addresses(&text)),
                (None, Some(runtime)) => found.push(Address::Path(format!("{runtime}/bus"))),
                (None, None) => {
                    return Err(Error::new(
                        "no D-Bus of the user: neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set",
                    ));
                }
            }
            found.extend(runtime.map(|runtime| Address::Path(format!("{runtime}/systemd/private"))));
        }
    }
    Ok(found)
}

/// A socket's place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    Path(String),
    Abstract(String),
}

/// Those of a D-Bus address list that are Unix sockets: `unix:path=/run/bus,guid=00;unix:abstract=x`.
fn parse_addresses(text: &str) -> Vec<Address> {
    let parse = |entry: &str| {
        let mut pairs = entry.strip_prefix("unix:")?.split(',').filter_map(|pair| pair.split_once('='));
        pairs.find_map(|(key, value)| match key {
            "path" => Some(Address::Path(unescape(value))),
            "abstract" => Some(Address::Abstract(unescape(value))),
            _ => None,
        })
    };
    text.split(';').filter_map(parse).collect()
}

/// Bytes may be written as `%2f`.
fn unescape(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.extend(code.or(Some(b'%')));
        bytes.extend_from_slice(&part.as_bytes()[if code.is_some() { 2 } else { 0 }..]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn connect_to_any(addresses: &[Address]) -> Result<OwnedFd> {
    let mut first_error = None;
    for address in addresses {
        match connect_to(address) {
            Ok(socket) => return Ok(socket),
            Err(errno) => {
                let (Address::Path(name) | Address::Abstract(name)) = address;
                let error = Error::call(format_args!("connect to systemd by D-Bus: {name}"), errno);
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or_else(|| {
        Error::new("connect to systemd by D-Bus: the bus has no address that is a Unix socket")
    }))
}

fn connect_to(address: &Address) -> std::result::Result<OwnedFd, Errno> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let address = match address {
        Address::Path(path) => SocketAddrUnix::new(path.as_str())?,
        Address::Abstract(name) => SocketAddrUnix::new_abstract_name(name.as_bytes())?,
    };
    // Blocks while the server's queue is full; there is nothing else to do meanwhile.
    rustix::io::retry_on_intr(|| rustix::net::connect(&socket, &address))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_lists_with_options() {
        assert_eq!(
            parse_addresses("tcp:host=x;unix:path=/run/a%20b,guid=0;unix:abstract=/tmp/x"),
            [Address::Path("/run/a b".into()), Address::Abstract("/tmp/x".into())]
        );
        assert_eq!(unescape("100%"), "100%");
    }

    #[test]
    fn a_bus_that_is_not_there_is_named() {
        let error = connect_to_any(&[Address::Path("/nowhere/bus".into())]).unwrap_err();
        assert_eq!(error.to_string(), "connect to systemd by D-Bus: /nowhere/bus: no such file or directory");
    }
}
