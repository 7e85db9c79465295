//! Containers for programs that do other things beside: the operations of [`blocking`] as futures, for any executor.
//! lib.rs says what holds for all of them.

mod options;
mod process;
mod thread;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Signal;

use crate::blocking::{self, Creation, Execution, ProcessChanges, State, StateRoot, TerminalChoice};
use crate::error::{Error, Result};
use crate::log::Log;
use crate::trace::Trace;

pub use options::{Command, Options, Stdio};
pub use process::Process;
use thread::on_thread;

/// A container: a handle, of which there may be many. Dropping one does nothing to the container.
#[derive(Clone, Debug)]
pub struct Container(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: Name,
    first: Process,
    warnings: Mutex<Vec<String>>,
}

/// What finds a container again.
#[derive(Clone, Debug)]
struct Name {
    root: StateRoot,
    id: String,
}

impl Container {
    /// Creates a container from a bundle: a directory with a config.json and a root file system. Its program waits for
    /// [`start`](Container::start).
    ///
    /// Errors: the configuration is wrong (all its faults are named at once), or something of it cannot be had. Nothing is left behind.
    pub async fn create(bundle: impl AsRef<Path>, id: impl Into<String>, options: Options) -> Result<Self> {
        let absolute = |path: &Path| {
            std::path::absolute(path)
                .map_err(|error| Error::io(format_args!("open {}", path.display()), &error))
        };
        let bundle = absolute(bundle.as_ref())?;
        let root = options.root.as_deref().map(absolute).transpose()?;
        let name = Name { root: StateRoot::new(root.as_deref())?, id: id.into() };
        let create = move || create(name, &bundle, &options);
        on_thread(create, |container: Container| {
            // Ignored: whoever does not wait for a container does not wait for an error either.
            let _ = container.0.delete(true);
        })
        .await
    }

    /// A container that exists, whoever has created it. `root` is that of [`Options`].
    ///
    /// Errors: [`NoSuchContainer`](crate::Kind::NoSuchContainer).
    pub async fn open(id: impl Into<String>, root: Option<PathBuf>) -> Result<Self> {
        let name = Name { root: StateRoot::new(root.as_deref())?, id: id.into() };
        let open = move || {
            let (pid, pidfd) = name.open()?.first_process()?;
            Ok(Self::new(name, Process::new(pid, pidfd), Vec::new()))
        };
        on_thread(open, drop).await
    }

    fn new(name: Name, first: Process, warnings: Vec<String>) -> Self {
        Self(Arc::new(Shared { name, first, warnings: Mutex::new(warnings) }))
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.0.name.id
    }

    /// Its first process, which the container ends with.
    pub fn process(&self) -> &Process {
        &self.0.first
    }

    /// What should have been said since this was asked last, although all went well: a limit that this host does not know, a hook that failed when
    /// all was over.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The state as it is now.
    ///
    /// Errors: [`NoSuchContainer`](crate::Kind::NoSuchContainer), after `delete`.
    pub async fn state(&self) -> Result<State> {
        let name = self.0.name.clone();
        on_thread(move || name.open()?.state(), drop).await
    }

    /// Lets the program begin, and returns when it has been executed.
    ///
    /// Errors: it was started already; the program cannot be executed, and then the container has ended.
    pub async fn start(&self) -> Result<()> {
        let name = self.0.name.clone();
        on_thread(move || blocking::start(&name.open_locked()?), drop).await
    }

    /// Executes one more program in the container, and returns when that runs.
    ///
    /// Errors: the container is not running, or is paused; the program cannot be executed.
    pub async fn exec(&self, command: Command) -> Result<Process> {
        let shared = Arc::clone(&self.0);
        on_thread(
            move || shared.exec(&command),
            |process: Process| {
                // Ignored: it may have ended by itself, and is reaped if it has.
                let _ = process.kill(Signal::KILL.as_raw());
                let _ = smol::block_on(process.wait());
            },
        )
        .await
    }

    /// Waits until the first process ends: [`Process::wait`].
    pub async fn wait(&self) -> Result<Option<i32>> {
        self.0.first.wait().await
    }

    /// Sends the first process a signal, by number; SIGKILL reaches all processes of a container without a pid namespace.
    ///
    /// Errors: [`NotRunning`](crate::Kind::NotRunning).
    pub async fn kill(&self, signal: i32) -> Result<()> {
        let name = self.0.name.clone();
        on_thread(move || blocking::kill(&name.open()?, signal), drop).await
    }

    /// Takes the container away, which has ended or was never started; with `force` whatever it does: it is killed before.
    ///
    /// Errors: it runs; it cannot be removed.
    pub async fn delete(&self, force: bool) -> Result<()> {
        let shared = Arc::clone(&self.0);
        on_thread(move || shared.delete(force), drop).await
    }
}

fn create(name: Name, bundle: &Path, options: &Options) -> Result<Container> {
    let (log, trace) = (Log::none(), Trace::off());
    let creation = Creation::new(&name.id, &log, &trace);
    let created = blocking::create(
        &name.root,
        &Creation {
            bundle: Some(bundle),
            config: options.config.as_deref().unwrap_or(creation.config),
            manager: options.cgroup_manager,
            environment: &options.environment,
            stdio: options.stdio.borrow(),
            terminal: TerminalChoice { socket: options.console_socket.as_deref(), detaches: true },
            hold: true,
            ..creation
        },
    )?;
    let warnings = created.warnings.clone();
    match created.into_process() {
        Ok((pid, pidfd)) => Ok(Container::new(name, Process::new(pid, Some(pidfd)), warnings)),
        Err(error) => {
            // Ignored: the first error is the one to tell.
            let _ = blocking::delete(&name.root, &name.id, true);
            Err(error)
        }
    }
}

impl Name {
    fn open(&self) -> Result<blocking::Container> {
        blocking::Container::open(&self.root, &self.id)
    }

    fn open_locked(&self) -> Result<blocking::Container> {
        blocking::Container::open_locked(&self.root, &self.id)
    }
}

impl Shared {
    fn exec(&self, command: &Command) -> Result<Process> {
        let trace = Trace::off();
        let execution = Execution {
            process: None,
            changes: ProcessChanges {
                args: &command.args,
                cwd: command.cwd.as_deref(),
                env: &command.environment,
                user: command.user.as_deref(),
                ..ProcessChanges::default()
            },
            terminal: TerminalChoice { socket: None, detaches: true },
            pid_file: None,
            pidfd_socket: None,
            preserved_count: 0,
            cgroups: &[],
            ignore_paused: false,
            stdio: command.stdio.borrow(),
            trace: &trace,
        };
        let executed = blocking::exec(&self.name.open()?, &execution)?;
        self.warn(executed.warnings.clone());
        let (pid, pidfd) = executed.into_process()?;
        Ok(Process::new(pid, Some(pidfd)))
    }

    fn delete(&self, force: bool) -> Result<()> {
        self.warn(blocking::delete(&self.name.root, &self.name.id, force)?);
        self.first.look().map(drop)
    }

    fn warn(&self, warnings: Vec<String>) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
    }
}
