//! Containers as their users see them: the program under test is run, and the host and the container are looked at.
//! One binary for all features, one module each, so that linking happens once.

mod cgroup;
mod devices;
mod errors;
mod events;
mod features;
mod hostname;
mod identity;
mod intel_rdt;
mod keyring;
mod landlock;
mod leftovers;
mod lifecycle;
mod lsm;
mod masks;
mod mountinfo;
mod mounts;
mod namespaces;
mod net_devices;
mod pause;
mod plan;
mod ps;
mod real_input;
mod root;
mod scheduling;
mod seccomp;
mod spec;
mod spec_musts;
mod syscalls;
mod sysctl;
mod time;
mod update;
mod user_namespace;
mod validate;
