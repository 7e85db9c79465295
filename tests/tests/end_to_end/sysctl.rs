//! Kernel parameters of the container's own namespaces.

use pinnace_tests::{Bundle, json, tests_pinnace};

fn with(name: &str, value: &str) -> Bundle {
    Bundle::new().set("/linux/sysctl", json!({name: value}))
}

#[test]
fn parameters_of_own_namespaces_are_set_in_both_spellings() {
    for name in ["net.ipv4.ip_forward", "net/ipv4/ip_forward"] {
        assert_eq!(
            with(name, "1").args(&["/bin/cat", "/proc/sys/net/ipv4/ip_forward"]).run().succeeded(),
            "1"
        );
    }
    let outcome =
        with("kernel.shm_rmid_forced", "1").args(&["/bin/cat", "/proc/sys/kernel/shm_rmid_forced"]).run();
    assert_eq!(outcome.succeeded(), "1");
    let outcome = with("fs.mqueue.msg_max", "17").args(&["/bin/cat", "/proc/sys/fs/mqueue/msg_max"]).run();
    assert_eq!(outcome.succeeded(), "17");
    let outcome =
        with("kernel.domainname", "harbour").args(&["/bin/cat", "/proc/sys/kernel/domainname"]).run();
    assert_eq!(outcome.succeeded(), "harbour");
}

#[test]
fn parameter_of_the_whole_machine_is_refused() {
    with("vm.swappiness", "10")
        .run()
        .failed_with(&["sysctl \"vm.swappiness\" is not in a separate kernel namespace"]);
}

#[test]
fn network_parameter_without_a_network_namespace_is_refused() {
    let outcome = with("net.ipv4.ip_forward", "1").without_namespace("network").run();
    outcome.failed_with(&["sysctl \"net.ipv4.ip_forward\" not allowed in host network namespace"]);
}

#[test]
fn ipc_parameter_without_an_ipc_namespace_is_refused() {
    let outcome = with("kernel.shmmax", "1").without_namespace("ipc").run();
    outcome.failed_with(&["kernel.shmmax"]);
}

#[test]
fn host_name_by_sysctl_is_refused() {
    with("kernel.hostname", "x").run().failed_with(&["conflicts with the OCI \"hostname\" field"]);
}

#[test]
fn parameter_that_does_not_exist_is_an_error() {
    with("net.ipv4.no_such_parameter", "1").run().failed_with(&["no_such_parameter"]);
}

#[test]
fn value_that_the_kernel_refuses_is_an_error() {
    with("net.ipv4.ip_forward", "many").run().failed_with(&["ip_forward", "invalid argument"]);
}

#[test]
fn parameters_of_the_hosts_namespaces_are_refused_by_whatever_path_these_are_joined() {
    if !tests_pinnace() {
        return;
    }
    let before = std::fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").expect("read a parameter");
    let network = with("net.ipv4.ip_default_ttl", "77").join_namespace("network", "/proc/self/ns/net").run();
    let after = std::fs::read_to_string("/proc/sys/net/ipv4/ip_default_ttl").expect("read a parameter");
    std::fs::write("/proc/sys/net/ipv4/ip_default_ttl", &before).expect("write it back");
    network.failed_with(&["sysctl \"net.ipv4.ip_default_ttl\" not allowed in host network namespace"]);
    assert_eq!(after, before);
    let ipc = with("kernel.msgmax", "8192").join_namespace("ipc", "/proc/self/ns/ipc").run();
    ipc.failed_with(&["sysctl \"kernel.msgmax\" is not in a separate kernel namespace"]);
}
