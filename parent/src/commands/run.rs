//! `run`: create and start in one, then wait for the end, passing signals on.

use std::os::fd::AsFd;

use super::{Context, create};
use crate::cli;
use crate::container::{self, Created};
use crate::error::Result;
use crate::launch::{Reactor, block_on};
use crate::signals::Signals;

pub(super) fn run(context: &Context<'_>, arguments: &cli::Run) -> Result<i32> {
    let id = cli::one_id("run", &arguments.create.ids)?;
    // Before anything exists that a signal could be meant for.
    let signals = if arguments.detach { None } else { Some(Signals::block()?) };
    let creation = create::creation(context, &arguments.create, id, false)?;
    let created = context
        .state_root()
        .and_then(|root| container::create(&root, &creation))
        .map_err(|error| error.context("pinnace run failed"))?;
    context.warn(&created.warnings);
    match signals {
        None => Ok(0),
        Some(signals) => wait(context, id, created, signals),
    }
}

/// Passes signals on until the program ends, then takes everything away.
fn wait(context: &Context<'_>, id: &str, created: Created, signals: Signals) -> Result<i32> {
    created.directory.unlock();
    let reactor = Reactor::default();
    block_on(&reactor, async {
        let ended = async { reactor.readable(created.launch.pidfd()).await };
        let forward = async {
            loop {
                reactor.readable(signals.as_fd()).await;
                signals.forward(created.launch.pidfd());
            }
        };
        smol::future::or(ended, forward).await;
    });
    // Whatever became of the status, what was made goes.
    let code = created.launch.wait();
    // A `delete` from elsewhere may have been quicker.
    let gone = created.directory.lock().is_err();
    if !gone {
        let destroyed = container::destroy(
            &created.cgroups,
            created.rdt_groups.as_ref(),
            &created.directory,
            created.own_pid_namespace,
        );
        match destroyed {
            Ok(()) => context.warn(&container::poststop(&created.record, id)),
            Err(error) => context.warn(&[format!("unable to destroy container: {error}")]),
        }
    }
    // The process ends now: its descriptors need no closing one by one.
    std::mem::forget((created.launch, created.directory, signals));
    code
}
