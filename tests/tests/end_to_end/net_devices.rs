//! Network devices that are moved into the container. All of it happens in network namespaces of the tests' own.

use std::os::unix::fs::chown;
use std::process::Command;

use pinnace_tests::{Bundle, Container, Outcome, find_program, json, run_within_limit, skip, unique_id};

/// A network namespace with one end of a veth pair, `pt0`; what runs `inside` it is the host to the runtime.
struct Host {
    name: String,
}

impl Host {
    /// Nothing, said aloud, where the tools are missing.
    fn new() -> Option<Self> {
        if find_program("ip").is_none() || find_program("nsenter").is_none() {
            skip("iproute2 or util-linux is not installed");
            return None;
        }
        let host = Self { name: unique_id() };
        ip(&["netns", "add", &host.name]);
        host.ip(&["link", "add", "pt0", "type", "veth", "peer", "name", "pt1"]);
        host.ip(&["addr", "add", "10.78.0.1/24", "dev", "pt0"]);
        host.ip(&["addr", "add", "fd00:78::1/64", "dev", "pt0", "nodad"]);
        host.ip(&["addr", "add", "169.254.7.7/16", "scope", "link", "dev", "pt0"]);
        host.ip(&["link", "set", "pt0", "mtu", "1300", "up"]);
        Some(host)
    }

    #[track_caller]
    fn ip(&self, args: &[&str]) -> String {
        ip(&[&["-n", self.name.as_str()], args].concat()).succeeded().to_owned()
    }

    fn path(&self) -> String {
        format!("/run/netns/{}", self.name)
    }

    /// `run`, `create` … with this namespace as the host's.
    #[track_caller]
    fn call(&self, container: &Container, verb: &str) -> Outcome {
        let inner = container.create_command(verb, &[]);
        let mut command = Command::new(find_program("nsenter").expect("nsenter"));
        command.arg(format!("--net={}", self.path())).arg(inner.get_program()).args(inner.get_args());
        run_within_limit(command)
    }

    /// The device is as it was made.
    #[track_caller]
    fn expect_device_back(&self) {
        let text = self.ip(&["addr", "show", "dev", "pt0"]);
        for part in ["inet 10.78.0.1/24", "inet6 fd00:78::1/64", "mtu 1300", "UP"] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = Command::new(find_program("ip").expect("ip")).args(["netns", "delete", &self.name]).output();
    }
}

#[track_caller]
fn ip(args: &[&str]) -> Outcome {
    let mut command = Command::new(find_program("ip").expect("ip"));
    command.args(args);
    let outcome = run_within_limit(command);
    outcome.succeeded();
    outcome
}

fn with(name: Option<&str>) -> Bundle {
    let device = name.map_or_else(|| json!({}), |name| json!({"name": name}));
    Bundle::new().set("/linux/netDevices", json!({"pt0": device}))
}

#[test]
fn device_is_moved_with_its_permanent_global_addresses_and_set_up() {
    let Some(host) = Host::new() else { return };
    for (name, expected) in [(None, "pt0"), (Some("front0"), "front0"), (Some("net%d"), "net0")] {
        let container = with(name).args(&["/bin/ip", "addr", "show", "dev", expected]).container();
        let outcome = host.call(&container, "run");
        let text = outcome.succeeded();
        for part in ["10.78.0.1/24", "fd00:78::1/64", "mtu 1300", "UP"] {
            assert!(text.contains(part), "{expected}: {part}\n{}", outcome.describe());
        }
        assert!(!text.contains("169.254.7.7"), "an address of the link alone stays behind\n{text}");
        // The pair died with the container's namespace: a new one for the next.
        if host.ip(&["-o", "link"]).contains("pt1") {
            pinnace_tests::wait_until("the pair is gone", || !host.ip(&["-o", "link"]).contains("pt1"));
        }
        host.ip(&["link", "add", "pt0", "type", "veth", "peer", "name", "pt1"]);
        host.ip(&["addr", "add", "10.78.0.1/24", "dev", "pt0"]);
        host.ip(&["addr", "add", "fd00:78::1/64", "dev", "pt0", "nodad"]);
        host.ip(&["link", "set", "pt0", "mtu", "1300", "up"]);
    }
}

#[test]
fn device_goes_into_a_namespace_that_is_joined() {
    let Some(host) = Host::new() else { return };
    let Some(joined) = Host::new() else { return };
    let container = with(Some("front0"))
        .join_namespace("network", &joined.path())
        .args(&["/bin/ip", "addr", "show", "dev", "front0"])
        .container();
    let outcome = host.call(&container, "run");
    assert!(outcome.succeeded().contains("10.78.0.1/24"), "{}", outcome.describe());
    // It is not moved back when the container has ended.
    assert!(joined.ip(&["-o", "link"]).contains("front0"));
    assert!(!host.ip(&["-o", "link"]).contains("pt0"));
}

#[test]
fn device_goes_into_a_namespace_that_belongs_to_a_user_namespace() {
    let Some(host) = Host::new() else { return };
    let mappings = json!([{"containerID": 0, "hostID": 200_000, "size": 65536}]);
    let mapped = |program: &[&str]| {
        let bundle = with(Some("front0"));
        // Mount points are made by the container's root.
        for name in ["", "etc"] {
            chown(bundle.rootfs().join(name), Some(200_000), Some(200_000)).expect("chown");
        }
        bundle
            .set("/linux/namespaces/-", json!({"type": "user"}))
            .set("/linux/uidMappings", mappings.clone())
            .set("/linux/gidMappings", mappings.clone())
            .args(program)
            .container()
    };
    host.call(&mapped(&["/no/such/program"]), "run").failed_with(&["/no/such/program"]);
    host.expect_device_back();
    let outcome = host.call(&mapped(&["/bin/ip", "addr", "show", "dev", "front0"]), "run");
    let text = outcome.succeeded();
    assert!(text.contains("10.78.0.1/24") && text.contains("UP"), "{}", outcome.describe());
}

#[test]
fn name_that_is_taken_is_an_error_and_the_device_comes_back() {
    let Some(host) = Host::new() else { return };
    let Some(joined) = Host::new() else { return };
    for (bundle, name) in [
        (with(Some("lo")), "lo"),
        (with(None).join_namespace("network", &joined.path()), "pt0"),
        (with(Some("pt1")).join_namespace("network", &joined.path()), "pt1"),
    ] {
        let outcome = host.call(&bundle.container(), "run");
        outcome.failed_with(&["pt0", &format!("{name:?}"), "file exists"]);
        host.expect_device_back();
        joined.expect_device_back();
    }
}

#[test]
fn device_comes_back_from_a_creation_that_fails_later() {
    let Some(host) = Host::new() else { return };
    let container = with(Some("front0")).args(&["/no/such/program"]).container();
    let before = container.snapshot();
    for verb in ["create", "run"] {
        host.call(&container, verb).failed_with(&["/no/such/program"]);
        host.expect_device_back();
    }
    let mut after = container.snapshot();
    after.files.retain(|path| !path.ends_with("/state"));
    after.assert_same_as(&before);
}

#[test]
fn device_that_is_missing_is_an_error_and_the_others_come_back() {
    let Some(host) = Host::new() else { return };
    let bundle = Bundle::new().set("/linux/netDevices", json!({"pt0": {}, "zz9": {"name": "eth0"}}));
    let outcome = host.call(&bundle.container(), "run");
    outcome.failed_with(&["zz9", "no such device"]);
    host.expect_device_back();
}

#[test]
fn names_and_a_missing_namespace_are_refused_by_their_path() {
    with(None)
        .without_namespace("network")
        .run()
        .failed_with(&["unable to move network devices without a NET namespace"]);
    Bundle::new()
        .set("/linux/netDevices", json!({"a/b": {}}))
        .run()
        .failed_with(&["invalid network device name \"a/b\""]);
    with(Some("%s")).run().failed_with(&["invalid network device name \"%s\""]);
}
