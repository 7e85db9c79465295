//! `demo`: a container from a root file system that pinnace carries inside itself.

use super::Context;
use crate::error::{Error, Result};

pub(super) fn run(_context: &Context<'_>) -> Result<i32> {
    Err(Error::new("the demo is on its way"))
}
