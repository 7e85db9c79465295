//! What people really run: an OCI image, a distribution, and the config.json files that engines write.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use pinnace_tests::{
    Bundle, Container, Value, find_program, json, run_within, run_within_limit, shared_configs, skip,
    tests_pinnace, workspace,
};

fn copy_tree(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command.arg("-a").arg(format!("{}/.", from.display())).arg(to);
    run_within_limit(command).succeeded();
}

#[test]
fn oci_image_unpacked_by_umoci_runs_from_umocis_config() {
    let Some(umoci) = find_program("umoci") else {
        return skip("umoci is not installed");
    };
    let container = Bundle::new().container();
    let scratch = container.bundle.scratch().to_owned();
    let umoci = |args: &[&str]| {
        let mut command = Command::new(&umoci);
        command.args(args).current_dir(&scratch);
        run_within_limit(command).succeeded();
    };
    umoci(&["init", "--layout", "image"]);
    umoci(&["new", "--image", "image:base"]);
    umoci(&["unpack", "--image", "image:base", "first"]);
    copy_tree(&container.bundle.rootfs(), &scratch.join("first/rootfs"));
    umoci(&["repack", "--image", "image:full", "first"]);
    umoci(&[
        "config",
        "--image",
        "image:full",
        "--config.cmd",
        "/bin/sh",
        "--config.cmd",
        "-c",
        "--config.cmd",
        "echo $GREETING from $(pwd) as $(id -u)",
        "--config.env",
        "GREETING=hello",
        "--config.workingdir",
        "/work",
        "--config.user",
        "1000:1000",
        "--config.env",
        "PATH=/bin",
    ]);
    umoci(&["unpack", "--image", "image:full", "second"]);

    let path = scratch.join("second/config.json");
    let mut config: Value =
        serde_json::from_str(&fs::read_to_string(&path).expect("umoci's config")).expect("JSON");
    config["process"]["terminal"] = json!(false);
    fs::write(&path, config.to_string()).expect("write config.json");
    let bundle = scratch.join("second");
    let outcome = container.call(&["run", "--bundle", bundle.to_str().expect("UTF-8"), &container.id]);
    assert_eq!(outcome.succeeded(), "hello from /work as 1000");
}

/// A Debian root file system, made once and kept under target/.
fn debian() -> Option<PathBuf> {
    let directory = workspace().join("target/test-cache");
    let ready = directory.join("debian");
    if ready.is_dir() {
        return Some(ready);
    }
    let debootstrap = find_program("debootstrap")?;
    fs::create_dir_all(&directory).expect("make the cache directory");
    let partial = directory.join(format!("debian.{}", std::process::id()));
    let mut command = Command::new(debootstrap);
    command.args(["--variant=minbase", "stable"]).arg(&partial);
    let outcome = run_within(Duration::from_secs(150), command);
    if outcome.code == 0 {
        fs::rename(&partial, &ready).expect("keep the root file system");
        return Some(ready);
    }
    let _ = fs::remove_dir_all(&partial);
    eprintln!("{}", outcome.stdout.lines().last().unwrap_or_default());
    None
}

#[test]
fn debian_runs_dpkg_and_perl() {
    let Some(root) = debian() else {
        return skip("debootstrap is not installed or failed");
    };
    let script = "dpkg -l | grep -c '^ii' && perl -e 'print join(\"-\", map { $_ * 2 } 1..4), \"\\n\"' && cat /etc/debian_version";
    let outcome = Bundle::new().set("/root/path", json!(root)).shell(script).run();
    let lines: Vec<_> = outcome.succeeded().lines().collect();
    assert!(lines[0].parse::<u32>().is_ok_and(|count| count > 50), "{}", outcome.describe());
    assert_eq!(lines[1], "2-4-6-8");
}

/// What is done where the host has the security module, by JSON path (indexes left out). Nothing else may be a reason to refuse a config that
/// an engine wrote.
const DEPENDS_ON_THE_HOST: &[&str] =
    &["$.process.apparmorProfile", "$.process.selinuxLabel", "$.linux.mountLabel"];

#[test]
fn configs_that_engines_wrote_are_planned_or_refused_by_named_fields() {
    if !tests_pinnace() {
        return;
    }
    let Some(directory) = shared_configs() else {
        return skip("../shared/configs is not there");
    };
    let mut planned = 0;
    let mut refused = 0;
    let mut strange = Vec::new();
    for entry in fs::read_dir(directory).expect("list").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let container = Bundle::new().container();
        fs::copy(&path, container.bundle.path().join("config.json")).expect("copy");
        let bundle = container.bundle.path();
        let outcome = container.call(&["plan", "--bundle", bundle.to_str().expect("UTF-8")]);
        if outcome.code == 0 {
            planned += 1;
            continue;
        }
        refused += 1;
        let fields = refused_fields(&outcome.message());
        if fields.is_empty() || fields.iter().any(|field| !is_known(field)) {
            strange.push(format!("{}: {}", path.display(), outcome.message()));
        }
    }
    eprintln!("configs of engines: {planned} planned, {refused} refused by named fields");
    assert!(planned > 0, "there are no configs of engines that can be planned");
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}

#[test]
fn every_config_that_an_engine_wrote_runs_with_its_files_put_in_place() {
    if !tests_pinnace() {
        return;
    }
    let Some(directory) = shared_configs() else {
        return skip("../shared/configs is not there");
    };
    // Whose namespaces those join that joined some pod's or some engine's.
    let holder = Bundle::new().args(&["/bin/sleep", "1000"]).container();
    holder.run_detached().succeeded();
    let able = Able { features: features(), holder_pid: holder.pid(), capabilities: own_capabilities() };
    let mut failures = Vec::new();
    let mut run_count = 0;
    for entry in fs::read_dir(directory).expect("list").flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("read");
        let engines: Value = serde_json::from_str(&text).expect("JSON");
        let bundle = Bundle::new().edit(|config| *config = engines);
        let (id, scratch) = (bundle.id().to_owned(), bundle.scratch().to_owned());
        let container = bundle.edit(|config| put_in_place(config, &id, &scratch, &able)).container();
        own_root(&container);
        let bundle = container.bundle.path();
        let checked = container.call(&["validate", "--bundle", bundle.to_str().expect("UTF-8")]);
        let outcome = container.run();
        run_count += 1;
        if outcome.code != 0 || checked.code != 0 {
            failures.push(format!("{}: {}{}", path.display(), outcome.describe(), checked.stdout));
        }
        let left = container.snapshot();
        assert!(left.cgroups.is_empty() && left.processes.is_empty(), "{}: {left}", path.display());
    }
    eprintln!("configs of engines: {run_count} run");
    assert!(run_count > 0, "there are no configs of engines that can be run");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What this runtime and this host can do.
struct Able {
    features: Value,
    holder_pid: i32,
    /// The mask of those that the caller has to give.
    capabilities: u64,
}

impl Able {
    fn has_option(&self, option: &str) -> bool {
        self.features["mountOptions"].as_array().expect("options").iter().any(|known| known == option)
    }

    fn can_give(&self, capability: &str) -> bool {
        let all = self.features["linux"]["capabilities"].as_array().expect("capabilities");
        let number = all.iter().position(|known| known == capability);
        number.is_none_or(|number| self.capabilities & 1 << number != 0)
    }
}

fn features() -> Value {
    let outcome = Bundle::new().container().call(&["features"]);
    serde_json::from_str(outcome.succeeded()).expect("JSON")
}

fn own_capabilities() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the own status");
    let mask = status.lines().find_map(|line| line.strip_prefix("CapPrm:")).expect("CapPrm");
    u64::from_str_radix(mask.trim(), 16).expect("a mask")
}

/// What the engine had on its host, for a container whose program ends at once. Nothing else of the configuration changes.
fn put_in_place(config: &mut Value, id: &str, scratch: &Path, able: &Able) {
    config["root"]["path"] = json!("rootfs");
    // No pause, docker-init or catatonit is here; and a terminal needs somebody at the other end.
    config["process"]["args"] = json!(["/bin/true"]);
    config["process"]["terminal"] = json!(false);
    if config["linux"]["cgroupsPath"].is_string() {
        config["linux"]["cgroupsPath"] = json!(format!("/{id}"));
    }
    // docker's own program, by the number of a process.
    config.as_object_mut().expect("an object").remove("hooks");
    for mount in config["mounts"].as_array_mut().expect("mounts") {
        make_source(mount, scratch);
        if !able.has_option("tmpcopyup")
            && let Some(options) = mount["options"].as_array_mut()
        {
            options.retain(|option| option != "tmpcopyup");
        }
    }
    // A test machine's root may itself lack some.
    for set in
        config["process"]["capabilities"].as_object_mut().into_iter().flat_map(|sets| sets.values_mut())
    {
        if let Some(names) = set.as_array_mut() {
            names.retain(|name| name.as_str().is_some_and(|name| able.can_give(name)));
        }
    }
    // Nor may it raise its limits then, which depend on the host's memory.
    for limit in config["process"]["rlimits"].as_array_mut().into_iter().flatten() {
        let Some(own) = limit["type"].as_str().and_then(hard_limit) else { continue };
        for value in ["soft", "hard"] {
            if !able.can_give("CAP_SYS_RESOURCE") && limit[value].as_u64().is_some_and(|asked| asked > own) {
                limit[value] = json!(own);
            }
        }
    }
    for namespace in config["linux"]["namespaces"].as_array_mut().into_iter().flatten() {
        let kind = namespace["type"].as_str().unwrap_or_default().to_owned();
        if let Some(path) = namespace.get_mut("path").filter(|path| path.as_str() != Some("")) {
            let name = if kind == "network" { "net" } else { &kind };
            *path = json!(format!("/proc/{}/ns/{name}", able.holder_pid));
        }
    }
}

/// Our own; `None` where there is none.
fn hard_limit(name: &str) -> Option<u64> {
    let resource = match name {
        "RLIMIT_NOFILE" => Resource::Nofile,
        "RLIMIT_NPROC" => Resource::Nproc,
        _ => return None,
    };
    getrlimit(resource).maximum
}

/// A file or a directory in place of a bind mount's source that is not on this host.
fn make_source(mount: &mut Value, scratch: &Path) {
    let options: Vec<&str> =
        mount["options"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let source = PathBuf::from(mount["source"].as_str().unwrap_or_default());
    let is_bind = options.iter().any(|option| matches!(*option, "bind" | "rbind"));
    if !is_bind || source.exists() {
        return;
    }
    let destination = mount["destination"].as_str().expect("a destination").to_owned();
    let is_file = destination.starts_with("/etc/")
        || ["/sbin/docker-init", "/run/podman-init", "/run/.containerenv"].contains(&destination.as_str());
    let made = scratch.join("sources").join(destination.trim_start_matches('/'));
    fs::create_dir_all(made.parent().expect("a parent")).expect("make directories");
    if is_file {
        fs::write(&made, "").expect("make a file");
    } else {
        fs::create_dir_all(&made).expect("make a directory");
    }
    mount["source"] = json!(made);
}

/// Mount points are made by the container's root, to whom the engine gives its root file system.
fn own_root(container: &Container) {
    let mappings = &container.bundle.config()["linux"]["uidMappings"];
    let is_root = |mapping: &&Value| mapping["containerID"] == 0;
    let Some(root) = mappings.as_array().into_iter().flatten().find(is_root) else { return };
    let mut command = Command::new("chown");
    command.arg("-R").arg(root["hostID"].to_string()).arg(container.bundle.rootfs());
    run_within_limit(command).succeeded();
}

fn is_known(field: &str) -> bool {
    DEPENDS_ON_THE_HOST.iter().any(|known| {
        field.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

/// The JSON paths of a message `…: $.a.b[3]: why; $.c: why`, indexes left out.
fn refused_fields(message: &str) -> Vec<String> {
    let starts = message.match_indices("$.").map(|(start, _)| start);
    starts
        .map(|start| {
            let path = message[start..].split(": ").next().unwrap_or_default();
            path.chars().filter(|letter| !letter.is_ascii_digit()).collect()
        })
        .collect()
}
