//! Bundles: the same configuration for every runtime, in a directory of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::BuiltIn;
use pinnace::{Error, Result};

/// Where the program that stays lies in a container of somebody's own bundle: on the container's own tmpfs.
const STAYING_PROGRAM: &str = "/dev/pinnace-bench/sleep";

/// What all bundles are made from.
pub(crate) struct Material {
    config: Value,
    /// The root file system that all share; none if each bundle has a built-in one of its own.
    root: Option<PathBuf>,
    program: &'static [u8],
}

impl Material {
    /// From a bundle, or from what the program has inside.
    ///
    /// Errors: the bundle's config.json cannot be read, is no JSON, or has no `process.args`.
    pub(crate) fn new(bundle: Option<&Path>, built_in: &BuiltIn) -> Result<Self> {
        let program = built_in.program;
        let Some(bundle) = bundle else {
            let mut config = parse(&built_in.config, "the default configuration")?;
            // A version that those who are some years old know, too.
            config["ociVersion"] = json!("1.0.2");
            config["process"]["args"] = json!(["/bin/true"]);
            config["process"]["terminal"] = json!(false);
            return Ok(Self { config, root: None, program });
        };
        let file = bundle.join("config.json");
        let failed = |error: std::io::Error| Error::io(format_args!("open {}", file.display()), &error);
        let mut config = parse(&fs::read_to_string(&file).map_err(failed)?, &file.display().to_string())?;
        let missing = |what: &str| Error::new(format!("{}: $.{what} is missing", file.display()));
        let path = config["root"]["path"].as_str().ok_or_else(|| missing("root.path"))?;
        let root = bundle.join(path).canonicalize();
        let root =
            root.map_err(|error| Error::io(format_args!("{}: $.root.path", file.display()), &error))?;
        if config["process"]["args"][0].as_str().is_none() {
            return Err(missing("process.args"));
        }
        config["process"]["terminal"] = json!(false);
        config["root"]["path"] = json!(root.to_string_lossy());
        // Each container has its own: some are there at the same time.
        if let Some(linux) = config["linux"].as_object_mut() {
            linux.remove("cgroupsPath");
        }
        Ok(Self { config, root: Some(root), program })
    }

    /// What a container runs, and what `exec` runs in one.
    pub(crate) fn args(&self) -> Vec<String> {
        let args = self.config["process"]["args"].as_array();
        args.into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    }

    /// A bundle in a new directory, whose program ends by itself.
    pub(crate) fn write_ending(&self, directory: &Path) -> Result<()> {
        self.write(directory, &self.config)
    }

    /// A bundle in a new directory, whose program stays until it is killed.
    pub(crate) fn write_staying(&self, directory: &Path) -> Result<()> {
        let mut config = self.config.clone();
        match self.root {
            None => config["process"]["args"] = json!(["/bin/sleep"]),
            Some(_) => {
                let source = directory.join("sleep");
                let mount = json!({"destination": STAYING_PROGRAM, "type": "bind", "source": source.to_string_lossy(),
                    "options": ["bind", "ro"]});
                config["process"]["args"] = json!([STAYING_PROGRAM]);
                match config["mounts"].as_array_mut() {
                    Some(mounts) => mounts.push(mount),
                    None => config["mounts"] = json!([mount]),
                }
            }
        }
        self.write(directory, &config)?;
        self.write_program(&directory.join("sleep"))
    }

    fn write(&self, directory: &Path, config: &Value) -> Result<()> {
        make_directory(directory)?;
        if self.root.is_none() {
            let root = directory.join("rootfs");
            for name in ["bin", "dev", "proc", "sys"] {
                make_directory(&root.join(name))?;
            }
            self.write_program(&root.join("bin/true"))?;
            self.write_program(&root.join("bin/sleep"))?;
        }
        write(&directory.join("config.json"), format!("{config:#}\n").as_bytes())
    }

    fn write_program(&self, path: &Path) -> Result<()> {
        write(path, self.program)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))
            .map_err(|error| Error::io(format_args!("chmod {}", path.display()), &error))
    }
}

fn parse(text: &str, name: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| Error::new(format!("{name}: {error}")))
}

fn make_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Error::io(format_args!("mkdir {}", path.display()), &error))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|error| Error::io(format_args!("write {}", path.display()), &error))
}
