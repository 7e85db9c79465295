//! The session keyring: one of the container's own, or the caller's.

use std::fs;

use pinnace_tests::{Bundle, json, skip};

/// The session keyrings that the container's program possesses, as /proc/keys names them.
fn session_keyrings(options: &[&str]) -> String {
    let bundle = Bundle::new()
        .set("/linux/maskedPaths", json!([]))
        .shell("grep -o '.* keyring *_ses' /proc/keys; true");
    bundle.container().with_create_options(options).run().succeeded().to_owned()
}

#[test]
fn the_container_has_a_session_keyring_of_its_own_unless_the_caller_says_otherwise() {
    if fs::read_to_string("/proc/keys").is_err() {
        return skip("the_container_has_a_session_keyring_of_its_own", "the kernel has no keys");
    }
    let serial = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    let own = session_keyrings(&[]);
    assert_ne!(own, "");
    let callers = session_keyrings(&["--no-new-keyring"]);
    assert_ne!(serial(&own), serial(&callers), "{own}\n{callers}");
}
