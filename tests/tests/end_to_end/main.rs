//! Containers as their users see them: the program under test is run, and the host and the container are looked at.
//! One binary for all features, one module each, so that linking happens once.

mod cgroup;
mod cgroup_v2;
mod devices;
mod errors;
mod events;
mod hooks;
mod hostname;
mod identity;
mod intel_rdt;
mod landlock;
mod leftovers;
mod lifecycle;
mod lsm;
mod masks;
mod memory;
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
mod syscalls;
mod sysctl;
mod systemd;
mod time;
mod update;
mod user_namespace;
