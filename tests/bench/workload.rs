//! What is measured: the commands of one round, and how each runtime is asked for them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bundle::Bundle;
use crate::child::{Cost, cost_of, reap_orphans, wait_for_orphan};
use crate::host::CgroupMode;
use crate::runtimes::{Kind, Runtime};

#[derive(Clone, Copy)]
pub(crate) enum Workload {
    Run,
    Create,
    Exec,
}

impl Workload {
    pub(crate) fn name(self) -> &'static str {
        self.parts()[0]
    }

    /// What is timed in one round; the first is the whole.
    pub(crate) fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Run => &["run"],
            Self::Create => &["create + start + delete", "create", "start", "delete"],
            Self::Exec => &["exec"],
        }
    }

    /// The container's program.
    pub(crate) fn args(self) -> &'static [&'static str] {
        match self {
            Self::Run | Self::Create => &["/bin/true"],
            Self::Exec => &["/bin/sleep", "1000000"],
        }
    }

    /// The floor is one program that runs one container; it has no commands.
    pub(crate) fn suits(self, kind: Kind) -> bool {
        matches!((self, kind), (Self::Run, _) | (_, Kind::Runtime))
    }
}

/// A runtime with a bundle, a state directory and an id of its own.
pub(crate) struct Contestant<'a> {
    runtime: &'a Runtime,
    bundle: Bundle,
    root: PathBuf,
    pid_file: PathBuf,
    log: PathBuf,
    id: String,
    cgroups: CgroupMode,
}

impl<'a> Contestant<'a> {
    pub(crate) fn new(runtime: &'a Runtime, bundle: Bundle, state: &Path, cgroups: CgroupMode) -> Self {
        let file = |suffix: &str| state.join(format!("{}{suffix}", runtime.name));
        let id = format!("bench-{}", runtime.name);
        Self { runtime, bundle, root: file(""), pid_file: file(".pid"), log: file(".log"), id, cgroups }
    }

    pub(crate) fn name(&self) -> &str {
        &self.runtime.name
    }

    /// One round: the cost of each part. After an error nothing of the container is left.
    pub(crate) fn round(&self, workload: Workload, rest: impl Fn()) -> Result<Vec<Cost>, String> {
        let costs = match (workload, self.runtime.kind) {
            (Workload::Run, Kind::Floor) => self.floor(&rest).map(|cost| vec![cost]),
            (Workload::Run, Kind::Runtime) => self.run(&rest).map(|cost| vec![cost]),
            (Workload::Create, _) => self.create_start_delete(&rest),
            (Workload::Exec, _) => self.exec(&rest).map(|cost| vec![cost]),
        };
        costs.inspect_err(|_| self.clean_up())
    }

    /// What all rounds need: the container to exec in.
    pub(crate) fn begin(&self, workload: Workload) -> Result<(), String> {
        if matches!(workload, Workload::Exec) {
            let mut create = self.command("create")?;
            cost_of(create.arg("--bundle").arg(self.bundle.path()).arg(&self.id), &self.log)?;
            cost_of(self.command("start")?.arg(&self.id), &self.log)?;
        }
        Ok(())
    }

    /// Takes that away.
    pub(crate) fn end(&self, workload: Workload) {
        if matches!(workload, Workload::Exec) {
            self.clean_up();
        }
    }

    fn exec(&self, rest: &impl Fn()) -> Result<Cost, String> {
        rest();
        cost_of(self.command("exec")?.arg(&self.id).arg("/bin/true"), &self.log)
    }

    fn floor(&self, rest: &impl Fn()) -> Result<Cost, String> {
        let rootfs = self.bundle.rootfs();
        rest();
        cost_of(self.program()?.arg(rootfs).arg(self.cgroups.argument()), &self.log)
    }

    fn run(&self, rest: &impl Fn()) -> Result<Cost, String> {
        rest();
        cost_of(self.command("run")?.arg("--bundle").arg(self.bundle.path()).arg(&self.id), &self.log)
    }

    fn create_start_delete(&self, rest: &impl Fn()) -> Result<Vec<Cost>, String> {
        let mut create = self.command("create")?;
        create.arg("--bundle").arg(self.bundle.path()).arg("--pid-file").arg(&self.pid_file).arg(&self.id);
        rest();
        let create = cost_of(&mut create, &self.log)?;
        let pid = fs::read_to_string(&self.pid_file).map_err(|error| format!("pid file: {error}"))?;
        let pid = pid.trim().parse().map_err(|error| format!("pid file: {error}"))?;
        rest();
        let start = cost_of(self.command("start")?.arg(&self.id), &self.log)?;
        // The container itself runs beside `start`; what it uses counts for the whole, not for a command.
        let container = Cost { cpu: wait_for_orphan(pid)?, ..Cost::default() };
        rest();
        let delete = cost_of(self.command("delete")?.arg(&self.id), &self.log)?;
        let orphans = Cost { cpu: reap_orphans(), ..Cost::default() };
        Ok(vec![create + start + delete + container + orphans, create, start, delete])
    }

    fn clean_up(&self) {
        if let (Kind::Runtime, Ok(mut delete)) = (self.runtime.kind, self.command("delete")) {
            // Ignored: there may be nothing to delete, and the first failure is the one that is told.
            let _ = cost_of(delete.arg("--force").arg(&self.id), &self.log);
        }
        reap_orphans();
    }

    fn command(&self, name: &str) -> Result<Command, String> {
        let mut command = self.program()?;
        command.arg("--root").arg(&self.root).arg(name);
        Ok(command)
    }

    /// Standard error goes to a file: a pipe would keep the caller waiting for as long as the container holds it.
    fn program(&self) -> Result<Command, String> {
        let log = File::create(&self.log).map_err(|error| format!("{}: {error}", self.log.display()))?;
        let mut command = Command::new(&self.runtime.program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Ok(command)
    }
}
