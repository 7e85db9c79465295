//! `spec`: the configuration that it writes is taken, by root and by ordinary users.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use pinnace_tests::{Bundle, Container, Value, find_program, json, program, run_within_limit, skip};

const USER: u32 = 4242;

/// A bundle without config.json.
fn empty() -> Container {
    let container = Bundle::new().container();
    fs::remove_file(container.bundle.path().join("config.json")).expect("remove");
    container
}

fn written(container: &Container) -> Value {
    let text = fs::read_to_string(container.bundle.path().join("config.json")).expect("config.json");
    serde_json::from_str(&text).expect("JSON")
}

/// A container's program that needs no terminal.
fn give_program(container: &Container, script: &str) {
    let mut config = written(container);
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/sh", "-c", script]);
    fs::write(container.bundle.path().join("config.json"), config.to_string()).expect("write");
}

#[test]
fn the_bundle_option_says_where_to_write() {
    let container = empty();
    let bundle = container.bundle.path();
    let bundle = bundle.to_str().expect("UTF-8");
    container.call(&["spec", "--bundle", bundle]).succeeded();
    assert_eq!(written(&container)["process"]["args"], json!(["sh"]));
    container.call(&["spec", "--bundle", bundle]).failed_with(&["File config.json exists. Remove it first"]);
    container.call(&["spec", "--bundle", "/nonexist"]).failed_with(&["no such file or directory"]);
    give_program(&container, "echo hello");
    assert_eq!(container.run().succeeded(), "hello");
}

#[test]
fn rootless_gives_the_caller_a_user_namespace_and_takes_network_and_limits_away() {
    let container = empty();
    let bundle = container.bundle.path();
    container.call(&["spec", "--rootless", "--bundle", bundle.to_str().expect("UTF-8")]).succeeded();
    let config = written(&container);
    let own = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    assert_eq!((&config["linux"]["uidMappings"], &config["linux"]["gidMappings"]), (&own, &own));
    assert_eq!(config["linux"]["resources"], Value::Null);
    let namespaces: Vec<_> = config["linux"]["namespaces"]
        .as_array()
        .expect("namespaces")
        .iter()
        .map(|namespace| namespace["type"].as_str().expect("a type"))
        .filter(|name| *name != "cgroup")
        .collect();
    assert_eq!(namespaces, ["pid", "ipc", "uts", "mount", "user"]);
    let text = config["mounts"].to_string();
    assert!(text.contains("rbind") && !text.contains("gid=") && !text.contains("sysfs"), "{text}");
}

#[test]
fn an_ordinary_user_runs_what_spec_rootless_wrote() {
    let Some(setpriv) = find_program("setpriv") else {
        return skip("setpriv is not installed");
    };
    let container = empty();
    for path in [container.bundle.scratch().to_owned(), container.bundle.path(), container.bundle.rootfs()] {
        chown(path, Some(USER), Some(USER)).expect("chown");
    }
    // The program under test may lie where others may not look.
    let copy = container.bundle.scratch().join("under-test");
    let mut install = Command::new("install");
    install.args(["-m", "755"]).arg(program()).arg(&copy);
    run_within_limit(install).succeeded();
    let bundle = container.bundle.path();
    let bundle = bundle.to_str().expect("UTF-8");
    let call = |args: &[&str]| {
        let mut command = Command::new(&setpriv);
        let id = USER.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(&copy).args(args);
        run_within_limit({
            command.env("XDG_RUNTIME_DIR", container.bundle.scratch());
            command
        })
    };
    call(&["spec", "--rootless", "--bundle", bundle]).succeeded();
    assert_eq!(written(&container)["linux"]["uidMappings"][0]["hostID"], USER);
    give_program(
        &container,
        "id -u; cat /proc/self/uid_map; ls /sys | head -n 1; readlink /proc/self/ns/net",
    );
    let outcome = call(&["run", "--bundle", bundle, &container.id]);
    let words: Vec<&str> = outcome.succeeded().split_whitespace().collect();
    assert_eq!(words[..4], ["0", "0", "4242", "1"], "{}", outcome.describe());
    let network = fs::read_link("/proc/self/ns/net").expect("the own network namespace");
    assert_eq!(words.last().copied(), network.to_str(), "{}", outcome.describe());
    assert_eq!(outcome.stderr, "");
}
