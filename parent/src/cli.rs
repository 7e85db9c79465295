//! The command line: types for clap, and nothing that acts.
//!
//! Only the invoked command's options are built: all of them together cost a millisecond of page faults.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use crate::cgroup::ManagerKind;
use crate::error::{Error, Result};

/// Options before the command.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// Directory of the containers' state [default: /run/pinnace; of ordinary users $XDG_RUNTIME_DIR/pinnace]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Append log records to this file instead of standard error
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Format of log records: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub log_format: String,
    /// Log what is done, too
    #[arg(long)]
    pub debug: bool,
    /// Let systemd make the cgroups; cgroupsPath is then slice:prefix:name
    #[arg(long)]
    pub systemd_cgroup: bool,
    /// Who makes the cgroups of a new container: cgroupfs, systemd or disabled [default: cgroupfs]
    #[arg(long, value_name = "MANAGER")]
    pub cgroup_manager: Option<String>,
}

impl Global {
    /// Who makes a new container's cgroups. The others' are in their state.
    pub fn cgroup_manager(&self) -> Result<ManagerKind> {
        let named = match self.cgroup_manager.as_deref() {
            None => None,
            Some("cgroupfs") => Some(ManagerKind::Cgroupfs),
            Some("systemd") => Some(ManagerKind::Systemd),
            Some("disabled") => Some(ManagerKind::Disabled),
            Some(other) => return Err(Error::new(format!("unknown cgroup manager specified: {other}"))),
        };
        match (self.systemd_cgroup, named) {
            (true, Some(ManagerKind::Cgroupfs | ManagerKind::Disabled)) => {
                Err(Error::new("--systemd-cgroup and --cgroup-manager contradict each other"))
            }
            (true, _) => Ok(ManagerKind::Systemd),
            (false, named) => Ok(named.unwrap_or_default()),
        }
    }
}

/// What `create` and `run` share.
#[derive(Args, Clone, Debug, Default)]
pub struct Create {
    /// Name of the new container
    #[arg(value_name = "ID", num_args = 0..)]
    pub ids: Vec<String>,
    /// Directory with config.json [default: the working directory]
    #[arg(short, long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Write the pid of the container's first process to this file
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Socket at which the caller takes the program's terminal
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Socket at which the caller takes a pidfd of the container's first process
    #[arg(long, value_name = "PATH")]
    pub pidfd_socket: Option<PathBuf>,
    /// Descriptors above standard error that the program keeps
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
    /// Another name for config.json, or its path
    #[arg(short = 'f', long, value_name = "FILE", default_value = "config.json")]
    pub config: PathBuf,
    /// Do not use pivot_root, for a root on an initramfs
    #[arg(long)]
    pub no_pivot: bool,
    /// Keep the caller's session keyring
    #[arg(long)]
    pub no_new_keyring: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Run {
    #[command(flatten)]
    pub create: Create,
    /// Return once the program runs
    #[arg(short, long)]
    pub detach: bool,
    /// Leave the container's state when the program has ended, for delete
    #[arg(long)]
    pub keep: bool,
    /// Do not adopt orphans of the container: pinnace never does
    #[arg(long)]
    pub no_subreaper: bool,
}

/// Commands that take an id and nothing else.
#[derive(Args, Clone, Debug, Default)]
pub struct OneId {
    /// Name of the container
    #[arg(value_name = "ID", num_args = 0..)]
    pub ids: Vec<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Kill {
    /// Signal every process of the container
    #[arg(short, long)]
    pub all: bool,
    /// Name of the container, then the signal as a name or number [default: SIGTERM]
    #[arg(value_name = "ID [SIGNAL]", num_args = 0.., allow_hyphen_values = false)]
    pub operands: Vec<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Delete {
    /// Kill the container first; an unknown id is no error
    #[arg(short, long)]
    pub force: bool,
    /// Name of the container
    #[arg(value_name = "ID", num_args = 0..)]
    pub ids: Vec<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Ps {
    /// table, made by the host's ps, or json: the pids alone
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub format: String,
    /// Name of the container, then what ps is to be called with [default: -ef]
    #[arg(value_name = "ID [PS OPTIONS]", num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
    pub operands: Vec<String>,
}

/// Texts, since an empty one means nothing, and units are allowed in some: `container/update.rs` reads them.
#[derive(Args, Clone, Debug, Default)]
pub struct Update {
    /// Read the limits from a JSON file, as in linux.resources of config.json, or from standard input (-); the options below are left aside
    #[arg(short, long, value_name = "FILE", allow_hyphen_values = true)]
    pub resources: Option<PathBuf>,
    /// Relative weight of block I/O, 10 to 1000
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub blkio_weight: Option<String>,
    /// Length of a period of the processor quota
    #[arg(long, value_name = "USEC", allow_hyphen_values = true)]
    pub cpu_period: Option<String>,
    /// Processor time in each period; -1 is no limit
    #[arg(long, value_name = "USEC", allow_hyphen_values = true)]
    pub cpu_quota: Option<String>,
    /// Processor time that may be saved up beyond the quota
    #[arg(long, value_name = "USEC", allow_hyphen_values = true)]
    pub cpu_burst: Option<String>,
    /// Relative weight of processor time
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub cpu_share: Option<String>,
    /// Length of a period of the real-time budget
    #[arg(long, value_name = "USEC", allow_hyphen_values = true)]
    pub cpu_rt_period: Option<String>,
    /// Real-time budget in each period
    #[arg(long, value_name = "USEC", allow_hyphen_values = true)]
    pub cpu_rt_runtime: Option<String>,
    /// Processors to run on, such as 0-2,7
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub cpuset_mems: Option<String>,
    /// Whether the container runs only when nothing else does
    #[arg(long, value_name = "0|1", allow_hyphen_values = true)]
    pub cpu_idle: Option<String>,
    /// Memory; -1 is no limit, k, m and g are units
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory: Option<String>,
    /// Memory that is spared when the host runs short
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_reservation: Option<String>,
    /// Memory and swap together; -1 is no limit
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// Number of processes and threads; -1 is no limit
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub pids_limit: Option<String>,
    /// Schema of the L3 cache; needs intelRdt in config.json
    #[arg(long, value_name = "SCHEMA", allow_hyphen_values = true)]
    pub l3_cache_schema: Option<String>,
    /// Schema of the memory bandwidth; needs intelRdt in config.json
    #[arg(long, value_name = "SCHEMA", allow_hyphen_values = true)]
    pub mem_bw_schema: Option<String>,
    /// Accepted for old callers: the kernel has dropped it
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, hide = true)]
    pub kernel_memory: Option<String>,
    /// Accepted for old callers: the kernel has dropped it
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true, hide = true)]
    pub kernel_memory_tcp: Option<String>,
    /// Name of the container
    #[arg(value_name = "ID", num_args = 0..)]
    pub ids: Vec<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Exec {
    /// File with the JSON object of the whole process; the options about the process are then left aside
    #[arg(short, long, value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// Give the program a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// Return once the program runs
    #[arg(short, long)]
    pub detach: bool,
    /// Write the pid of the program to this file
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Socket at which the caller takes the program's terminal
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Socket at which the caller takes a pidfd of the program
    #[arg(long, value_name = "PATH")]
    pub pidfd_socket: Option<PathBuf>,
    /// Directory to begin in
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<String>,
    /// One more environment variable
    #[arg(short, long, value_name = "NAME=VALUE", allow_hyphen_values = true)]
    pub env: Vec<String>,
    /// User, and perhaps group, as numbers
    #[arg(short, long, value_name = "UID[:GID]", allow_hyphen_values = true)]
    pub user: Option<String>,
    /// One more group, as a number
    #[arg(short = 'g', long, value_name = "GID", allow_hyphen_values = true)]
    pub additional_gids: Vec<String>,
    /// The program's SELinux context
    #[arg(long, value_name = "LABEL")]
    pub process_label: Option<String>,
    /// The program's AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    pub apparmor: Option<String>,
    /// The program can gain no privileges
    #[arg(long)]
    pub no_new_privs: bool,
    /// One more capability
    #[arg(short, long, value_name = "CAP_NAME")]
    pub cap: Vec<String>,
    /// Descriptors above standard error that the program keeps
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
    /// Cgroup below the container's; for v1 with controllers before it
    #[arg(long, value_name = "[CONTROLLER,...:]PATH")]
    pub cgroup: Vec<String>,
    /// Begin even if the container is paused
    #[arg(long)]
    pub ignore_paused: bool,
    /// Name of the container, then the program with its arguments
    #[arg(value_name = "ID PROGRAM [ARGUMENTS]", num_args = 0.., trailing_var_arg = true, allow_hyphen_values = true)]
    pub operands: Vec<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Events {
    /// Time between two records, such as 500ms or 1m30s
    #[arg(long, value_name = "DURATION", default_value = "5s", allow_hyphen_values = true)]
    pub interval: String,
    /// Print one record and end
    #[arg(long)]
    pub stats: bool,
    /// Name of the container
    #[arg(value_name = "ID", num_args = 0..)]
    pub ids: Vec<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct List {
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub format: String,
    /// Only the ids
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Spec {
    /// Directory to write config.json to [default: the working directory]
    #[arg(short, long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// A configuration that the caller can run without being root
    #[arg(long)]
    pub rootless: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Features {}

#[derive(Args, Clone, Debug, Default)]
pub struct Validate {
    /// Directory with config.json [default: the working directory]
    #[arg(short, long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// text, a finding a line, or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub format: String,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Plan {
    /// Directory with config.json [default: the working directory]
    #[arg(short, long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// text, for people, or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub format: String,
    /// Plan as with the same option of `run`
    #[arg(long)]
    pub no_pivot: bool,
    /// Plan as with the same option of `run`
    #[arg(long)]
    pub no_new_keyring: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Demo {}

/// One command with its arguments.
#[derive(Clone, Debug)]
pub enum Invocation {
    Create(Create),
    Start(OneId),
    Run(Run),
    State(OneId),
    Kill(Kill),
    Delete(Delete),
    Pause(OneId),
    Resume(OneId),
    Ps(Ps),
    Update(Box<Update>),
    Events(Events),
    Exec(Box<Exec>),
    List(List),
    Spec(Spec),
    Features(Features),
    Validate(Validate),
    Plan(Plan),
    Demo(Demo),
}

/// A command's name, its line in the overview, and an example.
struct Entry {
    name: &'static str,
    about: &'static str,
    example: &'static str,
    augment: fn(Command) -> Command,
    parse: fn(&ArgMatches) -> std::result::Result<Invocation, clap::Error>,
}

macro_rules! entry {
    ($name:literal, $variant:ident($type:ty), $about:literal, $example:literal) => {
        Entry {
            name: $name,
            about: $about,
            example: $example,
            augment: <$type as Args>::augment_args,
            parse: |matches| <$type as FromArgMatches>::from_arg_matches(matches).map(Invocation::$variant),
        }
    };
}

const ENTRIES: [Entry; 18] = [
    entry!(
        "create",
        Create(Create),
        "Create a container that waits for start",
        "pinnace create --bundle /srv/web --pid-file /run/web.pid web"
    ),
    entry!("start", Start(OneId), "Start the program of a created container", "pinnace start web"),
    entry!(
        "run",
        Run(Run),
        "Create a container, start it, and wait for its end",
        "pinnace run --bundle /srv/web web; echo \"exit status $?\"\n  pinnace run --detach --bundle /srv/web web"
    ),
    entry!("state", State(OneId), "Print a container's state as JSON", "pinnace state web"),
    entry!(
        "kill",
        Kill(Kill),
        "Send a signal to a container [default: SIGTERM]",
        "pinnace kill web\n  pinnace kill --all web KILL"
    ),
    entry!("delete", Delete(Delete), "Delete a container that has stopped", "pinnace delete --force web"),
    entry!("pause", Pause(OneId), "Stop all processes of a container for a while", "pinnace pause web"),
    entry!("resume", Resume(OneId), "Let the processes of a paused container go on", "pinnace resume web"),
    entry!(
        "ps",
        Ps(Ps),
        "List the processes of a container, with the host's pids",
        "pinnace ps web\n  pinnace ps web -o pid,rss,args\n  pinnace ps --format json web"
    ),
    Entry {
        name: "update",
        about: "Change the limits of a container",
        example: "pinnace update --memory 512m --pids-limit 100 web\n  \
                  echo '{\"cpu\": {\"quota\": 50000, \"period\": 100000}}' | pinnace update --resources - web",
        augment: Update::augment_args,
        parse: |matches| Update::from_arg_matches(matches).map(|update| Invocation::Update(Box::new(update))),
    },
    Entry {
        name: "exec",
        about: "Run one more program in a container",
        example: "pinnace exec web ls -l /\n  pinnace exec --tty --user 1000 web sh\n  \
                  pinnace exec --process process.json --detach --pid-file /run/exec.pid web",
        augment: Exec::augment_args,
        parse: |matches| Exec::from_arg_matches(matches).map(|exec| Invocation::Exec(Box::new(exec))),
    },
    entry!(
        "events",
        Events(Events),
        "Print what a container uses, and when it is short of memory, until it ends",
        "pinnace events web | jq .data.memory.usage\n  pinnace events --stats web"
    ),
    entry!("list", List(List), "List the containers", "pinnace list --format json"),
    entry!(
        "spec",
        Spec(Spec),
        "Write a default config.json",
        "mkdir -p web/rootfs && cd web && pinnace spec\n  pinnace spec --rootless"
    ),
    entry!(
        "features",
        Features(Features),
        "Print what pinnace can do as JSON",
        "pinnace features | jq .linux.seccomp.archs"
    ),
    entry!(
        "validate",
        Validate(Validate),
        "Tell everything that is wrong with a bundle, and do nothing",
        "pinnace validate --bundle /srv/web\n  pinnace validate --format json | jq -r '.findings[].path'"
    ),
    entry!(
        "plan",
        Plan(Plan),
        "Print what a start would do, and do nothing",
        "pinnace plan --bundle /srv/web\n  pinnace plan --format json | jq '.steps | length'"
    ),
    entry!("demo", Demo(Demo), "Run a container from a root file system inside pinnace", "pinnace demo"),
];

/// What a command line asks for.
#[derive(Debug)]
pub enum Parsed {
    Command(Box<Global>, Invocation),
    /// Text for standard output, and success.
    Text(String),
}

/// Reads a command line, the program's name first.
///
/// Errors: usage, as one line, with the log options that were understood.
pub fn parse(arguments: Vec<OsString>) -> std::result::Result<Parsed, UsageError> {
    let given = arguments;
    let mut arguments: Vec<OsString> = given.iter().cloned().enumerate().map(go_style).collect();
    let Some((place, name)) = command_name(&arguments[1..]) else { return without_command(arguments) };
    if matches!(name.as_str(), "help" | "h") {
        let about = arguments.iter().skip_while(|argument| **argument != *name).nth(1);
        return help(about.and_then(|topic| topic.to_str())).map(Parsed::Text);
    }
    let entry = entry_named(&name)?;
    if PASSES_WORDS.contains(&entry.name) {
        let first = first_operand(entry, &arguments, place + 2);
        arguments[first..].clone_from_slice(&given[first..]);
    }
    let command = root_command().subcommand(subcommand(entry));
    match command.try_get_matches_from(arguments) {
        Ok(matches) => {
            let global = Global::from_arg_matches(&matches).map_err(UsageError::from)?;
            let Some((_, matches)) = matches.subcommand() else { return help(None).map(Parsed::Text) };
            let invocation = (entry.parse)(matches).map_err(UsageError::from)?;
            Ok(Parsed::Command(Box::new(global), invocation))
        }
        Err(error) => text_or_error(error),
    }
}

/// A command line that cannot be understood.
#[derive(Debug)]
pub struct UsageError {
    pub message: String,
    /// 1, or runc's 3 for an unknown command.
    pub exit_code: i32,
}

impl From<clap::Error> for UsageError {
    fn from(error: clap::Error) -> Self {
        let text = error.render().to_string();
        let line = text.lines().next().unwrap_or_default();
        Self { message: line.trim_start_matches("error: ").to_owned(), exit_code: 1 }
    }
}

fn text_or_error(error: clap::Error) -> std::result::Result<Parsed, UsageError> {
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Ok(Parsed::Text(error.render().to_string())),
        _ => Err(UsageError::from(error)),
    }
}

fn without_command(arguments: Vec<OsString>) -> std::result::Result<Parsed, UsageError> {
    match full_command().try_get_matches_from(arguments) {
        Ok(_) => help(None).map(Parsed::Text),
        Err(error) => text_or_error(error),
    }
}

fn help(topic: Option<&str>) -> std::result::Result<String, UsageError> {
    Ok(match topic {
        None | Some("help" | "h") => full_command().render_help().to_string(),
        Some(topic) => {
            let entry = entry_named(topic)?;
            subcommand(entry).bin_name(format!("pinnace {}", entry.name)).render_help().to_string()
        }
    })
}

fn entry_named(name: &str) -> std::result::Result<&'static Entry, UsageError> {
    static TABLE: &[Entry] = &ENTRIES;
    let found = TABLE.iter().find(|entry| entry.name == name);
    found.ok_or_else(|| UsageError { message: format!("No help topic for '{name}'"), exit_code: 3 })
}

fn root_command() -> Command {
    let command = Command::new("pinnace")
        .version(VERSION)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .arg(
            clap::Arg::new("version")
                .short('v')
                .long("version")
                .action(clap::ArgAction::Version)
                .help("Print the version"),
        );
    // Set behind the options, whose structure's comment clap would take for it.
    Global::augment_args(command).about(ABOUT).long_about(None).args_override_self(true)
}

const ABOUT: &str = "An OCI container runtime: a container start is compiled to a plan, then run";

fn subcommand(entry: &Entry) -> Command {
    let command =
        Command::new(entry.name).about(entry.about).after_help(format!("Examples:\n  {}", entry.example));
    let command = (entry.augment)(command);
    // Set once more: the comments on the option structures are for readers of this file, and clap takes them for its texts.
    let operands = match entry.name {
        "list" | "spec" | "plan" | "demo" | "validate" | "features" => "",
        "exec" => " <ID> PROGRAM [ARGUMENTS]",
        "kill" => " <ID> [SIGNAL]",
        "ps" => " <ID> [PS OPTIONS]",
        _ => " <ID>",
    };
    let usage = format!("pinnace {} [OPTIONS]{operands}", entry.name);
    // Engines add their user's options behind their own: the last one counts.
    command.about(entry.about).long_about(None).override_usage(usage).args_override_self(true)
}

/// Everything, for the overview.
fn full_command() -> Command {
    ENTRIES.iter().fold(root_command(), |command, entry| command.subcommand(subcommand(entry))).after_help(
        "Examples:\n  \
         pinnace demo                                   see it work\n  \
         pinnace spec && pinnace plan                   what would a start do?\n  \
         pinnace run --bundle /srv/web web              run a container in the foreground\n  \
         pinnace create --bundle /srv/web web && pinnace start web",
    )
}

/// Lines as runc prints them; engines read `version`, `commit` (what tells builds apart: here a digest of the sources) and `spec`.
const VERSION: &str =
    concat!("version ", env!("CARGO_PKG_VERSION"), "\ncommit: ", env!("PINNACE_SOURCE_ID"), "\nspec: 1.3.0");

/// Go's flag package knows one dash and two as the same; runc's callers use both (`-root DIR`).
fn go_style((index, argument): (usize, OsString)) -> OsString {
    let Some(text) = argument.to_str() else { return argument };
    let name = text.strip_prefix('-').filter(|name| index > 0 && name.len() > 1 && !name.starts_with('-'));
    match name.map(|name| name.split('=').next().unwrap_or_default()) {
        Some(name) if LONG_OPTIONS.contains(&name) => OsString::from(format!("-{text}")),
        _ => argument,
    }
}

/// Every long option of every command.
const LONG_OPTIONS: &[&str] = &[
    "root",
    "log",
    "log-format",
    "debug",
    "systemd-cgroup",
    "cgroup-manager",
    "help",
    "version",
    "bundle",
    "pid-file",
    "console-socket",
    "no-pivot",
    "no-new-keyring",
    "detach",
    "all",
    "force",
    "format",
    "quiet",
    "resources",
    "blkio-weight",
    "cpu-period",
    "cpu-quota",
    "cpu-burst",
    "cpu-share",
    "cpu-rt-period",
    "cpu-rt-runtime",
    "cpuset-cpus",
    "cpuset-mems",
    "cpu-idle",
    "memory",
    "memory-reservation",
    "memory-swap",
    "pids-limit",
    "l3-cache-schema",
    "mem-bw-schema",
    "kernel-memory",
    "kernel-memory-tcp",
    "interval",
    "config",
    "keep",
    "no-subreaper",
    "process",
    "tty",
    "pidfd-socket",
    "cwd",
    "env",
    "user",
    "additional-gids",
    "process-label",
    "apparmor",
    "no-new-privs",
    "cap",
    "preserve-fds",
    "cgroup",
    "ignore-paused",
    "stats",
    "rootless",
];

/// Commands that pass what follows the id on as it is.
const PASSES_WORDS: &[&str] = &["ps", "exec"];

/// Where the options of a command end, which begin at `start`.
fn first_operand(entry: &Entry, arguments: &[OsString], start: usize) -> usize {
    let command = subcommand(entry);
    let takes_value = |text: &str| {
        let named = |argument: &&clap::Arg| match text.strip_prefix("--") {
            Some(name) => argument.get_long() == Some(name),
            None => argument.get_short().is_some_and(|letter| text[1..].chars().eq([letter])),
        };
        command.get_arguments().find(named).is_some_and(|argument| argument.get_action().takes_values())
    };
    let mut place = start;
    while let Some(text) = arguments.get(place).and_then(|argument| argument.to_str()) {
        if !text.starts_with('-') {
            break;
        }
        place += if takes_value(text) { 2 } else { 1 };
    }
    place.min(arguments.len())
}

/// The first word that is neither a global option nor its value, and its place.
fn command_name(arguments: &[OsString]) -> Option<(usize, String)> {
    let mut arguments = arguments.iter().enumerate();
    while let Some((place, argument)) = arguments.next() {
        let text = argument.to_str()?;
        match text {
            "--root" | "--log" | "--log-format" | "--cgroup-manager" => {
                arguments.next();
            }
            _ if text.starts_with('-') => {}
            _ => return Some((place, text.to_owned())),
        }
    }
    None
}

/// The log options of a command line that cannot be understood as a whole.
pub fn log_options(arguments: impl Iterator<Item = OsString>) -> Global {
    let mut global = Global::default();
    let mut arguments = arguments.enumerate().map(go_style).skip(1);
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy().into_owned();
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text.as_str(), None),
        };
        match name {
            "--log" => global.log = value.or_else(|| arguments.next()).map(PathBuf::from),
            "--log-format" => {
                let value = value.or_else(|| arguments.next()).unwrap_or_default();
                global.log_format = value.to_string_lossy().into_owned();
            }
            "--root" if value.is_none() => drop(arguments.next()),
            _ if name.starts_with('-') => {}
            // Options of the command come behind it.
            _ => break,
        }
    }
    global
}

/// The one id that most commands take.
pub fn one_id<'a>(command: &str, ids: &'a [String]) -> Result<&'a str> {
    match ids {
        [id] => Ok(id),
        _ => Err(Error::new(format!("{command:?} requires exactly 1 argument(s)"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Parsed {
        parse(line.split(' ').map(OsString::from).collect()).unwrap()
    }

    #[test]
    fn options_are_understood_as_runc_understands_them() {
        for line in [
            "pinnace --root /r run --bundle /b -d web",
            "pinnace -root /r run -bundle /b --detach web",
            "pinnace --root=/r run web -d --bundle=/b",
        ] {
            let Parsed::Command(global, Invocation::Run(run)) = parsed(line) else { panic!("{line}") };
            assert_eq!(global.root, Some(PathBuf::from("/r")), "{line}");
            assert_eq!(run.create.bundle, Some(PathBuf::from("/b")), "{line}");
            assert!(run.detach, "{line}");
            assert_eq!(run.create.ids, ["web"], "{line}");
        }
    }

    #[test]
    fn the_cgroup_manager_is_chosen_once() {
        for (line, expected) in [
            ("pinnace state web", Some(ManagerKind::Cgroupfs)),
            ("pinnace --systemd-cgroup state web", Some(ManagerKind::Systemd)),
            ("pinnace -systemd-cgroup=true state web", None),
            ("pinnace --cgroup-manager systemd state web", Some(ManagerKind::Systemd)),
            ("pinnace --cgroup-manager=disabled state web", Some(ManagerKind::Disabled)),
            ("pinnace --cgroup-manager=x state web", None),
            ("pinnace --systemd-cgroup --cgroup-manager cgroupfs state web", None),
        ] {
            let parsed = parse(line.split(' ').map(OsString::from).collect());
            let manager = match parsed {
                Ok(Parsed::Command(global, _)) => global.cgroup_manager().ok(),
                _ => None,
            };
            assert_eq!(manager, expected, "{line}");
        }
    }

    #[test]
    fn words_behind_the_id_are_passed_on_as_they_are() {
        for (line, format, operands) in [
            ("pinnace ps web -ef", "table", vec!["web", "-ef"]),
            ("pinnace -debug ps -format json web", "json", vec!["web"]),
            (
                "pinnace ps -f json web -f -format --all -root",
                "json",
                vec!["web", "-f", "-format", "--all", "-root"],
            ),
            ("pinnace ps --format=json web aux", "json", vec!["web", "aux"]),
        ] {
            let Parsed::Command(_, Invocation::Ps(ps)) = parsed(line) else { panic!("{line}") };
            assert_eq!(
                (ps.format.as_str(), ps.operands),
                (format, operands.into_iter().map(String::from).collect()),
                "{line}"
            );
        }
    }

    #[test]
    fn an_unknown_command_exits_with_3_as_runc_does() {
        let error = parse(vec!["pinnace".into(), "frobnicate".into()]).unwrap_err();
        assert_eq!((error.exit_code, error.message.as_str()), (3, "No help topic for 'frobnicate'"));
    }

    #[test]
    fn every_long_option_is_known_in_go_style() {
        let command = full_command();
        let own = command.get_arguments();
        let all = command.get_subcommands().flat_map(Command::get_arguments).chain(own);
        for option in all.filter_map(clap::Arg::get_long) {
            assert!(LONG_OPTIONS.contains(&option), "{option}");
        }
    }

    #[test]
    fn clap_finds_no_fault_with_the_definitions() {
        full_command().debug_assert();
    }
}
