//! Containers for programs that do other things beside: the operations of [`blocking`] as futures, for any executor.
//! lib.rs says what holds for all of them.

mod options;
mod process;
mod reaper;
mod thread;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::Signal;

use crate::blocking::{
    self, Creation, Execution, ProcessChanges, Schemata, State, StateRoot, TerminalChoice,
};
use crate::error::{Error, Result};
use crate::log::Log;
use crate::trace::Trace;

pub use options::{Command, Options, Stdio};
pub use process::Process;
use thread::on_thread;

/// A container: a handle, of which there may be many. Dropping one does nothing to the container.
///
/// The handle never comes to mean another one, as the id does when the container was deleted and another created: what it is asked then is an error,
/// [`NoSuchContainer`](crate::Kind::NoSuchContainer).
#[derive(Clone, Debug)]
pub struct Container(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    name: Name,
    first: Process,
    warnings: Mutex<Vec<String>>,
}

/// What finds a container again, and no other that has its id later.
#[derive(Clone, Debug)]
struct Name {
    root: StateRoot,
    id: String,
    /// When it was created, in the words of its record.
    created: String,
}

impl Container {
    /// Creates a container from a bundle: a directory with a config.json and a root file system. Its program waits for
    /// [`start`](Container::start).
    ///
    /// Errors: the configuration is wrong, [`InvalidConfig`](crate::Kind::InvalidConfig), which names all its faults at once, or something of it cannot be had. Nothing is left behind.
    pub async fn create(
        bundle: impl AsRef<Path>,
        id: impl Into<String>,
        mut options: Options,
    ) -> Result<Self> {
        let bundle = absolute(bundle.as_ref())?;
        let root = options.root.as_deref().map(absolute).transpose()?;
        options.console_socket = options.console_socket.as_deref().map(absolute).transpose()?;
        let (root, id) = (StateRoot::new(root.as_deref())?, id.into());
        let create = move || create(root, id, &bundle, &options);
        on_thread(create, |container: Container| {
            // Ignored: whoever does not wait for a container does not wait for an error either.
            let _ = container.0.delete(true);
        })
        .await
    }

    /// A container that exists, whoever has created it. `root` is that of [`Options`].
    ///
    /// Errors: [`NoSuchContainer`](crate::Kind::NoSuchContainer); no container can have that id.
    pub async fn open(id: impl Into<String>, root: Option<PathBuf>) -> Result<Self> {
        let root = root.as_deref().map(absolute).transpose()?;
        let (root, id) = (StateRoot::new(root.as_deref())?, id.into());
        let open = move || {
            let found = blocking::Container::open(&root, &id)?;
            let (pid, pidfd) = found.first_process()?;
            reaper::begin_reactor();
            let name = Name { root, id, created: found.created().to_owned() };
            Ok(Self::new(name, Process::found(pid, pidfd), Vec::new()))
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
    /// Errors: it was started already, [`Running`](crate::Kind::Running); the program cannot be executed, and then the container has ended,
    /// [`ProgramNotFound`](crate::Kind::ProgramNotFound) or [`ProgramNotExecutable`](crate::Kind::ProgramNotExecutable); a hook did not succeed,
    /// [`HookFailed`](crate::Kind::HookFailed).
    pub async fn start(&self) -> Result<()> {
        let name = self.0.name.clone();
        on_thread(move || blocking::start(&name.open_locked()?), drop).await
    }

    /// Executes one more program in the container, which is running or waits for its start, and returns when that runs.
    ///
    /// Errors: the container has ended, [`NotRunning`](crate::Kind::NotRunning), or is paused, [`Paused`](crate::Kind::Paused); the program cannot be
    /// executed, as with [`start`](Container::start).
    pub async fn exec(&self, command: Command) -> Result<Process> {
        let mut command = command;
        command.console_socket = command.console_socket.as_deref().map(absolute).transpose()?;
        command.pid_file = command.pid_file.as_deref().map(absolute).transpose()?;
        command.check()?;
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

    /// Sends the first process a signal, by number. In a pid namespace of its own, which is the rule, the kernel keeps from it each signal that it has
    /// no handler for, but SIGKILL and SIGSTOP; one that waits for its start ends all the same. SIGKILL reaches all processes of a container without a pid namespace.
    ///
    /// Errors: [`NotRunning`](crate::Kind::NotRunning).
    pub async fn kill(&self, signal: i32) -> Result<()> {
        let name = self.0.name.clone();
        on_thread(move || blocking::kill(&name.open()?, signal), drop).await
    }

    /// Returns when every process has stopped, until [`resume`](Container::resume).
    ///
    /// Errors: [`NotRunning`](crate::Kind::NotRunning); paused already, [`Paused`](crate::Kind::Paused); it has no cgroups.
    pub async fn pause(&self) -> Result<()> {
        let name = self.0.name.clone();
        on_thread(move || blocking::pause(&name.open_locked()?), drop).await
    }

    /// Returns when every process goes on.
    ///
    /// Errors: [`NotPaused`](crate::Kind::NotPaused).
    pub async fn resume(&self) -> Result<()> {
        let name = self.0.name.clone();
        on_thread(move || blocking::resume(&name.open_locked()?), drop).await
    }

    /// The processes in its cgroups: ids on the host.
    ///
    /// Errors: it has no cgroups.
    pub async fn processes(&self) -> Result<Vec<i32>> {
        let name = self.0.name.clone();
        on_thread(move || name.open()?.processes(), drop).await
    }

    /// What it uses now: a line of JSON, that of `runc events --stats`.
    ///
    /// Errors: [`NotRunning`](crate::Kind::NotRunning).
    pub async fn stats(&self) -> Result<String> {
        let name = self.0.name.clone();
        on_thread(move || blocking::events(&name.open()?)?.stats(), drop).await
    }

    /// Writes the limits of a JSON document like `linux.resources`. What it does not name stays.
    ///
    /// Errors: it has ended; a limit cannot be written, and then none has changed.
    pub async fn update(&self, resources: impl Into<Vec<u8>>) -> Result<()> {
        let (shared, resources) = (Arc::clone(&self.0), resources.into());
        on_thread(move || shared.update(&resources), drop).await
    }

    /// Takes the container away, which has ended or was never started; with `force` whatever it does: it is killed before.
    ///
    /// Errors: it runs, [`Running`](crate::Kind::Running); it cannot be removed; it is gone already, [`NoSuchContainer`](crate::Kind::NoSuchContainer).
    pub async fn delete(&self, force: bool) -> Result<()> {
        let shared = Arc::clone(&self.0);
        on_thread(move || shared.delete(force), drop).await
    }
}

/// Relative paths mean the working directory of the first poll, whatever that is when they are opened.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| Error::io(format_args!("open {}", path.display()), &error))
}

fn create(root: StateRoot, id: String, bundle: &Path, options: &Options) -> Result<Container> {
    reaper::begin()?;
    let (log, trace) = (Log::none(), Trace::off());
    let creation = Creation::new(&id, &log, &trace);
    let created = blocking::create(
        &root,
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
    let (warnings, moment) = (created.warnings.clone(), created.created().to_owned());
    let name = Name { root, id, created: moment };
    match created.into_process().and_then(|(pid, pidfd)| Process::child(pid, pidfd)) {
        Ok(first) => Ok(Container::new(name, first, warnings)),
        Err(error) => {
            // Ignored: the first error is the one to tell.
            let _ = name.delete(true);
            Err(error)
        }
    }
}

impl Name {
    fn open(&self) -> Result<blocking::Container> {
        self.checked(blocking::Container::open(&self.root, &self.id)?)
    }

    fn open_locked(&self) -> Result<blocking::Container> {
        self.checked(blocking::Container::open_locked(&self.root, &self.id)?)
    }

    fn checked(&self, container: blocking::Container) -> Result<blocking::Container> {
        container.must_be_of(&self.created).map(|()| container)
    }

    fn delete(&self, force: bool) -> Result<Vec<String>> {
        blocking::delete_created(&self.root, &self.id, &self.created, force)
    }
}

impl Shared {
    fn exec(&self, command: &Command) -> Result<Process> {
        reaper::begin()?;
        let trace = Trace::off();
        let execution = Execution {
            process: None,
            changes: ProcessChanges {
                args: &command.args,
                cwd: command.cwd.as_deref().map(Path::as_os_str),
                env: &command.environment,
                user: command.user.as_deref(),
                has_terminal: command.console_socket.is_some(),
                capabilities: &command.capabilities,
                ..ProcessChanges::default()
            },
            terminal: TerminalChoice { socket: command.console_socket.as_deref(), detaches: true },
            pid_file: command.pid_file.as_deref(),
            pidfd_socket: None,
            preserved_count: 0,
            cgroups: &[],
            ignore_paused: false,
            heeds_signals: false,
            stdio: command.stdio.borrow(),
            trace: &trace,
        };
        let executed = blocking::exec(&self.name.open()?, &execution)?;
        self.warn(executed.warnings.clone());
        let (pid, pidfd) = executed.into_process()?;
        Process::child(pid, pidfd)
    }

    fn update(&self, resources: &[u8]) -> Result<()> {
        self.warn(blocking::update(self.name.open_locked()?, resources, Schemata::default())?);
        Ok(())
    }

    fn delete(&self, force: bool) -> Result<()> {
        self.warn(self.name.delete(force)?);
        self.first.look().map(drop)
    }

    fn warn(&self, warnings: Vec<String>) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
    }
}
