//! What is said when something is wrong: runc's texts and exit codes, since callers compare them, and pinnace's own.

use std::fs;
use std::process::Command;

use pinnace_tests::{Bundle, Value, is_pinnace, json, program, run_within_limit};

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
    if !is_pinnace() {
        return;
    }
    let cases = [
        ("garbage that no loader knows", "exec format error"),
        ("#!/no/such/interpreter\n", "no such file or directory"),
    ];
    for (content, reason) in cases {
        let container = Bundle::new().file("/program", content, 0o755).args(&["/program"]).container();
        container.create().succeeded();
        container.start().failed_with(&["/program", reason]);
        container.wait_stopped();
        container.delete().succeeded();
        container.run().failed_with(&["/program", reason]);
        let left = container.snapshot();
        assert!(left.cgroups.is_empty() && left.processes.is_empty(), "{left}");
    }
}

#[test]
fn all_problems_of_a_config_come_at_once_by_path() {
    if !is_pinnace() {
        return;
    }
    let bundle = Bundle::new()
        .set("/process/cwd", json!("relative"))
        .set("/process/rlimits/0/type", json!("RLIMIT_FOO"))
        .set("/linux/namespaces/0", json!({"type": "pid", "path": "relative/path"}))
        .set("/mounts/1/options", json!(["tmpcopyup"]))
        .set("/linux/sysctl", json!({"vm.swappiness": "10"}));
    refused(
        bundle,
        &[
            "$.process.cwd",
            "$.process.rlimits[0].type",
            "$.linux.namespaces[0].path",
            "$.mounts[1].options[0]",
            "vm.swappiness",
        ],
    );
}

#[test]
fn fields_that_are_not_implemented_are_named() {
    if !is_pinnace() {
        return;
    }
    let cases: Vec<(&str, Value, &str)> =
        vec![("/hooks", json!({"poststop": [{"path": "/bin/true"}]}), "$.hooks")];
    for (pointer, value, path) in cases {
        refused(Bundle::new().set(pointer, value), &[path]);
    }
}

#[test]
fn empty_objects_of_fields_that_are_not_implemented_are_harmless() {
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
