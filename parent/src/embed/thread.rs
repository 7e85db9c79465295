//! Work that blocks, awaited.

use std::thread::Builder;

use crate::error::{Error, Result};
use crate::signals;

/// Does the work on a thread of its own, which takes no signal of the process. What the thread has that is its own (a network namespace for a
/// moment, processors) ends with it, whatever happens; a pool's thread would go on to other work.
///
/// Dropped before its end, the future lets the work go on, and `undo` has what it made.
pub(super) async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
    undo: impl FnOnce(T) + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = smol::channel::bounded(1);
    let work = move || {
        signals::block_on_thread();
        let done = work().map(|made| Undoable(Some((made, undo))));
        // Ignored: nobody waits any longer, and what was made is undone where it is dropped.
        let _ = sender.try_send(done);
    };
    start(work)?;
    match receiver.recv().await {
        Ok(done) => done?.take(),
        Err(_) => None,
    }
    .ok_or_else(|| Error::new("the thread of this operation has panicked"))
}

fn start(work: impl FnOnce() + Send + 'static) -> Result<()> {
    Builder::new()
        .name(String::from("pinnace"))
        .spawn(work)
        .map(drop)
        .map_err(|error| Error::io("start a thread", &error))
}

/// Something made that is undone, on a thread of its own, unless somebody takes it.
struct Undoable<T: Send + 'static, U: FnOnce(T) + Send + 'static>(Option<(T, U)>);

impl<T: Send + 'static, U: FnOnce(T) + Send + 'static> Undoable<T, U> {
    fn take(mut self) -> Option<T> {
        self.0.take().map(|(made, _)| made)
    }
}

impl<T: Send + 'static, U: FnOnce(T) + Send + 'static> Drop for Undoable<T, U> {
    fn drop(&mut self) {
        if let Some((made, undo)) = self.0.take() {
            // Ignored: a host that cannot start a thread keeps a container that it knows by its id.
            let _ = start(move || {
                signals::block_on_thread();
                undo(made);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_nobody_waits_for_is_undone() {
        let (sender, undone) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        let undo = move |made| sender.send(made).expect("somebody listens");
        let mut work = Box::pin(on_thread(
            move || {
                begun.recv().expect("a word");
                Ok(7)
            },
            undo,
        ));
        assert!(smol::block_on(smol::future::poll_once(&mut work)).is_none());
        drop(work);
        begin.send(()).expect("somebody listens");
        assert_eq!(undone.recv_timeout(Duration::from_secs(10)), Ok(7));
    }

    #[test]
    fn what_somebody_waits_for_is_not() {
        let (sender, undone) = mpsc::channel();
        let undo = move |made| sender.send(made).expect("somebody listens");
        assert_eq!(smol::block_on(on_thread(|| Ok(7), undo)).ok(), Some(7));
        assert!(undone.recv().is_err());
    }
}
