//! Ordinary users beside a user namespace that is there already: a second container in it, and an exec.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use pinnace_tests::{Bundle, Container, Outcome, json, run_within_limit, skip};

use crate::user_namespace::{by_user, of_user};

/// The score belongs to who is outside: it has to be set before the process goes in.
#[test]
fn a_score_is_set_for_who_joins_a_user_namespace() {
    let show = ["/bin/cat", "/proc/self/oom_score_adj"];
    let first = of_user(Bundle::new().args(&["/bin/sleep", "100"]).set("/process/oomScoreAdj", json!(300)));
    let path = first.bundle.path();
    let run = ["run", "--detach", "--bundle", path.to_str().unwrap(), &first.id];
    let Some(mut command) = by_user(&first, &run) else {
        return skip("setpriv is not installed");
    };
    command.stdin(std::process::Stdio::null());
    run_within_limit(command).succeeded();
    let call = |args: &[&str]| run_within_limit(by_user(&first, args).unwrap());
    assert_eq!(call(&[&["exec", &first.id], &show[..]].concat()).succeeded(), "300");
    let process = json!({"args": show, "cwd": "/", "user": {"uid": 0, "gid": 0}, "oomScoreAdj": 700});
    let file = first.bundle.scratch().join("process.json");
    std::fs::write(&file, process.to_string()).unwrap();
    let other = ["exec", "--process", file.to_str().unwrap(), &first.id];
    assert_eq!(call(&other).succeeded(), "700");

    let state: pinnace_tests::Value = serde_json::from_str(&call(&["state", &first.id]).stdout).unwrap();
    let namespace = format!("/proc/{}/ns/user", state["pid"]);
    let second = |bundle: Bundle| -> (Container, Outcome) {
        let container = of_user(bundle.join_namespace("user", &namespace));
        let path = container.bundle.path();
        let run = ["run", "--bundle", path.to_str().unwrap(), &container.id];
        let command: Command = by_user(&container, &run).unwrap();
        (container, run_within_limit(command))
    };
    // Its groups are not known here, the one of terminals among them.
    let bundle =
        || Bundle::new().args(&show).without_mount("/dev/pts").set("/process/oomScoreAdj", json!(500));
    assert_eq!(second(bundle()).1.succeeded(), "500");
    let (_, lowered) = second(bundle().set("/process/oomScoreAdj", json!(-500)));
    lowered
        .failed_with(&["$.process.oomScoreAdj: set oomScoreAdj to -500: lowering it needs CAP_SYS_RESOURCE"]);
    let hooks = json!({"createContainer": [{"path": "/bin/true"}]});
    let (_, hooked) = second(bundle().set("/hooks", hooks));
    hooked.failed_with(&[
        "$.hooks.createContainer: only root can run them where the user namespace is a joined one",
    ]);
    call(&["delete", "--force", &first.id]).succeeded();
}

#[test]
fn a_file_that_cannot_be_copied_is_named() {
    let bundle = Bundle::new().mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"]);
    let data = bundle.rootfs().join("data/sub");
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("readable"), "").unwrap();
    std::fs::write(data.join("secret"), "").unwrap();
    std::fs::set_permissions(data.join("secret"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let container = of_user(bundle);
    let path = container.bundle.path();
    let Some(command) = by_user(&container, &["run", "--bundle", path.to_str().unwrap(), &container.id])
    else {
        return skip("setpriv is not installed");
    };
    let named = format!("permission denied (we may not read {})", data.join("secret").display());
    run_within_limit(command).failed_with(&["$.mounts[7]: ", "mount tmpfs on /data", &named]);
}
