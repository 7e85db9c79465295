//! Signals while hooks run, and hooks that are killed.

use std::process::Command;

use pinnace_tests::{
    Bundle, Signal, find_program, is_pinnace, json, run_within_limit, skip, spawn, wait_until,
};

use super::{failed, failing, with_hook};

/// As the first process of a pid namespace the runtime is the one to whom orphans come, and reaps nobody else's.
#[test]
fn a_create_container_hook_that_is_killed_is_reaped_by_its_own() {
    let (Some(unshare), true) = (find_program("unshare"), is_pinnace()) else {
        return skip("unshare is not installed");
    };
    let mut hook = failing("sleep 321 & sleep 321");
    hook["timeout"] = json!(1);
    let (container, _) = with_hook("createContainer", hook);
    for _ in 0..4 {
        let run = container.create_command("run", &[]);
        let mut command = Command::new(&unshare);
        command.args(["--pid", "--fork", "--mount-proc"]).arg(run.get_program()).args(run.get_args());
        failed(&run_within_limit(command), &["hook ran past specified timeout of 1.0s"]);
    }
}

/// What nohup does for whoever starts us.
#[test]
fn a_hang_up_that_the_caller_ignores_ends_no_hook() {
    let (Some(nohup), true) = (find_program("nohup"), is_pinnace()) else {
        return skip("nohup is not installed");
    };
    let bundle = Bundle::new().args(&["/bin/sleep", "100"]);
    let begun = bundle.scratch().join("begun");
    let hook = failing(&format!("touch {}; sleep 1", begun.to_str().expect("UTF-8")));
    let container = bundle.set("/hooks", json!({"createRuntime": [hook]})).container();
    let run = container.create_command("run", &["--detach"]);
    let mut command = Command::new(nohup);
    command.arg(run.get_program()).args(run.get_args());
    let running = spawn(command);
    wait_until("the hook runs", || begun.exists());
    running.signal(Signal::HUP);
    running.finish().succeeded();
    assert!(container.call(&["state", &container.id]).succeeded().contains("running"));
}
