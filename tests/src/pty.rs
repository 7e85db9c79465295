//! A terminal of the test's own, and a program that runs on it.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

/// The master's side, as whoever looks at the screen has it.
pub struct Pty {
    master: OwnedFd,
    /// Kept open, so that the settings can be looked at when the program has ended.
    pub terminal: OwnedFd,
    child: Child,
    seen: String,
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

impl Pty {
    /// Starts `command` with all its standard streams on a terminal of this size.
    pub fn spawn(mut command: Command, columns: u16, rows: u16) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).expect("open /dev/ptmx");
        rustix::pty::unlockpt(&master).expect("unlock the terminal");
        let terminal = rustix::pty::ioctl_tiocgptpeer(&master, flags).expect("open the terminal");
        rustix::termios::tcsetwinsize(&master, size(columns, rows)).expect("set the size");
        let stream = || Stdio::from(terminal.try_clone().expect("dup"));
        let child = command.stdin(stream()).stdout(stream()).stderr(stream()).spawn().expect("start");
        Self { master, terminal, child, seen: String::new() }
    }

    /// Waits until `text` is on the screen.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.seen.contains(text) {
            assert!(Instant::now() < deadline, "{text:?} does not come: {:?}", self.seen);
            self.look(Duration::from_millis(100));
        }
    }

    /// Types.
    pub fn write(&self, text: &str) {
        std::fs::File::from(self.master.try_clone().expect("dup")).write_all(text.as_bytes()).expect("type");
    }

    /// The window gets another size; who is its foreground process group is told by the kernel.
    pub fn resize(&self, columns: u16, rows: u16) {
        rustix::termios::tcsetwinsize(&self.master, size(columns, rows)).expect("set the size");
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Reads what has come.
    fn look(&mut self, timeout: Duration) -> bool {
        let mut polled = [PollFd::new(&self.master, PollFlags::IN)];
        let timeout = Timespec { tv_sec: 0, tv_nsec: timeout.as_nanos() as i64 };
        if poll(&mut polled, Some(&timeout)).expect("poll") == 0 {
            return false;
        }
        let mut buffer = [0; 4096];
        let count = rustix::io::read(&self.master, &mut buffer).unwrap_or(0);
        self.seen += &String::from_utf8_lossy(&buffer[..count]);
        count > 0
    }

    /// Waits for the end: the exit code, and all that was on the screen.
    #[track_caller]
    pub fn wait(&mut self) -> (i32, String) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            while self.look(Duration::from_millis(10)) {}
            if let Some(status) = self.child.try_wait().expect("wait") {
                while self.look(Duration::from_millis(10)) {}
                let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
                return (code, self.seen.clone());
            }
            if Instant::now() >= deadline {
                let _ = self.child.kill();
                panic!("it does not end: {:?}", self.seen);
            }
        }
    }

    /// The settings, as text to compare.
    pub fn settings(&self) -> String {
        format!("{:?}", rustix::termios::tcgetattr(self.terminal.as_fd()).expect("tcgetattr"))
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
