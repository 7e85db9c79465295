//! Facts about the machine and about the program under test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs};

/// The directory of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").to_owned()
}

fn target_directory() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The program under test.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let path =
            env::var_os("PINNACE").map_or_else(|| target_directory().join("release/pinnace"), PathBuf::from);
        assert!(path.is_file(), "{} is not there: run ci/build, or set PINNACE", path.display());
        path
    })
}

/// Whether the program under test is pinnace: some expectations are more than runc can do.
pub fn is_pinnace() -> bool {
    static ANSWER: OnceLock<bool> = OnceLock::new();
    *ANSWER.get_or_init(|| {
        let output = Command::new(program()).arg("--version").output().expect("run --version");
        String::from_utf8_lossy(&output.stdout).starts_with("pinnace")
    })
}

/// The same for a test of what pinnace alone does: where another is under test, the test says that it is skipped.
pub fn tests_pinnace() -> bool {
    if !is_pinnace() {
        skip("it is about what pinnace alone does");
    }
    is_pinnace()
}

/// The stage1 program inside the release build, as cargo's list of that build's parts names it; `STAGE1_ELF` names another.
pub fn stage1_elf() -> Option<PathBuf> {
    if let Some(path) = env::var_os("STAGE1_ELF") {
        return Some(path.into());
    }
    let parts = fs::read_to_string(target_directory().join("release/pinnace.d")).ok()?;
    parts.split_whitespace().find(|part| part.ends_with("/out/stage1")).map(PathBuf::from)
}

/// The files that engines gave to their runtimes, when the directory that holds them is beside the workspace.
pub fn shared_configs() -> Option<PathBuf> {
    let directory = workspace().parent()?.join("shared/configs");
    directory.is_dir().then_some(directory)
}

/// runc, to compare with: the program that `RUNC` names, one in PATH, or that of the peers beside the workspace, unpacked into `scratch`.
pub fn runc(scratch: &Path) -> Option<PathBuf> {
    if let Some(named) = env::var_os("RUNC").map(PathBuf::from).or_else(|| find_program("runc")) {
        return Some(named);
    }
    let archives = fs::read_dir(workspace().parent()?.join("shared/peers")).ok()?.flatten();
    let archive = archives.map(|entry| entry.path()).find(|path| path.extension() == Some("xz".as_ref()))?;
    let status = Command::new("tar").arg("xf").arg(archive).arg("-C").arg(scratch).arg("runc").status();
    status.is_ok_and(|status| status.success()).then(|| scratch.join("runc"))
}

/// A copy of the program under test. Another process makes it: what this one has open for writing, the children of other tests have open
/// too for a moment, and the kernel executes no such file.
pub fn copy_program(to: &Path) {
    let status = Command::new("cp").arg(program()).arg(to).status().expect("start cp");
    assert!(status.success(), "cp: {status}");
}

/// Says on stderr that the calling test is skipped, and why.
pub fn skip(reason: &str) {
    // libtest runs each test on a thread of its name.
    eprintln!("SKIP {}: {reason}", std::thread::current().name().unwrap_or("?"));
}

/// An id that no other test, process or earlier run uses, so that finding it anywhere names the culprit.
pub fn unique_id() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("pt-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A busybox without shared libraries.
pub fn busybox() -> PathBuf {
    find_program("busybox").expect("busybox-static is installed (ci/setup)")
}

/// The path of `name` in PATH or in the directories of the administrator's programs.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let administrators = [PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")];
    env::split_paths(&path).chain(administrators).map(|dir| dir.join(name)).find(|path| path.is_file())
}

/// Where each cgroup hierarchy is mounted, by controller list as /proc/self/cgroup writes it (`memory`, `cpu,cpuacct`,
/// `name=systemd`; empty for v2).
pub fn cgroup_hierarchies() -> BTreeMap<String, PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("read mountinfo");
    let mut found = BTreeMap::new();
    for line in mounts.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let point = PathBuf::from(left.split(' ').nth(4).expect("a mount point"));
        let mut fields = right.split(' ');
        match fields.next() {
            Some("cgroup2") => found.insert(String::new(), point),
            Some("cgroup") => {
                let options = fields.nth(1).unwrap_or_default();
                let is_name = |word: &&str| {
                    !matches!(*word, "rw" | "ro" | "xattr") && !word.starts_with("release_agent=")
                };
                let controllers: Vec<_> = options.split(',').filter(is_name).collect();
                found.insert(controllers.join(","), point)
            }
            _ => None,
        };
    }
    found
}

/// The global options that choose each cgroup manager of this machine. On v1 a systemd takes away what others have made: there it is alone.
pub fn managers() -> Vec<&'static [&'static str]> {
    let has_systemd = Path::new("/run/systemd/system").is_dir() && find_program("systemctl").is_some();
    let is_v1 = cgroup_hierarchies().keys().any(|list| list == "memory");
    let mut managers: Vec<&[&str]> = Vec::new();
    if !(has_systemd && is_v1) {
        managers.push(&[]);
    }
    if has_systemd {
        managers.push(&["--systemd-cgroup"]);
    }
    managers
}

/// How many times longer than usual everything may take: `PINNACE_TESTS_PATIENCE`, for emulated machines.
pub(crate) fn patience() -> u32 {
    env::var("PINNACE_TESTS_PATIENCE").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1)
}

/// Waits until `condition` holds, for ten seconds at most.
#[track_caller]
pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10) * patience();
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
