//! The configuration that `pinnace spec` writes: runc's, field by field.

/// The default config.json. On a host with cgroup v2 alone, runc's default has a cgroup namespace as well.
pub fn default_spec(unified: bool) -> String {
    let cgroup_namespace =
        "\t\t\t{\n\t\t\t\t\"type\": \"mount\"\n\t\t\t},\n\t\t\t{\n\t\t\t\t\"type\": \"cgroup\"\n\t\t\t}";
    match unified {
        false => String::from(DEFAULT),
        true => DEFAULT.replace("\t\t\t{\n\t\t\t\t\"type\": \"mount\"\n\t\t\t}", cgroup_namespace),
    }
}

const DEFAULT: &str = include_str!("default.json");

#[cfg(test)]
mod tests {
    use super::*;

    fn check(unified: bool, namespace_count: usize) {
        let spec: serde_json::Value = serde_json::from_str(&default_spec(unified)).unwrap();
        assert_eq!(spec["linux"]["namespaces"].as_array().unwrap().len(), namespace_count);
        assert_eq!(spec["hostname"], "pinnace");
    }

    #[test]
    fn the_cgroup_namespace_comes_with_v2() {
        check(false, 5);
        check(true, 6);
    }
}
