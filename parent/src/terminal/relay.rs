//! Bytes between our standard streams and the container's terminal.
//!
//! Nobody here waits for a reader or a writer alone: what cannot be written stays in its buffer until it can be, and meanwhile the caller's
//! other futures go on.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::pty::OpenptFlags;

use crate::error::{Error, Result};
use crate::launch::Reactor;
use crate::signals::Signals;

const BUFFER_BYTES: usize = 8 << 10;

/// What is written at a time where more could block us: a pipe that takes any takes PIPE_BUF, a terminal 256 (WAKEUP_CHARS of n_tty).
const CAREFUL_BYTES: usize = 256;

/// Both directions.
#[derive(Debug)]
pub struct Relay {
    master: Stream<OwnedFd>,
    /// Our own descriptor of the terminal. Without one the master would have hung up as soon as the program closes its streams, and
    /// would say so for ever.
    terminal: Option<OwnedFd>,
    stdin: Stream<OwnedFd>,
    stdout: Stream<OwnedFd>,
    input: Pump,
    output: Pump,
}

impl Relay {
    /// Between `master` and our standard input and output.
    pub fn new(master: OwnedFd) -> Result<Self> {
        let failed = |errno| Error::call("relay the container's terminal", errno);
        rustix::io::ioctl_fionbio(&master, true).map_err(failed)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        // Ignored: an older kernel, on which a program that closes its terminal is not heard any more.
        let terminal = rustix::pty::ioctl_tiocgptpeer(&master, flags).ok();
        Ok(Self {
            master: Stream { descriptor: master, kind: Kind::Patient },
            terminal,
            stdin: Stream::of(rustix::stdio::stdin(), OFlags::RDONLY).map_err(failed)?,
            stdout: Stream::of(rustix::stdio::stdout(), OFlags::WRONLY).map_err(failed)?,
            input: Pump::default(),
            output: Pump::default(),
        })
    }

    /// The container's side.
    pub fn master(&self) -> BorrowedFd<'_> {
        self.master.descriptor.as_fd()
    }

    /// Moves bytes both ways until both ends are closed.
    pub async fn run(&mut self, reactor: &Reactor) {
        let input = self.input.run(reactor, &self.stdin, &self.master);
        let output = self.output.run(reactor, &self.master, &self.stdout);
        smol::future::zip(input, output).await;
    }

    /// The program has ended: what it has written, and nobody has taken yet, goes out, however long its reader lets us wait. Where it has ended
    /// as we were asked to, that is as long as something moves.
    ///
    /// Errors: meanwhile one of `signals` asks us to end, and what is left is lost.
    pub fn drain(mut self, signals: &Signals, has_obeyed: bool) -> Result<()> {
        const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
        self.terminal = None;
        loop {
            match self.output.step(&self.master, &self.stdout) {
                Step::Moved => continue,
                Step::Writable => {}
                // Nothing more is in the terminal.
                Step::Readable | Step::Ended => return Ok(()),
            }
            let mut polled = [
                PollFd::new(&self.stdout.descriptor, PollFlags::OUT),
                PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
            ];
            let patience = has_obeyed.then_some(&PATIENCE);
            let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut polled, patience))
                .map_err(|errno| Error::call("wait for the reader of the terminal's output", errno))?;
            if ready == 0 {
                return Ok(());
            }
            // There is nobody any more to pass the others on to.
            signals.take_ended("before all of the program's output was taken")?;
        }
    }
}

/// One end, and how it is written to.
#[derive(Debug)]
struct Stream<D> {
    descriptor: D,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Says EAGAIN instead of blocking.
    Patient,
    /// Is asked for that with each call.
    Socket,
    /// A regular file, which does not block.
    File,
    /// Blocks where it is given more than it has room for.
    Blocking,
}

impl Stream<OwnedFd> {
    /// One of our standard streams. Others share it: whether it blocks must not change, so that a pipe or a terminal is opened once more.
    fn of(stream: BorrowedFd<'_>, access: OFlags) -> std::result::Result<Self, Errno> {
        let duplicate = |kind| {
            let descriptor = rustix::io::fcntl_dupfd_cloexec(stream, 3)?;
            Ok(Self { descriptor, kind })
        };
        match FileType::from_raw_mode(rustix::fs::fstat(stream)?.st_mode) {
            FileType::RegularFile => duplicate(Kind::File),
            FileType::Socket => duplicate(Kind::Socket),
            _ => {
                let path = format!("/proc/self/fd/{}", stream.as_raw_fd());
                let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
                match rustix::fs::open(path, flags, Mode::empty()) {
                    Ok(descriptor) => Ok(Self { descriptor, kind: Kind::Patient }),
                    // Another user's terminal, or a pipe without a reader.
                    Err(_) => duplicate(Kind::Blocking),
                }
            }
        }
    }

    fn read(&self, buffer: &mut [u8]) -> std::result::Result<usize, Errno> {
        match self.kind {
            Kind::Socket => rustix::net::recv(&self.descriptor, buffer, rustix::net::RecvFlags::DONTWAIT)
                .map(|(_, bytes)| bytes),
            _ => rustix::io::read(&self.descriptor, buffer),
        }
    }

    fn write(&self, bytes: &[u8]) -> std::result::Result<usize, Errno> {
        match self.kind {
            Kind::Patient | Kind::File => rustix::io::write(&self.descriptor, bytes),
            Kind::Socket => {
                rustix::net::send(&self.descriptor, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
            }
            Kind::Blocking => {
                let mut polled = [PollFd::new(&self.descriptor, PollFlags::OUT)];
                let now = Timespec { tv_sec: 0, tv_nsec: 0 };
                match rustix::event::poll(&mut polled, Some(&now)) {
                    Ok(0) => Err(Errno::AGAIN),
                    _ => rustix::io::write(&self.descriptor, &bytes[..bytes.len().min(CAREFUL_BYTES)]),
                }
            }
        }
    }
}

/// What a direction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing: there may be more.
    Moved,
    /// There is nothing to read now.
    Readable,
    /// There is no room to write now.
    Writable,
    /// The source is closed.
    Ended,
}

/// One direction, with what was read and not yet written.
#[derive(Debug)]
struct Pump {
    /// Not in place: a relay is moved about, and 16 KiB with it.
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The reader is gone. The source is emptied all the same, so that the program does not wait for ever.
    discards: bool,
}

impl Default for Pump {
    fn default() -> Self {
        Self { buffer: vec![0; BUFFER_BYTES].into(), start: 0, end: 0, discards: false }
    }
}

impl Pump {
    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    async fn run(&mut self, reactor: &Reactor, from: &Stream<OwnedFd>, to: &Stream<OwnedFd>) {
        loop {
            // A standard stream may block when it is read too early.
            if self.is_empty() {
                reactor.readable(from.descriptor.as_fd()).await;
            }
            match self.step(from, to) {
                Step::Moved | Step::Readable => {}
                Step::Writable => reactor.writable(to.descriptor.as_fd()).await,
                Step::Ended => return,
            }
        }
    }

    /// Reads once and writes what fits: other futures get their turn between two reads of a source that never ends.
    fn step(&mut self, from: &Stream<OwnedFd>, to: &Stream<OwnedFd>) -> Step {
        if self.is_empty() {
            match from.read(&mut self.buffer) {
                Ok(0) => return Step::Ended,
                Ok(_) if self.discards => return Step::Moved,
                Ok(count) => (self.start, self.end) = (0, count),
                Err(Errno::AGAIN) => return Step::Readable,
                Err(Errno::INTR) => return Step::Moved,
                // The terminal has hung up, or ours has.
                Err(_) => return Step::Ended,
            }
        }
        while !self.is_empty() {
            match to.write(&self.buffer[self.start..self.end]) {
                Ok(count) => self.start += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Step::Writable,
                Err(_) => (self.start, self.discards) = (self.end, true),
            }
        }
        Step::Moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pipe() -> (Stream<OwnedFd>, Stream<OwnedFd>) {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
        let stream = |descriptor| Stream { descriptor, kind: Kind::Patient };
        (stream(reader), stream(writer))
    }

    #[test]
    fn what_a_reader_does_not_take_waits_and_is_not_lost() {
        let ((source, feed), (taken, sink)) = (pipe(), pipe());
        let mut pump = Pump::default();
        let mut sent = Vec::new();
        // Until the sink and the buffer are full, and the source with them.
        while pump.step(&source, &sink) != Step::Writable || sent.len() < 200_000 {
            let chunk = [sent.len() as u8; 1000];
            match feed.write(&chunk) {
                Ok(count) => sent.extend_from_slice(&chunk[..count]),
                Err(_) if pump.step(&source, &sink) == Step::Writable => break,
                Err(_) => {}
            }
        }
        drop(feed);
        let mut got = Vec::new();
        let mut buffer = [0; 5000];
        while pump.step(&source, &sink) != Step::Ended {
            if let Ok(count) = taken.read(&mut buffer) {
                got.extend_from_slice(&buffer[..count]);
            }
        }
        drop(sink);
        while let Ok(count @ 1..) = taken.read(&mut buffer) {
            got.extend_from_slice(&buffer[..count]);
        }
        assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    }

    #[test]
    fn a_reader_that_is_gone_does_not_stop_the_program() {
        let ((source, feed), (taken, sink)) = (pipe(), pipe());
        drop(taken);
        let mut pump = Pump::default();
        for _ in 0..100 {
            assert!(feed.write(&[0; 4000]).is_ok());
            assert_eq!(pump.step(&source, &sink), Step::Moved);
        }
    }
}
