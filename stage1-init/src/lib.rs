//! The tiny program that pinnace launches into the new namespaces: it receives a plan and carries it out.
//!
//! The page to read first is `run.rs`: the phases in order. No heap, no libc; every system call is listed in
//! [`kernel::Kernel`], and unsafe code lives below `kernel/` alone.

#![no_std]
#![deny(unsafe_code)]

#[cfg(test)]
extern crate std;

mod exec;
mod home;
mod hooks;
mod host_proc;
pub mod kernel;
mod paths;
mod postponed;
mod receive;
mod root;
mod run;
mod steps;
#[cfg(test)]
mod tests;
mod topology;

pub use run::run;
