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
//! The path of one start: `container/create.rs` → `config` → `plan` → `launch` → stage1's `run.rs`.

#![warn(missing_docs)]
// Modules are private: in them `pub` means the rest of the crate.
#![allow(unreachable_pub)]

pub mod blocking;
mod container;
mod descriptors;
mod doctor;
mod embed;
mod ending;
mod error;
mod features;
mod hooks;
mod intel_rdt;
mod launch;
pub mod log;
mod notify;
mod seccomp;
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
pub mod host;
#[doc(hidden)]
pub mod plan;

pub use embed::{Command, Container, Options, Process, Stdio};
pub use error::{Error, Kind, Result};
pub use state::Status;
