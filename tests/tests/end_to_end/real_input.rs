//! What people really run: an OCI image, a distribution, and the config.json files that engines write.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pinnace_tests::{
    Bundle, Value, find_program, is_pinnace, json, run_within, run_within_limit, shared_configs, skip,
    workspace,
};

fn copy_tree(from: &Path, to: &Path) {
    let mut command = Command::new("cp");
    command.arg("-a").arg(format!("{}/.", from.display())).arg(to);
    run_within_limit(command).succeeded();
}

#[test]
fn oci_image_unpacked_by_umoci_runs_from_umocis_config() {
    let Some(umoci) = find_program("umoci") else {
        return skip("oci_image_unpacked_by_umoci", "umoci is not installed");
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
        return skip("debian_runs_dpkg_and_perl", "debootstrap is not installed or failed");
    };
    let script = "dpkg -l | grep -c '^ii' && perl -e 'print join(\"-\", map { $_ * 2 } 1..4), \"\\n\"' && cat /etc/debian_version";
    let outcome = Bundle::new().set("/root/path", json!(root)).shell(script).run();
    let lines: Vec<_> = outcome.succeeded().lines().collect();
    assert!(lines[0].parse::<u32>().is_ok_and(|count| count > 50), "{}", outcome.describe());
    assert_eq!(lines[1], "2-4-6-8");
}

/// What pinnace does not do yet, by JSON path (indexes left out). Nothing else may be a reason to refuse a config that an
/// engine wrote. A line goes when its field is implemented.
const NOT_IMPLEMENTED: &[&str] = &[
    "$.process.terminal",
    // Done where the host has the security module.
    "$.process.apparmorProfile",
    "$.process.selinuxLabel",
    "$.linux.mountLabel",
];

#[test]
fn configs_that_engines_wrote_are_planned_or_refused_by_named_fields() {
    if !is_pinnace() {
        return;
    }
    let Some(directory) = shared_configs() else {
        return skip("configs_that_engines_wrote", "../shared/configs is not there");
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
    assert!(strange.is_empty(), "{}", strange.join("\n"));
}

fn is_known(field: &str) -> bool {
    NOT_IMPLEMENTED.iter().any(|known| {
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
