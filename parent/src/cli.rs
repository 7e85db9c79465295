//! The command line: what is said, and nothing that acts.
//!
//! Each command has a structure whose fields are its options (`cli/flags.rs`). `cli/go.rs` reads words into it; clap writes the texts.

#[cfg(feature = "bench")]
mod bench;
mod create;
mod exec;
#[cfg(feature = "explain")]
pub mod explain;
#[cfg(not(feature = "explain"))]
#[path = "cli/no_explain.rs"]
pub mod explain;
mod flags;
mod global;
mod go;
mod lifecycle;
mod show;
mod table;
mod update;

use std::ffi::OsString;

#[cfg(feature = "bench")]
pub use bench::Bench;
pub use create::{Create, Run};
pub use exec::Exec;
pub use explain::Explain;
pub use global::Global;
pub use lifecycle::{Delete, Kill, Mounts, OneId};
pub use show::{Events, Features, List, Ps, Spec};
pub use table::definition;
#[allow(unused_imports)] // Of what is made from the definitions, the program needs the texts alone.
pub use table::{Operand, operands};
pub use update::Update;

use go::{Stand, Text, Words};
use pinnace::{Error, Result};

/// One command with its arguments.
#[derive(Clone, Debug)]
pub enum Invocation {
    Create(Create),
    Start(OneId),
    Run(Run),
    State(OneId),
    Kill(Kill),
    Delete(Delete),
    Mounts(Mounts),
    Pause(OneId),
    Resume(OneId),
    Ps(Ps),
    Update(Box<Update>),
    Events(Events),
    Exec(Box<Exec>),
    List(List),
    Spec(Spec),
    Features(Features),
    Explain(Explain),
    #[cfg(feature = "bench")]
    Bench(Box<Bench>),
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Parsed {
    Command(Box<Global>, Invocation),
    /// Text for standard output, and success.
    Text(String),
}

/// A command line that cannot be understood.
#[derive(Debug)]
pub struct UsageError {
    pub message: String,
    /// 1, or runc's 3 for an unknown command.
    pub exit_code: i32,
    /// Of the options before the command those about the log, since engines read the log file for this error as for any other.
    pub global: Box<Global>,
}

/// Reads a command line, the program's name first.
///
/// Errors: usage, as one line.
pub fn parse(arguments: Vec<OsString>) -> std::result::Result<Parsed, UsageError> {
    let behind_program = arguments.get(1..).unwrap_or_default();
    let (global, words) = table::read::<Global>(behind_program, Stand::BeforeCommand);
    match understand(&words) {
        Ok(Understood::Command(invocation)) => Ok(Parsed::Command(Box::new(global), invocation)),
        Ok(Understood::Text(text)) => Ok(Parsed::Text(text)),
        Err((message, exit_code)) => {
            Err(UsageError { message, exit_code, global: Box::new(global.of_log()) })
        }
    }
}

/// What words behind the program's own options ask for.
enum Understood {
    Command(Invocation),
    Text(String),
}

/// An error's text and the exit code.
type Misunderstood = (String, i32);

fn understand(words: &Words) -> std::result::Result<Understood, Misunderstood> {
    if let Some(error) = &words.error {
        return Err((error.clone(), 1));
    }
    if let Some(text) = words.text {
        return Ok(Understood::Text(render(text, definition())));
    }
    let Some((name, rest)) = words.operands.split_first() else {
        return Ok(Understood::Text(render(Text::Help, definition())));
    };
    let name = name.to_string_lossy();
    if matches!(&*name, "help" | "h") {
        return help(rest.first().map(|topic| topic.to_string_lossy()).as_deref()).map(Understood::Text);
    }
    let entry = entry_named(&name)?;
    let (invocation, words) = (entry.read)(rest, entry.stand());
    if let Some(error) = words.error {
        return Err((error, 1));
    }
    if let Some(text) = words.text {
        return Ok(Understood::Text(render(text, entry.described())));
    }
    if !words.operands.is_empty() {
        return Err((format!("{:?} requires exactly 0 argument(s)", entry.name), 1));
    }
    Ok(Understood::Command(invocation))
}

fn help(topic: Option<&str>) -> std::result::Result<String, Misunderstood> {
    match topic {
        None | Some("help" | "h" | "--help" | "-h") => Ok(render(Text::Help, definition())),
        Some(topic) => Ok(render(Text::Help, entry_named(topic)?.described())),
    }
}

fn render(text: Text, mut command: clap::Command) -> String {
    match text {
        Text::Help => command.render_help().to_string(),
        Text::Usage => format!("{}\n", command.render_usage()),
        Text::Version => format!("pinnace {}\n", table::VERSION),
    }
}

fn entry_named(name: &str) -> std::result::Result<&'static table::Entry, Misunderstood> {
    table::find(name).ok_or_else(|| match missing_feature(name) {
        Some(feature) => (format!("this build of pinnace has no command {name:?} (feature {feature:?})"), 3),
        None => (format!("No help topic for '{name}'"), 3),
    })
}

/// The feature without which this build has no such command.
fn missing_feature(name: &str) -> Option<&'static str> {
    match name {
        "bench" => Some("bench"),
        name => explain::MISSING.contains(&name).then_some("explain"),
    }
}

/// The one id that most commands take.
pub fn one_id<'a>(command: &str, ids: &'a [String]) -> Result<&'a str> {
    match ids {
        [id] => Ok(id),
        _ => Err(Error::new(format!("{command:?} requires exactly 1 argument(s)"))),
    }
}

#[cfg(test)]
mod tests;
