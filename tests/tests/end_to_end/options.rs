//! Each option of runc 1.5 and crun 1.27, in each form that their callers write.

use std::fs;
use std::process::Command;

use pinnace_tests::{
    Bundle, Container, is_pinnace, json, program, run_within_limit, tests_pinnace, unique_id,
};

/// `NAME` is a switch, `NAME=` takes a value. runc's first, then those that crun adds, then pinnace's own.
const OPTIONS: &[(&str, &str)] = &[
    ("", "debug log= log-format= root= systemd-cgroup rootless= help version"),
    ("", "cgroup-manager= log-level= usage"),
    ("create", "bundle= b= console-socket= pidfd-socket= pid-file= no-pivot no-new-keyring preserve-fds="),
    ("create", "config= f= no-subreaper"),
    ("run", "bundle= b= console-socket= pidfd-socket= detach d keep pid-file= no-subreaper no-pivot"),
    ("run", "no-new-keyring preserve-fds= config= f="),
    ("start", ""),
    ("state", ""),
    ("pause", ""),
    ("resume", ""),
    ("kill", "all a regex r"),
    ("delete", "force f regex r"),
    ("mounts", ""),
    ("exec", "console-socket= pidfd-socket= cwd= env= e= tty t user= u= additional-gids= g= process= p="),
    ("exec", "detach d pid-file= process-label= apparmor= no-new-privs cap= c= preserve-fds= cgroup="),
    ("exec", "ignore-paused"),
    ("list", "format= f= quiet q"),
    ("ps", "format= f="),
    ("events", "interval= stats"),
    ("update", "resources= r= blkio-weight= cpu-period= cpu-quota= cpu-burst= cpu-share= cpu-rt-period="),
    (
        "update",
        "cpu-rt-runtime= cpuset-cpus= cpuset-mems= memory= cpu-idle= memory-reservation= memory-swap=",
    ),
    ("update", "pids-limit= l3-cache-schema= mem-bw-schema= kernel-memory= kernel-memory-tcp="),
    ("spec", "bundle= b= rootless file= f="),
    ("features", ""),
];

fn call(arguments: &[&str]) -> pinnace_tests::Outcome {
    let mut command = Command::new(program());
    command.args(arguments);
    run_within_limit(command)
}

/// Help comes last, so nothing is done: all before it has been understood, or the error would come instead.
#[test]
fn every_option_of_the_peers_is_known_in_every_form() {
    if !tests_pinnace() {
        return;
    }
    for (command, options) in OPTIONS {
        let command: &[&str] = if command.is_empty() { &[] } else { &[command] };
        for option in options.split(' ').filter(|option| !option.is_empty()) {
            let forms: Vec<Vec<String>> = match option.strip_suffix('=') {
                Some(name) => ["-", "--"]
                    .iter()
                    .flat_map(|dashes| {
                        let option = format!("{dashes}{name}");
                        [vec![format!("{option}=1")], vec![option, String::from("1")]]
                    })
                    .collect(),
                None => ["-", "--"]
                    .iter()
                    .flat_map(|dashes| {
                        ["=false", "=0", "=F", "=true", ""].map(|value| format!("{dashes}{option}{value}"))
                    })
                    .map(|word| vec![word])
                    .collect(),
            };
            for form in forms {
                let form: Vec<&str> = form.iter().map(String::as_str).collect();
                let outcome = call(&[command, &form, &["--help"]].concat());
                assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{command:?} {form:?}");
            }
        }
    }
}

#[test]
fn unknown_options_are_named_and_nothing_is_made() {
    let container = Bundle::new().container();
    for (arguments, message) in [
        (&["create", "-bogus", "x"][..], "flag provided but not defined: -bogus"),
        (&["create", "--bogus", "x"], "flag provided but not defined: -bogus"),
        (&["list", "-fjson"], "flag provided but not defined: -fjson"),
        (&["run", "--bundle"], "flag needs an argument: -bundle"),
        (&["run", "--keep=perhaps", "x"], "invalid boolean value \"perhaps\" for -keep: parse error"),
    ] {
        let outcome = container.call(arguments);
        outcome.exited(1);
        assert_eq!(outcome.message(), message);
    }
    assert!(!container.state_root().exists());
}

/// A container that runs, without the right to gain privileges.
fn running() -> Container {
    let container = Bundle::new().args(&["/bin/sleep", "1000"]).container();
    container.run_detached().succeeded();
    container
}

#[test]
fn what_is_switched_off_is_off() {
    let container = running();
    let id = container.id.as_str();
    let call = |arguments: &[&str]| container.call(arguments);
    let outcome = call(&["delete", "--force", "--force=false", id]);
    outcome.failed_with(&["that is not stopped"]);
    assert!(call(&["list", "-quiet", "-quiet=false"]).succeeded().starts_with("ID "));
    assert_eq!(call(&["list", "--q=t"]).succeeded(), id);
    assert_eq!(
        call(&["exec", "--detach=false", "--tty=false", id, "sh", "-c", "tty; exit 5"]).exited(5),
        "not a tty"
    );
    assert!(call(&["events", "--stats=true", id]).succeeded().starts_with("{\"type\":\"stats\""));
    call(&["kill", "--all=false", id, "0"]).succeeded();

    let privileges = |option: &[&str]| {
        let command = [&["exec"], option, &[id, "grep", "NoNewPrivs", "/proc/self/status"]].concat();
        call(&command).succeeded().to_owned()
    };
    assert_eq!(privileges(&[]), "NoNewPrivs:\t1", "as the container's own");
    assert_eq!(privileges(&["--no-new-privs=false"]), "NoNewPrivs:\t0");
    assert_eq!(privileges(&["-no-new-privs=0", "-no-new-privs"]), "NoNewPrivs:\t1");

    call(&["pause", id]).succeeded();
    let outcome = call(&["exec", "--ignore-paused=false", id, "true"]);
    outcome.exited(255);
    assert!(outcome.message().contains("paused container"), "{}", outcome.describe());
    call(&["resume", id]).succeeded();
    call(&["delete", "--force=T", id]).succeeded();
}

#[test]
fn a_run_that_is_not_to_detach_or_keep_waits_and_removes() {
    let container = Bundle::new().shell("exit 7").container();
    let bundle = container.bundle.path();
    let bundle = bundle.to_str().expect("UTF-8");
    let run = |options: &[&str]| {
        container.call(&[&["run", "-bundle", bundle], options, &[container.id.as_str()]].concat()).code
    };
    assert_eq!(run(&["-detach=false", "--keep=false", "--no-pivot=0", "-no-subreaper=false"]), 7);
    container.call(&["state", &container.id]).failed_with(&["does not exist"]);
    assert_eq!(run(&["--keep=1", "--keep", "-no-new-keyring=f"]), 7);
    assert_eq!(container.status(), "stopped");
}

#[test]
fn spec_writes_what_is_asked_for() {
    let container = Bundle::new().container();
    let directory = container.bundle.scratch().join("spec");
    fs::create_dir(&directory).expect("mkdir");
    let path = directory.to_str().expect("UTF-8");
    container.call(&["spec", "--rootless=false", "-b", path]).succeeded();
    let read = |name: &str| -> pinnace_tests::Value {
        serde_json::from_str(&fs::read_to_string(directory.join(name)).expect("the file")).expect("JSON")
    };
    let has_user_namespace = |name: &str| {
        let namespaces = read(name)["linux"]["namespaces"].clone();
        namespaces.as_array().expect("a list").contains(&json!({"type": "user"}))
    };
    assert!(!has_user_namespace("config.json"));
    if is_pinnace() {
        container.call(&["spec", "--rootless=true", "-b", path, "-f", "other.json"]).succeeded();
        assert!(has_user_namespace("other.json"));
        let outcome = container.call(&["spec", "-b", path, "--file", "other.json"]);
        outcome.failed_with(&["File other.json exists. Remove it first"]);
    }
}

#[test]
fn log_level_says_what_is_written() {
    if !tests_pinnace() {
        return;
    }
    let warned = Bundle::new().set("/process/capabilities", json!({"bounding": ["CAP_NO_SUCH"]}));
    let container = warned.container();
    let log = container.bundle.scratch().join("log");
    let run = |options: &[&str]| {
        let _ = fs::remove_file(&log);
        let mut command = Command::new(program());
        command.arg("--root").arg(container.state_root()).arg("--log").arg(&log).args(options);
        command.arg("run").arg("--bundle").arg(container.bundle.path()).arg(&container.id);
        run_within_limit(command).succeeded();
        fs::read_to_string(&log).expect("the log")
    };
    let has = |text: &str| (text.contains("level=debug"), text.contains("level=warning"));
    assert_eq!(has(&run(&[])), (false, true));
    assert_eq!(has(&run(&["--log-level", "error"])), (false, false));
    assert_eq!(has(&run(&["--log-level=warning", "--debug=false"])), (false, true));
    assert_eq!(has(&run(&["--log-level=debug"])), (true, true));
    container.call(&["--log-level", "loud", "list"]).failed_with(&["invalid log-level: loud"]);
    container
        .call(&["--rootless", "perhaps", "create", "x"])
        .failed_with(&["invalid rootless value: perhaps"]);
}

/// In a mount namespace of its own, in which the cgroups cannot be written.
#[test]
fn rootless_says_whether_cgroups_are_needed() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let run = |choice: &str| {
        let script = "for directory in $(awk '$9 == \"-\" && $10 ~ /^cgroup/ { print $5 } \
                      $8 == \"-\" && $9 ~ /^cgroup/ { print $5 } $7 == \"-\" && $8 ~ /^cgroup/ { print $5 }' \
                      /proc/self/mountinfo); do mount -o remount,bind,ro \"$directory\" || exit 9; done; exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]).arg(program());
        command.args([
            "--root",
            container.state_root().to_str().expect("UTF-8"),
            "--rootless",
            choice,
            "run",
            "-b",
        ]);
        command.arg(container.bundle.path()).arg(unique_id());
        run_within_limit(command)
    };
    run("true").succeeded();
    for choice in ["false", "auto"] {
        run(choice).failed_with(&["read-only file system"]);
    }
}

/// In a mount namespace of its own, in which the daemons' sockets are the test's.
#[test]
fn log_may_be_a_daemon_of_the_host() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let scratch = container.bundle.scratch().to_owned();
    let script = "mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && touch /dev/log && \
                  mount --bind \"$0/syslog\" /dev/log && mount -t tmpfs none /run && \
                  mkdir -p /run/systemd/journal && touch /run/systemd/journal/socket && \
                  mount --bind \"$0/journal\" /run/systemd/journal/socket && exec \"$@\"";
    let call = |log: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c", script])
            .arg(&scratch)
            .arg(program());
        command.args(["--log", log, "state", "nobody"]);
        run_within_limit(command)
    };
    let listen = |name: &str| {
        let socket = std::os::unix::net::UnixDatagram::bind(scratch.join(name)).expect("bind");
        socket.set_nonblocking(true).expect("fcntl");
        socket
    };
    let (syslog, journal) = (listen("syslog"), listen("journal"));
    let heard = |socket: &std::os::unix::net::UnixDatagram| {
        let mut bytes = [0; 512];
        let count = socket.recv(&mut bytes).expect("a record");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    let message = "container does not exist";
    assert_eq!(call("syslog:web").exited(1), "");
    assert_eq!(heard(&syslog), format!("<11>web: {message}"));
    assert_eq!(call("journald:web").stderr.trim(), message, "standard error has the bare message");
    let record = heard(&journal);
    assert!(record.starts_with("PRIORITY=3\nSYSLOG_IDENTIFIER=web\nMESSAGE\n"), "{record}");
    assert!(record.ends_with(&format!("{message}\n")), "{record}");
    let file = scratch.join("log");
    call(&format!("file:{}", file.display())).exited(1);
    assert!(fs::read_to_string(&file).expect("the log").contains(message));
    drop((syslog, journal));
    // Nobody listens any more.
    assert!(call("syslog:web").stderr.contains("connect /dev/log: connection refused"));
}
