//! A container as its user sees it: an id, a state directory, and commands.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;

use crate::outcome::exited_within;
use crate::{Bundle, Outcome, Snapshot, program, run_within_limit, wait_until};

/// The status words of the runtime-spec that `state` prints.
pub type Status = String;

pub struct Container {
    pub bundle: Bundle,
    pub id: String,
    /// What goes before the command, after `--root`.
    global_options: Vec<String>,
    /// What goes after `create` and `run`.
    create_options: Vec<String>,
    state_root: PathBuf,
}

impl Container {
    pub(crate) fn new(bundle: Bundle) -> Self {
        let id = bundle.id.clone();
        let state_root = bundle.directory.join("state");
        Self { bundle, id, global_options: Vec::new(), create_options: Vec::new(), state_root }
    }

    #[must_use]
    pub fn with_global_options(mut self, options: &[&str]) -> Self {
        self.global_options.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    #[must_use]
    pub fn with_create_options(mut self, options: &[&str]) -> Self {
        self.create_options.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    /// Another directory for the state than the one beside the bundle.
    #[must_use]
    pub fn with_state_root(mut self, path: PathBuf) -> Self {
        self.state_root = path;
        self
    }

    pub fn state_root(&self) -> &PathBuf {
        &self.state_root
    }

    /// The program under test with `--root` and the arguments, ready to run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--root").arg(&self.state_root).args(&self.global_options).args(args);
        command
    }

    #[track_caller]
    pub fn call(&self, args: &[&str]) -> Outcome {
        run_within_limit(self.command(args))
    }

    /// `create` or `run` with the bundle and the options of this container, ready to run.
    pub fn create_command(&self, verb: &str, options: &[&str]) -> Command {
        let mut command = self.command(&[verb]);
        command
            .arg("--bundle")
            .arg(self.bundle.path())
            .args(&self.create_options)
            .args(options)
            .arg(&self.id);
        command
    }

    #[track_caller]
    pub fn run(&self) -> Outcome {
        run_within_limit(self.create_command("run", &[]))
    }

    #[track_caller]
    pub fn run_detached(&self) -> Outcome {
        run_within_limit(self.create_command("run", &["--detach"]))
    }

    #[track_caller]
    pub fn create(&self) -> Outcome {
        run_within_limit(self.create_command("create", &[]))
    }

    #[track_caller]
    pub fn start(&self) -> Outcome {
        self.call(&["start", &self.id])
    }

    #[track_caller]
    pub fn kill(&self, signal: &str) -> Outcome {
        self.call(&["kill", &self.id, signal])
    }

    #[track_caller]
    pub fn delete(&self) -> Outcome {
        self.call(&["delete", &self.id])
    }

    #[track_caller]
    pub fn delete_force(&self) -> Outcome {
        self.call(&["delete", "--force", &self.id])
    }

    /// What `state` prints.
    #[track_caller]
    pub fn state(&self) -> Value {
        let outcome = self.call(&["state", &self.id]);
        let text = outcome.succeeded();
        serde_json::from_str(text).unwrap_or_else(|error| panic!("state is not JSON: {error}\n{text}"))
    }

    #[track_caller]
    pub fn status(&self) -> Status {
        self.state()["status"].as_str().expect("a status").to_owned()
    }

    /// The process id of the container's first process.
    #[track_caller]
    pub fn pid(&self) -> i32 {
        let pid = self.state()["pid"].as_i64().expect("a pid");
        i32::try_from(pid).expect("a pid")
    }

    /// A descriptor of the first process, to wait for its end later.
    #[track_caller]
    pub fn pidfd(&self) -> OwnedFd {
        let pid = Pid::from_raw(self.pid()).expect("a container that lives");
        pidfd_open(pid, PidfdFlags::empty()).expect("pidfd_open of the container's first process")
    }

    /// Waits until the container is stopped.
    #[track_caller]
    pub fn wait_stopped(&self) {
        let state = self.state();
        if state["status"] == "stopped" {
            return;
        }
        // From the same look: by the next one it may have stopped.
        let pid = state["pid"].as_i64().and_then(|pid| Pid::from_raw(pid as i32));
        // There is none while a failed start is on its way to its end.
        let Some(pid) = pid else { return wait_until("the container stops", || self.status() == "stopped") };
        if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
            assert!(exited_within(&pidfd, Duration::from_secs(10)), "the container does not stop");
        }
        assert_eq!(self.status(), "stopped");
    }

    /// What this container has on the host at this moment.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.id, &self.bundle.directory)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Whatever the test did, and with whatever ids, nothing of it stays on the machine.
        for entry in fs::read_dir(&self.state_root).into_iter().flatten().flatten() {
            if let Some(id) = entry.file_name().to_str() {
                let _ = self.command(&["delete", "--force", id]).output();
            }
        }
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        // PINNACE_KEEP=1 keeps it for a look; the path is in the message of the failing command.
        if std::env::var_os("PINNACE_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}
