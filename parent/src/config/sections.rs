//! Where the runtime-spec says what a field may be.

/// JSON paths and the sections of runtime-spec 1.3.0 about them; of several that fit, the first counts.
const SECTIONS: [(&str, &str); 36] = [
    ("$.ociVersion", "config.md Specification version"),
    ("$.root", "config.md Root"),
    ("$.mounts", "config.md Mounts"),
    ("$.process.user", "config.md User"),
    ("$.process.rlimits", "config.md POSIX process"),
    ("$.process.apparmorProfile", "config.md Linux Process"),
    ("$.process.capabilities", "config.md Linux Process"),
    ("$.process.noNewPrivileges", "config.md Linux Process"),
    ("$.process.oomScoreAdj", "config.md Linux Process"),
    ("$.process.scheduler", "config.md Linux Process"),
    ("$.process.selinuxLabel", "config.md Linux Process"),
    ("$.process.ioPriority", "config.md Linux Process"),
    ("$.process.execCPUAffinity", "config.md Linux Process"),
    ("$.process", "config.md Process"),
    ("$.hostname", "config.md Hostname"),
    ("$.domainname", "config.md Domainname"),
    ("$.hooks", "config.md POSIX-platform Hooks"),
    ("$.annotations", "config.md Annotations"),
    ("$.linux.namespaces", "config-linux.md Namespaces"),
    ("$.linux.uidMappings", "config-linux.md User namespace mappings"),
    ("$.linux.gidMappings", "config-linux.md User namespace mappings"),
    ("$.linux.timeOffsets", "config-linux.md Offset for Time Namespace"),
    ("$.linux.devices", "config-linux.md Devices"),
    ("$.linux.netDevices", "config-linux.md Network Devices"),
    ("$.linux.cgroupsPath", "config-linux.md Cgroups Path"),
    ("$.linux.resources", "config-linux.md Control groups"),
    ("$.linux.memoryPolicy", "config-linux.md Memory policy"),
    ("$.linux.intelRdt", "config-linux.md IntelRdt"),
    ("$.linux.sysctl", "config-linux.md Sysctl"),
    ("$.linux.seccomp", "config-linux.md Seccomp"),
    ("$.linux.rootfsPropagation", "config-linux.md Rootfs Mount Propagation"),
    ("$.linux.maskedPaths", "config-linux.md Masked Paths"),
    ("$.linux.readonlyPaths", "config-linux.md Readonly Paths"),
    ("$.linux.mountLabel", "config-linux.md Mount Label"),
    ("$.linux.personality", "config-linux.md Personality"),
    ("$.linux", "config-linux.md"),
];

/// The section about the field at `path`; `config.md` where there is no narrower one.
pub fn section(path: &str) -> &'static str {
    let leads = |prefix: &str| {
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    SECTIONS.iter().find(|(prefix, _)| leads(prefix)).map_or("config.md", |&(_, section)| section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_section_is_named() {
        for (path, expected) in [
            ("$.mounts[3].options[0]", "config.md Mounts"),
            ("$.process.user.uid", "config.md User"),
            ("$.process.cwd", "config.md Process"),
            ("$.linux.resources.memory.limit", "config-linux.md Control groups"),
            ("$.linux.unknown", "config-linux.md"),
            ("$", "config.md"),
        ] {
            assert_eq!(section(path), expected, "{path}");
        }
    }
}
