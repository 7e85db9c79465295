//! Symlinks in the place of binds (`copy-symlink`): which of the sources are symlinks, the host alone can say.

use std::path::Path;

use crate::config::{Mount, MountKind, Namespace};
use crate::error::{Error, Result};

/// Turns each bind that copies symlinks, and whose source is one, into that symlink. Relative sources mean the `bundle`; `namespace` is that of the
/// mounts.
///
/// Errors: the source is not on our side of a mount namespace; the symlink's text is no UTF-8.
pub(super) fn copy(mounts: &mut [Mount], bundle: &str, namespace: &Namespace) -> Result<()> {
    for (index, mount) in mounts.iter_mut().enumerate() {
        let MountKind::Bind { source, copies_symlink: true, .. } = &mount.kind else { continue };
        if matches!(namespace, Namespace::Join(_)) {
            let reason = "copy-symlink: the source is in a mount namespace that is joined";
            return Err(Error::new(format!("$.mounts[{index}].options: {reason}")));
        }
        // What is no symlink is bound, and what cannot be looked at cannot be bound either: its step says why.
        if let Ok(text) = rustix::fs::readlink(Path::new(bundle).join(source), Vec::new()) {
            let text = text.into_string().map_err(|_| {
                Error::new(format!("$.mounts[{index}].source: {source}: the symlink's text is not UTF-8"))
            })?;
            mount.kind = MountKind::Symlink { text };
        }
    }
    Ok(())
}
