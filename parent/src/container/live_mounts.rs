//! Mounts in a container that exists. They are in its record, so that they can be taken away again, and nothing else is.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use linux_raw_sys::general as uapi;
use rustix::fs::{AtFlags, StatxFlags};

use super::exec::open_root;
use super::{Container, symlinks};
use crate::cgroup::Placement;
use crate::config::{self, Basis, Config, Mount, MountKind, Namespace};
use crate::error::{Error, Kind, Result};
use crate::host::{HostFacts, Questions};
use crate::launch::{Entrance, Launch, Reactor, Stdio, block_on};
use crate::plan::{self, Entry, Plan, Request, Store};
use crate::state::{AddedMount, Status, View};

/// Mounts what is in the list, which is JSON text as `$.mounts` of a config.json, all or nothing. Returns what should be said although all went well.
pub fn add_mounts(container: &mut Container, list: &[u8]) -> Result<Vec<String>> {
    let (mut mounts, warnings) = config::parse_mounts(list)?;
    symlinks::copy(&mut mounts, &container.record.bundle, &Namespace::New)?;
    for (index, mount) in mounts.iter().enumerate() {
        let (field, reason) = match mount.kind {
            MountKind::Cgroup { .. } => ("type", "cgroups are mounted when the container is created"),
            MountKind::Remount { .. } => ("options", "remount: that adds nothing which could be removed"),
            MountKind::Symlink { .. } => (
                "options",
                "copy-symlink: the source is a symlink, and a copy of that is no mount that could be removed",
            ),
            // From outside of its pid namespace it would be the host's.
            MountKind::Filesystem { ref fstype, .. } if fstype == "proc" => {
                ("type", "proc is mounted when the container is created")
            }
            MountKind::Bind { .. } | MountKind::Filesystem { .. } => continue,
        };
        return Err(Error::new(format!("$.mounts[{index}].{field}: {reason}")));
    }
    let tree = Tree::open(container)?;
    let kept = container.record.added_mounts.len();
    for mount in mounts {
        if let Err(error) = add(container, &tree, mount) {
            return Err(take_back(container, &tree, kept, error));
        }
    }
    Ok(warnings)
}

/// Unmounts what is in the list, the last first.
///
/// Errors: something of it was not added by `add_mounts`, or is covered by another mount.
pub fn remove_mounts(container: &mut Container, list: &[u8]) -> Result<()> {
    let destinations = config::parse_destinations(list)?;
    let tree = Tree::open(container)?;
    let added = |container: &Container, destination: &str| {
        container.record.added_mounts.iter().rposition(|added| added.destination == destination)
    };
    for destination in &destinations {
        if added(container, destination).is_none() {
            return Err(Error::new(format!("{destination}: no mount was added there")));
        }
    }
    for destination in destinations.iter().rev() {
        // Named twice, it is gone already.
        if let Some(place) = added(container, destination) {
            remove(container, &tree, place)?;
        }
    }
    Ok(())
}

fn add(container: &mut Container, tree: &Tree, mount: Mount) -> Result<()> {
    let Container { record, directory, .. } = container;
    let (view, kept) = (tree.view()?, record.added_mounts.len());
    let mut tries = 0;
    loop {
        tries += 1;
        let destination = mount.destination.clone();
        let mounted = tree.mount(mount.clone(), |detached| {
            let (id, number) = numbers(&detached)?;
            // One that could not be attached is gone with its maker.
            record.added_mounts.truncate(kept);
            record.added_mounts.push(AddedMount { destination, id, number, device: String::new(), view });
            directory.write_record(record)
        });
        match mounted {
            Err(error) if error.kind() == Kind::Moved && tries < TRIES_MAX => std::thread::sleep(PAUSE),
            mounted => {
                mounted?;
                break;
            }
        }
    }
    if let Some(added) = record.added_mounts.last_mut().filter(|added| added.id == added.number) {
        let mounted = tree.mounts()?.into_iter().find(|mounted| mounted.id == added.id);
        added.device = mounted.map(|mounted| mounted.device).unwrap_or_default();
        directory.write_record(record)?;
    }
    Ok(())
}

/// The number in mountinfo of the mount that something open is on, and that which stage1 compares.
fn numbers(place: &OwnedFd) -> Result<(u64, u64)> {
    const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(uapi::STATX_MNT_ID_UNIQUE);
    let number = |wanted| {
        let status = rustix::fs::statx(place, "", AtFlags::EMPTY_PATH, wanted);
        status.map(|status| status.stx_mnt_id).map_err(|errno| Error::call("statx a mount", errno))
    };
    // A kernel that does not know the second kind gives the first.
    Ok((number(StatxFlags::MNT_ID)?, number(StatxFlags::MNT_ID | UNIQUE)?))
}

/// Takes the mounts away that lie behind the first `kept` in the record.
fn take_back(container: &mut Container, tree: &Tree, kept: usize, error: Error) -> Error {
    let mut error = error;
    while container.record.added_mounts.len() > kept {
        if let Err(left) = remove(container, tree, container.record.added_mounts.len() - 1) {
            error = error.with_warnings(vec![left.to_string()]);
            break;
        }
    }
    match container.directory.write_record(&container.record) {
        Ok(()) => error,
        Err(left) => error.with_warnings(vec![left.to_string()]),
    }
}

/// How often a place is looked for that is somewhere else when something is to be mounted or unmounted there: the container may move directories as it
/// likes.
const TRIES_MAX: usize = 32;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// Unmounts what is at this place in the record, wherever it is by now. What the container itself has unmounted, or nobody has mounted since its
/// maker was cut off, needs nothing more.
fn remove(container: &mut Container, tree: &Tree, place: usize) -> Result<()> {
    let added = &container.record.added_mounts[place];
    let of_added = |error: Error| error.context(&added.destination);
    if tree.view()? != added.view {
        return Err(of_added(Error::new(
            "the container's first process has changed its mount namespace or its root since: what was mounted is out of reach",
        )));
    }
    // Before Linux 6.8 a number is given out again, and a filesystem's as well: then the last one of ours that got it has it.
    let is_anothers =
        container.record.added_mounts[place + 1..].iter().any(|later| later.number == added.number);
    let mut tries = 0;
    while !is_anothers && let Some(mounted) = tree.mounts()?.into_iter().find(|mounted| mounted.is(added)) {
        tries += 1;
        match tree.unmount(&mounted.point, added.number) {
            Ok(()) => break,
            Err(error) if error.kind() == Kind::Moved && tries < TRIES_MAX => {
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(of_added(error)),
        }
    }
    container.record.added_mounts.remove(place);
    container.directory.write_record(&container.record)
}

/// A line of mountinfo.
#[derive(Debug, PartialEq, Eq)]
struct Mounted {
    id: u64,
    device: String,
    /// The path in the container, without symlinks, and as it is written there: some bytes are octal, and what is not UTF-8 is here, too.
    point: String,
}

impl Mounted {
    /// Source: proc_pid_mountinfo(5).
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == b' ');
        let id = str::from_utf8(fields.next()?).ok()?.parse().ok()?;
        let device = String::from_utf8_lossy(fields.nth(1)?).into_owned();
        let point = fields.nth(1)?;
        let escape =
            |byte: &u8| if byte.is_ascii() { char::from(*byte).to_string() } else { format!("\\{byte:03o}") };
        let point = str::from_utf8(point).map_or_else(|_| point.iter().map(escape).collect(), str::to_owned);
        Some(Self { id, device, point })
    }

    fn is(&self, added: &AddedMount) -> bool {
        self.id == added.id && (added.device.is_empty() || self.device == added.device)
    }
}

/// The container's file systems.
struct Tree {
    id: String,
    bundle: String,
    placement: Placement,
    pid: i32,
    /// A handle to its init.
    init: OwnedFd,
    /// Its root, in its mount namespace: as a path, and open.
    root_path: String,
    root: OwnedFd,
    basis: Basis,
}

impl Tree {
    /// Errors: there is no process in the container any more; its mount namespace is not its own.
    fn open(container: &Container) -> Result<Self> {
        let not_running = || Error::of_kind(Kind::NotRunning, "container not running");
        let init = match container.status()? {
            Status::Created | Status::Running | Status::Paused => container.init.as_ref(),
            Status::Creating | Status::Stopped => None,
        };
        let init = init.ok_or_else(not_running)?;
        let mut basis: Basis = serde_json::from_slice(&init.basis)
            .map_err(|error| Error::new(format!("the container's process is not kept: {error}")))?;
        if basis.namespaces.mount != Namespace::New {
            return Err(Error::new("the container has no mount namespace of its own"));
        }
        // Nothing is executed.
        basis.process.args.clear();
        basis.process.env.clear();
        Ok(Self {
            id: container.id.clone(),
            bundle: container.record.bundle.clone(),
            placement: container.record.cgroups.clone(),
            pid: init.pid,
            init: init.handle()?.ok_or_else(not_running)?,
            root_path: format!("/proc/{}/root", init.pid),
            root: open_root(init.pid)?,
            basis,
        })
    }

    /// What mountinfo shows.
    fn view(&self) -> Result<View> {
        let failed = |errno| Error::call("stat the container's root", errno);
        let namespace = rustix::fs::stat(format!("/proc/{}/ns/mnt", self.pid)).map_err(failed)?.st_ino;
        let root = rustix::fs::fstat(&self.root).map_err(failed)?.st_ino;
        Ok(View { namespace, root_mount: numbers(&self.root)?.1, root })
    }

    /// Has stage1 mount something from within. `write_down` gets it while it is still detached.
    fn mount(&self, mount: Mount, write_down: impl FnOnce(OwnedFd) -> Result<()>) -> Result<()> {
        let (config, host, store) = (self.config(vec![mount]), self.host()?, Store::default());
        let plan = plan::plan_mount(&self.request(&config, &host), &self.entry(), &store)?;
        let (mut launch, reactor) = (self.enter(&plan)?, Reactor::default());
        write_down(block_on(&reactor, launch.mounting(&reactor, &plan))?)?;
        launch.send_proceed()?;
        // There is nothing to start: it ends with `launch`.
        block_on(&reactor, launch.ready(&reactor, &plan))
    }

    /// Has it unmount what is at `point`, if that is the mount with this number.
    fn unmount(&self, point: &str, number: u64) -> Result<()> {
        let (config, host, store) = (self.config(Vec::new()), self.host()?, Store::default());
        let request = self.request(&config, &host);
        let plan = plan::plan_unmount(&request, &self.entry(), (point, number), &store)?;
        let (mut launch, reactor) = (self.enter(&plan)?, Reactor::default());
        block_on(&reactor, launch.ready(&reactor, &plan))
    }

    fn config(&self, mounts: Vec<Mount>) -> Config {
        let basis = self.basis.clone();
        Config { mounts, mount_label: basis.mount_label.clone(), ..basis.into_config() }
    }

    fn host(&self) -> Result<HostFacts> {
        HostFacts::read_without_cgroups(Questions::default())
    }

    fn request<'a>(&'a self, config: &'a Config, host: &'a HostFacts) -> Request<'a> {
        Request {
            config,
            host,
            filter: None,
            placement: &self.placement,
            root: &self.root_path,
            id: &self.id,
            bundle: &self.bundle,
            no_pivot: false,
            no_new_keyring: true,
            hold: false,
            detaches: false,
            preserved_count: 0,
            takes_notes: false,
            is_entered: true,
            shows_process: false,
        }
    }

    fn entry(&self) -> Entry<'_> {
        Entry { namespaces: &self.basis.namespaces, sends_root: true }
    }

    fn enter(&self, plan: &Plan<'_>) -> Result<Launch> {
        let init = self.init.try_clone().map_err(|error| Error::io("duplicate a pidfd", &error))?;
        let root = Some(self.root.as_fd());
        let entrance = Entrance {
            init,
            tasks: &[],
            cgroup: None,
            root,
            processors: &[],
            notes: None,
            stdio: Stdio::Null,
            heeds_signals: false,
        };
        Launch::enter(plan, entrance)
    }

    /// What is mounted in the container.
    fn mounts(&self) -> Result<Vec<Mounted>> {
        let path = format!("/proc/{}/mountinfo", self.pid);
        let text = std::fs::read(&path).map_err(|error| Error::io(format_args!("read {path}"), &error))?;
        Ok(text.split(|&byte| byte == b'\n').filter_map(Mounted::parse).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_mountinfo_are_read_with_their_odd_names() {
        let parse = |point: &[u8]| {
            let line =
                [b"41 36 0:30 /data ", point, b" rw,nosuid shared:2 - tmpfs tmpfs rw,size=1m"].concat();
            Mounted::parse(&line).map(|mounted| (mounted.id, mounted.point))
        };
        assert_eq!(parse(br"/srv/a\040b\134c"), Some((41, String::from(r"/srv/a\040b\134c"))));
        assert_eq!(parse("/sé".as_bytes()), Some((41, String::from("/sé"))));
        assert_eq!(parse(b"/s\xff\xe9"), Some((41, String::from(r"/s\377\351"))));
        assert_eq!(Mounted::parse(b"41 36"), None);
    }
}
