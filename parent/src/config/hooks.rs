//! `hooks`: programs of the administrator's that run at certain moments.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// When hooks run, and where: of the first two and the last two, path and process are the host's; a createContainer hook has a path of the host
/// and runs in the container's namespaces; a startContainer hook is the container's in both (config.md "POSIX-platform Hooks").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookPoint {
    Prestart,
    CreateRuntime,
    CreateContainer,
    StartContainer,
    Poststart,
    Poststop,
}

impl HookPoint {
    /// In the order of a container's life.
    pub const ALL: [HookPoint; 6] = [
        HookPoint::Prestart,
        HookPoint::CreateRuntime,
        HookPoint::CreateContainer,
        HookPoint::StartContainer,
        HookPoint::Poststart,
        HookPoint::Poststop,
    ];

    /// The spec's name.
    pub const fn name(self) -> &'static str {
        match self {
            HookPoint::Prestart => "prestart",
            HookPoint::CreateRuntime => "createRuntime",
            HookPoint::CreateContainer => "createContainer",
            HookPoint::StartContainer => "startContainer",
            HookPoint::Poststart => "poststart",
            HookPoint::Poststop => "poststop",
        }
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One hook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Absolute.
    pub path: String,
    /// With the program's name as the first; not empty.
    pub args: Vec<String>,
    /// `None`: the hook gets what its moment gives it.
    pub env: Option<Vec<String>>,
    /// Seconds, above 0.
    pub timeout: Option<u32>,
}

/// Each list in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hooks {
    pub prestart: Vec<Hook>,
    pub create_runtime: Vec<Hook>,
    pub create_container: Vec<Hook>,
    pub start_container: Vec<Hook>,
    pub poststart: Vec<Hook>,
    pub poststop: Vec<Hook>,
}

impl Hooks {
    /// The hooks of one moment.
    pub fn at(&self, point: HookPoint) -> &[Hook] {
        match point {
            HookPoint::Prestart => &self.prestart,
            HookPoint::CreateRuntime => &self.create_runtime,
            HookPoint::CreateContainer => &self.create_container,
            HookPoint::StartContainer => &self.start_container,
            HookPoint::Poststart => &self.poststart,
            HookPoint::Poststop => &self.poststop,
        }
    }

    /// Whether hooks run before the container's tree is its root.
    pub fn run_before_the_pivot(&self) -> bool {
        !(self.prestart.is_empty() && self.create_runtime.is_empty() && self.create_container.is_empty())
    }

    pub fn is_empty(&self) -> bool {
        HookPoint::ALL.iter().all(|point| self.at(*point).is_empty())
    }
}

/// The container's state as hooks get it (runtime.md "State"), but for the process id, which stands between two parts.
#[derive(Clone, Debug)]
pub struct HookState<'a> {
    pub oci_version: &'a str,
    pub id: &'a str,
    pub bundle: &'a str,
    pub annotations: &'a BTreeMap<String, String>,
}

impl HookState<'_> {
    /// The text before and behind the process id.
    pub fn parts(&self, status: &str) -> [String; 2] {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let annotations = if self.annotations.is_empty() {
            String::new()
        } else {
            // A map of strings can be written.
            format!(",\"annotations\":{}", serde_json::to_string(self.annotations).unwrap_or_default())
        };
        [
            format!(
                "{{\"ociVersion\":{},\"id\":{},\"status\":{},\"pid\":",
                quoted(self.oci_version),
                quoted(self.id),
                quoted(status)
            ),
            format!(",\"bundle\":{}{annotations}}}", quoted(self.bundle)),
        ]
    }

    /// The whole text.
    pub fn text(&self, status: &str, pid: i32) -> String {
        let [before, behind] = self.parts(status);
        format!("{before}{pid}{behind}")
    }
}
