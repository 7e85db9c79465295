//! A runtime with bundles, a state directory and ids of its own, and the commands that are measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Pid;
use serde_json::Value;

use super::bundle::Material;
use super::child::{
    Cost, check_ended, clean_up, cost_of, cost_together, end, output_of, reap_orphans, rest as rest_for,
    wait_for_orphan,
};
use super::runtimes::Runtime;
use pinnace::{Error, Kind, Result};

/// Dropping it takes away every container that is still there.
pub(crate) struct Contestant {
    pub(crate) runtime: Runtime,
    /// Options before the command, the same for all.
    options: Vec<String>,
    /// A bundle whose program ends by itself, and one whose program stays.
    ending: PathBuf,
    staying: PathBuf,
    state: PathBuf,
    pid_file: PathBuf,
    args: Vec<String>,
    /// Of this contestant and of this process alone.
    id: String,
    held: Vec<Held>,
}

struct Held {
    id: String,
    pid: Pid,
}

impl Contestant {
    /// `bundles` and `state` are directories of the whole benchmark.
    pub(crate) fn new(
        runtime: Runtime,
        material: &Material,
        bundles: &Path,
        state: &Path,
        options: &[String],
    ) -> Result<Self> {
        let own = bundles.join(&runtime.name);
        let (ending, staying) = (own.join("ending"), own.join("staying"));
        material.write_ending(&ending)?;
        material.write_staying(&staying)?;
        Ok(Self {
            options: options.to_owned(),
            ending,
            staying,
            state: state.join(&runtime.name),
            pid_file: own.join("pid"),
            args: material.args(),
            id: format!("bench-{}-{}", std::process::id(), runtime.name),
            held: Vec::new(),
            runtime,
        })
    }

    /// Lets one container run, looks at it, and takes it away: what does nothing would be the fastest of all.
    ///
    /// Errors: there was none; we are asked to end.
    pub(crate) fn prove(&mut self) -> Result<()> {
        let proven = self.hold().and_then(|()| self.sees_held());
        self.release_all(|| {});
        proven.map_err(|error| match is_interruption(&error) {
            true => error,
            false => error.context("it runs no container"),
        })
    }

    fn sees_held(&self) -> Result<()> {
        let mut state = self.command("state");
        state.arg(self.held_id()?);
        let state: Value = serde_json::from_str(&output_of(state)?)
            .map_err(|error| Error::new(format!("its state is no JSON: {error}")))?;
        let pid = self.held.last().map(|held| held.pid.as_raw_nonzero().get());
        if state["status"] == "running" && state["pid"].as_i64() == pid.map(i64::from) {
            return Ok(());
        }
        Err(Error::new(format!("its state says {}, pid {}", state["status"], state["pid"])))
    }

    /// A container in the foreground, from nothing to nothing.
    pub(crate) fn run(&self, rest: Duration) -> Result<Cost> {
        let command = self.run_command(&self.id);
        self.measured(rest, command).inspect_err(|_| self.delete_by_force(&self.id))
    }

    /// What one run writes under `--trace`, which only ours can.
    pub(crate) fn trace(&self) -> Result<String> {
        let file = self.pid_file.with_file_name("trace");
        let mut command = self.run_command(&self.id);
        command.arg("--trace").arg(&file);
        cost_of(command).inspect_err(|_| self.delete_by_force(&self.id))?;
        fs::read_to_string(&file).map_err(|error| Error::io(format_args!("open {}", file.display()), &error))
    }

    /// So many of them at once: the cost of each, and the time until all have ended.
    pub(crate) fn run_at_once(&self, count: u32) -> Result<(Vec<Cost>, Duration)> {
        check_ended()?;
        let id = |index: u32| format!("{}-{index}", self.id);
        cost_together((0..count).map(|index| self.run_command(&id(index))).collect())
            .inspect_err(|_| (0..count).for_each(|index| self.delete_by_force(&id(index))))
    }

    /// The bundle's program once more, in the container that was held last.
    pub(crate) fn exec(&self, rest: Duration) -> Result<Cost> {
        let mut command = self.command("exec");
        command.arg(self.held_id()?).args(&self.args);
        self.measured(rest, command)
    }

    pub(crate) fn state(&self, rest: Duration) -> Result<Cost> {
        let mut command = self.command("state");
        command.arg(self.held_id()?);
        self.measured(rest, command)
    }

    pub(crate) fn list(&self, rest: Duration) -> Result<Cost> {
        self.measured(rest, self.command("list"))
    }

    /// The life of a detached container whose program stays until it is killed: what `LIFECYCLE` names.
    pub(crate) fn lifecycle(&self, rest: Duration) -> Result<Vec<Cost>> {
        self.live(rest).inspect_err(|_| self.delete_by_force(&self.id))
    }

    fn live(&self, rest: Duration) -> Result<Vec<Cost>> {
        let mut create = self.command("create");
        create.arg("--bundle").arg(&self.staying).arg("--pid-file").arg(&self.pid_file).arg(&self.id);
        let create = self.measured(rest, create)?;
        let pid = self.read_pid()?;
        let of_id = |name: &str| {
            let mut command = self.command(name);
            command.arg(&self.id);
            command
        };
        let start = self.measured(rest, of_id("start"))?;
        let state = self.measured(rest, of_id("state"))?;
        let list = self.list(rest)?;
        let mut kill = of_id("kill");
        kill.arg("KILL");
        let kill = self.measured(rest, kill)?;
        // The container runs beside its commands; what it uses counts for the whole.
        let container = Cost { cpu: wait_for_orphan(pid)?, ..Cost::default() };
        let delete = self.measured(rest, of_id("delete"))?;
        let orphans = Cost { cpu: reap_orphans(), ..Cost::default() };
        Ok(vec![create + start + delete + container + orphans, create, start, state, list, kill, delete])
    }

    /// Lets one more container run in the background.
    pub(crate) fn hold(&mut self) -> Result<()> {
        check_ended()?;
        let id = format!("{}-held-{}", self.id, self.held.len());
        let mut command = self.command("run");
        command
            .arg("--detach")
            .arg("--bundle")
            .arg(&self.staying)
            .arg("--pid-file")
            .arg(&self.pid_file)
            .arg(&id);
        let pid = cost_of(command).and_then(|_| self.read_pid());
        let pid = pid.inspect_err(|_| self.delete_by_force(&id))?;
        self.held.push(Held { id, pid });
        Ok(())
    }

    pub(crate) fn held_count(&self) -> usize {
        self.held.len()
    }

    /// Takes all away that are held, and tells of each.
    ///
    /// We end them ourselves: we have become their parent, and a runtime that waits for the end of a process that nobody waits for waits
    /// long. Only then is the runtime asked to delete.
    pub(crate) fn release_all(&mut self, mut released: impl FnMut()) {
        while let Some(held) = self.held.pop() {
            let mut delete = self.command("delete");
            delete.arg(&held.id);
            if end(held.pid).and_then(|_| clean_up(delete)).is_err() {
                self.delete_by_force(&held.id);
            }
            reap_orphans();
            released();
        }
    }

    fn held_id(&self) -> Result<&str> {
        self.held.last().map(|held| held.id.as_str()).ok_or_else(|| Error::new("no container is held"))
    }

    fn read_pid(&self) -> Result<Pid> {
        let failed = |reason: &dyn std::fmt::Display| Error::new(format!("the pid file: {reason}"));
        let text = fs::read_to_string(&self.pid_file).map_err(|error| failed(&error))?;
        let number = text.trim().parse().map_err(|error| failed(&error))?;
        Pid::from_raw(number).ok_or_else(|| failed(&"it has no pid"))
    }

    fn measured(&self, rest: Duration, command: Command) -> Result<Cost> {
        rest_for(rest)?;
        cost_of(command)
    }

    fn delete_by_force(&self, id: &str) {
        let mut delete = self.command("delete");
        // Ignored: there may be nothing to delete, and the first failure is the one that is told.
        let _ = clean_up({
            delete.arg("--force").arg(id);
            delete
        });
        reap_orphans();
    }

    fn run_command(&self, id: &str) -> Command {
        let mut command = self.command("run");
        command.arg("--bundle").arg(&self.ending).arg(id);
        command
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(&self.runtime.program);
        command.arg("--root").arg(&self.state).args(&self.options).arg(name);
        command
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        self.release_all(|| {});
    }
}

/// Whether somebody asked the benchmark to end, and nothing failed.
pub(crate) fn is_interruption(error: &Error) -> bool {
    matches!(error.kind(), Kind::Interrupted(_))
}
