//! In place of `explain.rs` in a build without the feature `explain`.

use pinnace::Result;

use super::Context;
use crate::cli::Explain;

pub(super) fn run(_: &Context<'_>, explain: &Explain) -> Result<i32> {
    match *explain {}
}
