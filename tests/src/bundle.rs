//! A bundle in a directory of its own: config.json and a root file system made of busybox.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::{Value, json};

use crate::{Container, busybox, unique_id};

/// The applets that tests use; each is a link to busybox.
const APPLETS: &[&str] = &[
    "awk",
    "cat",
    "chmod",
    "chroot",
    "chown",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "echo",
    "env",
    "false",
    "find",
    "grep",
    "head",
    "hostname",
    "httpd",
    "id",
    "ifconfig",
    "ionice",
    "ip",
    "ipcs",
    "kill",
    "ln",
    "ls",
    "mkdir",
    "mknod",
    "mount",
    "mountpoint",
    "mv",
    "nc",
    "nproc",
    "od",
    "ping",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "setsid",
    "sh",
    "sleep",
    "sort",
    "stat",
    "stty",
    "sync",
    "tail",
    "tee",
    "test",
    "touch",
    "tr",
    "true",
    "tty",
    "umount",
    "uname",
    "uniq",
    "wc",
    "wget",
    "xargs",
];

pub struct Bundle {
    /// Holds everything of this test: `bundle/`, `state/`, and what the test itself puts there.
    pub(crate) directory: PathBuf,
    pub(crate) id: String,
    config: Value,
}

impl Default for Bundle {
    fn default() -> Self {
        Self::new()
    }
}

impl Bundle {
    /// A bundle with runc's default config, without a terminal, whose program is /bin/true.
    pub fn new() -> Self {
        let id = unique_id();
        let directory = env::temp_dir().join(&id);
        let bundle = Self { directory, id, config: default_config() };
        bundle.populate();
        bundle
    }

    fn populate(&self) {
        let rootfs = self.rootfs();
        for name in ["bin", "dev", "proc", "sys", "tmp", "etc"] {
            fs::create_dir_all(rootfs.join(name)).expect("make a directory of the root file system");
        }
        // The container's other users have to get to their root.
        for path in [&self.directory, &self.path(), &rootfs] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("chmod");
        }
        fs::set_permissions(rootfs.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("chmod");
        fs::copy(busybox(), rootfs.join("bin/busybox")).expect("copy busybox");
        for applet in APPLETS {
            symlink("busybox", rootfs.join("bin").join(applet)).expect("link an applet");
        }
        fs::write(
            rootfs.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
        )
        .expect("write passwd");
        fs::write(rootfs.join("etc/group"), "root:x:0:\nuser:x:1000:\n").expect("write group");
        self.write();
    }

    fn write(&self) {
        let text = serde_json::to_string_pretty(&self.config).expect("a JSON value can be written");
        fs::write(self.path().join("config.json"), text).expect("write config.json");
    }

    /// The id of the container that will be made of it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The directory to name with `--bundle`.
    pub fn path(&self) -> PathBuf {
        self.directory.join("bundle")
    }

    pub fn rootfs(&self) -> PathBuf {
        self.path().join("rootfs")
    }

    /// A directory of the test that is not part of the bundle; it vanishes with the bundle.
    pub fn scratch(&self) -> &Path {
        &self.directory
    }

    pub fn config(&self) -> &Value {
        &self.config
    }

    /// Changes the config, also on disk.
    #[must_use]
    pub fn edit(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.config);
        self.write();
        self
    }

    /// Sets the value at a JSON pointer whose parent exists.
    #[must_use]
    pub fn set(self, pointer: &str, value: Value) -> Self {
        self.edit(|config| {
            let (parent, key) = pointer.rsplit_once('/').expect("a pointer with a slash");
            let parent =
                config.pointer_mut(parent).unwrap_or_else(|| panic!("{parent} is not in the config"));
            match parent {
                Value::Array(items) if key == "-" => items.push(value),
                Value::Array(items) => items[key.parse::<usize>().expect("an index")] = value,
                other => other[key] = value,
            }
        })
    }

    #[must_use]
    pub fn args(self, args: &[&str]) -> Self {
        self.set("/process/args", json!(args))
    }

    #[must_use]
    pub fn shell(self, script: &str) -> Self {
        self.args(&["/bin/sh", "-c", script])
    }

    /// Appends a mount.
    #[must_use]
    pub fn mount(self, destination: &str, kind: &str, source: &str, options: &[&str]) -> Self {
        self.set(
            "/mounts/-",
            json!({"destination": destination, "type": kind, "source": source, "options": options}),
        )
    }

    /// Removes the default mounts at and below `destination`.
    #[must_use]
    pub fn without_mount(self, destination: &str) -> Self {
        self.edit(|config| {
            let below = format!("{destination}/");
            config["mounts"].as_array_mut().expect("mounts").retain(|mount| {
                let point = mount["destination"].as_str().unwrap_or_default();
                point != destination && !point.starts_with(&below)
            });
        })
    }

    #[must_use]
    pub fn without_namespace(self, kind: &str) -> Self {
        self.edit(|config| {
            let namespaces = config["linux"]["namespaces"].as_array_mut().expect("namespaces");
            namespaces.retain(|namespace| namespace["type"] != kind);
        })
    }

    /// Joins the namespace at `path` instead of a new one.
    #[must_use]
    pub fn join_namespace(self, kind: &str, path: &str) -> Self {
        self.without_namespace(kind).set("/linux/namespaces/-", json!({"type": kind, "path": path}))
    }

    #[must_use]
    pub fn writable(self) -> Self {
        self.set("/root/readonly", json!(false))
    }

    #[must_use]
    pub fn all_capabilities(self, names: &[&str]) -> Self {
        self.set("/process/capabilities", json!({"bounding": names, "effective": names, "permitted": names}))
    }

    /// Writes a file (and its directories) into the root file system.
    #[must_use]
    pub fn file(self, path: &str, content: &str, mode: u32) -> Self {
        let path = self.rootfs().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("a file has a directory")).expect("make directories");
        fs::write(&path, content).expect("write a file of the root file system");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
        self
    }

    /// The container that the program under test makes of this bundle.
    pub fn container(self) -> Container {
        Container::new(self)
    }

    /// `container()`, run in the foreground at once.
    #[track_caller]
    pub fn run(self) -> crate::Outcome {
        self.container().run()
    }
}

/// What `runc spec` writes, without a terminal.
fn default_config() -> Value {
    serde_json::from_str(include_str!("default_config.json")).expect("default_config.json is JSON")
}
