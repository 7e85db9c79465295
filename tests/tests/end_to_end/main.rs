//! Containers as their users see them: the program under test is run, and the host and the container are looked at.
//! One binary for all features, one module each, so that linking happens once.

mod cgroup;
mod devices;
mod errors;
mod hostname;
mod identity;
mod leftovers;
mod lifecycle;
mod masks;
mod mountinfo;
mod mounts;
mod namespaces;
mod plan;
mod real_input;
mod root;
mod seccomp;
mod syscalls;
mod sysctl;
