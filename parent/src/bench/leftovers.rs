//! What a bench has left that was killed: containers, and its two directories. The next one takes it away.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Pid, geteuid, test_kill_process};

use super::child::clean_up;
use super::runtimes::{OURS, locate, own_program};
use pinnace::{Error, Result};

/// Takes away what lies in `bundles` and `states` below `name` and the id of a process that is gone. Returns what should be said: what stays, and why.
pub fn clear(bundles: &Path, states: &Path, name: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    for (pid, state) in left(states, name) {
        let cleared = entries(&state).try_for_each(|runtime| clear_runtime(&runtime));
        let cleared = cleared.and_then(|()| remove(&state));
        if let Err(error) = cleared {
            let found =
                format!("{}: a bench that was killed has left this, and it stays: {error}", state.display());
            warnings.push(found);
            continue;
        }
        warnings.push(format!("taken away: what the bench of process {pid} has left, which was killed"));
    }
    // The containers' root file systems, which nobody uses any more.
    for (pid, bundle) in left(bundles, name) {
        if !states.join(format!("{name}-{pid}")).exists()
            && let Err(error) = remove(&bundle)
        {
            warnings.push(error.to_string());
        }
    }
    warnings
}

/// Our user's own directories of processes that are gone.
fn left(base: &Path, name: &str) -> Vec<(Pid, PathBuf)> {
    let own = |path: PathBuf| {
        let number = path.file_name()?.to_str()?.strip_prefix(name)?.strip_prefix('-')?;
        let pid = number.parse().ok().and_then(Pid::from_raw)?;
        let is_ours =
            path.symlink_metadata().is_ok_and(|data| data.is_dir() && data.uid() == geteuid().as_raw());
        (is_ours && test_kill_process(pid) == Err(Errno::SRCH)).then_some((pid, path))
    };
    entries(base).filter_map(own).collect()
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Has a runtime, whose name its state directory bears, delete all its containers.
fn clear_runtime(state: &Path) -> Result<()> {
    let name = state.file_name().unwrap_or_default();
    let found = if name == OURS { own_program() } else { locate(Path::new(name)) };
    let failed = |error: Error| error.context(name.display());
    // Names with @ are no ids, but things that ours keeps.
    let ids = entries(state).filter(|path| {
        path.is_dir() && !path.file_name().is_some_and(|id| id.as_encoded_bytes().starts_with(b"@"))
    });
    for container in ids {
        let mut delete = Command::new(found.as_ref().map_err(|error| failed(Error::new(error.to_string())))?);
        delete
            .arg("--root")
            .arg(state)
            .args(["delete", "--force"])
            .arg(container.file_name().unwrap_or_default());
        clean_up(delete).map_err(failed)?;
    }
    Ok(())
}

fn remove(directory: &Path) -> Result<()> {
    fs::remove_dir_all(directory)
        .map_err(|error| Error::io(format_args!("remove {}", directory.display()), &error))
}
