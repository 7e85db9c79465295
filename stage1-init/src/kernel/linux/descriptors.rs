//! Open files, standard streams and terminals.

use core::ptr;

use linux_raw_sys::general as uapi;
use linux_raw_sys::ioctl;
use rustix::fs;
use sc::syscall;

use super::{Linux, check, keep, lend};
use crate::kernel::{Descriptor, Descriptors, Errno, Result};

/// From linux/close_range.h, which linux-raw-sys leaves out.
const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;

impl Descriptors for Linux {
    fn read(&mut self, file: Descriptor, buffer: &mut [u8]) -> Result<usize> {
        rustix::io::read(lend(file), buffer)
    }

    fn write(&mut self, file: Descriptor, bytes: &[u8]) -> Result<()> {
        match rustix::io::write(lend(file), bytes)? {
            written if written == bytes.len() => Ok(()),
            _ => Err(Errno::IO),
        }
    }

    fn close(&mut self, descriptor: Descriptor) {
        // SAFETY: nobody but `Descriptor`s, which are numbers, refers to what stage1 has open: `keep` has taken it from its `OwnedFd`. That callers
        // close once and use it no more, the fake kernel checks.
        unsafe { rustix::io::close(descriptor.0) }
    }

    fn close_from(&mut self, first: Descriptor) -> Result<()> {
        // SAFETY: numbers only; callers name a number above every descriptor that they still use.
        check(unsafe { syscall!(CLOSE_RANGE, first.0, u32::MAX, 0) })?;
        Ok(())
    }

    fn close_on_execute_from(&mut self, first: Descriptor) -> Result<()> {
        // SAFETY: numbers only; CLOSE_RANGE_CLOEXEC closes nothing now.
        check(unsafe { syscall!(CLOSE_RANGE, first.0, u32::MAX, CLOSE_RANGE_CLOEXEC) })?;
        Ok(())
    }

    fn memory_file(&mut self, content: &[&[u8]]) -> Result<Descriptor> {
        let file = keep(fs::memfd_create(c"hook", fs::MemfdFlags::CLOEXEC)?);
        for part in content {
            self.write(file, part)?;
        }
        fs::seek(lend(file), fs::SeekFrom::Start(0))?;
        Ok(file)
    }

    fn duplicate(&mut self, file: Descriptor, number: Descriptor) -> Result<()> {
        // SAFETY: numbers only; what `number` meant before is one of the standard streams, which stage1 does not use.
        check(unsafe { syscall!(DUP3, file.0, number.0, 0usize) })?;
        Ok(())
    }

    fn set_standard(&mut self, input: Descriptor, output: Descriptor) -> Result<()> {
        for (from, to) in [(input, 0usize), (output, 1), (output, 2)] {
            // SAFETY: numbers only; what had the standard numbers is the caller's to give up.
            check(unsafe { syscall!(DUP3, from.0, to, 0usize) })?;
        }
        Ok(())
    }

    fn give_to_user(&mut self, file: Descriptor, uid: u32) -> Result<()> {
        fs::fchown(lend(file), Some(fs::Uid::from_raw(uid)), None)
    }

    fn terminal_unlock(&mut self, master: Descriptor) -> Result<()> {
        let locked = 0i32;
        // SAFETY: the request reads one int.
        check(unsafe { syscall!(IOCTL, master.0, ioctl::TIOCSPTLCK, ptr::from_ref(&locked)) })?;
        Ok(())
    }

    fn terminal_peer(&mut self, master: Descriptor) -> Result<Descriptor> {
        let flags = uapi::O_RDWR | uapi::O_NOCTTY | uapi::O_CLOEXEC;
        // SAFETY: the request takes flags and returns a new descriptor.
        let returned = check(unsafe { syscall!(IOCTL, master.0, ioctl::TIOCGPTPEER, flags) })?;
        Ok(Descriptor(returned as i32))
    }

    fn terminal_control(&mut self, terminal: Descriptor) -> Result<()> {
        // SAFETY: numbers only; 0 takes it from nobody.
        check(unsafe { syscall!(IOCTL, terminal.0, ioctl::TIOCSCTTY, 0usize) })?;
        Ok(())
    }

    fn terminal_size(&mut self, terminal: Descriptor, width: u16, height: u16) -> Result<()> {
        let size = uapi::winsize { ws_row: height, ws_col: width, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the request reads this structure.
        check(unsafe { syscall!(IOCTL, terminal.0, ioctl::TIOCSWINSZ, ptr::from_ref(&size)) })?;
        Ok(())
    }
}
