//! A container runtime to embed: the library that the program `pinnace` is built on, and on nothing else.
//!
//! [`Container`] is the whole life of a container, for programs that do other things beside: every operation is a future, whatever executor
//! awaits it, and changes nothing that the process shares. [`blocking`] is the same on the calling thread, with everything that the command
//! line can ask for beside it.
//!
//! ```no_run
//! # async fn start() -> pinnace::Result<()> {
//! let container = pinnace::Container::create("/run/bundle", "web", pinnace::Options::default()).await?;
//! container.start().await?;
//! println!("it ended with {:?}", container.wait().await?);
//! container.delete(false).await
//! # }
//! ```
//!
//! # How operations are awaited
//! A start blocks in dozens of system calls, none of which can be polled for: mkdir in a cgroup waits for the kernel's
//! locks, unshare for a network namespace. So every operation but [`wait`](Container::wait) runs [`blocking`]'s code on a thread that is made for
//! it and ends with it, some 0.1 ms more than the command line pays, which calls the same code on its only thread. A thread of its own rather
//! than a pool's, since what an operation changes for a moment belongs to its thread: the network namespace, its processors, its signal mask.
//! `wait` takes no thread: it is woken by the pidfd, through async-io's reactor, whose thread, `async-io`, the first container begins.
//!
//! # What the process keeps
//! Working directory, umask, ids, limits, namespaces, signal mask and dispositions of the other threads are neither
//! changed nor relied on, but for relative paths, which are taken from the working directory at the first poll, and a umask that takes an ordinary
//! user's own rights to their files. Signals are not taken: these threads block all, async-io's too unless the host has begun it. Every descriptor is closed on execution, and the container gets
//! none of this process's but the standard ones, which must be open where they are inherited.
//! Of the environment PATH, XDG_RUNTIME_DIR and the addresses of D-Bus are read, where newuidmap(1) or systemd is needed, and hooks that have none
//! of their own inherit it.
//!
//! # What a host should not do
//! Ignore SIGCHLD, or wait for all its children: it loses their exit codes on a kernel before 6.15, and hooks and
//! newuidmap(1), whose ends have to be known, count as failed. Fork without executing: the copy holds what is open at that moment, and a start waits
//! for the end of a socket, another operation for a lock.
//!
//! # Who reaps
//! A container's first process, and a process of [`exec`](Container::exec), are children of this process. A thread, `pinnace-reaper`, which the
//! first of them begins and which blocks all signals, reaps each when it ends, whether its handle is waited for, kept or dropped; the handle keeps how it
//! ended. (The first process of a pid namespace does not end while another of the namespace is not reaped.) What the thread had still to
//! reap when this process ends, whoever inherits its children reaps.
//!
//! # What a dropped future leaves
//! An operation that has begun comes to its end. A container that was being created is then deleted, and a
//! program that was being executed by `exec` is killed; `start`, `kill` and `delete` have done what they were to do.
//!
//! # Where to begin reading
//! The path of one start: `container/create.rs` → `config` → `plan` → `launch` → stage1's `run.rs`.

#![warn(missing_docs)]
// But for the modules that are marked.
#![deny(unsafe_code)]
// Modules are private: in them `pub` means the rest of the crate.
#![allow(unreachable_pub)]

pub mod blocking;
mod container;
#[allow(unsafe_code)]
mod descriptors;
mod doctor;
mod embed;
#[allow(unsafe_code)]
mod ending;
mod error;
mod features;
#[allow(unsafe_code)]
mod hooks;
mod intel_rdt;
mod launch;
pub mod log;
#[allow(unsafe_code)]
mod namespaces;
mod notify;
mod seccomp;
#[allow(unsafe_code)]
mod signals;
mod state;
mod terminal;
pub mod trace;

// For the property tests and the fuzzers of this workspace; no promise to anybody else.
#[doc(hidden)]
pub mod cgroup;
#[doc(hidden)]
pub mod config;
#[doc(hidden)]
#[allow(unsafe_code)]
pub mod host;
#[doc(hidden)]
pub mod plan;
// For the pictures of `bench`, which is the program's own.
#[doc(hidden)]
pub mod svg;

pub use embed::{Command, Container, Options, Process, Stdio};
pub use error::{Error, Kind, Result};
pub use state::Status;
