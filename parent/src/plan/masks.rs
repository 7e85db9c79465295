//! Paths that the container must not change, or not see. After all mounts: one placed later would uncover them.

use shared_proto::{Phase, Step};

use super::Draft;
use crate::config::Config;

pub(super) fn plan<'a>(draft: &mut Draft<'a>, config: &'a Config) {
    if config.process.cwd != "/" {
        // runc makes a missing working directory; the root may be read-only later.
        draft.push(Phase::Views, Step::MakeDirectory { path: &config.process.cwd });
    }
    for path in &config.readonly_paths {
        draft.push(Phase::Views, Step::ReadonlyPath { path });
    }
    for path in &config.masked_paths {
        draft.push(Phase::Views, Step::MaskPath { path });
    }
}
