//! What a container has on the host: mounts, cgroups, processes, files.
//!
//! Tests run side by side, so a snapshot holds only what belongs to one id. Ids are unique on the machine and are part
//! of the test's directory, so that whatever a container leaves anywhere carries its id.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use crate::cgroup_hierarchies;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub mounts: BTreeSet<String>,
    pub cgroups: BTreeSet<String>,
    pub processes: BTreeSet<String>,
    pub files: BTreeSet<String>,
}

impl Snapshot {
    pub(crate) fn take(id: &str, directory: &Path) -> Self {
        let mut files = BTreeSet::new();
        collect_files(directory, &mut files);
        Self { mounts: mounts_of(id), cgroups: cgroups_of(id), processes: processes_of(id), files }
    }

    /// Expects that nothing is there that was not there in `before`, and nothing is gone.
    #[track_caller]
    pub fn assert_same_as(&self, before: &Self) {
        assert!(self == before, "before:\n{before}\nafter:\n{self}");
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("mounts", &self.mounts),
            ("cgroups", &self.cgroups),
            ("processes", &self.processes),
            // busybox's links say nothing.
            ("files", &self.files.iter().filter(|path| !path.contains("rootfs/bin/")).cloned().collect()),
        ];
        for (name, lines) in parts {
            writeln!(out, "  {name}:")?;
            for line in lines {
                writeln!(out, "    {line}")?;
            }
        }
        Ok(())
    }
}

fn mounts_of(id: &str) -> BTreeSet<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").expect("read mountinfo");
    text.lines().filter(|line| names(line, id)).map(str::to_owned).collect()
}

/// Cgroups whose path names the id, in all hierarchies.
fn cgroups_of(id: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for point in cgroup_hierarchies().values() {
        collect_cgroups(point, id, &mut found);
    }
    found
}

fn collect_cgroups(directory: &Path, id: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let path = entry.path();
            if names(&path.to_string_lossy(), id) {
                found.insert(path.to_string_lossy().into_owned());
            }
            collect_cgroups(&path, id, found);
        }
    }
}

/// Living processes that carry the id in their arguments, cgroups, root or mounts.
fn processes_of(id: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc").expect("list /proc").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) || name == std::process::id().to_string() {
            continue;
        }
        let path = entry.path();
        let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map_or("", |(_, rest)| &rest[..1]);
        // A zombie has ended; when it is collected is up to whoever inherited it.
        if matches!(state, "" | "Z" | "X") {
            continue;
        }
        // The kernel starts this one for every cgroup that v1's systemd has lost, with its path.
        if stat.contains("(systemd-cgroups)") {
            continue;
        }
        let places = ["cmdline", "cgroup", "mountinfo", "environ"];
        if places.iter().any(|file| {
            fs::read(path.join(file)).is_ok_and(|bytes| names(&String::from_utf8_lossy(&bytes), id))
        }) {
            found.insert(stat.split_once(") ").map_or(stat.clone(), |(start, _)| format!("{start})")));
        }
    }
    found
}

fn collect_files(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        found.insert(path.to_string_lossy().into_owned());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_files(&path, found);
        }
    }
}

/// Whether `text` holds the id as a whole: `pt-1-2` is not in `pt-1-23`.
fn names(text: &str, id: &str) -> bool {
    text.match_indices(id)
        .any(|(start, _)| !text[start + id.len()..].starts_with(|next: char| next.is_ascii_digit()))
}
