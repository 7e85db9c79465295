//! What is said when something is wrong: runc's texts and exit codes, since callers compare them, and pinnace's own.

use std::fs;
use std::process::Command;

use pinnace_tests::{Bundle, Value, is_pinnace, json, program, run_within_limit, tests_pinnace};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// What stands before the reason: the name of the program and the command.
fn prefix(verb: &str) -> String {
    format!("{} {verb} failed: ", if is_pinnace() { "pinnace" } else { "runc" })
}

/// `create` and `run` of the bundle fail with the prefix and then each of `parts`.
#[track_caller]
fn refused(bundle: Bundle, parts: &[&str]) {
    let container = bundle.container();
    for (verb, outcome) in [("create", container.create()), ("run", container.run())] {
        outcome.failed_with(parts);
        let message = outcome.message();
        assert!(message.starts_with(&prefix(verb)), "{}", outcome.describe());
        assert_eq!(outcome.stderr.lines().count(), 1, "one line\n{}", outcome.describe());
    }
}

fn without(key: &str) -> Bundle {
    Bundle::new().edit(|config| {
        config.as_object_mut().expect("an object").remove(key);
    })
}

#[test]
fn unknown_command_exits_with_3_and_wrong_usage_with_1() {
    let call = |args: &[&str]| {
        let mut command = Command::new(program());
        command.args(args);
        run_within_limit(command)
    };
    call(&["bogus"]).exited(3);
    call(&["state"]).exited(1);
    call(&["state", "a", "b"]).exited(1);
    call(&["create", "--no-such-option", "x"]).exited(1);
    call(&["--log-format", "xml", "list"]).exited(1);
    call(&["--help"]).exited(0);
    call(&["--version"]).exited(0);
    call(&[]).exited(0);
    let outcome = call(&["state"]);
    assert!(outcome.message().contains("\"state\" requires exactly 1 argument(s)"), "{}", outcome.describe());
    call(&["kill"]).failed_with(&["\"kill\" requires a minimum of 1 argument(s)"]);
    call(&["kill", "a", "TERM", "b"]).failed_with(&["\"kill\" requires a maximum of 2 argument(s)"]);
    let outcome = call(&["bogus"]);
    assert!(outcome.message().contains("No help topic for 'bogus'"), "{}", outcome.describe());
}

#[test]
fn unknown_id_is_the_same_error_everywhere() {
    let container = Bundle::new().container();
    for verb in ["state", "start", "delete", "kill"] {
        let outcome = container.call(&[verb, "nobody"]);
        outcome.failed_with(&["container does not exist"]);
        assert_eq!(outcome.message(), "container does not exist");
    }
}

#[test]
fn missing_bundle_and_missing_config_are_named() {
    let container = Bundle::new().container();
    let outcome = container.call(&["create", "--bundle", "/nonexist", &container.id]);
    outcome.failed_with(&[&format!("{}chdir /nonexist: no such file or directory", prefix("create"))]);
    fs::remove_file(container.bundle.path().join("config.json")).expect("remove");
    container.create().failed_with(&["config.json"]);
}

#[test]
fn missing_parts_of_the_config_have_runcs_texts() {
    refused(without("root"), &["root must be specified"]);
    let container = without("process").container();
    container.run().failed_with(&["process property must not be empty"]);
    refused(Bundle::new().args(&[]), &["args must not be empty"]);
}

#[test]
fn config_that_is_not_json_is_refused() {
    let container = Bundle::new().container();
    fs::write(container.bundle.path().join("config.json"), "{\"ociVersion\": ").expect("write");
    assert_eq!(container.create().code, 1);
    assert_eq!(container.run().code, 1);
}

#[test]
fn wrong_type_is_named_by_its_path() {
    let path = if is_pinnace() { "$.process.args" } else { ".process.args" };
    refused(Bundle::new().set("/process/args", json!("not a list")), &[path]);
}

#[test]
fn program_that_is_missing_fails_create() {
    refused(Bundle::new().args(&["nosuch"]), &["exec: \"nosuch\": executable file not found in $PATH"]);
    refused(
        Bundle::new().args(&["/no/such"]),
        &["exec: \"/no/such\": stat /no/such: no such file or directory"],
    );
}

#[test]
fn program_that_cannot_be_executed_fails_create() {
    let bundle = Bundle::new().file("/data", "no program", 0o644);
    refused(bundle.args(&["/data"]), &["exec: \"/data\": permission denied"]);
    refused(Bundle::new().args(&["/etc"]), &["exec: \"/etc\": is a directory"]);
}

#[test]
fn failure_of_exec_itself_is_reported_by_start() {
    // runc's start has succeeded before its init calls execve.
    if !tests_pinnace() {
        return;
    }
    let cases = [
        ("garbage that no loader knows", "exec format error"),
        (
            "#!/no/such/interpreter\n",
            "no such file or directory (its interpreter, or its loader, is missing)",
        ),
    ];
    for (content, reason) in cases {
        let container = Bundle::new().file("/program", content, 0o755).args(&["/program"]).container();
        container.create().succeeded();
        let pidfd = container.pidfd();
        container.start().failed_with(&["/program", reason]);
        // Not after a while: an engine deletes it now.
        let mut polled = [PollFd::new(&pidfd, PollFlags::IN)];
        assert_eq!(poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1));
        assert_eq!(container.status(), "stopped");
        container.wait_stopped();
        container.delete().succeeded();
        container.run().failed_with(&["/program", reason]);
        let left = container.snapshot();
        assert!(left.cgroups.is_empty() && left.processes.is_empty(), "{left}");
    }
}

#[test]
fn all_problems_of_a_config_come_at_once_by_path() {
    if !tests_pinnace() {
        return;
    }
    let bundle = Bundle::new()
        .set("/process/cwd", json!("relative"))
        .set("/process/rlimits/0/type", json!("RLIMIT_FOO"))
        .set("/linux/namespaces/0", json!({"type": "pid", "path": "relative/path"}))
        .set("/mounts/0/options", json!(["tmpcopyup"]))
        .set("/linux/sysctl", json!({"vm.swappiness": "10"}));
    refused(
        bundle,
        &[
            "$.process.cwd",
            "$.process.rlimits[0].type",
            "$.linux.namespaces[0].path",
            "$.mounts[0].options",
            "vm.swappiness",
        ],
    );
}

#[test]
fn empty_objects_are_harmless() {
    let bundle = Bundle::new()
        .set("/hooks", json!({}))
        .set("/linux/uidMappings", json!([]))
        .set("/linux/resources/hugepageLimits", json!([]))
        .set("/process/apparmorProfile", json!(""))
        .set("/process/selinuxLabel", json!(""))
        .set("/annotations", json!({}));
    bundle.run().succeeded();
}

#[test]
fn unknown_fields_are_ignored_as_the_spec_demands() {
    Bundle::new().set("/unknown", json!({"a": 1})).run().succeeded();
}

#[test]
fn log_file_gets_a_json_record_and_stderr_the_bare_message() {
    let container = Bundle::new().args(&["nosuch"]).container();
    let log = container.bundle.scratch().join("log");
    let path = log.to_str().expect("UTF-8").to_owned();
    let container = container.with_global_options(&["--log", &path, "--log-format", "json"]);
    let outcome = container.create();
    outcome.failed_with(&["executable file not found"]);
    assert!(outcome.stderr.starts_with(&prefix("create")), "{}", outcome.describe());
    let text = fs::read_to_string(&log).expect("the log");
    let record: Value = serde_json::from_str(text.lines().last().expect("a record")).expect("JSON");
    let keys: Vec<_> = record.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(keys, ["level", "msg", "time"]);
    assert_eq!(record["level"], "error");
    assert_eq!(record["msg"].as_str().expect("a message"), outcome.stderr.trim());
}

#[test]
fn text_record_has_time_level_and_message() {
    let outcome = Bundle::new().container().call(&["state", "nobody"]);
    assert!(outcome.stderr.starts_with("time=\"20"), "{}", outcome.describe());
    assert!(
        outcome.stderr.contains(" level=error msg=\"container does not exist\""),
        "{}",
        outcome.describe()
    );
}

#[test]
fn spec_refuses_to_overwrite() {
    let container = Bundle::new().container();
    let mut command = container.command(&["spec"]);
    command.current_dir(container.bundle.path());
    run_within_limit(command).failed_with(&["File config.json exists. Remove it first"]);
}

#[test]
fn usage_errors_are_in_the_log_file_as_well() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let log = container.bundle.scratch().join("log");
    for (arguments, code, message) in [
        (&["frobnicate"][..], 3, "No help topic for 'frobnicate'"),
        (&["state", "--no-such-option"][..], 1, "not defined: -no-such-option"),
    ] {
        let _ = fs::remove_file(&log);
        let mut command = Command::new(program());
        command.arg("--log").arg(&log).args(["-log-format=json"]).args(arguments);
        let outcome = run_within_limit(command);
        outcome.exited(code);
        let text = fs::read_to_string(&log).expect("the log file");
        let record: Value = serde_json::from_str(text.trim()).expect("a JSON record");
        assert!(record["msg"].as_str().is_some_and(|found| found.contains(message)), "{text}");
        assert!(outcome.stderr.contains(message), "{}", outcome.describe());
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let container = Bundle::new().container();
    container.create().succeeded();
    for arguments in [&["list"][..], &["--version"], &["state", &container.id]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("open /dev/full");
        let output = container.command(arguments).stdout(full).output().expect("run");
        if is_pinnace() {
            assert_eq!(output.status.code(), Some(1), "{arguments:?}");
            assert!(String::from_utf8_lossy(&output.stderr).contains("no space left on device"));
        }
    }
}

#[test]
fn help_tells_of_the_program_and_of_each_command() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let help = |arguments: &[&str]| container.call(arguments).succeeded().to_owned();
    for arguments in [&["help"][..], &["help", "help"]] {
        assert!(help(arguments).starts_with("An OCI container runtime"), "{}", help(arguments));
    }
    for (command, usage) in [
        ("create", "pinnace create [OPTIONS] <ID>"),
        ("start", "pinnace start [OPTIONS] <ID>"),
        ("kill", "pinnace kill [OPTIONS] <ID> [SIGNAL]"),
        ("list", "pinnace list [OPTIONS]\n"),
    ] {
        let text = help(&["help", command]);
        assert!(text.contains(usage), "{text}");
        assert!(!text.contains("share"), "a comment for readers of the code: {text}");
    }
    assert!(help(&["--version"]).lines().any(|line| line.starts_with("commit: ")));
}

#[test]
fn empty_program_name_is_not_found() {
    Bundle::new().args(&[""]).run().failed_with(&["exec: \"\": executable file not found in $PATH"]);
}

#[test]
fn list_of_ids_knows_containers_only_and_checks_its_format() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    fs::create_dir_all(container.state_root().join("no-container")).expect("mkdir");
    assert_eq!(container.call(&["list", "-q"]).succeeded(), "");
    container.call(&["list", "-q", "--format", "bad"]).failed_with(&["invalid format option"]);
}

#[test]
fn debug_tells_what_is_done() {
    let container = Bundle::new().container();
    let log = container.bundle.scratch().join("log");
    let options = ["--debug", "--log-format", "json", "--log", log.to_str().expect("UTF-8")];
    let container = container.with_global_options(&options);
    container.run().succeeded();
    if is_pinnace() {
        let text = fs::read_to_string(&log).expect("the log file");
        for part in ["plan of", "id claimed", "stage1 started with pid", "cgroups made", "program executed"] {
            assert!(text.contains(part), "no \"{part}\" in\n{text}");
        }
        assert!(text.lines().all(|line| line.starts_with("{\"level\":\"debug\"")), "{text}");
    }
}

#[test]
fn more_bind_mounts_than_the_protocol_carries_are_named_by_their_place() {
    let bundle = Bundle::new().edit(|config| {
        let bind = |number| json!({"destination": format!("/tmp/{number}"), "type": "bind", "source": "/tmp", "options": ["bind"]});
        config["mounts"].as_array_mut().expect("mounts").extend((0..513).map(bind));
    });
    if is_pinnace() {
        refused(bundle, &["$.mounts: there are 513 bind mounts, more than 512"]);
    }
}

#[test]
fn without_path_no_program_is_found_in_the_working_directory() {
    for environment in [json!([]), json!(["PATH="])] {
        let bundle = Bundle::new().args(&["true"]).set("/process/cwd", json!("/bin"));
        refused(bundle.set("/process/env", environment), &["executable file not found in $PATH"]);
    }
}

#[test]
fn options_may_be_repeated_and_the_last_one_counts() {
    let container = Bundle::new().args(&["/bin/true"]).container();
    let path = container.bundle.path();
    let path = path.to_str().unwrap();
    let outcome =
        container.call(&["--debug", "run", "--bundle", "/nowhere", "--bundle", path, &container.id]);
    outcome.succeeded();
}

#[test]
fn reader_that_went_away_ends_no_command() {
    if !tests_pinnace() {
        return;
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = Command::new(program()).arg("features").stdout(writer).status().unwrap();
    assert_eq!(status.code(), Some(0));
}

/// Whatever fails at run time because of a field of config.json says which.
#[test]
fn failures_of_a_start_name_the_json_path_of_their_cause() {
    if !tests_pinnace() {
        return;
    }
    let mount = |source: &str, destination: &str, options: &[&str]| {
        Bundle::new().mount(destination, "bind", source, options)
    };
    let file = || Bundle::new().file("/a-file", "", 0o644);
    for (bundle, expected) in [
        (mount("/missing-on-the-host", "/etc/x", &["bind"]), "$.mounts[7]: step "),
        (
            mount("/etc", "/etc/x", &["bind"]).set("/mounts/0/options", json!(["hidepid=9"])),
            "$.mounts[0]: step ",
        ),
        (Bundle::new().mount("/data", "tmpfs", "tmpfs", &["size=x"]), "$.mounts[7]: step "),
        (Bundle::new().set("/linux/maskedPaths/-", json!("/proc/self/exe")), "]: step "),
        (
            Bundle::new().set("/linux/readonlyPaths", json!(["/proc/self/exe"])),
            "$.linux.readonlyPaths[0]: step ",
        ),
        (
            Bundle::new().set("/linux/sysctl", json!({"net.ipv4.ip_forward": "word"})),
            "$.linux.sysctl[\"net.ipv4.ip_forward\"]: step ",
        ),
        (
            Bundle::new().set(
                "/process/rlimits",
                json!([{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 4_294_967_296_u64}]),
            ),
            "$.process.rlimits[0]: ",
        ),
        (file().set("/process/cwd", json!("/a-file")), "$.process.cwd: "),
        (
            Bundle::new()
                .file("/dev/odd", "", 0o644)
                .without_mount("/dev/mqueue")
                .without_mount("/dev/shm")
                .without_mount("/dev/pts")
                .without_mount("/dev")
                .set("/linux/devices", json!([{"path": "/dev/odd", "type": "c", "major": 1, "minor": 3}])),
            "$.linux.devices[0]: step ",
        ),
        (
            Bundle::new().set("/process/scheduler", json!({"policy": "SCHED_ISO"})),
            "$.process.scheduler: step ",
        ),
    ] {
        let outcome = bundle.container().create();
        assert_eq!(outcome.code, 1, "{expected}: {}", outcome.describe());
        assert!(outcome.message().contains(expected), "{expected}: {}", outcome.describe());
    }
}
