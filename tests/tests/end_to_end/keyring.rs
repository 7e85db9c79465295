//! The session keyring of the container's own.

use std::collections::BTreeSet;
use std::fs;

use pinnace_tests::{Bundle, json, skip};

/// The session keyrings that the container's program can see, as /proc/keys names them.
fn session_keyrings() -> String {
    let bundle = Bundle::new()
        .set("/linux/maskedPaths", json!([]))
        .shell("grep -o '.* keyring *_ses' /proc/keys; true");
    bundle.run().succeeded().to_owned()
}

#[test]
fn the_container_has_a_session_keyring_of_its_own() {
    if fs::read_to_string("/proc/keys").is_err() {
        return skip("the kernel has no keys");
    }
    // Keyrings of containers that end come and go at any time; one that comes with each start of ours cannot be seen before it.
    let serials = |text: &str| -> BTreeSet<String> {
        text.lines().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
    };
    let before = serials(&fs::read_to_string("/proc/keys").expect("read /proc/keys"));
    let own = serials(&session_keyrings());
    assert!(own.difference(&before).next().is_some(), "{own:?} beside {before:?}");
}
