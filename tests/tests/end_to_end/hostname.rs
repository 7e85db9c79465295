//! Host name and domain name.

use pinnace_tests::{Bundle, json};

#[test]
fn host_name_and_domain_name_are_the_containers_own() {
    let outcome = Bundle::new()
        .set("/hostname", json!("boat"))
        .set("/domainname", json!("harbour"))
        .shell("hostname; cat /proc/sys/kernel/domainname")
        .run();
    assert_eq!(outcome.succeeded(), "boat\nharbour");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("read");
    assert_ne!(host.trim(), "boat");
}

#[test]
fn host_name_without_a_uts_namespace_is_refused() {
    Bundle::new()
        .without_namespace("uts")
        .run()
        .failed_with(&["unable to set hostname without a private UTS namespace"]);
}

#[test]
fn container_without_a_host_name_keeps_the_hosts() {
    let outcome = Bundle::new()
        .without_namespace("uts")
        .edit(|config| {
            config.as_object_mut().expect("an object").remove("hostname");
        })
        .args(&["/bin/hostname"])
        .run();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("read");
    assert_eq!(outcome.succeeded(), host.trim());
}
