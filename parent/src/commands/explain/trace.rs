//! `trace`: shows what `--trace` has written.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::super::{Context, print};
use crate::cli::explain::Trace;
use pinnace::trace::{self, Command};
use pinnace::{Error, Result};

pub(super) fn run(context: &Context<'_>, arguments: &Trace) -> Result<()> {
    let [file] = arguments.files.as_slice() else {
        return Err(Error::new("\"trace\" requires exactly 1 argument(s)"));
    };
    let name = file.display();
    let text = read(file)?;
    if arguments.svg.as_ref().is_some_and(|picture| is_same_file(file, picture)) {
        return Err(Error::new(format!("--svg {name}: it is the trace itself")));
    }
    let (commands, unread) = trace::read(&text).map_err(|error| error.context(&name))?;
    if unread > 0 {
        context.warn(&[format!("{name}: {unread} of its lines or events cannot be read, and are left out")]);
    }
    let commands = chosen(commands, arguments).map_err(|error| error.context(name))?;
    // A run has one command. Of an engine's, which may be many, the slowest is what a picture is wanted for.
    let slowest = commands.iter().max_by_key(|command| command.length());
    if let (Some(path), Some(slowest)) = (&arguments.svg, slowest) {
        fs::write(path, trace::draw(slowest))
            .map_err(|error| Error::io(format_args!("write {}", path.display()), &error))?;
    }
    print(&trace::table(&commands))
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|data| (data.dev(), data.ino())).ok();
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

/// The commands that the options name.
///
/// Errors: there are none.
fn chosen(mut commands: Vec<Command>, arguments: &Trace) -> Result<Vec<Command>> {
    if let Some(words) = &arguments.command {
        commands.retain(|command| {
            command
                .what
                .strip_prefix(words.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        });
        if commands.is_empty() {
            return Err(Error::new(format!("it has no command {words:?}")));
        }
    }
    let Some(text) = &arguments.index else { return Ok(commands) };
    let wrong =
        || Error::new(format!("--index {text}: a number from 1 to {0}, or from -{0} to -1", commands.len()));
    let number: isize = text.parse().map_err(|_| wrong())?;
    let index =
        if number < 0 { commands.len().checked_add_signed(number) } else { usize::try_from(number - 1).ok() };
    let index = index.filter(|index| *index < commands.len()).ok_or_else(wrong)?;
    Ok(vec![commands.swap_remove(index)])
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
    let mut bytes = Vec::new();
    // It may grow meanwhile.
    opened.take(BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    // A line that was torn within a letter is no text, and left out as any torn line is.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
