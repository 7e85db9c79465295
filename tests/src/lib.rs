//! The words that end-to-end tests are written in: a `Bundle` on disk, a `Container` that the program under test
//! is asked to run from it, the `Outcome` of one command, a `Snapshot` of what a container could leave behind.
//!
//! The program under test is the one that `PINNACE` names, else `target/release/pinnace` of this workspace. Most
//! expectations hold for runc as well, so `PINNACE=/path/to/runc cargo test -p pinnace-tests` tests the tests.

mod bundle;
mod container;
mod host;
mod outcome;
mod pty;
mod snapshot;
mod trace;

pub use bundle::Bundle;
pub use container::{Container, Status};
pub use host::{
    busybox, cgroup_hierarchies, copy_program, find_program, is_pinnace, managers, program, runc,
    shared_configs, skip, stage1_elf, tests_pinnace, unique_id, wait_until, workspace,
};
pub use outcome::{Outcome, Running, run_within, run_within_limit, spawn};
pub use pty::Pty;
pub use rustix::process::Signal;
pub use serde_json::{Value, json};
pub use snapshot::Snapshot;
pub use trace::{kill_traced, system_calls, tampered};
