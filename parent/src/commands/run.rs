//! `run`: create and start in one, then wait for the end, passing signals on.

use super::{Context, create};
use crate::cli;
use crate::container::{self, Created};
use crate::error::Result;
use crate::signals::Signals;

pub(super) fn run(context: &Context<'_>, arguments: &cli::Run) -> Result<i32> {
    let id = cli::one_id("run", &arguments.create.ids)?;
    context.trace.about("run", id);
    // Before anything exists that a signal could be meant for.
    let signals = if arguments.detach { None } else { Some(Signals::block()?) };
    let surroundings = create::Surroundings::read(&arguments.create);
    let created = surroundings
        .and_then(|surroundings| {
            let creation = create::creation(context, &arguments.create, &surroundings, id, arguments.detach)?;
            container::create(&context.state_root()?, &creation)
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
            if let Some(notify) = &created.notify {
                created.directory.unlock();
                let launch = &created.launch;
                context.warn_of(notify.wait(launch.pidfd(), launch.pid().as_raw_pid()));
            }
            Ok(0)
        }
        Some(signals) => wait(context, id, created, signals, arguments.keep),
    }
}

/// Passes signals on until the program ends, then takes everything away, unless it is to be kept.
fn wait(context: &Context<'_>, id: &str, created: Created, signals: Signals, keep: bool) -> Result<i32> {
    created.directory.unlock();
    // Whatever became of the status, what was made goes.
    let code = context.trace.wait("wait for the program's end", || {
        container::wait(&created.launch, &signals, created.terminal, created.notify)
    });
    if keep {
        std::mem::forget((created.launch, created.directory, signals));
        return code;
    }
    // A `delete` from elsewhere may have been quicker.
    let gone = created.directory.lock().is_err();
    if !gone {
        let destroyed = context.trace.span("remove cgroups and state", || {
            container::destroy(
                &created.cgroups,
                created.rdt_groups.as_ref(),
                &created.directory,
                created.own_pid_namespace,
            )
        });
        match destroyed {
            Ok(()) => context.warn(&container::poststop(&created.record, id)),
            Err(error) => context.warn(&[format!("unable to destroy container: {error}")]),
        }
    }
    // The process ends now: its descriptors need no closing one by one.
    std::mem::forget((created.launch, created.directory, signals));
    code
}
