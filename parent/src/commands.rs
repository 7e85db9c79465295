//! One short file per command: what it does, in order.

mod create;
mod delete;
mod demo;
mod events;
mod kill;
mod list;
mod pause;
mod plan;
mod ps;
mod resume;
mod run;
mod spec;
mod start;
mod state;
mod update;

use std::io::Write;

use crate::cli::{Global, Invocation};
use crate::error::{Error, Result};
use crate::log::Log;
use crate::state::StateRoot;

/// What every command gets.
pub(crate) struct Context<'a> {
    pub(crate) global: &'a Global,
    pub(crate) log: &'a Log,
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
}

/// Runs a command; its exit code is 0, or that of the container's program.
pub fn run(global: &Global, invocation: &Invocation, log: &Log) -> Result<i32> {
    let context = Context { global, log };
    let succeeded = |result: Result<()>| result.map(|()| 0);
    match invocation {
        Invocation::Create(arguments) => succeeded(create::run(&context, arguments)),
        Invocation::Start(arguments) => succeeded(start::run(&context, arguments)),
        Invocation::Run(arguments) => run::run(&context, arguments),
        Invocation::State(arguments) => succeeded(state::run(&context, arguments)),
        Invocation::Kill(arguments) => succeeded(kill::run(&context, arguments)),
        Invocation::Delete(arguments) => succeeded(delete::run(&context, arguments)),
        Invocation::Pause(arguments) => succeeded(pause::run(&context, arguments)),
        Invocation::Resume(arguments) => succeeded(resume::run(&context, arguments)),
        Invocation::Ps(arguments) => succeeded(ps::run(&context, arguments)),
        Invocation::Update(arguments) => succeeded(update::run(&context, arguments)),
        Invocation::Events(arguments) => succeeded(events::run(&context, arguments)),
        Invocation::List(arguments) => succeeded(list::run(&context, arguments)),
        Invocation::Spec(arguments) => succeeded(spec::run(arguments)),
        Invocation::Plan(arguments) => succeeded(plan::run(&context, arguments)),
        Invocation::Demo(_) => demo::run(&context),
    }
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
