//! One short file per command: what it does, in order.

#[cfg(feature = "bench")]
mod bench;
#[cfg(any(feature = "explain", feature = "bench"))]
mod carried;
mod create;
mod delete;
mod events;
mod exec;
#[cfg(feature = "explain")]
mod explain;
#[cfg(not(feature = "explain"))]
#[path = "commands/no_explain.rs"]
mod explain;
mod kill;
mod list;
mod mounts;
mod pause;
mod ps;
mod resume;
mod run;
mod spec;
mod start;
mod state;
mod update;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;

use pinnace::blocking::{self, Container, StateRoot};
use pinnace::log::Log;
use pinnace::trace::Trace;
use pinnace::{Error, Result};
use regex_lite::Regex;
use rustix::io::{Errno, FdFlags};

use crate::cli::{Global, Invocation};

/// What every command gets.
pub(crate) struct Context<'a> {
    pub(crate) global: &'a Global,
    pub(crate) log: &'a Log,
    pub(crate) trace: &'a Trace,
}

impl Context<'_> {
    pub(crate) fn state_root(&self) -> Result<StateRoot> {
        StateRoot::new(self.global.root.as_deref())
    }

    pub(crate) fn warn(&self, warnings: &[String]) {
        for warning in warnings {
            self.log.warning(warning);
        }
    }

    /// Says whose time it is that is noted, and of which trace a part: for commands with a container that exists.
    pub(crate) fn traced(&self, command: &str, id: &str) {
        self.trace.about(command, id);
        // Ignored: whoever is to do something with the container says what is wrong with it.
        if self.trace.is_on()
            && let Ok(container) = self.state_root().and_then(|root| Container::open(&root, id))
        {
            self.trace.within(container.annotations());
        }
    }

    /// What fails when the container already is what it is to be.
    pub(crate) fn warn_of(&self, done: Result<()>) {
        if let Err(error) = done {
            self.log.warning(&error.to_string());
        }
    }
}

/// Does something with every container whose id matches the regular expression. None at all is no error (crun's way).
///
/// Errors: the expression is wrong, or empty, as a variable of a script is that was not set; what has failed, with the ids, after all have had
/// their turn.
fn for_matching(root: &StateRoot, pattern: &str, act: impl Fn(&str) -> Result<()>) -> Result<()> {
    if pattern.is_empty() {
        return Err(Error::new("the regular expression is empty: it would match every container"));
    }
    let expression = Regex::new(pattern)
        .map_err(|error| Error::new(format!("{pattern:?} is no regular expression: {error}")))?;
    let ids = root.ids()?;
    let failures: Vec<String> = ids
        .iter()
        .filter(|id| expression.is_match(id))
        .filter_map(|id| act(id).err().map(|error| format!("{id}: {error}")))
        .collect();
    if failures.is_empty() { Ok(()) } else { Err(Error::new(failures.join("; "))) }
}

/// A file, or standard input for `-`.
fn read_document(path: &Path) -> Result<Vec<u8>> {
    /// More than any list of mounts or limits; what has no end must not fill the memory.
    const DOCUMENT_BYTES_MAX: u64 = 16 << 20;
    let (name, source): (String, Box<dyn Read>) = if path == Path::new("-") {
        (String::from("standard input"), Box::new(std::io::stdin()))
    } else {
        let opened = std::fs::File::open(path);
        let file = opened.map_err(|error| Error::io(format_args!("open {}", path.display()), &error))?;
        (path.display().to_string(), Box::new(file))
    };
    let mut text = Vec::new();
    let read = source.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut text);
    match read.map_err(|error| Error::io(format_args!("read {name}"), &error))? {
        bytes if bytes as u64 > DOCUMENT_BYTES_MAX => {
            Err(Error::new(format!("{name} is larger than {DOCUMENT_BYTES_MAX} bytes")))
        }
        _ => Ok(text),
    }
}

/// Where a service manager wants to hear that a container is ready (sd_notify(3)).
fn notify_socket() -> Option<OsString> {
    std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty())
}

/// Runs a command; its exit code is 0, or that of the container's program.
pub fn run(global: &Global, invocation: &Invocation, log: &Log) -> Result<i32> {
    if !matches!(invocation, Invocation::Run(arguments) if !arguments.detach) {
        // A foreground run blocks signals, and asks only where it matters.
        blocking::prepare_process()?;
    }
    let trace = trace(invocation, log)?;
    let done = carry_out(&Context { global, log, trace: &trace }, invocation);
    if let Err(error) = &done {
        trace.failed(error);
    }
    if let Err(error) = trace.write() {
        log.warning(&error.to_string());
    }
    done
}

/// Where the command is to note how long it takes.
///
/// Errors: the option's file cannot be opened. The variable's is a warning, since it stands in an engine's environment, and for `delete` as well.
fn trace(invocation: &Invocation, log: &Log) -> Result<Trace> {
    let option = match invocation {
        Invocation::Create(arguments) => arguments.trace.as_ref(),
        Invocation::Run(arguments) => arguments.create.trace.as_ref(),
        Invocation::Start(_) | Invocation::Exec(_) | Invocation::Delete(_) => None,
        // Nothing of it would be noted.
        _ => return Ok(Trace::off()),
    };
    if let Some(path) = option {
        return Trace::to(path);
    }
    let Some(path) = std::env::var_os("PINNACE_TRACE").filter(|path| !path.is_empty()) else {
        return Ok(Trace::off());
    };
    Ok(Trace::to(Path::new(&path)).unwrap_or_else(|error| {
        log.warning(&error.to_string());
        Trace::off()
    }))
}

fn carry_out(context: &Context<'_>, invocation: &Invocation) -> Result<i32> {
    let succeeded = |result: Result<()>| result.map(|()| 0);
    match invocation {
        Invocation::Create(arguments) => apart(|| succeeded(create::run(context, arguments))),
        Invocation::Start(arguments) => apart(|| succeeded(start::run(context, arguments))),
        Invocation::Run(arguments) => apart(|| run::run(context, arguments)),
        Invocation::State(arguments) => apart(|| succeeded(state::run(context, arguments))),
        Invocation::Kill(arguments) => apart(|| succeeded(kill::run(context, arguments))),
        Invocation::Delete(arguments) => apart(|| succeeded(delete::run(context, arguments))),
        Invocation::Mounts(arguments) => apart(|| succeeded(mounts::run(context, arguments))),
        Invocation::Pause(arguments) => apart(|| succeeded(pause::run(context, arguments))),
        Invocation::Resume(arguments) => apart(|| succeeded(resume::run(context, arguments))),
        Invocation::Ps(arguments) => apart(|| succeeded(ps::run(context, arguments))),
        Invocation::Update(arguments) => apart(|| succeeded(update::run(context, arguments))),
        Invocation::Events(arguments) => apart(|| succeeded(events::run(context, arguments))),
        Invocation::Exec(arguments) => apart(|| exec::run(context, arguments)),
        Invocation::List(arguments) => apart(|| succeeded(list::run(context, arguments))),
        Invocation::Spec(arguments) => apart(|| succeeded(spec::run(arguments))),
        Invocation::Features(_) => {
            apart(|| succeeded(pinnace::blocking::features().and_then(|text| print(&text))))
        }
        Invocation::Explain(explain) => apart(|| explain::run(context, explain)),
        #[cfg(feature = "bench")]
        Invocation::Bench(arguments) => apart(|| bench::run(context, arguments)),
    }
}

/// Keeps a command's code out of `carry_out`, which all commands execute: `linker/order.ld` can only lay out whole functions.
#[inline(never)]
fn apart(command: impl FnOnce() -> Result<i32>) -> Result<i32> {
    command()
}

/// How many descriptors above standard error the program keeps: `first` that systemd has given us, and `asked` behind them; less than none is
/// none, as to runc.
///
/// Errors: one of them is not open.
#[allow(unsafe_code)]
pub(crate) fn preserved_count(first: u32, asked: i64) -> Result<u32> {
    // More than a process can have is as good: one of them is not open.
    let count = first.saturating_add(u32::try_from(asked.max(0)).unwrap_or(u32::MAX));
    for index in 0..count {
        let number = i64::from(index) + 3;
        let is_theirs = i32::try_from(number).is_ok_and(|number| {
            // SAFETY: the number is only asked about; a closed one is what this is about, and fcntl(2) answers EBADF to it.
            let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
            // What has come through an execution is not closed by one; what we have opened ourselves is.
            rustix::io::fcntl_getfd(descriptor).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC))
        });
        if !is_theirs {
            let doing = match index.checked_sub(first) {
                Some(index) => format!("unable to stat preserved-fd {index} (of {asked})"),
                None => format!("LISTEN_FDS={first}: descriptor {number}"),
            };
            return Err(Error::io(doing, &Errno::NOENT.into()));
        }
    }
    Ok(count)
}

/// Text to standard output. A reader that went away (`pinnace list | head -1`) does not want it, and that is no error of ours.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    // Nobody flushes at the end of this program.
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("write to standard output", &error))
        }
        _ => Ok(()),
    }
}
