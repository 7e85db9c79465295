//! Who the program is: user, groups, capabilities, limits, environment, working directory.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use pinnace_tests::{
    Bundle, Outcome, find_program, is_pinnace, json, program, run_within_limit, skip, tests_pinnace,
};

fn status() -> Bundle {
    Bundle::new().args(&["/bin/cat", "/proc/self/status"])
}

/// The value after `name:` in /proc/self/status.
#[track_caller]
fn field(outcome: &Outcome, name: &str) -> String {
    let line = outcome
        .succeeded()
        .lines()
        .find(|line| line.split(':').next() == Some(name))
        .expect("a field of status");
    line[name.len() + 1..].split_whitespace().collect::<Vec<_>>().join(" ")
}

const DEFAULT_CAPABILITIES: &str = "0000000020000420";
const NO_CAPABILITIES: &str = "0000000000000000";

#[test]
fn user_group_and_additional_groups_are_set() {
    let outcome = status()
        .set("/process/user", json!({"uid": 1000, "gid": 1001, "additionalGids": [5, 77, 5000000]}))
        .run();
    assert_eq!(field(&outcome, "Uid"), "1000 1000 1000 1000");
    assert_eq!(field(&outcome, "Gid"), "1001 1001 1001 1001");
    assert_eq!(field(&outcome, "Groups"), "5 77 5000000");
}

#[test]
fn groups_of_the_caller_do_not_come_along() {
    let outcome = status().run();
    assert_eq!(field(&outcome, "Groups"), "");
}

/// crun's annotation, which Podman's `--group-add keep-groups` writes; an exec keeps them as well.
#[test]
fn groups_of_the_caller_come_along_where_that_is_asked_for() {
    let bundle = Bundle::new()
        .set("/annotations", json!({"run.oci.keep_original_groups": "1"}))
        .set("/process/user", json!({"uid": 0, "gid": 0, "additionalGids": [5]}))
        .args(&["sleep", "1000"]);
    let container = bundle.container();
    let with_groups = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--groups", "77,78"]).arg(program()).arg("--root").arg(container.state_root());
        command.args(arguments).current_dir(container.bundle.path());
        run_within_limit(command)
    };
    let id = container.bundle.id();
    with_groups(&["run", "--detach", id]).succeeded();
    let status = fs::read_to_string(format!("/proc/{}/status", container.pid())).expect("procfs");
    assert!(status.lines().any(|line| line.trim_end() == "Groups:\t77 78"), "{status}");
    let inside = with_groups(&["exec", id, "grep", "Groups", "/proc/self/status"]);
    assert_eq!(inside.succeeded().trim_end(), "Groups:\t77 78");
}

#[test]
fn umask_is_that_of_the_config_or_022() {
    let outcome = Bundle::new().shell("umask").run();
    assert_eq!(outcome.succeeded(), "0022");
    let outcome = Bundle::new().set("/process/user/umask", json!(0o077)).shell("umask").run();
    assert_eq!(outcome.succeeded(), "0077");
}

#[test]
fn capabilities_of_root_are_those_of_the_config() {
    let outcome = status().run();
    for name in ["CapBnd", "CapEff", "CapPrm"] {
        assert_eq!(field(&outcome, name), DEFAULT_CAPABILITIES, "{name}");
    }
    for name in ["CapInh", "CapAmb"] {
        assert_eq!(field(&outcome, name), NO_CAPABILITIES, "{name}");
    }
}

#[test]
fn capabilities_of_another_user_need_the_ambient_set() {
    let without = status().set("/process/user", json!({"uid": 1000, "gid": 1000})).run();
    assert_eq!(field(&without, "CapEff"), NO_CAPABILITIES);
    assert_eq!(field(&without, "CapBnd"), DEFAULT_CAPABILITIES);

    let names = json!(["CAP_NET_BIND_SERVICE"]);
    let sets = json!({"bounding": names, "effective": names, "permitted": names, "inheritable": names, "ambient": names});
    let with = status()
        .set("/process/user", json!({"uid": 1000, "gid": 1000}))
        .set("/process/capabilities", sets)
        .run();
    for name in ["CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(field(&with, name), "0000000000000400", "{name}");
    }
}

#[test]
fn empty_capabilities_are_none_and_absent_ones_are_all() {
    let none = status().set("/process/capabilities", json!({})).run();
    assert_eq!(field(&none, "CapBnd"), NO_CAPABILITIES);
    assert_eq!(field(&none, "CapEff"), NO_CAPABILITIES);
    let all = status()
        .edit(|config| {
            config["process"].as_object_mut().expect("process").remove("capabilities");
        })
        .run();
    let own = fs::read_to_string("/proc/self/status").expect("read");
    let bounding = own.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).expect("CapBnd").to_owned();
    assert_eq!(field(&all, "CapBnd"), bounding);
    assert_eq!(field(&all, "CapEff"), bounding);
}

#[test]
fn unknown_capability_is_a_warning() {
    let outcome = status().all_capabilities(&["CAP_KILL", "CAP_FOO"]).run();
    assert_eq!(field(&outcome, "CapBnd"), "0000000000000020");
    assert!(
        outcome.stderr.contains("ignoring unknown or unavailable capabilities: [CAP_FOO]"),
        "{}",
        outcome.describe()
    );
    assert!(outcome.stderr.contains("level=warn"), "{}", outcome.describe());
}

/// runc and crun fail; the runtime-spec says that a runtime SHOULD NOT.
#[test]
fn capability_that_the_runtime_lacks_is_a_warning() {
    let Some(setpriv) = find_program("setpriv") else {
        return skip("util-linux is not installed");
    };
    let container = status().all_capabilities(&["CAP_KILL", "CAP_NET_RAW"]).container();
    let run = container.create_command("run", &[]);
    let mut command = Command::new(setpriv);
    command.args(["--bounding-set", "-net_raw"]).arg(run.get_program()).args(run.get_args());
    let outcome = run_within_limit(command);
    for name in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(field(&outcome, name), "0000000000000020", "{name}");
    }
    assert!(outcome.stderr.contains("level=warn"), "{}", outcome.describe());
    assert!(outcome.stderr.contains("ignoring unavailable capabilities"), "{}", outcome.describe());
}

#[test]
fn capability_works_and_its_lack_shows() {
    let script = "chown 5:5 /tmp/x 2>&1; stat -c %u /tmp/x";
    let bundle =
        || Bundle::new().mount("/tmp", "tmpfs", "tmpfs", &[]).shell(&format!("touch /tmp/x; {script}"));
    assert!(bundle().run().succeeded().ends_with('0'));
    assert!(bundle().all_capabilities(&["CAP_CHOWN"]).run().succeeded().ends_with('5'));
}

#[test]
fn no_new_privileges_is_as_configured() {
    assert_eq!(field(&status().run(), "NoNewPrivs"), "1");
    assert_eq!(field(&status().set("/process/noNewPrivileges", json!(false)).run(), "NoNewPrivs"), "0");
}

#[test]
fn limits_are_set() {
    let limits = json!([
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_STACK", "soft": 8388608, "hard": 18446744073709551615u64},
    ]);
    let outcome =
        Bundle::new().set("/process/rlimits", limits).args(&["/bin/cat", "/proc/self/limits"]).run();
    let line = |name: &str| {
        let line = outcome.succeeded().lines().find(|line| line.starts_with(name)).expect("a limit");
        line[name.len()..].split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(line("Max open files"), ["100", "200"]);
    assert_eq!(line("Max core file size"), ["0", "0"]);
    assert_eq!(line("Max stack size"), ["8388608", "unlimited"]);
}

#[test]
fn unknown_limit_is_an_error() {
    let limits = json!([{"type": "RLIMIT_FOO", "soft": 1, "hard": 1}]);
    Bundle::new().set("/process/rlimits", limits).run().failed_with(&["wrong rlimit value: RLIMIT_FOO"]);
}

#[test]
fn limit_given_twice_is_an_error() {
    // A MUST of the spec that runc does not keep.
    if !tests_pinnace() {
        return;
    }
    let limit = json!({"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024});
    Bundle::new()
        .set("/process/rlimits", json!([limit, limit]))
        .run()
        .failed_with(&["rlimits", "RLIMIT_NOFILE"]);
}

#[test]
fn oom_score_adjustment_is_set_or_left_alone() {
    let show = || Bundle::new().args(&["/bin/cat", "/proc/self/oom_score_adj"]);
    assert_eq!(show().set("/process/oomScoreAdj", json!(321)).run().succeeded(), "321");
    let own = fs::read_to_string("/proc/self/oom_score_adj").expect("read");
    assert_eq!(show().run().succeeded(), own.trim());
    assert_eq!(show().set("/process/oomScoreAdj", json!(5000)).run().code, 1);
}

#[test]
fn environment_is_that_of_the_config_and_home() {
    let outcome = Bundle::new()
        .set("/process/env", json!(["PATH=/bin", "A=1", "B=two words", "A=3"]))
        .args(&["/bin/env"])
        .run();
    let mut lines: Vec<_> = outcome.succeeded().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["A=3", "B=two words", "HOME=/root", "PATH=/bin"]);
}

#[test]
fn home_comes_from_the_containers_passwd() {
    let home = |uid: u32| {
        let user = json!({"uid": uid, "gid": 0});
        Bundle::new().set("/process/user", user).shell("echo $HOME").run().succeeded().to_owned()
    };
    assert_eq!(home(0), "/root");
    assert_eq!(home(1000), "/home/user");
    assert_eq!(home(4321), "/");
    let given =
        Bundle::new().set("/process/env", json!(["HOME=/given", "PATH=/bin"])).shell("echo $HOME").run();
    assert_eq!(given.succeeded(), "/given");
}

#[test]
fn environment_entry_without_an_equals_sign_is_an_error() {
    let outcome = Bundle::new().set("/process/env", json!(["PATH=/bin", "LONELY"])).run();
    assert_eq!(outcome.code, 1, "{}", outcome.describe());
}

#[test]
fn program_is_found_in_the_containers_path() {
    let outcome = Bundle::new()
        .file("/opt/tool", "#!/bin/sh\necho found\n", 0o755)
        .set("/process/env", json!(["PATH=/nowhere:/opt"]))
        .args(&["tool"])
        .run();
    assert_eq!(outcome.succeeded(), "found");
}

#[test]
fn working_directory_is_set_and_made_when_missing() {
    let container = Bundle::new().set("/process/cwd", json!("/made/for/it")).args(&["/bin/pwd"]).container();
    assert_eq!(container.run().succeeded(), "/made/for/it");
    let made = fs::metadata(container.bundle.rootfs().join("made/for/it")).expect("the directory stays");
    assert_eq!(made.permissions().mode() & 0o777, 0o755);
    assert_eq!(made.uid(), 0);
    let outcome = Bundle::new().set("/process/cwd", json!("/bin")).args(&["./pwd"]).run();
    assert_eq!(outcome.succeeded(), "/bin");
}

#[test]
fn working_directory_that_is_not_absolute_is_an_error() {
    for cwd in ["", "bin"] {
        let outcome = Bundle::new().set("/process/cwd", json!(cwd)).run();
        outcome.failed_with(&["Cwd"]);
    }
}

#[test]
fn working_directory_that_is_a_file_is_an_error_that_names_it() {
    Bundle::new()
        .set("/process/cwd", json!("/etc/passwd"))
        .run()
        .failed_with(&["/etc/passwd", "not a directory"]);
}

/// CVE-2024-21626: a descriptor of the runtime as working directory led out of the root.
#[test]
fn working_directory_by_a_descriptor_does_not_lead_out() {
    for number in 3..12 {
        let outcome = Bundle::new()
            .set("/process/cwd", json!(format!("/proc/self/fd/{number}")))
            .args(&["/bin/pwd"])
            .run();
        assert_eq!(outcome.code, 1, "{}", outcome.describe());
    }
}

#[test]
fn standard_files_are_those_of_the_caller() {
    let outcome = Bundle::new().shell("echo out; echo err >&2").run();
    assert_eq!(outcome.succeeded(), "out");
    assert_eq!(outcome.stderr, "err\n");
}

/// A file that another user has made, and nobody else may open, can be opened by its name in /dev: as who owns it. A foreground command may append to
/// a file that is not the container's at all.
#[test]
fn standard_files_that_are_written_become_the_users_of_a_detached_program() {
    let script = "echo one >>/dev/stdout; echo two >>/dev/stderr; cat /dev/stdin";
    let run = |user: u32, options: &[&str], script: &str| {
        let user = json!({"uid": user, "gid": user});
        let container = Bundle::new().shell(script).set("/process/user", user).container();
        let file = |name: &str| container.bundle.scratch().join(name);
        let [input, output, errors] = ["input", "output", "errors"].map(file);
        fs::write(&input, "three").expect("write");
        fs::set_permissions(&input, fs::Permissions::from_mode(0o644)).expect("chmod");
        let create = |path| {
            let made = fs::OpenOptions::new().append(true).create_new(true).open(path).expect("create");
            made.set_permissions(fs::Permissions::from_mode(0o600)).expect("chmod");
            made
        };
        let mut command = container.create_command("run", options);
        command.stdin(fs::File::open(&input).expect("open")).stdout(create(&output)).stderr(create(&errors));
        assert!(command.status().expect("run").success());
        if options == ["--detach"] {
            container.wait_stopped();
        }
        let read = |path| fs::read_to_string(path).expect("read");
        assert_eq!((read(&output).as_str(), read(&errors).as_str()), ("one\nthree", "two\n"));
        [input, output, errors].map(|path| fs::metadata(path).expect("stat").uid())
    };
    if is_pinnace() {
        // As its owner the program could write what it was only to read.
        assert_eq!(run(1000, &["--detach"], script), [0, 1000, 1000]);
        assert_eq!(run(1000, &[], "echo one; echo two >&2; cat"), [0; 3]);
    }
    assert_eq!(run(0, &[], script), [0; 3]);
}

/// A program that has the host's /dev/null could give it another mode or owner, for everybody. (Here it is a device of the test's own.)
#[test]
fn a_standard_stream_that_is_the_hosts_null_becomes_the_containers() {
    let change = "chmod 600 /proc/self/fd/0; chown 5:5 /proc/self/fd/0; true";
    let capable = |script| Bundle::new().shell(script).all_capabilities(&["CAP_CHOWN", "CAP_FOWNER"]);
    let container = capable(change).container();
    let null = container.bundle.scratch().join("null");
    let made = Command::new("mknod").args(["-m", "666"]).arg(&null).args(["c", "1", "3"]).status();
    if !made.expect("run mknod").success() {
        return skip("no device can be made here");
    }
    let check = |mut command: Command| {
        assert!(command.stdin(fs::File::open(&null).expect("open")).status().expect("run").success());
        let status = fs::metadata(&null).expect("stat");
        assert_eq!((status.mode() & 0o777, status.uid()), (0o666, 0), "{command:?}");
    };
    if is_pinnace() {
        // runc has pipes between.
        check(container.create_command("run", &[]));
    }
    let container = capable("sleep 1000").container();
    container.run_detached().succeeded();
    if is_pinnace() {
        check(container.command(&["exec", &container.id, "sh", "-c", change]));
    }
}

#[test]
fn program_leads_its_session() {
    let outcome = Bundle::new().shell("cut -d' ' -f6 /proc/self/stat").run();
    assert_eq!(outcome.succeeded(), "1");
}

#[test]
fn no_signal_is_blocked_or_ignored() {
    let outcome = status().run();
    assert_eq!(field(&outcome, "SigBlk"), "0000000000000000");
    // What runc is written in keeps signal 32 for itself, and passes that on.
    let ignored = u64::from_str_radix(&field(&outcome, "SigIgn"), 16).expect("a mask");
    assert_eq!(ignored & !(1 << 31), 0);
}

#[test]
fn many_arguments_and_a_large_environment_arrive() {
    let large = "x".repeat(100_000);
    let mut args =
        vec!["/bin/sh".to_owned(), "-c".to_owned(), "echo $# ${#LARGE}".to_owned(), "sh".to_owned()];
    args.extend((0..3000).map(|number| format!("argument-{number}")));
    let outcome = Bundle::new()
        .set("/process/args", json!(args))
        .set("/process/env", json!(["PATH=/bin", format!("LARGE={large}")]))
        .run();
    assert_eq!(outcome.succeeded(), "3000 100000");
}

#[test]
fn limit_of_open_files_that_is_very_low_holds_for_the_program() {
    for (soft, hard) in [(0, 0), (3, 3), (3, 1024), (10, 20)] {
        let bundle = Bundle::new()
            .set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": soft, "hard": hard}]))
            .shell("ulimit -Sn; ulimit -Hn; sleep 100");
        let container = bundle.container();
        let created = container.create();
        created.succeeded();
        assert_eq!(container.status(), "created");
        container.start().succeeded();
        pinnace_tests::wait_until("the program tells its limits", || {
            created.stdout_now().split_whitespace().count() == 2
        });
        let told: Vec<String> = created.stdout_now().split_whitespace().map(String::from).collect();
        assert_eq!(told, [soft.to_string(), hard.to_string()]);
    }
}
