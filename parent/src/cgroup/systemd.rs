//! The cgroups that systemd makes: a transient scope for each container, asked for over D-Bus.
//!
//! One connection, one call for a start: the scope is made with stage1 in it, while stage1 mounts; stage1 does what shows its cgroups only
//! behind that. A second call comes where systemd has a unit of that name left over, or does not know one of the properties.

mod annotations;
mod bus;
mod message;
mod properties;
mod variant;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

use self::bus::Bus;
pub(super) use self::bus::Owner;
use self::message::{Answer, Incoming, Target, Value};
use self::properties::Property;
use crate::config::Resources;
use crate::error::{Error, Result};

/// The manager is compiled in: what `features` tells.
pub const SUPPORTED: bool = true;

/// The unit of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Scope {
    /// `pinnace-web.scope`.
    unit: String,
    /// `machine.slice`; `-.slice` is the root.
    slice: String,
    owner: Owner,
    /// On v2 alone there are properties for most limits.
    is_v2: bool,
}

const MANAGER: Target<'_> = Target {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};

/// What every service on a bus answers.
const PEER: Target<'_> = Target { interface: "org.freedesktop.DBus.Peer", ..MANAGER };

/// systemd's names of errors that are no end.
const UNIT_EXISTS: &str = "org.freedesktop.systemd1.UnitExists";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";
const PROPERTY_READ_ONLY: &str = "org.freedesktop.DBus.Error.PropertyReadOnly";
const INVALID_ARGUMENTS: &str = "org.freedesktop.DBus.Error.InvalidArgs";

/// Properties that take an update back.
#[derive(Debug, Default)]
pub(super) struct Undoing(Vec<Property>);

/// How a call ended that did not succeed.
enum Refusal {
    /// systemd said no: the error's name and text.
    Said {
        name: String,
        text: String,
    },
    Other(Error),
}

impl Refusal {
    fn into_error(self, doing: &str) -> Error {
        match self {
            Refusal::Said { name, text } => Error::new(format!("{doing}: {text} ({name})")),
            Refusal::Other(error) => error.context(doing),
        }
    }
}

/// Asks systemd for a sign of life.
pub fn ask(of_user: bool) -> Result<()> {
    let owner = if of_user { Owner::User } else { Owner::System };
    let scope = Scope::new(None, "doctor", owner, false)?;
    let mut bus = Bus::connect(owner, &scope.unit)?;
    scope.call(&mut bus, PEER, "Ping", &[]).map(drop).map_err(|refusal| refusal.into_error("ask systemd"))
}

impl Scope {
    /// The unit for `slice:prefix:name`, runc's form; without a path, a unit of the id in the usual slice.
    pub(super) fn new(cgroups_path: Option<&str>, id: &str, owner: Owner, is_v2: bool) -> Result<Self> {
        let wrong = |what: &str| Error::new(format!("$.linux.cgroupsPath: {what}"));
        let (slice, prefix, name) = match cgroups_path {
            None => ("", "pinnace", id),
            Some(path) => {
                let parts: Vec<&str> = path.split(':').collect();
                let [slice, prefix, name] = parts[..] else {
                    return Err(Error::new(format!(
                        "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {path:?} instead"
                    )));
                };
                (slice, prefix, name)
            }
        };
        if name.ends_with(".slice") {
            return Err(wrong("a slice has no processes of its own: the third part cannot end in .slice"));
        }
        let slice = match (slice, owner) {
            ("", Owner::System) => "system.slice",
            ("", Owner::User) => "user.slice",
            ("-", _) => "-.slice",
            (slice, _) => slice,
        };
        expand(slice).ok_or_else(|| wrong(&format!("invalid slice name: {slice}")))?;
        let unit = if prefix.is_empty() { format!("{name}.scope") } else { format!("{prefix}-{name}.scope") };
        let is_known = |letter: char| letter.is_ascii_alphanumeric() || ":-_.\\@+".contains(letter);
        if name.is_empty() || !unit.chars().all(is_known) {
            return Err(wrong(&format!("invalid unit name: {unit}")));
        }
        // An id may have a plus, a unit's name may not: written as systemd-escape(1) does.
        Ok(Self { unit: unit.replace('+', "\\x2b"), slice: slice.to_owned(), owner, is_v2 })
    }

    /// Its name.
    pub(super) fn unit(&self) -> &str {
        &self.unit
    }

    /// Below the manager's own cgroup.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", expand(&self.slice).unwrap_or_default(), self.unit)
    }

    /// Makes the scope with `pid` in it, and returns when it is there.
    pub(super) fn start(
        &self,
        pid: Pid,
        resources: &Resources,
        annotations: &BTreeMap<String, String>,
    ) -> Result<()> {
        let doing = format!("unable to start unit {:?}", self.unit);
        let mut bus = Bus::connect(self.owner, &self.unit).map_err(|error| error.context(&doing))?;
        let mut wanted = self.wanted(pid, resources, annotations)?;
        let mut has_reset = false;
        loop {
            let body = [
                Value::text(&self.unit),
                Value::text("replace"),
                Value::Array("(sv)".into(), wanted.iter().map(Property::encoded).collect()),
                Value::Array("(sa(sv))".into(), Vec::new()),
            ];
            match self.job(&mut bus, "StartTransientUnit", &body) {
                Ok(()) => return Ok(()),
                Err(Refusal::Said { name, .. }) if name == UNIT_EXISTS && !has_reset => {
                    // Left over from one that failed, or was cut off; one that is in use stays, and says so the next time.
                    has_reset = true;
                    bus.queue(MANAGER, "ResetFailedUnit", false, &[Value::text(&self.unit)]);
                    if self.is_left_over(&mut bus).unwrap_or(false) {
                        // Ignored: the second attempt tells what is in its way.
                        let _ = self.stop_by(&mut bus);
                    }
                }
                Err(Refusal::Said { name, text }) => match unknown_property(&wanted, &name, &text) {
                    Some(index) => drop(wanted.remove(index)),
                    None => return Err(Refusal::Said { name, text }.into_error(&doing)),
                },
                Err(refusal) => return Err(refusal.into_error(&doing)),
            }
        }
    }

    fn wanted(
        &self,
        pid: Pid,
        resources: &Resources,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Vec<Property>> {
        let on = || Value::Bool(true);
        let pids = Value::Array("u".into(), vec![Value::U32(pid.as_raw_pid() as u32)]);
        let io_accounting = if self.is_v2 { "IOAccounting" } else { "BlockIOAccounting" };
        let mut wanted = vec![
            Property::optional("Description", Value::text(format!("pinnace container {}", self.unit))),
            Property::required("Slice", Value::text(&self.slice)),
            Property::required("Delegate", on()),
            Property::required("PIDs", pids),
            Property::optional("MemoryAccounting", on()),
            Property::optional("CPUAccounting", on()),
            Property::optional(io_accounting, on()),
            Property::optional("TasksAccounting", on()),
            Property::required("DefaultDependencies", Value::Bool(false)),
            // One that failed (killed for want of memory) goes as well: nobody is there to reset it.
            Property::optional("CollectMode", Value::text("inactive-or-failed")),
        ];
        wanted.extend(self.limits(resources, resources));
        wanted.extend(properties::of_devices(&resources.devices));
        for (name, value) in annotations::properties(annotations)? {
            wanted.retain(|property| property.name != name);
            wanted.push(Property { name, value, optional: false });
        }
        Ok(wanted)
    }

    fn limits(&self, change: &Resources, all: &Resources) -> Vec<Property> {
        let has_weights = change.block_io.weight.is_some() || !change.block_io.weight_devices.is_empty();
        let has_bfq = has_weights && has_bfq();
        if self.is_v2 {
            properties::of_v2(change, all, has_bfq)
        } else {
            properties::of_v1(change, all, has_bfq)
        }
    }

    /// Tells systemd of new limits: those that `change` sets, out of all that are in force then; `before` were ours. Returns what takes that back.
    pub(super) fn update(&self, change: &Resources, all: &Resources, before: &Resources) -> Result<Undoing> {
        let wanted = self.limits(change, all);
        if wanted.is_empty() {
            return Ok(Undoing::default());
        }
        let mut bus = self.connect_to_set()?;
        // A limit may be the administrator's, or systemd's own (DefaultTasksMax).
        let mut old = self.numbers(&mut bus, &wanted);
        old.extend(self.limits(before, before));
        let undoing = Undoing(properties::undoing(&wanted, &old));
        self.set(&mut bus, wanted).map(|()| undoing)
    }

    /// Takes limits back.
    pub(super) fn undo_update(&self, undoing: Undoing) {
        if !undoing.0.is_empty() {
            // Ignored: the error that led here is the one to tell.
            let _ = self.connect_to_set().and_then(|mut bus| self.set(&mut bus, undoing.0));
        }
    }

    fn connect_to_set(&self) -> Result<Bus> {
        Bus::connect(self.owner, &self.unit).map_err(|error| error.context(self.setting()))
    }

    fn setting(&self) -> String {
        format!("unable to set properties of unit {:?}", self.unit)
    }

    /// What properties of these names are now, where they are numbers and systemd says it.
    fn numbers(&self, bus: &mut Bus, wanted: &[Property]) -> Vec<Property> {
        let path = object_path(&self.unit);
        let unit = Target { path: &path, interface: "org.freedesktop.DBus.Properties", ..MANAGER };
        let numbers = wanted.iter().filter(|property| matches!(property.value, Value::U64(_)));
        numbers
            .filter_map(|property| {
                let asked = [Value::text("org.freedesktop.systemd1.Scope"), Value::text(&property.name)];
                let number = self.call(bus, unit, "Get", &asked).ok()?.number?;
                Some(Property { value: Value::U64(number), ..property.clone() })
            })
            .collect()
    }

    fn set(&self, bus: &mut Bus, mut wanted: Vec<Property>) -> Result<()> {
        let doing = self.setting();
        loop {
            let body = [
                Value::text(&self.unit),
                Value::Bool(true),
                Value::Array("(sv)".into(), wanted.iter().map(Property::encoded).collect()),
            ];
            match self.call(bus, MANAGER, "SetUnitProperties", &body) {
                // systemd answers first and writes then, before it looks at the next call.
                Ok(_) => {
                    let written = self.call(bus, PEER, "Ping", &[]);
                    return written.map(drop).map_err(|refusal| refusal.into_error(&doing));
                }
                Err(Refusal::Said { name, text }) => match unknown_property(&wanted, &name, &text) {
                    Some(index) => drop(wanted.remove(index)),
                    None => return Err(Refusal::Said { name, text }.into_error(&doing)),
                },
                Err(refusal) => return Err(refusal.into_error(&doing)),
            }
        }
    }

    /// Moves a process into the scope, or into a cgroup below it, which begins with a slash.
    pub(super) fn attach(&self, pid: Pid, below: &str) -> Result<()> {
        let doing = format!("unable to attach process {} to unit {:?}", pid.as_raw_pid(), self.unit);
        let mut bus = Bus::connect(self.owner, &self.unit).map_err(|error| error.context(&doing))?;
        let pids = Value::Array("u".into(), vec![Value::U32(pid.as_raw_pid() as u32)]);
        let body = [Value::text(&self.unit), Value::text(below), pids];
        let attached = self.call(&mut bus, MANAGER, "AttachProcessesToUnit", &body);
        attached.map(drop).map_err(|refusal| refusal.into_error(&doing))
    }

    /// Ends the scope, and returns when it is gone. One that is gone already is no error.
    pub(super) fn stop(&self) -> Result<()> {
        let doing = format!("unable to stop unit {:?}", self.unit);
        let mut bus = Bus::connect(self.owner, &self.unit).map_err(|error| error.context(&doing))?;
        self.stop_by(&mut bus).map_err(|refusal| refusal.into_error(&doing))
    }

    fn stop_by(&self, bus: &mut Bus) -> std::result::Result<(), Refusal> {
        match self.job(bus, "StopUnit", &[Value::text(&self.unit), Value::text("replace")]) {
            Err(Refusal::Said { name, .. }) if name == NO_SUCH_UNIT => Ok(()),
            stopped => stopped,
        }
    }

    /// Ends the scope that a creation may have left that was cut off: systemd does not see by itself that one is empty whose only process
    /// ended while it was made. stage1 gets `patience` to end; a scope in which somebody lives is another's, and stays.
    pub(super) fn stop_left_over(&self, patience: Duration) -> Result<()> {
        /// Between two questions.
        const PAUSE: Duration = Duration::from_millis(20);
        let doing = format!("unable to stop unit {:?}", self.unit);
        let mut bus = Bus::connect(self.owner, &self.unit).map_err(|error| error.context(&doing))?;
        let deadline = Instant::now() + patience;
        loop {
            match self.is_left_over(&mut bus) {
                Ok(true) => return self.stop_by(&mut bus).map_err(|refusal| refusal.into_error(&doing)),
                Ok(false) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Ok(false) => return Ok(()),
                Err(Refusal::Said { name, .. }) if name == NO_SUCH_UNIT => return Ok(()),
                Err(refusal) => return Err(refusal.into_error(&doing)),
            }
        }
    }

    /// Whether the unit has been started, and so had a process, and has none any more: asked in this order, since another creation may be
    /// about to start it.
    fn is_left_over(&self, bus: &mut Bus) -> std::result::Result<bool, Refusal> {
        let list = |word: &str| Value::Array("s".into(), vec![Value::text(word)]);
        let active =
            self.call(bus, MANAGER, "ListUnitsByPatterns", &[list("active"), list(&self.unit)])?.has_items;
        let used = self.call(bus, MANAGER, "GetUnitProcesses", &[Value::text(&self.unit)])?.has_items;
        Ok(active && !used)
    }

    /// Calls a method that makes a job, and waits for the job's end.
    fn job(&self, bus: &mut Bus, method: &str, body: &[Value]) -> std::result::Result<(), Refusal> {
        let job = self.call(bus, MANAGER, method, body)?.text;
        let what_for = format!("systemd to end the job of {method} for {}", self.unit);
        loop {
            match bus.next(&what_for).map_err(Refusal::Other)? {
                Incoming::JobRemoved { job: ended, result } if ended == job => {
                    return match result.as_str() {
                        "done" => Ok(()),
                        result => {
                            Err(Refusal::Other(Error::new(format!("systemd's job ended with {result:?}"))))
                        }
                    };
                }
                _ => {}
            }
        }
    }

    /// Calls a method and waits for its answer.
    fn call(
        &self,
        bus: &mut Bus,
        target: Target<'_>,
        method: &str,
        body: &[Value],
    ) -> std::result::Result<Answer, Refusal> {
        let what_for = format!("systemd to answer {method} for {}", self.unit);
        let serial = bus.queue(target, method, true, body);
        bus.flush(&what_for).map_err(Refusal::Other)?;
        loop {
            match bus.next(&what_for).map_err(Refusal::Other)? {
                Incoming::Returned { reply_serial, answer } if reply_serial == serial => return Ok(answer),
                Incoming::Failed { reply_serial, name, text } if reply_serial == serial => {
                    return Err(Refusal::Said { name, text });
                }
                _ => {}
            }
        }
    }
}

/// Which property a systemd of that version does not know, if it can do without: it says `Cannot set property NAME, or unknown property.`,
/// and of an idle weight before 252 that the value is out of range.
fn unknown_property(wanted: &[Property], error: &str, text: &str) -> Option<usize> {
    let is_about_one = matches!(error, PROPERTY_READ_ONLY | INVALID_ARGUMENTS);
    let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|_| is_about_one);
    words.find_map(|word| wanted.iter().position(|property| property.optional && property.name == word))
}

/// A unit's place on the bus: what is neither letter nor digit is written in hexadecimal, and a digit that comes first.
fn object_path(unit: &str) -> String {
    let mut path = String::from("/org/freedesktop/systemd1/unit/");
    for (index, byte) in unit.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphabetic() || byte.is_ascii_digit() && index > 0;
        match is_plain {
            true => path.push(byte.into()),
            false => path.push_str(&format!("_{byte:02x}")),
        }
    }
    path
}

/// Whether the kernel has the BFQ scheduler, and so files for its weights: every disk lists it then.
fn has_bfq() -> bool {
    let disks = std::fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let schedulers = disks.map(|disk| std::fs::read_to_string(disk.path().join("queue/scheduler")));
    schedulers.flatten().any(|list| list.contains("bfq"))
}

/// `a-b.slice` lies in `a.slice`: its path below the root.
fn expand(slice: &str) -> Option<String> {
    let stem = slice.strip_suffix(".slice")?;
    if stem == "-" {
        return Some(String::new());
    }
    let mut path = String::new();
    let mut prefix = String::new();
    for part in stem.split('-') {
        if part.is_empty() || part.contains('/') {
            return None;
        }
        prefix.push_str(part);
        path.push_str(&format!("/{prefix}.slice"));
        prefix.push('-');
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_slice_prefix_and_name() {
        let path = |given, owner| Scope::new(given, "web", owner, true).map(|scope| scope.path());
        assert_eq!(path(None, Owner::System).unwrap(), "/system.slice/pinnace-web.scope");
        assert_eq!(path(None, Owner::User).unwrap(), "/user.slice/pinnace-web.scope");
        assert_eq!(
            path(Some("machine-x.slice:libpod:1"), Owner::System).unwrap(),
            "/machine.slice/machine-x.slice/libpod-1.scope"
        );
        assert_eq!(path(Some("::1"), Owner::System).unwrap(), "/system.slice/1.scope");
        assert_eq!(path(Some("-:a:b"), Owner::System).unwrap(), "/a-b.scope");
        for wrong in [
            "/a/b",
            "a:b",
            "x:y:z:w",
            "nodot:a:b",
            "a--b.slice:a:b",
            "a/b.slice:a:b",
            ":a:x.slice",
            "::",
            "::a/b",
        ] {
            assert!(path(Some(wrong), Owner::System).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_become_names_of_units() {
        assert_eq!(Scope::new(None, "a+b", Owner::System, true).unwrap().unit, "pinnace-a\\x2bb.scope");
    }

    #[test]
    fn names_of_units_become_places_on_the_bus() {
        assert_eq!(
            object_path("pinnace-a\\x2bb.scope"),
            "/org/freedesktop/systemd1/unit/pinnace_2da_5cx2bb_2escope"
        );
        assert_eq!(object_path("1.scope"), "/org/freedesktop/systemd1/unit/_31_2escope");
    }

    #[test]
    fn properties_that_a_version_lacks_are_found_in_what_it_says() {
        let wanted = [
            Property::required("PIDs", Value::Bool(true)),
            Property::optional("AllowedCPUs", Value::Bool(true)),
            Property::optional("CPUWeight", Value::U64(0)),
        ];
        let text = "Cannot set property AllowedCPUs, or unknown property.";
        assert_eq!(unknown_property(&wanted, PROPERTY_READ_ONLY, text), Some(1));
        let text = "Value specified in CPUWeight is out of range";
        assert_eq!(unknown_property(&wanted, INVALID_ARGUMENTS, text), Some(2));
        assert_eq!(unknown_property(&wanted, PROPERTY_READ_ONLY, "Cannot set property PIDs"), None);
        assert_eq!(unknown_property(&wanted, UNIT_EXISTS, "Unit AllowedCPUs"), None);
    }
}
