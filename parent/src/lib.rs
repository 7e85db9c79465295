//! pinnace's front end: command line, configuration, plan, cgroups, state, errors.
//!
//! The path of one start: `commands/run.rs` → `container/create.rs` → `config` → `plan` → `launch` → stage1's `run.rs`.

pub mod bump;
pub mod cgroup;
pub mod cli;
pub mod commands;
pub mod config;
pub mod container;
mod descriptors;
pub mod error;
pub mod hooks;
pub mod host;
pub mod intel_rdt;
pub mod launch;
pub mod log;
pub mod notify;
pub mod plan;
pub mod seccomp;
pub mod signals;
pub mod state;
pub mod terminal;
pub mod trace;
