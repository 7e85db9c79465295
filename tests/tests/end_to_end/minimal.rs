//! The build for minimal images: what it has works, what it lacks it says. `ci/build` makes it where musl's target is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use pinnace_tests::{Bundle, Container, Outcome, Value, json, program, run_within_limit, skip};

/// The build's program, beside the one under test.
fn minimal() -> Option<PathBuf> {
    let architecture = std::env::consts::ARCH;
    let path = format!("../{architecture}-unknown-linux-musl/minimal/pinnace");
    let path = program().parent().unwrap_or(Path::new("/")).join(path);
    if !path.is_file() {
        skip("ci/build has made no minimal build");
        return None;
    }
    Some(path)
}

#[track_caller]
fn call(program: &Path, like: Command) -> Outcome {
    let mut command = Command::new(program);
    command.args(like.get_args());
    run_within_limit(command)
}

fn container() -> Container {
    Bundle::new().shell("id -u; exit 7").container()
}

#[test]
fn a_minimal_build_runs_containers() {
    let Some(program) = minimal() else { return };
    let container = container();
    let run = || {
        let outcome = call(&program, container.create_command("run", &[]));
        assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (7, "0\n", ""));
    };
    // The first one makes the directory of states.
    run();
    let before = container.snapshot();
    run();
    call(&program, container.create_command("create", &[])).succeeded();
    for words in [["start"].as_slice(), &["state"], &["delete", "--force"]] {
        call(&program, container.command(&[words, &[&container.id]].concat())).succeeded();
    }
    container.snapshot().assert_same_as(&before);
}

#[test]
fn what_a_minimal_build_lacks_it_says() {
    let Some(program) = minimal() else { return };
    let container = container().with_global_options(&["--systemd-cgroup"]);
    let outcome = call(&program, container.create_command("run", &[]));
    outcome.failed_with(&["this build of pinnace has no systemd cgroup manager (feature \"systemd\")"]);
    for (command, feature) in [("plan", "explain"), ("bench", "bench")] {
        for words in [[command].as_slice(), &["help", command]] {
            let outcome = call(&program, container.command(words));
            assert_eq!(outcome.code, 3, "as for a command that nobody knows");
            let said = format!("this build of pinnace has no command \"{command}\" (feature \"{feature}\")");
            assert!(outcome.message().contains(&said), "{}", outcome.describe());
        }
    }
    let features = call(&program, container.command(&["features"]));
    let features: Value = serde_json::from_str(features.succeeded()).expect("JSON");
    assert_eq!(features["linux"]["cgroup"]["systemd"], json!(false));
    assert_eq!(features["linux"]["cgroup"]["v2"], json!(true));
}
