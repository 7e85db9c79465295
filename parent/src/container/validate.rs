//! What is wrong with a bundle, and what this host cannot do of it. Nothing is started, made or written.

mod files;
mod host;
mod limits;

use std::os::fd::AsFd;

use serde::Serialize;

use super::bundle::{check_rootfs, open_directory, rootfs_path};
use super::create::{place, questions};
use super::{Bundle, Creation, devices, filter, plan_request, rootless};
use crate::cgroup;
use crate::config::{self, Config, Refusal};
use crate::error::Error;
use crate::host::{HostFacts, is_own_namespace, owns_mount_namespace};
use crate::intel_rdt;
use crate::plan::{self, Store};
use crate::seccomp;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// `create` would fail.
    Error,
    /// It would not, but somebody should know.
    Warning,
}

/// One thing that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Such as `$.mounts[1].source`; `None` where it is about the bundle or the whole file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What is wrong, on one line.
    pub reason: String,
    /// The section of the runtime-spec about that field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<&'static str>,
}

/// Findings in the making.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        self.add(Level::Error, Some(path.into()), reason.into());
    }

    fn warning(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        self.add(Level::Warning, Some(path.into()), reason.into());
    }

    /// Whether something is wrong there already.
    fn has(&self, path: &str) -> bool {
        self.0.iter().any(|finding| finding.path.as_deref() == Some(path))
    }

    fn add(&mut self, level: Level, path: Option<String>, reason: String) {
        let section = path.as_deref().map(config::section);
        self.0.push(Finding { level, path, reason: config::one_line(reason), section });
    }

    /// An error whose text begins with the JSON path of its cause, or that is about `path`.
    fn failure(&mut self, path: &str, error: &Error) {
        let text = error.to_string();
        match text.split_once(": ") {
            Some((named, reason)) if named.starts_with("$.") => self.error(named, reason),
            _ => self.error(path, text),
        }
    }
}

/// Looks at a bundle as `create` would, and further.
pub fn validate(creation: &Creation<'_>) -> Vec<Finding> {
    let mut findings = Findings::default();
    if let Err(error) = examine(creation, &mut findings) {
        findings.add(Level::Error, None, error.to_string());
    }
    // Stable: what was found first comes first among its like.
    findings.0.sort_by_key(|finding| finding.level == Level::Warning);
    findings.0
}

/// Errors: there is no configuration to look at.
fn examine(creation: &Creation<'_>, findings: &mut Findings) -> Result<(), Error> {
    let (directory, path) = open_directory(creation.bundle)?;
    let config = match config::examine(directory.as_fd(), creation.config, &is_own_namespace) {
        Ok(config) => config,
        Err(Refusal::Unreadable(error)) => return Err(error),
        Err(Refusal::Problems(problems)) => {
            for problem in problems.0 {
                findings.error(problem.path, problem.reason);
            }
            return Ok(());
        }
    };
    for warning in &config.warnings {
        findings.add(Level::Warning, None, warning.clone());
    }
    let rootfs = config::clean_path(&rootfs_path(&path, &config));
    let mut bundle = Bundle { path, rootfs, config };
    if let Err(error) = check_rootfs(&directory, &bundle.config.root.path) {
        findings.failure("$.root.path", &error);
    }
    let host = HostFacts::read(questions(&bundle.config))?;
    try_plan(creation, &mut bundle, &host, findings);
    host::check(&bundle.config, &host, findings);
    limits::check(&bundle.config, findings);
    files::check(&bundle, &directory, findings);
    should(&bundle.config, findings);
    Ok(())
}

/// What `create` decides before it makes anything.
fn try_plan(creation: &Creation<'_>, bundle: &mut Bundle, host: &HostFacts, findings: &mut Findings) {
    for missing in plan::unsupported(&bundle.config, host) {
        findings.error(missing.path, missing.reason);
    }
    if let Some(rdt) = &bundle.config.intel_rdt
        && let Err(error) = intel_rdt::place(rdt, creation.id)
    {
        findings.failure("$.linux.intelRdt", &error);
    }
    let adapted = rootless::adapt(&mut bundle.config, host);
    let is_adapted = adapted.is_ok();
    for problems in adapted.err().into_iter().chain([devices::others_on_host(&bundle.config, host)]) {
        problems.0.into_iter().for_each(|problem| findings.error(problem.path, problem.reason));
    }
    if !is_adapted {
        return;
    }
    let placement = match place(bundle, host, creation) {
        Ok(placement) => placement,
        Err(error) => return findings.failure("$.linux.cgroupsPath", &error),
    };
    if rootless::cannot_limit_devices(&placement, host) {
        let reason =
            "on cgroup v1 only the host's root sets rules for devices, and we are in another user namespace";
        findings.error("$.linux.resources.devices", reason);
    }
    if !placement.is_empty() {
        for (path, reason) in cgroup::unsupported(&placement, &bundle.config.resources) {
            findings.error(path, reason);
        }
        for (path, reason) in cgroup::passed_over(&placement, &bundle.config.resources) {
            findings.warning(path, reason);
        }
        limits::check_resources(&bundle.config, host, findings);
        if let Some(reason) = cgroup::in_use(&placement) {
            findings.error("$.linux.cgroupsPath", reason);
        }
    } else if bundle.config.resources.has_limits() {
        findings.error("$.linux.resources", "the host has no cgroups: limits cannot be set");
    }
    let program = match bundle.config.seccomp.as_ref().map(seccomp::compile).transpose() {
        Ok(program) => program,
        Err(error) => return findings.failure("$.linux.seccomp", &error),
    };
    if !plan::unsupported(&bundle.config, host).is_empty() {
        return;
    }
    if let Err(error) = super::seccomp::check_listener(&bundle.config) {
        findings.failure("$.linux.seccomp.listenerPath", &error);
    }
    let filter = filter(&bundle.config, program.as_deref());
    let store = Store::default();
    match plan::plan(&plan_request(creation, bundle, host, &placement, filter), &store) {
        Ok(plan) if plan.cgroup_tree_count() > 0 || !plan.sent.is_empty() => {
            if !owns_mount_namespace() {
                let reason = "our mount namespace is another user namespace's: we may not copy its mounts (unshare -m)";
                findings.error("$.mounts", reason);
            }
        }
        Ok(_) => {}
        Err(error) => findings.failure("$", &error),
    }
}

/// What the spec says should be otherwise.
fn should(config: &Config, findings: &mut Findings) {
    for name in ["/proc", "/sys", "/dev/pts", "/dev/shm"] {
        let has_it = config.mounts.iter().any(|mount| mount.destination == name);
        if config.namespaces.mount != config::Namespace::Inherit && !has_it {
            let reason = format!("{name} should be there (config-linux.md Default Filesystems)");
            findings.warning("$.mounts", reason);
        }
    }
    if !config.has_program() {
        findings.warning("$.process", "is missing: create succeeds, and start fails");
    }
    for key in config.annotations.keys().filter(|key| !key.contains('.')) {
        let path = format!("$.annotations[{key:?}]");
        findings.warning(path, "keys should be in reverse domain notation, such as com.example.key");
    }
    for (index, mount) in config.mounts.iter().enumerate() {
        let is_special = ["/proc", "/sys", "/dev"].iter().any(|special| mount.destination == *special);
        if is_special && matches!(mount.kind, config::MountKind::Cgroup { .. }) {
            findings.warning(format!("$.mounts[{index}]"), "cgroups belong at /sys/fs/cgroup");
        }
    }
}
