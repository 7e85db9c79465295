//! Who may depend on whom (DESIGN §3), held by reading the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pinnace_tests::workspace;

/// For each module of the parent's library, what it may name. The program (`main`, `cli`, `commands`, `bench`, `bump`, `memory`) is a crate of its own above them: the
/// compiler sees to it that it names only what is public.
const MAY_USE: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("descriptors", &["error"]),
    ("ending", &["error"]),
    ("host", &["error", "descriptors"]),
    ("log", &["error"]),
    ("signals", &["error"]),
    ("cgroup", &["error", "config", "descriptors", "host", "signals"]),
    ("intel_rdt", &["error", "config"]),
    ("state", &["error", "config", "cgroup", "descriptors", "ending", "host", "intel_rdt", "signals"]),
    ("namespaces", &["error", "descriptors"]),
    ("hooks", &["error", "config", "descriptors", "signals"]),
    ("config", &["error", "descriptors"]),
    ("seccomp", &["error", "config"]),
    ("plan", &["error", "config", "host", "cgroup"]),
    ("terminal", &["error", "launch", "signals"]),
    ("notify", &["error", "launch"]),
    ("svg", &[]),
    ("trace", &["error", "svg"]),
    ("features", &["error", "config", "cgroup", "seccomp"]),
    ("doctor", &["error", "config", "cgroup", "container", "host", "plan", "state"]),
    (
        "launch",
        &[
            "signals",
            "error",
            "config",
            "descriptors",
            "ending",
            "hooks",
            "namespaces",
            "plan",
            "host",
            "trace",
        ],
    ),
    (
        "container",
        &[
            "error",
            "config",
            "descriptors",
            "ending",
            "plan",
            "launch",
            "cgroup",
            "intel_rdt",
            "seccomp",
            "state",
            "hooks",
            "host",
            "log",
            "notify",
            "signals",
            "terminal",
            "trace",
        ],
    ),
    ("blocking", &["cgroup", "config", "container", "doctor", "features", "launch", "signals", "state"]),
    ("embed", &["blocking", "ending", "error", "log", "signals", "trace"]),
];

/// What the pure modules may not name: files, processes, and waiting.
const IMPURE: &[&str] = &[
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "rustix::fs",
    "rustix::io::",
    "rustix::net",
    "rustix::process",
    "smol",
    "syscall!",
    "File::open",
];

/// Words that make a process.
const MAKES_PROCESSES: &[&str] = &["clone3", "process::Command", "posix_spawn", "fork("];

struct Source {
    path: PathBuf,
    /// Without comments and without the tests at the end.
    code: String,
}

fn sources(directory: &str) -> Vec<Source> {
    let mut found = Vec::new();
    collect(&workspace().join(directory), &mut found);
    assert!(!found.is_empty(), "no sources in {directory}");
    found
}

fn collect(directory: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("read a source");
            found.push(Source { code: code_of(&text), path });
        }
    }
}

fn code_of(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// `plan` for parent/src/plan.rs and for everything in parent/src/plan/.
fn module_of(path: &Path) -> String {
    let inner = path.strip_prefix(workspace().join("parent/src")).expect("a file of the parent");
    let first = inner.components().next().expect("a name").as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The code with `crate::` where as many `super::` lead there.
fn from_the_crate(source: &Source) -> String {
    let inner = source.path.strip_prefix(workspace().join("parent/src")).expect("a file of the parent");
    source.code.replace(&"super::".repeat(inner.components().count()), "crate::")
}

/// The names after `crate::`, also those in braces: `use crate::{error, plan::Plan}`.
fn named_modules(code: &str) -> BTreeSet<String> {
    let word = |text: &str| {
        text.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect()
    };
    let mut found = BTreeSet::new();
    for (start, matched) in code.match_indices("crate::") {
        let rest = &code[start + matched.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut item = String::new();
        for letter in list.chars() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    found.insert(word(item.trim()));
                    item.clear();
                }
                _ => item.push(letter),
            }
        }
        found.insert(word(item.trim()));
    }
    found
}

#[test]
fn modules_of_the_parent_name_only_what_lies_below_them() {
    let above = ["main", "lib", "cli", "commands", "bench", "bump", "memory"];
    for source in sources("parent/src") {
        let module = module_of(&source.path);
        if above.contains(&module.as_str()) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            panic!("{}: a module that this test does not know; give it its place", source.path.display());
        };
        for name in named_modules(&from_the_crate(&source)) {
            // Types and macros at the top of the crate are not modules.
            let is_module = name.starts_with(|first: char| first.is_ascii_lowercase());
            let known = MAY_USE.iter().any(|(known, _)| *known == name) || above.contains(&name.as_str());
            if is_module && known && name != module {
                assert!(allowed.contains(&name.as_str()), "{} uses crate::{name}", source.path.display());
            }
        }
    }
}

#[test]
fn config_and_plan_are_pure() {
    for source in sources("parent/src") {
        let module = module_of(&source.path);
        let loads = source.path.ends_with("config/load.rs");
        let is_test = source.path.file_stem().is_some_and(|name| name == "tests");
        if !["config", "plan"].contains(&module.as_str()) || loads || is_test {
            continue;
        }
        for word in IMPURE {
            assert!(!source.code.contains(word), "{} names {word}", source.path.display());
        }
    }
}

#[test]
fn only_the_plan_and_the_launch_know_the_protocol() {
    for source in sources("parent/src") {
        if source.code.contains("shared_proto::") {
            let module = module_of(&source.path);
            // These keep to its bounds.
            let bounds_only = ["config", "seccomp"].contains(&module.as_str())
                && source
                    .code
                    .match_indices("shared_proto::")
                    .all(|(start, _)| source.code[start..].starts_with("shared_proto::limits"));
            assert!(
                ["plan", "launch"].contains(&module.as_str()) || bounds_only,
                "{}",
                source.path.display()
            );
        }
    }
}

#[test]
fn only_spawn_topology_and_hooks_make_processes() {
    for source in sources("parent/src") {
        // `ps` shows what the host's program of that name prints; `bench` runs the programs that it measures.
        let path = source.path.to_string_lossy();
        let spawns = path.contains("launch/spawn")
            || path.ends_with("src/hooks.rs")
            || path.ends_with("container/ps.rs")
            || path.contains("src/bench");
        for word in MAKES_PROCESSES {
            assert!(spawns || !source.code.contains(word), "{} names {word}", source.path.display());
        }
    }
    for source in sources("stage1-init/src") {
        let allowed = source.path.ends_with("src/topology.rs")
            || source.path.ends_with("src/hooks.rs")
            || source.path.components().any(|part| part.as_os_str() == "kernel");
        let is_list_of_calls = source.path.ends_with("src/kernel.rs");
        for word in ["clone3", ".clone_process(", "fork("] {
            assert!(
                allowed || is_list_of_calls || !source.code.contains(word),
                "{} names {word}",
                source.path.display()
            );
        }
    }
}

#[test]
fn unsafe_code_of_stage1_lies_in_the_kernel_module_alone() {
    for source in sources("stage1-init/src") {
        let in_kernel = source.path.components().any(|part| part.as_os_str() == "kernel");
        let uses = source
            .code
            .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .any(|word| word == "unsafe");
        assert!(in_kernel || !uses, "{} has unsafe code", source.path.display());
    }
}

#[test]
fn protocol_and_stage1_have_neither_heap_nor_operating_system() {
    let lib =
        |package: &str| fs::read_to_string(workspace().join(package).join("src/lib.rs")).expect("lib.rs");
    for package in ["shared-proto", "stage1-init"] {
        assert!(lib(package).contains("#![no_std]"), "{package}");
    }
    assert!(lib("shared-proto").contains("#![forbid(unsafe_code)]"));
    for package in ["shared-proto/src", "stage1-init/src"] {
        for source in sources(package) {
            let fake = source.path.to_string_lossy().contains("kernel/fake")
                || source.code.contains("#![cfg(test)]");
            let is_test = source.path.components().any(|part| part.as_os_str() == "tests");
            if fake || is_test || source.path.file_stem().is_some_and(|name| name == "tests") {
                continue;
            }
            for word in ["std::", "alloc::"] {
                // The parent's half borrows lists of `String`s; nothing is allocated there.
                let code = source.code.replace("alloc::string::String", "");
                let used = code.match_indices(word).any(|(start, _)| {
                    !code[..start].ends_with(|before: char| before.is_ascii_alphanumeric() || before == '_')
                });
                assert!(!used, "{} names {word}", source.path.display());
            }
        }
    }
}

#[test]
fn packages_depend_only_in_the_direction_of_the_design() {
    let manifest =
        |package: &str| fs::read_to_string(workspace().join(package).join("Cargo.toml")).expect("Cargo.toml");
    let dependencies = |package: &str| {
        let text = manifest(package);
        text.split("[dependencies]")
            .nth(1)
            .unwrap_or_default()
            .split("\n[")
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    assert!(!dependencies("parent").contains("stage1"), "the parent knows stage1 only as bytes");
    for name in ["pinnace", "stage1"] {
        assert!(!dependencies("shared-proto").contains(name));
    }
    assert!(!dependencies("stage1-init").contains("pinnace"));
    for name in ["shared-proto", "stage1", "pinnace "] {
        assert!(!dependencies("tests").contains(name), "tests know the program only from outside");
    }
}
