//! Facts about the host, read once and passed on as a value, so that `config` and `plan` stay pure.

/// What the host has that decides how a container is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    pub cgroups: CgroupHost,
}

/// The host's cgroup hierarchies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CgroupHost {
    /// No hierarchy is mounted.
    None,
    /// cgroup v1; `unified` is the v2 hierarchy of a hybrid host.
    V1 { hierarchies: Vec<Hierarchy>, unified: Option<Hierarchy> },
    /// cgroup v2 alone.
    V2 { unified: Hierarchy },
}

/// One mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted, such as `/sys/fs/cgroup/cpu,cpuacct`.
    pub mountpoint: String,
    /// Its controllers (`cpu`, `cpuacct`), or its name (`name=systemd`); empty for v2.
    pub controllers: Vec<String>,
    /// The caller's own cgroup in it, as a path below the mount point, such as `/user.slice`.
    pub own: String,
}
