//! What `pinnace demo` runs: a static program of a few kilobytes that looks around in its container and says what it sees. Under the names
//! of `true` and `sleep` it does what they do, for `pinnace bench`.

#![no_std]
#![no_main]

use core::ffi::CStr;
use core::fmt::{self, Write};
use core::mem::MaybeUninit;

use rustix::fs::{self, CWD, Mode, OFlags};
use stage1_init::kernel::{Descriptor, Descriptors as _, Linux, Processes as _, arch};

arch::entry!(start);

extern "C" fn start(stack: arch::InitialStack) -> ! {
    let mut kernel = Linux::new();
    let name = stack.argument(0).map(CStr::to_bytes).unwrap_or_default();
    match name.rsplit(|byte| *byte == b'/').next() {
        Some(b"true") => kernel.exit(0),
        Some(b"sleep") => loop {
            rustix::event::pause();
        },
        _ => {}
    }
    let told = match Descriptor::from_argument(Some(c"1")) {
        Some(stdout) => look_around(&mut Output { kernel: &mut kernel, stdout }),
        None => Err(fmt::Error),
    };
    kernel.exit(i32::from(told.is_err()))
}

struct Output<'k> {
    kernel: &'k mut Linux,
    stdout: Descriptor,
}

impl Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.kernel.write(self.stdout, text.as_bytes()).map_err(|_| fmt::Error)
    }
}

fn look_around(out: &mut Output<'_>) -> fmt::Result {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_str().unwrap_or("?");
    writeln!(out, "  I am process {} on host {host}", rustix::process::getpid().as_raw_nonzero())?;
    writeln!(
        out,
        "  user {}, group {}",
        rustix::process::getuid().as_raw(),
        rustix::process::getgid().as_raw()
    )?;
    for (name, label) in [("CapEff:", "capabilities"), ("NoNewPrivs:", "no new privileges")] {
        with_file("/proc/self/status", |status| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            writeln!(out, "  {label}: {}", line.unwrap_or("?").trim())
        })?;
    }
    write!(out, "  namespaces:")?;
    for name in ["pid", "mnt", "net", "ipc", "uts", "cgroup"] {
        write_namespace(out, name)?;
    }
    write!(out, "\n  mounts:")?;
    with_file("/proc/self/mountinfo", |mounts| {
        for point in mounts.lines().filter_map(|line| line.split(' ').nth(4)) {
            write!(out, " {point}")?;
        }
        Ok(())
    })?;
    write!(out, "\n  network:")?;
    with_file("/proc/net/dev", |devices| {
        for (name, _) in devices.lines().filter_map(|line| line.split_once(':')) {
            write!(out, " {}", name.trim())?;
        }
        Ok(())
    })?;
    let refused = fs::open("/here", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).is_err();
    writeln!(out, "\n  a new file in /: {}", if refused { "refused, the root is read-only" } else { "made" })
}

/// `pid:[4026532281]`, as the kernel names it.
fn write_namespace(out: &mut Output<'_>, name: &str) -> fmt::Result {
    let mut path = heapless::String::<32>::new();
    write!(path, "/proc/self/ns/{name}")?;
    let mut buffer = [MaybeUninit::uninit(); 64];
    match fs::readlinkat_raw(CWD, path.as_str(), &mut buffer) {
        Ok((link, _)) => write!(out, " {}", core::str::from_utf8(link).unwrap_or("?")),
        Err(_) => write!(out, " {name}:?"),
    }
}

/// Hands the beginning of a file to `look`.
fn with_file(path: &str, look: impl FnOnce(&str) -> fmt::Result) -> fmt::Result {
    let mut buffer = [0u8; 8192];
    let mut filled = 0;
    if let Ok(file) = fs::open(path, OFlags::RDONLY, Mode::empty()) {
        while let Ok(bytes @ 1..) = rustix::io::read(&file, buffer.get_mut(filled..).unwrap_or_default()) {
            filled += bytes;
        }
    }
    look(core::str::from_utf8(buffer.get(..filled).unwrap_or_default()).unwrap_or_default())
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    arch::trap()
}
