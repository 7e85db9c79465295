//! The machine: a private mount namespace for the whole benchmark, and the cgroup hierarchies that each peer insists on.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io, thread};

use rustix::fs::statfs;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use rustix::process::{getpid, set_child_subreaper};
use rustix::thread::{UnshareFlags, unshare_unsafe};

const CGROUPS: &str = "/sys/fs/cgroup";
const UNIFIED: &str = "/sys/fs/cgroup/unified";

/// Columns of /proc/cgroups; hierarchy 0 is v2.
const HIERARCHY: usize = 1;
const CGROUP_COUNT: usize = 2;

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum CgroupMode {
    V1,
    V2,
    /// The specification as `runc spec` writes it on v1, without a cgroup namespace, on v2: there, mounting cgroup2 in the container
    /// waits for a grace period of the kernel.
    V2WithoutNamespace,
}

impl CgroupMode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::V1 => "cgroup v1",
            Self::V2 => "cgroup v2",
            Self::V2WithoutNamespace => "cgroup v2 without a cgroup namespace",
        }
    }

    /// What the floor calls it.
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::V2WithoutNamespace => "v2-without-namespace",
        }
    }
}

/// What was changed for the benchmark, undone when dropped. Mounts are private and end with the process anyway.
pub(crate) struct Host {
    pub(crate) cgroups: CgroupMode,
    notes: Vec<String>,
    work: PathBuf,
    /// Hierarchies mounted for crun, each in a directory made for it.
    extra_hierarchies: Vec<PathBuf>,
    /// The controllers that the root of v2 gave to its children before, if v2 is ours to tidy up.
    subtree_control_before: Option<String>,
}

impl Host {
    /// Must be called while the process has one thread: the mount namespace belongs to a thread and those it makes later.
    pub(crate) fn prepare(work: &Path, wanted: CgroupMode) -> Result<Self, String> {
        let error =
            |what: &'static str| move |error: rustix::io::Errno| format!("{what}: {error} (is this root?)");
        // SAFETY: a mount namespace touches no memory and no descriptor.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.map_err(error("a private mount namespace"))?;
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).map_err(error("make all mounts private"))?;
        // Containers that outlive `create` become children of the benchmark, which can then wait for their end.
        set_child_subreaper(Some(getpid())).map_err(error("become a subreaper"))?;

        let state = state_directory(work);
        fs::create_dir_all(&state).map_err(|error| format!("{}: {error}", state.display()))?;
        // Where /run is, on most machines, is a tmpfs; state files cost what they cost there.
        mount("tmpfs", &state, "tmpfs", MountFlags::empty(), None).map_err(error("a tmpfs for the state"))?;

        let mut host = Self {
            cgroups: CgroupMode::V1,
            notes: Vec::new(),
            work: work.to_owned(),
            extra_hierarchies: Vec::new(),
            subtree_control_before: None,
        };
        if is_cgroup2(CGROUPS) {
            host.cgroups = if wanted == CgroupMode::V1 { CgroupMode::V2 } else { wanted };
        } else if wanted != CgroupMode::V1 {
            host.mount_v2().map_err(error("cgroup v2 instead of v1"))?;
            host.cgroups = wanted;
        } else if is_cgroup2(UNIFIED) {
            host.mount_remaining_v1();
        }
        Ok(host)
    }

    pub(crate) fn describe(&self) {
        let line = |file: &str| fs::read_to_string(file).unwrap_or_default().trim().to_owned();
        let load = line("/proc/loadavg");
        let load = load.split(' ').next().unwrap_or_default();
        let processors = thread::available_parallelism().map_or(0, usize::from);
        println!(
            "Linux {}, {processors} processors, {}",
            line("/proc/sys/kernel/osrelease"),
            self.cgroups.name()
        );
        if load.parse().unwrap_or(0.0) > 0.3 {
            println!("  NOT IDLE: load {load}. Compare ratios, and not these with those of another run.");
        }
        self.notes.iter().for_each(|note| println!("  {note}"));
    }

    fn mount_v2(&mut self) -> rustix::io::Result<()> {
        unmount(CGROUPS, UnmountFlags::DETACH)?;
        mount("cgroup2", CGROUPS, "cgroup2", MountFlags::empty(), None)?;
        self.subtree_control_before =
            fs::read_to_string(Path::new(CGROUPS).join("cgroup.subtree_control")).ok();
        let controllers =
            fs::read_to_string(Path::new(CGROUPS).join("cgroup.controllers")).unwrap_or_default();
        self.notes.push(format!("v2 is mounted privately; its controllers here: {}", controllers.trim()));
        Ok(())
    }

    /// crun refuses a machine with v1 hierarchies where v2 has a controller; so these become v1 hierarchies for a while.
    fn mount_remaining_v1(&mut self) {
        let controllers =
            fs::read_to_string(Path::new(UNIFIED).join("cgroup.controllers")).unwrap_or_default();
        for controller in controllers.split_whitespace() {
            let directory = Path::new(CGROUPS).join(controller);
            match mount_v1(controller, &directory) {
                Ok(()) => {
                    self.notes.push(format!(
                        "{controller} is a v1 hierarchy for as long as this takes: crun insists"
                    ));
                    self.extra_hierarchies.push(directory);
                }
                Err(error) => {
                    self.notes.push(format!("{controller} stays on v2, so crun will refuse: {error}"))
                }
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Ignored, all of it: nothing can be done about a failure here, and the mounts end with the process.
        for directory in &self.extra_hierarchies {
            // A hierarchy that is unmounted while a removed cgroup in it is still dying stays, and v2 never gets it back.
            wait_for_column(directory, CGROUP_COUNT, "1");
            let _ = unmount(directory, UnmountFlags::empty());
            let _ = fs::remove_dir(directory);
            wait_for_column(directory, HIERARCHY, "0");
        }
        if let Some(before) = &self.subtree_control_before {
            let file = Path::new(CGROUPS).join("cgroup.subtree_control");
            let now = fs::read_to_string(&file).unwrap_or_default();
            for added in
                now.split_whitespace().filter(|name| !before.split_whitespace().any(|old| old == *name))
            {
                let _ = fs::write(&file, format!("-{added}"));
            }
        }
        let _ = unmount(state_directory(&self.work), UnmountFlags::DETACH);
        let _ = fs::remove_dir(state_directory(&self.work));
        let _ = fs::remove_dir_all(self.work.join("bundles"));
    }
}

/// Holds the runtimes' state, pid files and logs.
pub(crate) fn state_directory(work: &Path) -> PathBuf {
    work.join("state")
}

fn mount_v1(controller: &str, directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let options = std::ffi::CString::new(controller)?;
    mount("cgroup", directory, "cgroup", MountFlags::empty(), Some(options.as_c_str())).map_err(|error| {
        // Ignored: an empty directory on a tmpfs is in nobody's way.
        let _ = fs::remove_dir(directory);
        error.into()
    })
}

/// Waits, two seconds at most, until /proc/cgroups says `value` of a controller in column `column`.
fn wait_for_column(controller: &Path, column: usize, value: &str) {
    let controller = controller.file_name().unwrap_or_default().to_string_lossy();
    let says_so = |table: &str| {
        let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.any(|line| line.first() == Some(&&*controller) && line.get(column) == Some(&value))
    };
    for _ in 0..100 {
        if says_so(&fs::read_to_string("/proc/cgroups").unwrap_or_default()) {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn is_cgroup2(path: &str) -> bool {
    const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;
    statfs(path).is_ok_and(|status| status.f_type == CGROUP2_SUPER_MAGIC)
}
