//! `trace`: shows what `--trace` has written.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use super::super::print;
use crate::cli::explain::Trace;
use pinnace::trace;
use pinnace::{Error, Result};

pub(super) fn run(arguments: &Trace) -> Result<()> {
    let [file] = arguments.files.as_slice() else {
        return Err(Error::new("\"trace\" requires exactly 1 argument(s)"));
    };
    let name = file.display();
    let text = read(file)?;
    let commands = trace::read(&text).map_err(|error| error.context(name))?;
    if let (Some(path), Some(last)) = (&arguments.svg, commands.last()) {
        fs::write(path, trace::draw(last))
            .map_err(|error| Error::io(format_args!("write {}", path.display()), &error))?;
    }
    print(&trace::table(&commands))
}

/// More than this is no trace that anybody looks at: some 1,000,000 spans.
const BYTES_MAX: u64 = 256 << 20;

/// Errors: it is no regular file, which alone has an end for certain; it is too large, or not UTF-8.
fn read(file: &Path) -> Result<String> {
    let name = file.display();
    let failed = |error: std::io::Error| Error::io(format_args!("read {name}"), &error);
    // A fifo that nobody writes to does not keep us.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened =
        OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(file).map_err(failed)?;
    let data = opened.metadata().map_err(failed)?;
    if !data.is_file() {
        return Err(Error::new(format!("read {name}: it is not a regular file")));
    }
    if data.len() > BYTES_MAX {
        return Err(Error::new(format!("read {name}: it has more than {} MiB", BYTES_MAX >> 20)));
    }
    let mut text = String::new();
    // It may grow meanwhile.
    opened.take(BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
