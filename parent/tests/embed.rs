//! The library in a host with threads. Needs root, and busybox.
//!
//! The host is this process: what it counts and watches is its own, so tests here take turns.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pinnace::{Command, Container, Kind, Options, Status, Stdio};
use rustix::io::Errno;
use rustix::process::{Signal, WaitId, WaitIdOptions};
use serde_json::{Value, json};
use smol::future::{block_on, poll_once};

const BUSYBOX: &str = "/bin/busybox";
/// How many containers live at once.
const CONTAINER_COUNT: usize = 32;

static TURN: Mutex<()> = Mutex::new(());

/// The host's turn, and its bundle.
struct Host {
    directory: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Host {
    /// `None`, said aloud, where containers cannot be made.
    fn new(test: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() || !Path::new(BUSYBOX).exists() {
            println!("SKIP {test}: needs root and {BUSYBOX}");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = std::env::temp_dir().join(format!("pinnace-embed-{}-{test}", std::process::id()));
        let root = directory.join("bundle/rootfs");
        for name in ["bin", "dev", "proc", "sys"] {
            fs::create_dir_all(root.join(name)).expect("mkdir");
        }
        fs::copy(BUSYBOX, root.join("bin/busybox")).expect("busybox");
        for name in ["sh", "sleep"] {
            symlink("busybox", root.join("bin").join(name)).expect("a link");
        }
        Some(Self { directory, _turn: turn })
    }

    /// A bundle with this shell script as its program; all share the root file system.
    fn bundle(&self, name: &str, script: &str) -> PathBuf {
        let text = pinnace::blocking::default_config(false).expect("a configuration");
        let mut config: Value = serde_json::from_str(&text).expect("JSON");
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["/bin/sh", "-c", script]);
        config["root"]["path"] = json!(self.directory.join("bundle/rootfs"));
        let bundle = self.directory.join(name);
        fs::create_dir_all(&bundle).expect("mkdir");
        fs::write(bundle.join("config.json"), config.to_string()).expect("config.json");
        bundle
    }

    fn options(&self) -> Options {
        let mut options = Options::default();
        options.root = Some(self.state());
        options
    }

    fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    /// The ids that the state directory holds.
    fn ids(&self) -> Vec<String> {
        let entries = fs::read_dir(self.state()).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| !name.starts_with('@')).collect()
    }

    fn has_no_children(&self) {
        let any = rustix::process::waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
        assert_eq!(any.err(), Some(Errno::CHILD), "a child is left");
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn id(name: impl std::fmt::Display) -> String {
    format!("pinnace-embed-{}-{name}", std::process::id())
}

/// All that the threads of a process share, and what the calling thread has of its own, as the kernel tells it.
fn shared() -> BTreeMap<String, String> {
    const FIELDS: [&str; 14] = [
        "Umask:",
        "Uid:",
        "Gid:",
        "Groups:",
        "CapInh:",
        "CapPrm:",
        "CapEff:",
        "CapBnd:",
        "CapAmb:",
        "NoNewPrivs:",
        "Seccomp:",
        "SigBlk:",
        "SigIgn:",
        "SigCgt:",
    ];
    let mut seen = BTreeMap::new();
    for task in ["self", "thread-self"] {
        let status = fs::read_to_string(format!("/proc/{task}/status")).expect("status");
        for line in status.lines().filter(|line| FIELDS.iter().any(|field| line.starts_with(field))) {
            let (name, value) = line.split_once(':').expect("a field");
            seen.insert(format!("{task} {name}"), value.trim().to_owned());
        }
        for entry in fs::read_dir(format!("/proc/{task}/ns")).expect("ns").flatten() {
            let link = fs::read_link(entry.path()).expect("a namespace");
            seen.insert(format!("{task} {}", entry.file_name().display()), link.display().to_string());
        }
        for name in ["cwd", "root"] {
            let link = fs::read_link(format!("/proc/{task}/{name}")).expect("a link");
            seen.insert(format!("{task} {name}"), link.display().to_string());
        }
        for name in ["cgroup", "limits", "oom_score_adj"] {
            let text = fs::read_to_string(format!("/proc/{task}/{name}")).expect("a file");
            seen.insert(format!("{task} {name}"), text);
        }
    }
    seen
}

fn descriptor_count() -> usize {
    fs::read_dir("/proc/self/fd").expect("fd").count()
}

/// The reaper lets go of a child's a moment after somebody else has been told of its end.
fn has_descriptors(expected: usize) {
    within("descriptors are left", || descriptor_count() == expected);
}

/// Waits until it is so.
fn within(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// What a child of another thread finds open: nothing but its standard descriptors and the directory that it reads.
fn child_descriptors() -> String {
    let listed = std::process::Command::new(BUSYBOX).args(["ls", "/proc/self/fd"]).output().expect("ls");
    String::from_utf8_lossy(&listed.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A container's whole life; its program's exit code is its number.
fn live(host: &Host, number: usize) {
    let bundle = host.bundle(&number.to_string(), &format!("exit {number}"));
    block_on(async {
        let container = Container::create(&bundle, id(number), host.options()).await.expect("create");
        assert_eq!(container.state().await.expect("state").status, Status::Created);
        container.start().await.expect("start");
        assert_eq!(container.wait().await.expect("wait"), Some(number as i32));
        container.delete(false).await.expect("delete");
        assert_eq!(container.take_warnings(), Vec::<String>::new());
        assert_eq!(container.state().await.unwrap_err().kind(), Kind::NoSuchContainer);
    });
}

#[test]
fn thirty_two_containers_at_once_change_nothing_that_the_host_shares() {
    let Some(host) = Host::new("at-once") else { return };
    // The reactor's own descriptors and thread come with the first wait.
    live(&host, 100);
    let (descriptors_before, children_before) = (descriptor_count(), child_descriptors());
    let is_over = AtomicBool::new(false);
    let (looks, spawned) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        let lives: Vec<_> = (0..CONTAINER_COUNT)
            .map(|number| {
                let host = &host;
                scope.spawn(move || live(host, number))
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                let before = shared();
                while !is_over.load(Ordering::Relaxed) {
                    assert_eq!(shared(), before);
                    looks.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                assert_eq!(child_descriptors(), children_before);
                spawned.fetch_add(1, Ordering::Relaxed);
            }
        });
        let ended: Vec<_> = lives.into_iter().map(|life| life.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        for life in ended {
            life.expect("a life");
        }
    });
    assert!(looks.into_inner() > 10 && spawned.into_inner() > 2, "nobody has watched");
    has_descriptors(descriptors_before);
    assert_eq!(host.ids(), Vec::<String>::new());
    host.has_no_children();
}

/// Each start makes a process that waits while its ids are mapped. It is a copy of this process, and keeps nothing of the other starts'.
#[test]
fn idmapped_mounts_of_many_starts_wait_for_none_of_the_others() {
    let Some(host) = Host::new("idmapped") else { return };
    let bundle = host.bundle("idmapped", "exit 0");
    let source = host.directory.join("source");
    fs::create_dir_all(&source).expect("mkdir");
    let text = fs::read_to_string(bundle.join("config.json")).expect("config.json");
    let mut config: Value = serde_json::from_str(&text).expect("JSON");
    let mappings = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    for number in 0..4 {
        config["mounts"].as_array_mut().expect("mounts").push(json!({
            "destination": format!("/mnt{number}"), "source": source, "options": ["rbind"],
            "uidMappings": mappings, "gidMappings": mappings,
        }));
    }
    fs::write(bundle.join("config.json"), config.to_string()).expect("config.json");
    for round in 0..4 {
        let done = Arc::new(AtomicUsize::new(0));
        for number in 0..CONTAINER_COUNT {
            let (bundle, options, done) = (bundle.clone(), host.options(), Arc::clone(&done));
            // Not scoped: a test that fails does not wait for them.
            thread::spawn(move || {
                block_on(async {
                    let id = id(format!("idmapped-{round}-{number}"));
                    let container = Container::create(&bundle, id, options).await.expect("create");
                    container.delete(true).await.expect("delete");
                });
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        while done.load(Ordering::Relaxed) < CONTAINER_COUNT {
            assert!(
                Instant::now() < deadline,
                "round {round}: {} of {CONTAINER_COUNT}",
                done.load(Ordering::Relaxed)
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
    host.has_no_children();
}

#[test]
fn programs_are_executed_waited_for_and_killed() {
    let Some(host) = Host::new("exec") else { return };
    let bundle = host.bundle("sleeper", "exec sleep 1000");
    block_on(async {
        let container = Container::create(&bundle, id("exec"), host.options()).await.expect("create");
        let command = || Command::new(["/bin/sh", "-c", "echo $WORD; exit 7"]);
        container.start().await.expect("start");
        let error = container.start().await.unwrap_err();
        assert_eq!(error.to_string(), "cannot start an already running container");
        assert_eq!(error.kind(), Kind::Running);

        // Nothing of the host's signals comes to a container: not what its threads block, nor what it ignores, as every program in Rust does SIGPIPE.
        let pid = container.process().pid().expect("it lives");
        // The shell has signals of its own while it begins.
        while fs::read_to_string(format!("/proc/{pid}/comm")).expect("comm") != "sleep\n" {
            thread::sleep(Duration::from_millis(1));
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
        for field in ["SigBlk:", "SigIgn:"] {
            assert!(status.contains(&format!("{field}\t0000000000000000\n")), "{status}");
        }

        let (mut output, stdio) = piped();
        let mut with_word = command();
        (with_word.environment, with_word.stdio) =
            (vec![OsString::from_vec(b"WORD=inside\xff".to_vec())], stdio);
        let process = container.exec(with_word).await.expect("exec");
        assert_eq!(process.wait().await.expect("wait"), Some(7));
        // Nobody waits twice, and everybody is told.
        assert_eq!(process.wait().await.expect("wait"), Some(7));
        assert_eq!(process.kill(9).unwrap_err().kind(), Kind::NotRunning);
        let mut text = Vec::new();
        output.read_to_end(&mut text).expect("read");
        assert_eq!(text, b"inside\xff\n");

        // A handle to what is there, whoever has made it.
        let again = Container::open(id("exec"), Some(host.state())).await.expect("open");
        assert_eq!(again.process().pid(), Some(pid));
        assert!(poll_once(again.wait()).await.is_none(), "it has not ended");
        let error = again.delete(false).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Running);
        assert_eq!(
            error.to_string(),
            format!("cannot delete container {} that is not stopped: running", id("exec"))
        );
        for (args, kind) in [
            (["/bin/nothing"].as_slice(), Kind::ProgramNotFound),
            (&["nothing"], Kind::ProgramNotFound),
            (&["/dev/null"], Kind::ProgramNotExecutable),
        ] {
            let error = container.exec(Command::new(args.iter().copied())).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
        }
        let error = container.exec(Command::new(["sh", "a\0b"])).await.unwrap_err().to_string();
        assert_eq!(error, "args[1]: it has a NUL");
        again.kill(Signal::KILL.as_raw()).await.expect("kill");
        assert_eq!(container.wait().await.expect("wait"), Some(137));
        // Its id may be another's from now on, and one that is found now has none.
        let late = Container::open(id("exec"), Some(host.state())).await.expect("open");
        for ended in [&container, &again, &late] {
            assert_eq!(ended.process().pid(), None);
        }
        assert_eq!(container.exec(command()).await.unwrap_err().kind(), Kind::NotRunning);
        container.delete(false).await.expect("delete");
    });
    host.has_no_children();
}

#[test]
fn a_container_is_paused_looked_at_and_limited() {
    let Some(host) = Host::new("limits") else { return };
    let bundle = host.bundle("limits", "exec sleep 1000");
    block_on(async {
        let container = Container::create(&bundle, id("limits"), host.options()).await.expect("create");
        container.start().await.expect("start");
        let pid_file = host.directory.join("pid");
        let mut command = Command::new(["/bin/sleep", "1000"]);
        (command.pid_file, command.capabilities) =
            (Some(pid_file.clone()), vec![String::from("CAP_SYS_TIME")]);
        let process = container.exec(command).await.expect("exec");
        let pid = process.pid().expect("a pid").get();
        assert_eq!(fs::read_to_string(&pid_file).expect("a pid file"), pid.to_string());
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).expect("CapEff");
        assert_ne!(u64::from_str_radix(effective.trim(), 16).expect("a mask") & 1 << 25, 0);

        container.pause().await.expect("pause");
        assert_eq!(container.state().await.expect("state").status, Status::Paused);
        assert_eq!(container.pause().await.unwrap_err().kind(), Kind::Paused);
        let error = container.exec(Command::new(["/bin/true"])).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Paused);
        container.resume().await.expect("resume");
        assert_eq!(container.resume().await.unwrap_err().kind(), Kind::NotPaused);
        let mut processes = container.processes().await.expect("processes");
        processes.sort_unstable();
        assert_eq!(processes, [container.process().pid().expect("a pid").get(), pid]);
        container.update(r#"{"pids": {"limit": 77}}"#).await.expect("update");
        let stats: Value = serde_json::from_str(&container.stats().await.expect("stats")).expect("JSON");
        assert_eq!(stats["data"]["pids"]["limit"], 77, "{stats}");
        container.delete(true).await.expect("delete");
        assert_eq!(container.stats().await.unwrap_err().kind(), Kind::NoSuchContainer);
    });
    host.has_no_children();
}

/// Whatever executor polls for the first time: the reactor's thread takes no signal of the host's.
#[test]
fn who_waits_for_an_opened_container_begins_no_thread_that_takes_signals() {
    const STATE: &str = "PINNACE_EMBED_STATE";
    const NAME: &str = "who_waits_for_an_opened_container_begins_no_thread_that_takes_signals";
    if let Some(state) = std::env::var_os(STATE) {
        return wait_in_a_bare_process(PathBuf::from(state));
    }
    let Some(host) = Host::new("opened") else { return };
    let bundle = host.bundle("opened", "exec sleep 1000");
    block_on(async {
        let container = Container::create(&bundle, "opened", host.options()).await.expect("create");
        // Nothing has been begun in a process of its own.
        let mut bare = std::process::Command::new(std::env::current_exe().expect("our own path"));
        let bare =
            bare.args(["--exact", NAME, "--nocapture"]).env(STATE, host.state()).output().expect("a process");
        container.delete(true).await.expect("delete");
        assert!(bare.status.success(), "{}", String::from_utf8_lossy(&bare.stderr));
    });
}

fn wait_in_a_bare_process(state: PathBuf) {
    // The smallest executor: it polls, and sleeps.
    fn drive<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        loop {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
    let container = drive(Container::open("opened", Some(state))).expect("open");
    drive(async { assert!(poll_once(container.wait()).await.is_none(), "it has not ended") });
    let reactors = || -> Vec<String> {
        let tasks = fs::read_dir("/proc/self/task").expect("task").flatten();
        let statuses = tasks.map(|task| fs::read_to_string(task.path().join("status")).expect("status"));
        statuses.filter(|status| status.starts_with("Name:\tasync-io")).collect()
    };
    // A thread gives itself its name.
    within("the reactor has no thread", || !reactors().is_empty());
    let reactors = reactors();
    assert_eq!(reactors.len(), 1, "{reactors:?}");
    // All but KILL and STOP, which nobody blocks, and what the C library keeps for itself.
    let blocked = reactors[0].lines().find_map(|line| line.strip_prefix("SigBlk:")).expect("SigBlk");
    let blocked = u64::from_str_radix(blocked.trim(), 16).expect("a mask");
    for signal in [Signal::INT, Signal::TERM, Signal::CHILD, Signal::USR1] {
        assert_ne!(blocked & 1 << (signal.as_raw() - 1), 0, "{signal:?} {blocked:x}");
    }
}

#[test]
fn processes_that_nobody_waits_for_keep_no_container() {
    let Some(host) = Host::new("unwaited") else { return };
    let bundle = host.bundle("unwaited", "exec sleep 1000");
    block_on(async {
        let container = Container::create(&bundle, id("unwaited"), host.options()).await.expect("create");
        container.start().await.expect("start");
        // One ends first, one with the container; one handle is kept, one is dropped.
        let ended = container.exec(Command::new(["/bin/sh", "-c", "sleep 0.1; exit 3"])).await.expect("exec");
        let pid = ended.pid().expect("it sleeps").get();
        let _kept = container.exec(Command::new(["/bin/sleep", "1000"])).await.expect("exec");
        drop(container.exec(Command::new(["/bin/sleep", "1000"])).await.expect("exec"));
        within("a zombie is left", || state_of(pid).is_none());
        container.kill(Signal::KILL.as_raw()).await.expect("kill");
        assert_eq!(container.wait().await.expect("wait"), Some(137));
        container.delete(false).await.expect("delete");
        assert_eq!(ended.wait().await.expect("wait"), Some(3), "the reaper keeps the code");

        let container = Container::create(&bundle, id("unwaited"), host.options()).await.expect("create");
        container.start().await.expect("start");
        let _kept = container.exec(Command::new(["/bin/sleep", "1000"])).await.expect("exec");
        let begin = Instant::now();
        container.delete(true).await.expect("delete");
        assert!(begin.elapsed() < Duration::from_secs(5));
    });
    host.has_no_children();
}

#[test]
fn a_handle_never_means_another_container() {
    let Some(host) = Host::new("stale") else { return };
    let bundle = host.bundle("stale", "exec sleep 1000");
    block_on(async {
        let create = || Container::create(&bundle, id("stale"), host.options());
        let stale = create().await.expect("create");
        stale.delete(false).await.expect("delete");
        let error = stale.delete(true).await.unwrap_err();
        assert_eq!(error.kind(), Kind::NoSuchContainer, "{error}");

        let container = create().await.expect("create");
        assert_eq!(create().await.unwrap_err().kind(), Kind::AlreadyExists);
        let errors = [
            stale.state().await.map(drop),
            stale.start().await,
            stale.exec(Command::new(["/bin/sh"])).await.map(drop),
            stale.kill(Signal::KILL.as_raw()).await,
            stale.delete(false).await,
            stale.delete(true).await,
        ];
        for (operation, result) in errors.into_iter().enumerate() {
            assert_eq!(result.unwrap_err().kind(), Kind::NoSuchContainer, "{operation}");
        }
        assert_eq!(container.state().await.expect("state").status, Status::Created);
        container.delete(true).await.expect("delete");
    });
    host.has_no_children();
}

/// The letter that /proc/PID/stat has for a process, if that is there.
fn state_of(pid: i32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 1..].trim_start().chars().next()
}

#[test]
fn an_error_names_its_place_and_leaves_nothing() {
    let Some(host) = Host::new("errors") else { return };
    let bundle = host.bundle("wrong", "exit 0");
    let text = fs::read_to_string(bundle.join("config.json")).expect("config.json");
    fs::write(bundle.join("config.json"), text.replace("CAP_KILL", "CAP_KILT")).expect("config.json");
    let mut options = host.options();
    options.config = Some(PathBuf::from("missing.json"));
    let error = block_on(Container::create(&bundle, id("wrong"), options)).unwrap_err();
    assert!(error.to_string().contains("missing.json"));
    assert_eq!(error.kind(), Kind::InvalidConfig);
    let bundle = host.bundle("wrong", "exit 0");
    let text = fs::read_to_string(bundle.join("config.json")).expect("config.json");
    fs::write(bundle.join("config.json"), text.replace("/bin/sh", "/bin/nothing")).expect("config.json");
    let error = block_on(Container::create(&bundle, id("wrong"), host.options())).unwrap_err();
    assert!(error.to_string().contains("/bin/nothing"));
    assert_eq!(error.kind(), Kind::ProgramNotFound);
    fs::write(bundle.join("config.json"), text.replace("\"ociVersion\":\"", "\"ociVersion\":\"x"))
        .expect("config.json");
    let error = block_on(Container::create(&bundle, id("wrong"), host.options())).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidConfig, "{error}");
    let hooks = r#""hooks":{"createRuntime":[{"path":"/bin/false"}]},"ociVersion":""#;
    fs::write(bundle.join("config.json"), text.replace("\"ociVersion\":\"", hooks)).expect("config.json");
    let error = block_on(Container::create(&bundle, id("wrong"), host.options())).unwrap_err();
    assert_eq!(error.kind(), Kind::HookFailed, "{error}");
    assert_eq!(host.ids(), Vec::<String>::new());
    host.has_no_children();
}

#[test]
fn a_creation_that_nobody_waits_for_leaves_nothing() {
    let Some(host) = Host::new("dropped") else { return };
    let bundle = host.bundle("dropped", "exec sleep 1000");
    live(&host, 100);
    let before = descriptor_count();
    for round in 0..8u64 {
        block_on(async {
            let mut creation = Box::pin(Container::create(&bundle, id(round), host.options()));
            assert!(poll_once(&mut creation).await.is_none());
            // Early, in the middle, and when it is done.
            thread::sleep(Duration::from_millis(3 * round));
        });
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while !(host.ids().is_empty() && thread_count_of_ours() == 0) {
        assert!(Instant::now() < deadline, "{:?}", host.ids());
        thread::sleep(Duration::from_millis(1));
    }
    host.has_no_children();
    has_descriptors(before);
}

#[test]
fn the_example_runs_also_where_nobody_learns_how_children_end() {
    let Some(host) = Host::new("example") else { return };
    let bundle = host.bundle("example", "sleep 1; exit 5");
    let program = std::env::current_exe().expect("our own path");
    let program = program.parent().and_then(Path::parent).expect("a target directory").join("examples/embed");
    for (script, code) in
        [("exec \"$0\" \"$1\"", 5), ("trap '' CHLD; exec \"$0\" \"$1\"", code_of_a_lost_child())]
    {
        let mut shell = std::process::Command::new("/bin/sh");
        let output = shell.args(["-c", script]).args([&program, &bundle]).output().expect("a shell");
        let (said, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((output.status.code(), errors.as_ref()), (Some(code), ""), "{said}");
        assert!(said.contains("hello from inside\nthe second program ended with "), "{said}");
    }
}

/// 5 where the kernel keeps it (Linux 6.15), or what the example makes of `None`.
fn code_of_a_lost_child() -> i32 {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers =
        release.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (6, 15) { 5 } else { 255 }
}

/// Threads of the library's operations.
fn thread_count_of_ours() -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("task").flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "pinnace").count()
}

/// Where a program's output can be read, and its descriptors.
fn piped() -> (File, Stdio) {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
    let null = OwnedFd::from(File::open("/dev/null").expect("/dev/null"));
    let errors = writer.as_fd().try_clone_to_owned().expect("a copy");
    (File::from(reader), Stdio::Files([null, writer, errors]))
}
