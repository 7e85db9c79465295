//! Plans of configurations that real engines wrote, compared with the stored ones. `PINNACE_WRITE_FIXTURES=1` rewrites them: read the
//! difference before you accept it.

use std::fs;
use std::path::{Path, PathBuf};

use linux_raw_sys::general as uapi;
use shared_proto::HostLeft;

use super::{Filter, Plan, Request, Store, plan, show};
use crate::cgroup;
use crate::config;
use crate::error::Result;
use crate::host::{CgroupHost, Hierarchy, HostFacts, SecurityHost};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

fn hierarchy(name: &str, controllers: &[&str]) -> Hierarchy {
    Hierarchy {
        mountpoint: format!("/sys/fs/cgroup{name}"),
        controllers: controllers.iter().map(|name| String::from(*name)).collect(),
        own: String::from("/"),
    }
}

fn root_of(cgroups: CgroupHost) -> HostFacts {
    HostFacts {
        cgroups,
        uid: 0,
        is_initial_user_namespace: true,
        sees_all_cgroups: true,
        denies_groups: false,
        has_kcore: false,
        security: SecurityHost::default(),
    }
}

fn v1() -> HostFacts {
    let hierarchies = vec![
        hierarchy("/cpu,cpuacct", &["cpu", "cpuacct"]),
        hierarchy("/memory", &["memory"]),
        hierarchy("/systemd", &["name=systemd"]),
    ];
    root_of(CgroupHost::V1 { hierarchies, unified: None })
}

fn v2() -> HostFacts {
    root_of(CgroupHost::V2 { unified: hierarchy("", &[]) })
}

/// The printed plan, or why there is none.
fn planned(text: &[u8], host: &HostFacts) -> String {
    look_at_plan(text, host, false, show::text).unwrap_or_else(|error| format!("refused: {error}\n"))
}

fn look_at_plan<T>(
    text: &[u8],
    host: &HostFacts,
    shows_process: bool,
    look: impl FnOnce(&Plan<'_>) -> T,
) -> Result<T> {
    let config = config::parse(text)?;
    let placement = cgroup::place(&host.cgroups, config.cgroups_path.as_deref(), "web").unwrap();
    // Any program will do: seccomp/tests.rs is about what is in it.
    let filter = config.seccomp.as_ref().map(|profile| Filter { flags: profile.flags, program: &[6; 8] });
    let request = Request {
        config: &config,
        filter,
        host,
        placement: &placement,
        root: "/bundle/rootfs",
        id: "web",
        bundle: "/bundle",
        no_pivot: false,
        no_new_keyring: false,
        hold: true,
        detaches: true,
        preserved_count: 0,
        takes_notes: false,
        is_entered: false,
        shows_process,
    };
    let store = Store::default();
    plan(&request, &store).map(|plan| look(&plan))
}

fn check(name: &str, text: &[u8], host: &HostFacts) {
    let stored = fixtures().join("plans").join(format!("{name}.plan"));
    let printed = planned(text, host);
    if std::env::var_os("PINNACE_WRITE_FIXTURES").is_some() {
        fs::create_dir_all(stored.parent().unwrap()).unwrap();
        fs::write(&stored, &printed).unwrap();
    }
    let expected = fs::read_to_string(&stored).unwrap_or_default();
    assert_eq!(printed, expected, "{}", stored.display());
}

#[test]
fn engines_configurations_have_the_stored_plans() {
    let mut names: Vec<PathBuf> = fs::read_dir(fixtures().join("configs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    names.sort();
    assert!(names.len() > 5);
    for path in names {
        let name = path.file_stem().unwrap().to_str().unwrap();
        check(name, &fs::read(&path).unwrap(), &v1());
    }
}

#[test]
fn default_configuration_has_the_stored_plans_on_v1_and_v2() {
    // Terminals are not there yet.
    let spec = |unified| config::default_spec(unified).replace("\"terminal\": true", "\"terminal\": false");
    check("default-v1", spec(false).as_bytes(), &v1());
    check("default-v2", spec(true).as_bytes(), &v2());
}

#[test]
fn mount_that_shows_the_network_makes_all_later_ones_wait() {
    let mut spec: serde_json::Value = serde_json::from_str(&config::default_spec(false)).unwrap();
    spec["process"]["terminal"] = false.into();
    let mounts = spec["mounts"].as_array_mut().unwrap();
    let sysfs = mounts.remove(5);
    mounts.insert(0, sysfs);
    check("sysfs-first", spec.to_string().as_bytes(), &v1());
}

/// A new mount from the initial cgroup namespace would change the options of the host's.
#[test]
fn v2_without_a_cgroup_namespace_is_shown_by_a_bind_unless_options_are_given() {
    let mut spec: serde_json::Value = serde_json::from_str(&config::default_spec(true)).unwrap();
    spec["process"]["terminal"] = false.into();
    spec["linux"]["namespaces"].as_array_mut().unwrap().retain(|namespace| namespace["type"] != "cgroup");
    let second = serde_json::json!({
        "destination": "/second", "type": "cgroup", "source": "cgroup", "options": ["rslave", "nosuid"]
    });
    let third = serde_json::json!({
        "destination": "/third", "type": "cgroup", "source": "cgroup", "options": ["nsdelegate"]
    });
    spec["mounts"].as_array_mut().unwrap().extend([second, third]);
    check("hosts-cgroups-v2", spec.to_string().as_bytes(), &v2());
}

#[test]
fn bind_sources_are_relative_to_the_bundle_and_devices_wait_for_what_covers_them() {
    let mut spec: serde_json::Value = serde_json::from_str(&config::default_spec(true)).unwrap();
    spec["process"]["terminal"] = false.into();
    let bind = serde_json::json!({
        "destination": "/dev/extra", "type": "bind", "source": "extra", "options": ["rbind", "rro", "rslave"]
    });
    spec["mounts"].as_array_mut().unwrap().push(bind);
    spec["linux"]["devices"] = serde_json::json!([
        {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 438, "uid": 0, "gid": 7},
        {"path": "/dev/extra/null", "type": "c", "major": 1, "minor": 3}
    ]);
    check("bind-over-dev", spec.to_string().as_bytes(), &v2());
}

#[test]
fn masks_wait_for_a_null_device_that_has_to_wait() {
    let mut spec: serde_json::Value = serde_json::from_str(&config::default_spec(false)).unwrap();
    spec["process"]["terminal"] = false.into();
    spec["mounts"]
        .as_array_mut()
        .unwrap()
        .retain(|mount| !mount["destination"].as_str().unwrap().starts_with("/dev"));
    check("no-dev", spec.to_string().as_bytes(), &v1());
}

/// Whoever has a pidfd may join its namespaces: they must not be the host's yet.
#[test]
fn a_process_that_is_shown_early_is_born_in_its_namespaces() {
    let spec = config::default_spec(true);
    let unshared =
        |shown| look_at_plan(spec.as_bytes(), &v2(), shown, |plan| plan.bootstrap.unshared).unwrap();
    assert_eq!(unshared(false), uapi::CLONE_NEWNS | uapi::CLONE_NEWIPC | uapi::CLONE_NEWUTS);
    assert_eq!(unshared(true), 0);
}

/// The kernel looks relative names up from where the mount will be, and an image's symlinks there from the root of then.
#[test]
fn names_in_a_mounts_options_mean_the_containers_files_unless_they_are_paths() {
    let host_left = |options: &str| {
        let mut spec: serde_json::Value = serde_json::from_str(&config::default_spec(true)).unwrap();
        let overlay = serde_json::json!({
            "destination": "/m", "type": "overlay", "source": "overlay", "options": [options]
        });
        spec["mounts"].as_array_mut().unwrap().push(overlay);
        let text = spec.to_string();
        look_at_plan(text.as_bytes(), &v2(), false, |plan| plan.bootstrap.host_left).unwrap()
    };
    assert_eq!(host_left("lowerdir=a:b"), HostLeft::First);
    assert_eq!(host_left("lowerdir=/a:/b"), HostLeft::BehindViews);
    let default = config::default_spec(true);
    let host_left = look_at_plan(default.as_bytes(), &v2(), false, |plan| plan.bootstrap.host_left).unwrap();
    assert_eq!(host_left, HostLeft::BeforeNetwork);
}

#[test]
fn too_many_bind_mounts_are_refused_by_their_number() {
    let mut spec: serde_json::Value = serde_json::from_str(&config::default_spec(true)).unwrap();
    spec["process"]["terminal"] = false.into();
    let mounts = spec["mounts"].as_array_mut().unwrap();
    for number in 0..513 {
        let destination = format!("/many/{number}");
        mounts.push(serde_json::json!({"destination": destination, "source": "/", "options": ["bind"]}));
    }
    assert_eq!(
        planned(spec.to_string().as_bytes(), &v2()),
        "refused: $.mounts: there are 513 bind mounts, more than 512\n"
    );
}
