//! HOME for a program whose environment has none: the user's home in the container's passwd file.

use core::ffi::CStr;

use shared_proto::limits::PATH_BYTES_MAX;

use crate::kernel::{Descriptor, Kernel, Open, Resolve};
use crate::receive::Lasting;

const NAME: &[u8] = b"HOME=";

/// Bytes of the passwd file that are looked at; the image's author chose its size.
const FILE_BYTES_MAX: usize = 1 << 20;

/// `HOME=...` as the environment takes it, with the home of `uid`; `/` where the file is missing, unreadable, or does not know the user.
pub(crate) fn find<K: Kernel>(
    kernel: &mut K,
    root: Descriptor,
    uid: u32,
    lasting: &mut Lasting,
) -> Option<&'static CStr> {
    let mut home = None;
    if let Ok(file) = kernel.open(root, c"/etc/passwd", Open::Read, Resolve::InRoot) {
        if kernel.status(file).is_ok_and(|status| status.is_regular()) {
            home = search(kernel, file, uid, lasting);
        }
        kernel.close(file);
    }
    home.or_else(|| lasting.keep(&[NAME, b"/"]).ok())
}

/// Reads the file line by line; a line that is longer than the buffer is passed over.
#[inline(never)]
fn search<K: Kernel>(
    kernel: &mut K,
    file: Descriptor,
    uid: u32,
    lasting: &mut Lasting,
) -> Option<&'static CStr> {
    let mut buffer = [0u8; PATH_BYTES_MAX + 1];
    let mut filled = 0;
    let mut total = 0;
    let mut line_is_whole = true;
    loop {
        let read = kernel.read(file, buffer.get_mut(filled..)?).ok()?;
        filled += read;
        total += read;
        let content = buffer.get(..filled)?;
        let mut used = 0;
        for line in content.split_inclusive(|&byte| byte == b'\n') {
            let ends = line.last() == Some(&b'\n');
            if !ends && read != 0 {
                break;
            }
            used += line.len();
            if let Some(home) = home_in_line(line.trim_ascii_end(), uid).filter(|_| line_is_whole) {
                return lasting.keep(&[NAME, home]).ok();
            }
            line_is_whole = true;
        }
        if read == 0 || total >= FILE_BYTES_MAX {
            return None;
        }
        if used == 0 && filled == buffer.len() {
            line_is_whole = false;
            used = filled;
        }
        buffer.copy_within(used..filled, 0);
        filled -= used;
    }
}

/// `name:password:uid:gid:comment:home:shell`
fn home_in_line(line: &[u8], uid: u32) -> Option<&[u8]> {
    let mut fields = line.split(|&byte| byte == b':');
    let number = core::str::from_utf8(fields.nth(2)?).ok()?;
    if number.parse() != Ok(uid) {
        return None;
    }
    fields.nth(2).filter(|home| home.first() == Some(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_is_the_sixth_field_of_the_line_with_the_uid() {
        assert_eq!(home_in_line(b"root:x:0:0:root:/root:/bin/sh", 0), Some(&b"/root"[..]));
        assert_eq!(home_in_line(b"root:x:0:0:root:/root:/bin/sh", 1), None);
        assert_eq!(home_in_line(b"a:x:7:0::relative:/bin/sh", 7), None);
        assert_eq!(home_in_line(b"short:x:7", 7), None);
        assert_eq!(home_in_line(b"wrap:x:4294967296:0::/wrap:/bin/sh", 0), None);
    }
}
