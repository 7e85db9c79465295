//! Where a container's cgroups are: pure, with runc's meaning of `cgroupsPath`.

use rustix::fs::Access;
use serde::{Deserialize, Serialize, Serializer};

use super::systemd::{Owner, Scope};
use crate::config::clean_path;
use crate::error::{Error, Result};
use crate::host::{CgroupHost, Hierarchy};

/// Who makes cgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ManagerKind {
    /// We do, in the file systems.
    #[default]
    Cgroupfs,
    /// systemd does, when asked.
    Systemd,
    /// Nobody: the container stays in the caller's.
    Disabled,
}

/// Who made a container's cgroups, and changes and removes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Manager {
    #[default]
    Cgroupfs,
    Systemd(Scope),
    Disabled,
}

/// The directories of one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    #[serde(default)]
    pub(super) manager: Manager,
    /// One for each v1 hierarchy.
    pub(super) hierarchies: Vec<Directory>,
    /// The v2 one; beside v1 ones it is that of a hybrid host, and limits nothing.
    pub(super) unified: Option<Directory>,
}

/// One cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Directory {
    mountpoint: String,
    /// Below the mount point; begins with a slash, and is never only that.
    path: String,
    /// Empty for v2.
    controllers: Vec<String>,
}

/// As a list of its fields in their order: there may be a dozen of these, and every command reads them. (With their names they are read, too.)
impl Serialize for Directory {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        (&self.mountpoint, &self.path, &self.controllers).serialize(serializer)
    }
}

impl Directory {
    pub(super) fn absolute(&self) -> String {
        [self.mountpoint.as_str(), &self.path].concat()
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
        ends.map(|end| [&self.mountpoint, &self.path[..end]].concat())
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

    /// Whether the child is not born in its cgroups: v1's it enters by itself, into a scope systemd puts it.
    pub fn is_entered_later(&self) -> bool {
        !self.hierarchies.is_empty() || self.scope().is_some()
    }

    /// Whether the host has hierarchies of v1.
    pub fn has_hierarchies(&self) -> bool {
        !self.hierarchies.is_empty()
    }

    /// The unit that systemd is to make, or has made.
    pub(super) fn scope(&self) -> Option<&Scope> {
        match &self.manager {
            Manager::Systemd(scope) => Some(scope),
            Manager::Cgroupfs | Manager::Disabled => None,
        }
    }

    /// Everything is at another path than was thought.
    pub(super) fn move_to(&mut self, path: &str) {
        for directory in self.hierarchies.iter_mut().chain(&mut self.unified) {
            directory.path = path.to_owned();
        }
    }

    /// Whether the cgroups of a scope are at this path.
    pub(super) fn is_at(&self, path: &str) -> bool {
        self.all().all(|directory| directory.path == path)
    }

    /// The v2 cgroup on the host.
    pub fn unified_path(&self) -> Option<String> {
        self.unified.as_ref().map(Directory::absolute)
    }

    /// Every directory.
    pub fn all(&self) -> impl Iterator<Item = &Directory> {
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
            let hierarchies = hierarchies.iter().map(v1).collect();
            Placement { hierarchies, unified: unified.as_ref().map(v1), ..Placement::default() }
        }
        CgroupHost::V2 { unified } => Placement { unified: Some(v2(unified)), ..Placement::default() },
    })
}

/// No cgroups of the container's own.
pub fn place_nowhere() -> Placement {
    Placement { manager: Manager::Disabled, ..Placement::default() }
}

/// Decides which unit systemd is asked for; `user` is whose systemd, where it is not the system's. `cgroupsPath` is `slice:prefix:name`.
///
/// Errors: another form of path; a user's systemd without cgroup v2 can limit nothing.
pub fn place_scope(
    host: &CgroupHost,
    cgroups_path: Option<&str>,
    id: &str,
    user: Option<u32>,
) -> Result<Placement> {
    let owner = if user.is_some() { Owner::User } else { Owner::System };
    let is_v2 = matches!(host, CgroupHost::V2 { .. });
    let scope = Scope::new(cgroups_path, id, owner, is_v2)?;
    let at = |hierarchy: &Hierarchy, base: &str| directory(hierarchy, base, &scope.path());
    let (hierarchies, unified) = match host {
        CgroupHost::None => return Err(Error::new("systemd cgroup manager: the host has no cgroups")),
        CgroupHost::V1 { .. } if user.is_some() => {
            return Err(Error::new("systemd cgroup manager: an ordinary user's systemd needs cgroup v2"));
        }
        CgroupHost::V1 { hierarchies, unified } => (
            hierarchies.iter().map(|hierarchy| at(hierarchy, "/")).collect(),
            unified.as_ref().map(|hierarchy| at(hierarchy, "/")),
        ),
        CgroupHost::V2 { unified } => {
            let base = user.map_or(String::from("/"), |uid| user_manager(&unified.own, uid));
            (Vec::new(), Some(at(unified, &base)))
        }
    };
    Ok(Placement { manager: Manager::Systemd(scope), hierarchies, unified })
}

/// The cgroup of a user's systemd: above the caller's own, or where it always is.
fn user_manager(own: &str, uid: u32) -> String {
    let name = format!("/user@{uid}.service");
    match own.find(&format!("{name}/")) {
        Some(start) => own[..start + name.len()].to_owned(),
        None => format!("/user.slice/user-{uid}.slice{name}"),
    }
}

/// Both paths begin with a slash.
fn directory(hierarchy: &Hierarchy, base: &str, inner: &str) -> Directory {
    Directory {
        mountpoint: hierarchy.mountpoint.clone(),
        path: clean_path(&[base.trim_end_matches('/'), inner].concat()),
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
    fn scopes_are_below_the_manager_that_is_asked() {
        let own = "/user.slice/user-7.slice/user@7.service/app.slice/x.service";
        let unified = Hierarchy { mountpoint: "/sys/fs/cgroup".into(), controllers: vec![], own: own.into() };
        let host = CgroupHost::V2 { unified };
        let at = |path, user| {
            let placement = place_scope(&host, path, "web", user).unwrap();
            placement.all().map(Directory::absolute).collect::<Vec<_>>()
        };
        assert_eq!(at(None, None), ["/sys/fs/cgroup/system.slice/pinnace-web.scope"]);
        assert_eq!(at(Some("a-b.slice:p:n"), None), ["/sys/fs/cgroup/a.slice/a-b.slice/p-n.scope"]);
        let users = "/sys/fs/cgroup/user.slice/user-7.slice/user@7.service/user.slice/pinnace-web.scope";
        assert_eq!(at(None, Some(7)), [users]);
        assert_eq!(user_manager("/", 7), "/user.slice/user-7.slice/user@7.service");
        let v1 = CgroupHost::V1 { hierarchies: vec![hierarchy("cpu", &["cpu"], "/me")], unified: None };
        assert!(place_scope(&v1, None, "web", Some(7)).is_err());
        let placement = place_scope(&v1, None, "web", None).unwrap();
        assert_eq!(placement.hierarchies[0].absolute(), "/sys/fs/cgroup/cpu/system.slice/pinnace-web.scope");
        assert!(placement.is_entered_later() && placement.is_at("/system.slice/pinnace-web.scope"));
    }

    #[test]
    fn a_directory_is_kept_with_and_without_the_names_of_its_fields() {
        let directory =
            Directory { mountpoint: "/m".into(), path: "/p".into(), controllers: vec!["cpu".into()] };
        let kept = r#"["/m","/p",["cpu"]]"#;
        assert_eq!(serde_json::to_string(&directory).unwrap(), kept);
        let named = r#"{"mountpoint":"/m","path":"/p","controllers":["cpu"]}"#;
        for text in [kept, named] {
            assert_eq!(serde_json::from_str::<Directory>(text).unwrap(), directory);
        }
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
