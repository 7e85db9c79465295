//! In place of `explain.rs` in a build without the feature `explain`.

use super::table::Entry;

/// None of them is there.
#[derive(Clone, Debug)]
pub enum Explain {}

/// For the overview.
pub(super) const EXAMPLES: &str = "";

/// Commands that are known by their names.
pub(super) const MISSING: &[&str] = &["validate", "plan", "doctor", "trace", "demo"];

pub(super) static ENTRIES: &[Entry] = &[];
