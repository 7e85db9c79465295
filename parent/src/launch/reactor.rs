//! Waiting for several descriptors at once, without a thread: one ppoll under futures.
//!
//! The first use of async-io's reactor starts a thread, which costs more than a whole container's mounts; before a container runs,
//! and while a foreground `run` waits, there are three descriptors to look at and nothing else.

use std::cell::RefCell;
use std::future::poll_fn;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use rustix::event::{PollFd, PollFlags};

/// The descriptors that futures wait for.
#[derive(Debug, Default)]
pub struct Reactor {
    interests: RefCell<Vec<Interest>>,
}

/// A number among the interests.
struct Registered<'a> {
    reactor: &'a Reactor,
    number: RawFd,
    events: PollFlags,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        let is_mine = |interest: &Interest| (interest.number, interest.events) == (self.number, self.events);
        self.reactor.interests.borrow_mut().retain(|interest| !is_mine(interest));
    }
}

#[derive(Debug)]
struct Interest {
    number: RawFd,
    events: PollFlags,
    is_ready: bool,
}

impl Reactor {
    /// Resolves once `descriptor` can be read, or its other end is closed.
    pub async fn readable(&self, descriptor: BorrowedFd<'_>) {
        self.ready(descriptor, PollFlags::IN).await;
    }

    /// Resolves once `descriptor` takes bytes, or its other end is closed.
    pub async fn writable(&self, descriptor: BorrowedFd<'_>) {
        self.ready(descriptor, PollFlags::OUT).await;
    }

    async fn ready(&self, descriptor: BorrowedFd<'_>, events: PollFlags) {
        let number = descriptor.as_raw_fd();
        // Taken back when this future is dropped, at its end or before.
        let _registered = Registered { reactor: self, number, events };
        poll_fn(|_| {
            let mut interests = self.interests.borrow_mut();
            let known =
                interests.iter().position(|interest| (interest.number, interest.events) == (number, events));
            match known {
                Some(index) if interests[index].is_ready => Poll::Ready(()),
                Some(_) => Poll::Pending,
                None => {
                    interests.push(Interest { number, events, is_ready: false });
                    Poll::Pending
                }
            }
        })
        .await;
    }

    /// Blocks until one of the descriptors is ready.
    fn wait(&self) {
        let mut interests = self.interests.borrow_mut();
        let mut polled: Vec<PollFd<'_>> = interests
            .iter()
            .map(|interest| {
                // SAFETY: the future that registered the number borrows its descriptor, takes the number back when it is dropped, and is
                // not dropped while this function runs. (One that was polled and then forgotten, `mem::forget` of a box, would leave its
                // number here: nobody in this crate does that, and poll(2) would answer for another file, or POLLNVAL.)
                let descriptor = unsafe { BorrowedFd::borrow_raw(interest.number) };
                PollFd::from_borrowed_fd(descriptor, interest.events)
            })
            .collect();
        // Ignored: after EINTR the futures are polled again, and wait again.
        let _ = rustix::event::poll(&mut polled, None);
        let ready: Vec<bool> = polled.iter().map(|entry| !entry.revents().is_empty()).collect();
        for (interest, ready) in interests.iter_mut().zip(ready) {
            interest.is_ready = ready;
        }
    }
}

/// Runs `future` to its end on this thread. Every future in it waits through `reactor` alone.
pub fn block_on<F: Future>(reactor: &Reactor, future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        reactor.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn the_first_of_two_descriptors_that_can_be_read_wins() {
        let (quiet, _quiet_writer) = rustix::pipe::pipe().unwrap();
        let (loud, loud_writer) = rustix::pipe::pipe().unwrap();
        rustix::io::write(&loud_writer, b"x").unwrap();
        let reactor = Reactor::default();
        let first = async {
            reactor.readable(quiet.as_fd()).await;
            "quiet"
        };
        let second = async {
            reactor.readable(loud.as_fd()).await;
            "loud"
        };
        assert_eq!(block_on(&reactor, smol::future::or(first, second)), "loud");
    }
}
