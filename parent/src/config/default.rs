//! The configuration that `pinnace spec` writes: runc's, field by field.

/// The default config.json. On a host with cgroup v2 alone, runc's default has a cgroup namespace as well.
pub fn default_spec(unified: bool) -> String {
    match unified {
        false => String::from(DEFAULT),
        true => DEFAULT.replace(MOUNT_NAMESPACE, &namespaces(&["mount", "cgroup"])),
    }
}

/// The same for somebody who is not root: the container's root is user `uid` and group `gid`, the only ones there are. The network is the
/// host's, and so a new sysfs cannot be mounted; limits are for those who have a cgroup.
pub fn rootless_spec(unified: bool, uid: u32, gid: u32) -> String {
    let mapping = |field: &str, host: u32| {
        format!(
            "\t\t\"{field}\": [\n\t\t\t{{\n\t\t\t\t\"containerID\": 0,\n\t\t\t\t\"hostID\": {host},\n\t\t\t\t\"size\": 1\n\t\t\t}}\n\t\t],\n"
        )
    };
    let mappings = mapping("uidMappings", uid) + &mapping("gidMappings", gid);
    let last = if unified { ["mount", "cgroup", "user"].as_slice() } else { &["mount", "user"] };
    let changes = [
        (",\n\t\t\t\t\"gid=5\"", String::new()),
        (
            "\"type\": \"sysfs\",\n\t\t\t\"source\": \"sysfs\"",
            "\"type\": \"none\",\n\t\t\t\"source\": \"/sys\"".into(),
        ),
        (
            "\"options\": [\n\t\t\t\t\"nosuid\",\n\t\t\t\t\"noexec\",\n\t\t\t\t\"nodev\",\n\t\t\t\t\"ro\"",
            SYS_OPTIONS.into(),
        ),
        (RESOURCES, mappings),
        ("\t\t\t{\n\t\t\t\t\"type\": \"network\"\n\t\t\t},\n", String::new()),
        (MOUNT_NAMESPACE, namespaces(last)),
    ];
    let change = |spec: String, (old, new): (&str, String)| {
        debug_assert_eq!(spec.matches(old).count(), 1, "{old}");
        spec.replace(old, &new)
    };
    changes.into_iter().fold(String::from(DEFAULT), change)
}

/// Entries of `linux.namespaces`.
fn namespaces(names: &[&str]) -> String {
    let entries = names.iter().map(|name| format!("\t\t\t{{\n\t\t\t\t\"type\": \"{name}\"\n\t\t\t}}"));
    entries.collect::<Vec<_>>().join(",\n")
}

const DEFAULT: &str = include_str!("default.json");

const MOUNT_NAMESPACE: &str = "\t\t\t{\n\t\t\t\t\"type\": \"mount\"\n\t\t\t}";

const SYS_OPTIONS: &str = "\"options\": [\n\t\t\t\t\"rbind\",\n\t\t\t\t\"nosuid\",\n\t\t\t\t\"noexec\",\n\t\t\t\t\"nodev\",\n\t\t\t\t\"ro\"";

const RESOURCES: &str = "\t\t\"resources\": {\n\t\t\t\"devices\": [\n\t\t\t\t{\n\t\t\t\t\t\"allow\": false,\n\t\t\t\t\t\"access\": \"rwm\"\n\t\t\t\t}\n\t\t\t]\n\t\t},\n";

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(unified: bool, namespace_count: usize) {
        let spec: Value = serde_json::from_str(&default_spec(unified)).unwrap();
        assert_eq!(spec["linux"]["namespaces"].as_array().unwrap().len(), namespace_count);
        assert_eq!(spec["hostname"], "pinnace");
    }

    #[test]
    fn the_cgroup_namespace_comes_with_v2() {
        check(false, 5);
        check(true, 6);
    }

    #[test]
    fn without_root_the_default_is_changed_in_these_places_and_no_other() {
        for unified in [false, true] {
            let mut expected: Value = serde_json::from_str(&default_spec(unified)).unwrap();
            let linux = expected["linux"].as_object_mut().unwrap();
            linux.remove("resources");
            linux.insert("uidMappings".into(), json!([{"containerID": 0, "hostID": 1000, "size": 1}]));
            linux.insert("gidMappings".into(), json!([{"containerID": 0, "hostID": 100, "size": 1}]));
            let namespaces = linux["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "network");
            namespaces.push(json!({"type": "user"}));
            let mounts = expected["mounts"].as_array_mut().unwrap();
            mounts[2]["options"].as_array_mut().unwrap().pop();
            mounts[5] = json!({"destination": "/sys", "type": "none", "source": "/sys",
                "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
            let spec: Value = serde_json::from_str(&rootless_spec(unified, 1000, 100)).unwrap();
            assert_eq!(spec, expected);
        }
    }
}
