//! The runtime on the calling thread: what the program `pinnace` is made of.
//!
//! Functions return when all is done, and call nothing but the kernel (and hooks, systemd or newuidmap(1), where a configuration wants
//! them). They may be called from any thread. A thread that is in here may be in another network, ipc, uts or cgroup namespace for a moment;
//! it is back when the function returns, and no other thread has left its own. Only a caller that says so
//! ([`Creation::owns_process`], [`Signals`]) has its process changed.

pub use crate::cgroup::ManagerKind;
pub use crate::config::read_process;
pub(crate) use crate::container::delete_created;
pub use crate::container::{
    Container, Created, Creation, Events, Executed, Execution, Finding, Level, Limit, LimitKind, Preview,
    ProcessChanges, Readiness, Schemata, State, TerminalChoice, add_mounts, create, default_config, delete,
    events, exec, kill, kill_all, limits_document, listen_for_readiness, parse_interval, parse_signal, pause,
    preview, process_list, process_table, remove_mounts, resume, start, update, validate,
};
pub use crate::doctor::{Level as SymptomLevel, Symptom, examine};
pub use crate::features::features;
pub use crate::launch::Stdio;
pub use crate::signals::{LOOK_PAUSE, Signals, check_ended, prepare_process};
pub use crate::state::StateRoot;
