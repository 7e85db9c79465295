//! Where a container's cgroups are: pure, with runc's meaning of `cgroupsPath`.

use rustix::fs::Access;
use serde::{Deserialize, Serialize};

use crate::config::clean_path;
use crate::error::{Error, Result};
use crate::host::{CgroupHost, Hierarchy};

/// The directories of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// One for each v1 hierarchy.
    pub(super) hierarchies: Vec<Directory>,
    /// The v2 one; beside v1 ones it is that of a hybrid host, and limits nothing.
    pub(super) unified: Option<Directory>,
}

/// One cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    mountpoint: String,
    /// Below the mount point; begins with a slash, and is never only that.
    path: String,
    /// Empty for v2.
    controllers: Vec<String>,
}

impl Directory {
    pub(super) fn absolute(&self) -> String {
        format!("{}{}", self.mountpoint, self.path)
    }

    /// Whether this is of the hierarchy with that controller.
    pub(super) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    pub(super) fn is_unified(&self) -> bool {
        self.controllers.is_empty()
    }

    pub(super) fn mountpoint(&self) -> &str {
        &self.mountpoint
    }

    /// The absolute paths between the mount point and the directory, the outermost first.
    pub(super) fn parents(&self) -> impl Iterator<Item = String> + '_ {
        let ends =
            self.path.match_indices('/').map(|(position, _)| position).filter(|&position| position > 0);
        ends.map(|end| format!("{}{}", self.mountpoint, &self.path[..end]))
    }
}

/// A v1 hierarchy as the container is to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The directory's name below /sys/fs/cgroup.
    pub name: String,
    /// The container's cgroup on the host.
    pub source: String,
    /// What mounts the hierarchy anew, for a cgroup namespace.
    pub options: Vec<String>,
    /// Names that link to `name`: controllers that share the hierarchy.
    pub links: Vec<String>,
}

impl Placement {
    /// Whether there is a v2 hierarchy beside v1 ones.
    pub(super) fn is_hybrid(&self) -> bool {
        self.unified.is_some() && !self.hierarchies.is_empty()
    }

    /// Whether the container has no cgroup of its own.
    pub fn is_empty(&self) -> bool {
        self.hierarchies.is_empty() && self.unified.is_none()
    }

    /// The same without the hierarchies in which the caller may not make anything.
    pub fn writable(mut self) -> Self {
        let is_writable = |directory: &Directory| {
            let existing = std::iter::once(directory.mountpoint.clone()).chain(directory.parents());
            let innermost =
                existing.take_while(|path| rustix::fs::access(path.as_str(), Access::EXISTS).is_ok()).last();
            innermost.is_some_and(|path| rustix::fs::access(path.as_str(), Access::WRITE_OK).is_ok())
        };
        self.hierarchies.retain(is_writable);
        self.unified = self.unified.filter(is_writable);
        self
    }

    /// Whether there are v1 cgroups, which the child enters by itself.
    pub fn has_hierarchies(&self) -> bool {
        !self.hierarchies.is_empty()
    }

    /// Every directory.
    pub(super) fn all(&self) -> impl Iterator<Item = &Directory> {
        self.hierarchies.iter().chain(&self.unified)
    }

    /// The v1 hierarchies as the container is to see them.
    pub fn views(&self) -> Vec<View> {
        self.hierarchies.iter().map(view).collect()
    }
}

fn view(directory: &Directory) -> View {
    let name = directory.mountpoint.rsplit('/').next().unwrap_or_default().to_owned();
    let named = directory.controllers.iter().any(|controller| controller.starts_with("name="));
    let none = named.then(|| String::from("none"));
    let is_link = |controller: &&String| **controller != name && !controller.starts_with("name=");
    View {
        source: directory.absolute(),
        options: none.into_iter().chain(directory.controllers.iter().cloned()).collect(),
        links: directory.controllers.iter().filter(is_link).cloned().collect(),
        name,
    }
}

/// Decides where the cgroups of container `id` are.
///
/// An absolute path counts from the mount point. A relative one, or none (then it is the id), counts from the caller's own cgroup on v1,
/// and on v2 from the parent of that, since a cgroup with processes cannot have children with controllers.
pub fn place(host: &CgroupHost, cgroups_path: Option<&str>, id: &str) -> Result<Placement> {
    let (given, absolute) = match cgroups_path {
        None => (id, false),
        Some(path) => (path, path.starts_with('/')),
    };
    let inner = clean_path(given);
    if inner == "/" {
        return Err(Error::new("$.linux.cgroupsPath: is the root of the hierarchy"));
    }
    let v1 =
        |hierarchy: &Hierarchy| directory(hierarchy, if absolute { "/" } else { &hierarchy.own }, &inner);
    let v2 = |hierarchy: &Hierarchy| {
        let base = if absolute { "/" } else { parent(&hierarchy.own) };
        directory(hierarchy, base, &inner)
    };
    Ok(match host {
        CgroupHost::None => Placement::default(),
        CgroupHost::V1 { hierarchies, unified } => {
            Placement { hierarchies: hierarchies.iter().map(v1).collect(), unified: unified.as_ref().map(v1) }
        }
        CgroupHost::V2 { unified } => Placement { hierarchies: Vec::new(), unified: Some(v2(unified)) },
    })
}

fn directory(hierarchy: &Hierarchy, base: &str, inner: &str) -> Directory {
    Directory {
        mountpoint: hierarchy.mountpoint.clone(),
        path: clean_path(&format!("{base}/{inner}")),
        controllers: hierarchy.controllers.clone(),
    }
}

fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(end) => &path[..end],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchy(name: &str, controllers: &[&str], own: &str) -> Hierarchy {
        Hierarchy {
            mountpoint: format!("/sys/fs/cgroup/{name}"),
            controllers: controllers.iter().map(|name| String::from(*name)).collect(),
            own: own.into(),
        }
    }

    fn check(host: &CgroupHost, path: Option<&str>, expected: &[&str]) {
        let placement = place(host, path, "web").unwrap();
        let found: Vec<String> = placement.all().map(Directory::absolute).collect();
        assert_eq!(found, expected, "{path:?}");
    }

    #[test]
    fn on_v1_relative_paths_are_below_the_callers_own_cgroup() {
        let host = CgroupHost::V1 {
            hierarchies: vec![hierarchy("cpu", &["cpu"], "/"), hierarchy("memory", &["memory"], "/me")],
            unified: None,
        };
        check(&host, None, &["/sys/fs/cgroup/cpu/web", "/sys/fs/cgroup/memory/me/web"]);
        check(&host, Some("a/b"), &["/sys/fs/cgroup/cpu/a/b", "/sys/fs/cgroup/memory/me/a/b"]);
        check(&host, Some("/a/../b"), &["/sys/fs/cgroup/cpu/b", "/sys/fs/cgroup/memory/b"]);
        check(&host, Some("../../x"), &["/sys/fs/cgroup/cpu/x", "/sys/fs/cgroup/memory/me/x"]);
    }

    #[test]
    fn on_v2_relative_paths_are_beside_the_callers_own_cgroup() {
        let unified =
            Hierarchy { mountpoint: "/sys/fs/cgroup".into(), controllers: vec![], own: "/user/me".into() };
        let host = CgroupHost::V2 { unified };
        check(&host, None, &["/sys/fs/cgroup/user/web"]);
        check(&host, Some("/docker/x"), &["/sys/fs/cgroup/docker/x"]);
    }

    #[test]
    fn the_root_of_a_hierarchy_is_refused() {
        let host = CgroupHost::V1 { hierarchies: vec![hierarchy("cpu", &["cpu"], "/")], unified: None };
        assert!(place(&host, Some("/.."), "web").is_err());
    }

    #[test]
    fn the_view_has_links_for_controllers_that_share_a_hierarchy() {
        let host = CgroupHost::V1 {
            hierarchies: vec![
                hierarchy("cpu,cpuacct", &["cpu", "cpuacct"], "/"),
                hierarchy("systemd", &["name=systemd"], "/"),
            ],
            unified: None,
        };
        let views = place(&host, Some("/x"), "web").unwrap().views();
        assert_eq!(views[0].links, ["cpu", "cpuacct"]);
        assert_eq!(views[0].source, "/sys/fs/cgroup/cpu,cpuacct/x");
        assert_eq!(views[1].options, ["none", "name=systemd"]);
        assert_eq!((views[1].name.as_str(), views[1].links.len()), ("systemd", 0));
    }
}
