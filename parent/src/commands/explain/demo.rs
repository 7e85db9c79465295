//! `demo`: a container from a root file system that pinnace carries inside itself.

use std::fs;
use std::mem::ManuallyDrop;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::super::carried::{PROGRAM, TemporaryDirectory};
use super::super::{Context, print};
use pinnace::blocking::{self, Creation, Signals, StateRoot};
use pinnace::{Error, Result};

pub(super) fn run(context: &Context<'_>) -> Result<i32> {
    // They stay blocked: when one comes that asks us to end, all is taken away first, and then we say why.
    let _signals = ManuallyDrop::new(Signals::block()?);
    let id = format!("pinnace-demo-{}", std::process::id());
    let place = TemporaryDirectory::new(&std::env::temp_dir(), "pinnace-demo")?;
    let bundle = place.0.join("bundle");
    write_bundle(&bundle)?;
    print(&format!(
        "A bundle in {}: the default config.json, and a root file system with one program of {} bytes.\n\n",
        bundle.display(),
        PROGRAM.len()
    ))?;
    print(&format!("The plan, as `pinnace plan` prints it:\n{}\n", plan_excerpt(context, &id, &bundle)?))?;

    let root = StateRoot::new(Some(&place.0.join("state")))?;
    let mut creation = Creation::new(&id, context.log, context.trace);
    creation.bundle = Some(&bundle);
    creation.manager = context.global.cgroup_manager()?;
    creation.forgives_cgroups = context.global.forgives_cgroups()?;
    creation.owns_process = true;
    print("The container, as it sees itself:\n")?;
    let begin = Instant::now();
    let created = blocking::create(&root, &creation).map_err(|error| error.context("pinnace demo failed"))?;
    context.warn(&created.warnings);
    let code = created.wait_unless_ended();
    context.warn(&created.remove()?);
    let code = code?;
    blocking::check_ended("while the demonstration ran")?;
    let elapsed = begin.elapsed();
    print(&format!(
        "\nExit code {code}. From reading config.json to the last cgroup's removal: {:.1} ms. Nothing is left of it.\n",
        elapsed.as_secs_f64() * 1000.0
    ))?;
    Ok(code)
}

/// What `pinnace spec` writes, with the program in place of a shell on a terminal.
fn write_bundle(bundle: &Path) -> Result<()> {
    let failed = |error: std::io::Error| Error::io(format_args!("write {}", bundle.display()), &error);
    let root = bundle.join("rootfs");
    for directory in ["dev", "proc", "sys"] {
        fs::create_dir_all(root.join(directory)).map_err(failed)?;
    }
    fs::write(root.join("look-around"), PROGRAM).map_err(failed)?;
    fs::set_permissions(root.join("look-around"), fs::Permissions::from_mode(0o755)).map_err(failed)?;
    let mut spec: serde_json::Value = serde_json::from_str(&blocking::default_config(false)?)
        .map_err(|error| Error::new(format!("spec: {error}")))?;
    spec["process"]["terminal"] = json!(false);
    spec["process"]["args"] = json!(["/look-around"]);
    spec["hostname"] = json!("inside-pinnace");
    fs::write(bundle.join("config.json"), format!("{spec:#}\n")).map_err(failed)
}

/// The beginning and the end of the plan: enough to see what it is.
fn plan_excerpt(context: &Context<'_>, id: &str, bundle: &Path) -> Result<String> {
    let mut creation = Creation::new(id, context.log, context.trace);
    creation.bundle = Some(bundle);
    let text = blocking::preview(&creation)?.text;
    let lines: Vec<&str> = text.lines().collect();
    let (first, last) = (lines.iter().take(8), lines.iter().skip(lines.len().saturating_sub(6)));
    let between = lines.len().saturating_sub(14);
    let excerpt = first.copied().map(String::from).chain([format!("      … {between} lines more …")]);
    Ok(excerpt.chain(last.copied().map(String::from)).map(|line| line + "\n").collect())
}
