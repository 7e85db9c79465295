//! The table of commands, and what of it clap is told.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command};

use super::flags::{self, Flags, Table};
use super::go::{self, Stand, Words};
use super::{
    Create, Delete, Events, Exec, Features, Global, Invocation, Kill, List, Mounts, OneId, Ps, Run, Spec,
    Update, explain,
};

/// A command's name, its line in the overview, and an example.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) example: &'static str,
    pub(super) table: fn() -> Table,
    /// Reads the words behind the name.
    pub(super) read: fn(&[OsString], Stand) -> (Invocation, Words),
}

/// A command whose arguments are a variant of `Invocation`, or of an enumeration that is one.
macro_rules! entry {
    ($name:literal, Explain::$variant:ident($type:ty), $about:literal, $example:literal) => {
        entry!(@ $name, $type, |it| Invocation::Explain(Explain::$variant(it)), $about, $example)
    };
    ($name:literal, $variant:ident(Box<$type:ty>), $about:literal, $example:literal) => {
        entry!(@ $name, $type, |it| Invocation::$variant(Box::new(it)), $about, $example)
    };
    ($name:literal, $variant:ident($type:ty), $about:literal, $example:literal) => {
        entry!(@ $name, $type, Invocation::$variant, $about, $example)
    };
    (@ $name:literal, $type:ty, $make:expr, $about:literal, $example:literal) => {
        Entry {
            name: $name,
            about: $about,
            example: $example,
            table: $crate::cli::flags::table_of::<$type>,
            read: |words, stand| {
                let (options, words) = $crate::cli::table::read::<$type>(words, stand);
                ($make(options), words)
            },
        }
    };
}
pub(super) use entry;

static ENTRIES: &[Entry] = &[
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
        "pinnace kill web\n  pinnace kill --all web KILL\n  pinnace kill --regex '^web-[0-9]+$' HUP"
    ),
    entry!("delete", Delete(Delete), "Delete a container that has stopped", "pinnace delete --force web"),
    entry!(
        "mounts",
        Mounts(Mounts),
        "Add mounts to a container that runs, or remove those that were added",
        "echo '[{\"destination\": \"/data\", \"source\": \"/srv/data\", \"options\": [\"bind\", \"ro\"]}]' >data.json\n  \
         pinnace mounts add web data.json\n  pinnace mounts remove web data.json"
    ),
    entry!("pause", Pause(OneId), "Stop all processes of a container for a while", "pinnace pause web"),
    entry!("resume", Resume(OneId), "Let the processes of a paused container go on", "pinnace resume web"),
    entry!(
        "ps",
        Ps(Ps),
        "List the processes of a container, with the host's pids",
        "pinnace ps web\n  pinnace ps web -o pid,rss,args\n  pinnace ps --format json web"
    ),
    entry!(
        "update",
        Update(Box<Update>),
        "Change the limits of a container",
        "pinnace update --memory 512m --pids-limit 100 web\n  \
         echo '{\"cpu\": {\"quota\": 50000, \"period\": 100000}}' | pinnace update --resources - web"
    ),
    entry!(
        "exec",
        Exec(Box<Exec>),
        "Run one more program in a container",
        "pinnace exec web ls -l /\n  pinnace exec --tty --user 1000 web sh\n  \
         pinnace exec --process process.json --detach --pid-file /run/exec.pid web"
    ),
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
    #[cfg(feature = "bench")]
    entry!(
        "bench",
        Bench(Box<super::Bench>),
        "Measure pinnace and other runtimes side by side",
        "pinnace bench --rounds 20\n  \
         pinnace bench --against crun,old=/opt/pinnace-0.1/pinnace --spaced 0,200 --report report\n  \
         pinnace bench --workload run --rounds 20 --idle 0,100,1000 --parallel 1,4,16,64 --burst 200"
    ),
];

/// What stands behind a command's options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// One of these words.
    Word(&'static [&'static str]),
    /// The container.
    Id,
    /// A name that no container has yet.
    NewId,
    Signal,
    File,
    /// What follows is somebody else's.
    Rest(&'static str),
}

impl Operand {
    fn usage(self) -> String {
        match self {
            Operand::Word(words) => words.join("|"),
            Operand::Id | Operand::NewId => String::from("<ID>"),
            Operand::Signal => String::from("[SIGNAL]"),
            Operand::File => String::from("FILE"),
            Operand::Rest(usage) => usage.into(),
        }
    }
}

/// The operands of a command, in their order.
pub fn operands(command: &str) -> &'static [Operand] {
    match command {
        "list" | "spec" | "plan" | "demo" | "validate" | "features" | "doctor" | "bench" => &[],
        "trace" => &[Operand::File],
        "create" | "run" => &[Operand::NewId],
        "exec" => &[Operand::Id, Operand::Rest("PROGRAM [ARGUMENTS]")],
        "kill" => &[Operand::Id, Operand::Signal],
        "mounts" => &[Operand::Word(&["add", "remove"]), Operand::Id, Operand::File],
        "ps" => &[Operand::Id, Operand::Rest("[PS OPTIONS]")],
        _ => &[Operand::Id],
    }
}

pub(super) fn entries() -> impl Iterator<Item = &'static Entry> {
    ENTRIES.iter().chain(explain::ENTRIES)
}

/// The command of this name.
pub(super) fn find(name: &str) -> Option<&'static Entry> {
    entries().find(|entry| entry.name == name)
}

/// Reads words into a structure. Operands stay among the words if it has no use for them.
pub(super) fn read<T: Flags + Default>(words: &[OsString], stand: Stand) -> (T, Words) {
    let mut options: T = flags::unsaid();
    let mut words = go::read(&mut options, words, stand);
    if options.table().operands.is_some() {
        options.set_operands(std::mem::take(&mut words.operands));
    }
    (options, words)
}

impl Entry {
    /// `ps` and `exec` pass the words behind the id on as they are.
    pub(super) fn stand(&self) -> Stand {
        match self.name {
            "ps" | "exec" => Stand::BeforeOperands,
            _ => Stand::Anywhere,
        }
    }

    /// The command with its texts.
    pub(super) fn described(&self) -> Command {
        let operands: String =
            operands(self.name).iter().map(|operand| format!(" {}", operand.usage())).collect();
        let command = bare(self.name).args((self.table)().arguments()).about(self.about);
        let usage = format!("pinnace {} [OPTIONS]{operands}", self.name);
        command.override_usage(usage).after_help(format!("Examples:\n  {}", self.example))
    }
}

fn bare(name: &'static str) -> Command {
    Command::new(name).disable_version_flag(true).disable_help_subcommand(true)
}

/// Everything with its texts, for the overview and for what is made from it.
pub fn definition() -> Command {
    let version = Arg::new("version").short('v').long("version").action(ArgAction::Version);
    let root = bare("pinnace")
        .version(VERSION)
        .about("An OCI container runtime: a container start is compiled to a plan, then run")
        .args(flags::table_of::<Global>().arguments())
        .arg(version.help("Print the version"));
    entries().fold(root, |command, entry| command.subcommand(entry.described())).after_help(format!(
        "Examples:\n{}  \
         pinnace run --bundle /srv/web web              run a container in the foreground\n  \
         pinnace create --bundle /srv/web web && pinnace start web",
        explain::EXAMPLES
    ))
}

/// Lines as runc prints them; engines read `version`, `commit` (what tells builds apart: here a digest of the sources) and `spec`.
pub(super) const VERSION: &str =
    concat!("version ", env!("CARGO_PKG_VERSION"), "\ncommit: ", env!("PINNACE_SOURCE_ID"), "\nspec: 1.3.0");
