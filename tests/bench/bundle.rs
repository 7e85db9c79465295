//! A bundle: the specification that `runc spec` writes, without a terminal, over a root file system of busybox alone.

use std::io;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::{Value, json};

use crate::host::CgroupMode;

const DEFAULT_CONFIG: &str = include_str!("../src/default_config.json");

pub(crate) struct Bundle {
    directory: PathBuf,
}

impl Bundle {
    pub(crate) fn make(directory: &Path, cgroups: CgroupMode, args: &[&str]) -> Result<Self, String> {
        let bundle = Self { directory: directory.to_owned() };
        bundle.fill(cgroups, args).map_err(|error| format!("{}: {error}", directory.display()))?;
        Ok(bundle)
    }

    fn fill(&self, cgroups: CgroupMode, args: &[&str]) -> io::Result<()> {
        for name in ["bin", "dev", "proc", "sys"] {
            fs::create_dir_all(self.rootfs().join(name))?;
        }
        for name in ["bin/true", "bin/sleep"] {
            fs::copy(busybox()?, self.rootfs().join(name))?;
        }
        let text = serde_json::to_string_pretty(&config(cgroups, args)).expect("a JSON value can be written");
        fs::write(self.directory.join("config.json"), text)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.directory.join("rootfs")
    }
}

fn config(cgroups: CgroupMode, args: &[&str]) -> Value {
    let mut config: Value = serde_json::from_str(DEFAULT_CONFIG).expect("the default config is JSON");
    config["process"]["args"] = json!(args);
    if cgroups == CgroupMode::V2 {
        // `runc spec` adds it there.
        let namespaces =
            config["linux"]["namespaces"].as_array_mut().expect("the default config has namespaces");
        namespaces.push(json!({"type": "cgroup"}));
    }
    config
}

fn busybox() -> io::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found =
        env::split_paths(&path).map(|directory| directory.join("busybox")).find(|file| file.is_file());
    found.ok_or_else(|| io::Error::other("busybox is not in PATH: run ci/setup"))
}
