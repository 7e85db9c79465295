//! `run`: create and start in one, then wait for the end, passing signals on.

use super::{Context, create};
use crate::cli;
use pinnace::Result;
use pinnace::blocking::{self, Created, Signals};

pub(super) fn run(context: &Context<'_>, arguments: &cli::Run) -> Result<i32> {
    let id = cli::one_id("run", &arguments.create.ids)?;
    context.trace.about("run", id);
    // Before anything exists that a signal could be meant for.
    let signals = if arguments.detach { None } else { Some(Signals::block()?) };
    let from_caller = create::FromCaller::read(&arguments.create);
    let created = from_caller
        .and_then(|from_caller| {
            let creation = create::creation(context, &arguments.create, &from_caller, id, arguments.detach)?;
            blocking::create(&context.state_root()?, &creation)
        })
        .map_err(|error| error.context("pinnace run failed"));
    let created = match created {
        Ok(created) => created,
        Err(error) => {
            // A signal that has come stays blocked: the error is to be told, and the process ends with it.
            std::mem::forget(signals);
            return Err(error);
        }
    };
    context.warn(&created.warnings);
    match signals {
        None => {
            context.warn_of(created.tell_readiness());
            Ok(0)
        }
        Some(signals) => stay(context, created, signals, arguments.keep),
    }
}

/// Passes signals on until the program ends, then takes everything away, unless it is to be kept.
fn stay(context: &Context<'_>, mut created: Created, signals: Signals, keep: bool) -> Result<i32> {
    // Whatever became of the status, what was made goes.
    let code = context.trace.wait("wait for the program's end", || created.stay(&signals));
    if !keep {
        match context.trace.span("remove cgroups and state", || created.remove()) {
            Ok(warnings) => context.warn(&warnings),
            Err(error) => context.warn(&[format!("unable to destroy container: {error}")]),
        }
    }
    // The process ends now: its descriptors need no closing one by one.
    std::mem::forget((created, signals));
    code
}
