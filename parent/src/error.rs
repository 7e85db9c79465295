//! One error type: a text for people and a small kind for callers that branch.
//!
//! An error gains context on its way up (`context`) and is reported once, where it leaves the program.

mod texts;

use std::fmt;

use rustix::io::Errno;

/// The one result type of the parent.
pub type Result<T> = std::result::Result<T, Error>;

/// What a caller may branch on. Everything else is only text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Nothing that a caller treats in its own way.
    Other,
    /// No container has this id.
    NoSuchContainer,
    /// Another container has this id.
    AlreadyExists,
    /// The container is not running (any more).
    NotRunning,
    /// The container runs already, or still.
    Running,
    /// The container is paused.
    Paused,
    /// The container is not paused.
    NotPaused,
    /// config.json is missing or cannot be read, or says what is none of the specification's, or cannot be; all of it is in the text.
    InvalidConfig,
    /// The program is not in the container.
    ProgramNotFound,
    /// The program is in the container, and cannot be executed: it is no program, its interpreter is missing, or the user may not.
    ProgramNotExecutable,
    /// A hook did not succeed: the container is taken away, but by a startContainer hook, which keeps the program from beginning.
    HookFailed,
    /// The cgroup has others below it that have its controllers, and takes no process itself.
    CgroupBusy,
    /// The cgroup is in a part of the tree into which the caller may not move a process.
    CgroupForbidden,
    /// Before its program was executed the process was killed, or those whom it was to join were on their way to their end.
    Ended,
    /// What was looked for is elsewhere by now.
    Moved,
    /// A signal of this number asked a foreground command to end while there was no program to pass it on to.
    Interrupted(i32),
}

/// An error as it is printed, in runc's manner: `what: object: reason`, lower case, no full stop.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    /// That of the system call that failed, if it was one.
    errno: Option<Errno>,
    /// What went wrong while things were put back.
    warnings: Vec<String>,
}

impl Error {
    /// An error of no particular kind.
    pub fn new(message: impl Into<String>) -> Self {
        Self::of_kind(Kind::Other, message)
    }

    /// An error that callers tell apart by its kind.
    pub fn of_kind(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), errno: None, warnings: Vec::new() }
    }

    /// The same error, of a kind that callers tell apart.
    pub(crate) fn with_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// A failed system call: `action` names the call and its object, such as `open /etc/passwd`.
    pub(crate) fn call(action: impl fmt::Display, errno: Errno) -> Self {
        Self { errno: Some(errno), ..Self::new(format!("{action}: {}", errno_text(errno))) }
    }

    /// A failed operation of the standard library, or system call: `action` names it and its object, such as `open /etc/passwd`.
    pub fn io(action: impl fmt::Display, error: &std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(raw) => Self::call(action, Errno::from_raw_os_error(raw)),
            None => Self::new(format!("{action}: {error}")),
        }
    }

    /// What the command ends with: 1, or as a program does that a signal ended.
    pub fn exit_code(&self) -> i32 {
        match self.kind {
            Kind::Interrupted(signal) => 128 + signal,
            _ => 1,
        }
    }

    /// Puts what was being done before the text; the kind stays.
    pub fn context(self, doing: impl fmt::Display) -> Self {
        Self { message: format!("{doing}: {}", self.message), ..self }
    }

    /// Puts the reason behind the text; the kind stays.
    pub fn because(self, reason: impl fmt::Display) -> Self {
        Self { message: format!("{}: {reason}", self.message), ..self }
    }

    /// Adds what should be said before the error itself.
    pub fn with_warnings(mut self, warnings: Vec<String>) -> Self {
        self.warnings.extend(warnings);
        self
    }

    /// What should be said before the error itself.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What a caller may branch on.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The errno of the system call that failed, where it is one's failure and nothing else that the error tells.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.errno.map(Errno::raw_os_error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The kernel's reason in lower case, as runc prints it and as engines compare it
/// (`no such file or directory`).
pub fn errno_text(errno: Errno) -> String {
    let number = errno.raw_os_error();
    let text = usize::try_from(number - 1).ok().and_then(|index| texts::TEXTS.get(index)).copied();
    text.filter(|text| !text.is_empty()).map_or_else(|| format!("unknown error {number}"), String::from)
}

/// The errno in the raw return value of a system call that rustix has no binding for.
pub fn check(returned: usize) -> std::result::Result<(), Errno> {
    let signed = returned as isize;
    if (-4095..0).contains(&signed) { Err(Errno::from_raw_os_error(-signed as i32)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_texts_are_those_of_runc() {
        assert_eq!(errno_text(Errno::NOENT), "no such file or directory");
        assert_eq!(errno_text(Errno::IO), "input/output error");
        assert_eq!(errno_text(Errno::LOOP), "too many levels of symbolic links");
        assert_eq!(errno_text(Errno::HWPOISON), "memory page has hardware error");
        assert_eq!(errno_text(Errno::from_raw_os_error(4000)), "unknown error 4000");
        assert_eq!(Error::call("open /x", Errno::ACCESS).to_string(), "open /x: permission denied");
    }

    #[test]
    fn context_comes_before_and_keeps_the_kind() {
        let error = Error::of_kind(Kind::NotRunning, "container not running").context("kill");
        assert_eq!(error.to_string(), "kill: container not running");
        assert_eq!(error.kind(), Kind::NotRunning);
        assert_eq!(error.raw_os_error(), None);
        let error = Error::call("open /x", Errno::ACCESS).context("kill");
        assert_eq!(error.raw_os_error(), Some(13));
    }
}
