//! Namespaces: new, the host's, and those of others joined by path.

use std::fs;
use std::process::Command;

use pinnace_tests::{
    Bundle, Container, Outcome, find_program, is_pinnace, json, run_within_limit, skip, spawn, tests_pinnace,
    unique_id, wait_until,
};

const KINDS: [(&str, &str); 6] = [
    ("pid", "pid"),
    ("network", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("mount", "mnt"),
    ("cgroup", "cgroup"),
];

fn links(names: &[&str]) -> String {
    names.iter().map(|name| format!("readlink /proc/self/ns/{name};")).collect()
}

fn own(name: &str) -> String {
    fs::read_link(format!("/proc/self/ns/{name}")).expect("readlink").to_string_lossy().into_owned()
}

#[test]
fn listed_namespaces_are_new() {
    let bundle = Bundle::new().set("/linux/namespaces/-", pinnace_tests::json!({"type": "cgroup"}));
    let outcome = bundle.shell(&links(&KINDS.map(|(_, name)| name))).run();
    for (link, (kind, name)) in outcome.succeeded().lines().zip(KINDS) {
        assert_ne!(link, own(name), "{kind}");
    }
    assert_eq!(outcome.stdout.lines().count(), KINDS.len());
}

#[test]
fn namespaces_that_are_not_listed_are_shared() {
    for (kind, name) in KINDS.into_iter().filter(|(kind, _)| *kind != "mount") {
        let bundle = Bundle::new().without_namespace(kind);
        let bundle = match kind {
            "uts" => bundle.edit(|config| {
                config.as_object_mut().expect("an object").remove("hostname");
            }),
            _ => bundle,
        };
        assert_eq!(bundle.shell(&links(&[name])).run().succeeded(), own(name), "{kind}");
    }
}

#[test]
fn container_with_no_namespace_but_mount_runs() {
    let outcome = Bundle::new()
        .edit(|config| {
            config.as_object_mut().expect("an object").remove("hostname");
            config["linux"]["namespaces"] = pinnace_tests::json!([{"type": "mount"}]);
        })
        .shell(&links(&["pid", "net", "ipc", "uts"]))
        .run();
    let expected: Vec<_> = ["pid", "net", "ipc", "uts"].map(own).into();
    assert_eq!(outcome.succeeded().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn program_is_the_first_process_of_its_pid_namespace() {
    assert_eq!(Bundle::new().shell("echo $$").run().succeeded(), "1");
}

#[test]
fn loopback_is_up_in_a_new_network_namespace() {
    let outcome = Bundle::new().shell("ip addr show lo; ls /sys/class/net").run();
    assert!(outcome.succeeded().contains("127.0.0.1/8"), "{}", outcome.describe());
    assert!(outcome.stdout.trim().ends_with("lo"), "{}", outcome.describe());
}

#[test]
fn cgroup_namespace_hides_the_path() {
    let bundle = Bundle::new().set("/linux/namespaces/-", pinnace_tests::json!({"type": "cgroup"}));
    let outcome = bundle.args(&["/bin/cat", "/proc/self/cgroup"]).run();
    assert!(outcome.succeeded().lines().all(|line| line.ends_with(":/")), "{}", outcome.describe());
}

/// A container whose namespaces others join.
#[track_caller]
fn pause() -> Container {
    let container = Bundle::new().args(&["/bin/sleep", "100"]).container();
    container.run_detached().succeeded();
    container
}

fn joining(pause: &Container, bundle: Bundle) -> Bundle {
    let pid = pause.pid();
    [("pid", "pid"), ("network", "net"), ("ipc", "ipc")]
        .into_iter()
        .fold(bundle, |bundle, (kind, name)| bundle.join_namespace(kind, &format!("/proc/{pid}/ns/{name}")))
}

#[test]
fn two_containers_join_the_pid_network_and_ipc_namespaces_of_a_third() {
    let pause = pause();
    let first = joining(&pause, Bundle::new().args(&["/bin/sleep", "99"])).container();
    first.run_detached().succeeded();
    let second = joining(
        &pause,
        Bundle::new().shell("ps -o pid,args; readlink /proc/self/ns/net; readlink /proc/1/ns/ipc"),
    )
    .container();
    let outcome = second.run();
    let text = outcome.succeeded();
    for program in ["/bin/sleep 100", "/bin/sleep 99", "ps -o pid,args"] {
        assert!(text.contains(program), "{}", outcome.describe());
    }
    assert!(text.lines().any(|line| line.trim() == "1 /bin/sleep 100"), "{}", outcome.describe());
    for name in ["net", "ipc"] {
        let link = fs::read_link(format!("/proc/{}/ns/{name}", first.pid())).expect("readlink");
        assert!(text.contains(&*link.to_string_lossy()), "{name}\n{}", outcome.describe());
    }
    // Whoever joins has its own mounts and host name, and leaves nothing of itself in the pod.
    let before = pause.snapshot().processes;
    first.delete_force().succeeded();
    assert_eq!(pause.snapshot().processes, before);
    assert_eq!(pause.status(), "running");
}

#[test]
fn joining_one_namespace_after_the_other_works_for_each() {
    let pause = pause();
    let pid = pause.pid();
    for (kind, name) in KINDS.into_iter().filter(|(kind, _)| *kind != "mount") {
        let bundle = Bundle::new().join_namespace(kind, &format!("/proc/{pid}/ns/{name}"));
        let theirs = fs::read_link(format!("/proc/{pid}/ns/{name}")).expect("readlink");
        let outcome = bundle.shell(&links(&[name])).run();
        assert_eq!(outcome.succeeded(), theirs.to_string_lossy(), "{kind}");
    }
}

#[test]
fn create_waits_in_a_joined_pid_namespace_too() {
    let pause = pause();
    let container = joining(&pause, Bundle::new().shell("echo ran")).container();
    let created = container.create();
    created.succeeded();
    assert_eq!(container.status(), "created");
    assert_eq!(container.snapshot().processes.len(), 1);
    container.start().succeeded();
    container.wait_stopped();
    assert_eq!(created.stdout_now().trim(), "ran");
}

#[test]
fn namespace_of_another_type_is_refused() {
    let path = format!("/proc/{}/ns/uts", std::process::id());
    let outcome = Bundle::new().join_namespace("ipc", &path).run();
    refused_by_name(&outcome, &path);
}

/// runc's message for these names the kind of the namespace and not the path.
#[track_caller]
fn refused_by_name(outcome: &Outcome, path: &str) {
    let name = if is_pinnace() { path } else { "namespace" };
    outcome.failed_with(&[name]);
}

#[test]
fn namespace_file_that_is_missing_is_an_error_that_names_it() {
    let outcome = Bundle::new().join_namespace("network", "/no/such/namespace").run();
    outcome.failed_with(&["/no/such/namespace"]);
}

#[test]
fn file_that_is_no_namespace_is_refused() {
    let bundle = Bundle::new();
    let file = bundle.scratch().join("file");
    fs::write(&file, "").expect("write");
    let path = file.to_str().expect("UTF-8").to_owned();
    refused_by_name(&bundle.join_namespace("network", &path).run(), &path);
}

#[test]
fn namespace_listed_twice_is_refused() {
    let twice = pinnace_tests::json!({"type": "ipc"});
    Bundle::new().set("/linux/namespaces/-", twice).run().failed_with(&["duplicated ns"]);
}

#[test]
fn unknown_namespace_is_refused() {
    let unknown = pinnace_tests::json!({"type": "galaxy"});
    Bundle::new().set("/linux/namespaces/-", unknown).run().failed_with(&["galaxy"]);
}

/// A network namespace made with `ip netns`, removed with its interfaces at the end.
struct NetworkNamespace {
    name: String,
}

impl NetworkNamespace {
    fn new() -> Self {
        let name = unique_id();
        ip(&["netns", "add", &name]);
        Self { name }
    }

    fn path(&self) -> String {
        format!("/run/netns/{}", self.name)
    }
}

impl Drop for NetworkNamespace {
    fn drop(&mut self) {
        let _ = Command::new(find_program("ip").expect("ip")).args(["netns", "delete", &self.name]).output();
    }
}

#[track_caller]
fn ip(args: &[&str]) {
    let mut command = Command::new(find_program("ip").expect("ip"));
    command.args(args);
    run_within_limit(command).succeeded();
}

#[test]
fn container_in_a_prepared_network_namespace_serves_http_to_another() {
    if find_program("ip").is_none() {
        return skip("iproute2 is not installed");
    }
    // client -- veth -- bridge -- veth -- server: three namespaces, nothing of it in the host's own.
    let (server, bridge, client) =
        (NetworkNamespace::new(), NetworkNamespace::new(), NetworkNamespace::new());
    ip(&["-n", &bridge.name, "link", "add", "bridge0", "type", "bridge"]);
    ip(&["-n", &bridge.name, "link", "set", "bridge0", "up"]);
    for (end, port, address) in [(&server, "port0", "10.77.0.1/24"), (&client, "port1", "10.77.0.2/24")] {
        ip(&[
            "-n",
            &bridge.name,
            "link",
            "add",
            port,
            "type",
            "veth",
            "peer",
            "name",
            "eth0",
            "netns",
            &end.name,
        ]);
        ip(&["-n", &bridge.name, "link", "set", port, "master", "bridge0", "up"]);
        ip(&["-n", &end.name, "addr", "add", address, "dev", "eth0"]);
        ip(&["-n", &end.name, "link", "set", "eth0", "up"]);
    }
    let container = Bundle::new()
        .file("/www/index.html", "served from a container\n", 0o644)
        .join_namespace("network", &server.path())
        .args(&["/bin/httpd", "-f", "-p", "80", "-h", "/www"])
        .container();
    container.run_detached().succeeded();
    let fetch = || {
        let mut command = Command::new(find_program("ip").expect("ip"));
        command.args(["netns", "exec", &client.name]).arg(pinnace_tests::busybox());
        command.args(["sh", "-c", "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | busybox nc -w 2 10.77.0.1 80"]);
        run_within_limit(command)
    };
    wait_until("the server answers", || fetch().stdout.contains("200 OK"));
    assert!(fetch().succeeded().ends_with("served from a container"));
    container.delete_force().succeeded();
    assert!(std::path::Path::new(&server.path()).exists(), "a namespace that was joined stays");
}

#[test]
fn network_namespace_of_the_caller_is_not_changed() {
    let mut command = Command::new("sh");
    let container = Bundle::new().container();
    let run = container.create_command("run", &[]);
    let words: Vec<_> =
        std::iter::once(run.get_program()).chain(run.get_args()).map(|word| word.to_string_lossy()).collect();
    command
        .arg("-c")
        .arg(format!("readlink /proc/self/ns/net; {}; readlink /proc/self/ns/net", words.join(" ")));
    let outcome = spawn(command).finish();
    let lines: Vec<_> = outcome.succeeded().lines().collect();
    assert_eq!(lines, [own("net"), own("net")]);
}

/// What is to be joined and is the runtime's own is the host's: nothing of it is the container's to change.
#[test]
fn the_runtimes_own_namespaces_count_as_inherited() {
    if !tests_pinnace() {
        return;
    }
    let own = |bundle: Bundle, kind: &str, file: &str| {
        bundle.join_namespace(kind, &format!("/proc/self/ns/{file}"))
    };
    own(Bundle::new().set("/hostname", json!("other")), "uts", "uts")
        .run()
        .failed_with(&["$.hostname: unable to set hostname without a private UTS namespace"]);
    own(Bundle::new().set("/linux/netDevices", json!({"nosuch0": {}})), "network", "net")
        .run()
        .failed_with(&["$.linux.netDevices: unable to move network devices without a NET namespace"]);
    own(Bundle::new().set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"})), "network", "net")
        .run()
        .failed_with(&["not allowed in host network namespace"]);
    own(Bundle::new(), "mount", "mnt")
        .run()
        .failed_with(&["$.mounts: unable to mount without a private MNT namespace"]);

    // They are the same, and nothing has to be joined.
    let bundle = own(own(Bundle::new(), "network", "net"), "user", "user");
    let outcome = bundle.args(&["/bin/readlink", "/proc/self/ns/net"]).run();
    assert_eq!(outcome.succeeded(), fs::read_link("/proc/self/ns/net").unwrap().to_str().unwrap());
    // On v1 the container sees its own cgroups, whose files are the host's, and no other.
    let bundle = own(Bundle::new(), "cgroup", "cgroup");
    let outcome = bundle.shell("ls /sys/fs/cgroup/*/release_agent 2>/dev/null; true").run();
    assert_eq!(outcome.succeeded(), "");
}
