//! `pinnace plan`: what a start would do, without privilege and without doing it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use pinnace_tests::{Bundle, Container, Outcome, Value, copy_program, run_within_limit, tests_pinnace};

/// Runs `plan` as nobody, with a copy of the program that nobody may read.
#[track_caller]
fn plan(container: &Container, format: &str) -> Outcome {
    let copy = container.bundle.scratch().join("program");
    if !copy.exists() {
        copy_program(&copy);
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    let mut command = Command::new(copy);
    command.args(["plan", "--format", format, "--bundle"]).arg(container.bundle.path());
    command.uid(65534).gid(65534).current_dir("/");
    run_within_limit(command)
}

#[test]
fn plan_needs_no_privilege_and_changes_nothing() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    plan(&container, "text").succeeded();
    let before = container.snapshot();
    plan(&container, "text").succeeded();
    plan(&container, "json").succeeded();
    container.snapshot().assert_same_as(&before);
}

#[test]
fn plan_for_people_has_one_step_a_line() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let outcome = plan(&container, "text");
    let mut next = 0;
    for line in outcome.succeeded().lines() {
        let mut words = line.split_whitespace();
        if let Some(Ok(number)) = words.next().map(str::parse::<u32>) {
            assert_eq!(number, next, "{line}");
            assert!(words.count() >= 2, "phase and kind: {line}");
            next += 1;
        }
    }
    assert!(next > 15, "{}", outcome.describe());
    for word in ["/proc", "/dev/pts", "/sys/firmware", "pinnace", "/bin/true"] {
        assert!(outcome.stdout.contains(word), "{word}\n{}", outcome.describe());
    }
}

#[test]
fn plan_for_programs_tells_the_same_steps() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let json: Value = serde_json::from_str(plan(&container, "json").succeeded()).expect("JSON");
    let steps = json["steps"].as_array().expect("steps");
    let text = plan(&container, "text");
    let numbered = text.stdout.lines().filter(|line| {
        line.split_whitespace().next().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
    });
    assert_eq!(numbered.count(), steps.len());
    for (number, step) in steps.iter().enumerate() {
        assert_eq!(step["number"], number);
        for key in ["phase", "kind"] {
            assert!(step[key].as_str().is_some_and(|word| !word.is_empty()), "{step}");
        }
    }
}

#[test]
fn same_config_gives_the_same_plan() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    assert_eq!(plan(&container, "text").succeeded(), plan(&container, "text").succeeded());
}

#[test]
fn plan_and_validate_read_another_config_as_run_does() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().container();
    let directory = container.bundle.path();
    fs::rename(directory.join("config.json"), directory.join("other.json")).expect("rename");
    let bundle = directory.to_str().expect("UTF-8");
    for command in ["plan", "validate"] {
        container.call(&[command, "--bundle", bundle, "--config", "other.json"]).succeeded();
        container.call(&[command, "--bundle", bundle]).exited(1);
    }
}

#[test]
fn plan_refuses_what_create_refuses() {
    if !tests_pinnace() {
        return;
    }
    let container = Bundle::new().set("/process/cwd", pinnace_tests::json!("relative")).container();
    plan(&container, "text").failed_with(&["$.process.cwd"]);
    plan(&Bundle::new().container(), "yaml").failed_with(&["invalid format option"]);
}
