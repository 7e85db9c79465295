//! The commands that tell what starts do and why, and start nothing but a demonstration: the feature `explain`.

mod demo;
mod doctor;
mod plan;
mod trace;
mod validate;

use pinnace::Result;

use super::Context;
use crate::cli::Explain;

pub(super) fn run(context: &Context<'_>, explain: &Explain) -> Result<i32> {
    let succeeded = |result: Result<()>| result.map(|()| 0);
    match explain {
        Explain::Validate(arguments) => validate::run(context, arguments),
        Explain::Plan(arguments) => succeeded(plan::run(context, arguments)),
        Explain::Doctor(arguments) => doctor::run(context, arguments),
        Explain::Trace(arguments) => succeeded(trace::run(context, arguments)),
        Explain::Demo(_) => demo::run(context),
    }
}
