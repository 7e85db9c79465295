//! The command line: types for clap, and nothing that acts.
//!
//! `cli/go.rs` reads the words, clap makes structures of them and writes the texts. Only the invoked command's options are built: all of
//! them together cost a millisecond of page faults.

#[cfg(feature = "bench")]
mod bench;
mod create;
mod exec;
#[cfg(feature = "explain")]
pub mod explain;
#[cfg(not(feature = "explain"))]
#[path = "cli/no_explain.rs"]
pub mod explain;
mod global;
mod go;
mod known;
mod lifecycle;
mod show;
mod table;
mod update;

use std::ffi::OsString;

use clap::FromArgMatches;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};

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

use go::{Options, Text, Words};
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
    let mut arguments = arguments.into_iter();
    let program = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    let root = table::root_command();
    let words = go::read(&root, &arguments, Options::BeforeOperands);
    understand(program, root, &words).map_err(|(message, exit_code)| UsageError {
        message,
        exit_code,
        global: Box::new(Global::of_log(&words.options)),
    })
}

/// An error's text and the exit code.
type Misunderstood = (String, i32);

fn understand(
    program: OsString,
    root: clap::Command,
    words: &Words,
) -> std::result::Result<Parsed, Misunderstood> {
    if let Some(error) = &words.error {
        return Err((error.clone(), 1));
    }
    if let Some(text) = words.text {
        return Ok(Parsed::Text(render(text, definition())));
    }
    let Some((name, rest)) = words.operands.split_first() else {
        return Ok(Parsed::Text(render(Text::Help, definition())));
    };
    let name = name.to_string_lossy();
    if matches!(&*name, "help" | "h") {
        return help(rest.first().map(|topic| topic.to_string_lossy()).as_deref()).map(Parsed::Text);
    }
    let entry = entry_named(&name)?;
    let command = entry.command();
    let of_command = go::read(&command, rest, entry.options());
    if let Some(error) = of_command.error {
        return Err((error, 1));
    }
    if let Some(text) = of_command.text {
        return Ok(Parsed::Text(render(text, entry.described())));
    }
    if command.get_positionals().next().is_none() && !of_command.operands.is_empty() {
        return Err((format!("{:?} requires exactly 0 argument(s)", entry.name), 1));
    }
    let global = std::iter::once(program).chain(words.options.iter().cloned());
    let options = [OsString::from(entry.name)].into_iter().chain(of_command.options);
    // Behind the dashes whatever looks like an option is none.
    let operands = [OsString::from("--")].into_iter().chain(of_command.operands);
    let matches = root
        .subcommand(command)
        .try_get_matches_from(global.chain(options).chain(operands))
        .map_err(|error| first_line(&error))?;
    let global = Global::from_arg_matches(&matches).map_err(|error| first_line(&error))?;
    let (_, matches) = matches.subcommand().ok_or_else(|| (String::from("no command"), 1))?;
    let invocation = (entry.parse)(matches).map_err(|error| first_line(&error))?;
    Ok(Parsed::Command(Box::new(global), invocation))
}

fn first_line(error: &clap::Error) -> Misunderstood {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text),
        _ => None,
    };
    if error.kind() == ErrorKind::ValueValidation
        && let (Some(option), Some(value)) =
            (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue))
    {
        // Go's words: `--preserve-fds <N>` is the flag -preserve-fds.
        let name = option.split(' ').next().unwrap_or_default().trim_start_matches('-');
        return (format!("invalid value {value:?} for flag -{name}: parse error"), 1);
    }
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    (line.trim_start_matches("error: ").to_owned(), 1)
}

fn help(topic: Option<&str>) -> std::result::Result<String, Misunderstood> {
    match topic {
        None | Some("help" | "h") => Ok(render(Text::Help, definition())),
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

/// A word that means nothing if it is no UTF-8, and then gets the answer of all that mean nothing.
fn text() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|word| word.to_string_lossy().into_owned())
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
