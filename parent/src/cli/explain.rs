//! The commands that tell what starts do and why: the feature `explain`.

use std::path::PathBuf;

use super::Invocation;
use super::flags::options;
use super::table::{Entry, entry};

/// One of them with its arguments.
#[derive(Clone, Debug)]
pub enum Explain {
    Validate(Validate),
    Plan(Plan),
    Doctor(Doctor),
    Trace(Trace),
    Demo(Demo),
}

/// For the overview.
pub(super) const EXAMPLES: &str = "  pinnace demo                                   see it work
  pinnace spec && pinnace plan                   what would a start do?
";

/// Commands that a build without the feature knows by their names.
pub(super) const MISSING: &[&str] = &[];

pub(super) static ENTRIES: &[Entry] = &[
    entry!(
        "validate",
        Explain::Validate(Validate),
        "Tell everything that is wrong with a bundle, and do nothing",
        "pinnace validate --bundle /srv/web\n  pinnace validate --format json | jq -r '.findings[].path'"
    ),
    entry!(
        "plan",
        Explain::Plan(Plan),
        "Print what a start would do, and do nothing",
        "pinnace plan --bundle /srv/web\n  pinnace plan --format json | jq '.steps | length'"
    ),
    entry!(
        "doctor",
        Explain::Doctor(Doctor),
        "Tell what this host has that makes starts slow, or features missing",
        "pinnace doctor\n  pinnace doctor --format json | jq -r '.symptoms[] | select(.level == \"slow\") | .found'"
    ),
    entry!(
        "trace",
        Explain::Trace(Trace),
        "Show where the time of a start went",
        "pinnace run --trace web.json --bundle /srv/web web\n  pinnace trace web.json --svg web.svg\n  pinnace trace web.json --command create --index -1"
    ),
    entry!(
        "demo",
        Explain::Demo(Demo),
        "Run a container from a root file system inside pinnace",
        "pinnace demo"
    ),
];

options! {
    pub struct Validate {
        /// Directory with config.json [default: the working directory]
        #[flag(short: Some('b'), value: "DIR")]
        pub bundle: Option<PathBuf>,
        /// Another name for config.json, or its path
        #[flag(value: "FILE", default: Some("config.json"))]
        pub config: PathBuf,
        /// text, a finding a line, or json
        #[flag(short: Some('f'), value: "FORMAT", default: Some("text"), known: &["text", "json"])]
        pub format: String,
    }
}

options! {
    pub struct Plan {
        /// Directory with config.json [default: the working directory]
        #[flag(short: Some('b'), value: "DIR")]
        pub bundle: Option<PathBuf>,
        /// Another name for config.json, or its path
        #[flag(value: "FILE", default: Some("config.json"))]
        pub config: PathBuf,
        /// text, for people, or json
        #[flag(short: Some('f'), value: "FORMAT", default: Some("text"), known: &["text", "json"])]
        pub format: String,
        /// Plan as with the same option of `run`
        pub no_pivot: bool,
        /// Plan as with the same option of `run`
        pub no_new_keyring: bool,
    }
}

options! {
    pub struct Doctor {
        /// text, for people, or json
        #[flag(short: Some('f'), value: "FORMAT", default: Some("text"), known: &["text", "json"])]
        pub format: String,
    }
}

options! {
    pub struct Trace {
        /// Draw the slowest of the commands that are shown as a picture, too
        #[flag(value: "FILE")]
        pub svg: Option<PathBuf>,
        /// Show only the commands that begin so, such as create, or "create web"
        #[flag(value: "WORDS")]
        pub command: Option<String>,
        /// Show only one of them: 1 is the first, -1 the last
        #[flag(value: "N")]
        pub index: Option<String>,
    }
    operands files: PathBuf = "FILE", "What --trace or $PINNACE_TRACE has written"
}

options! {
    pub struct Demo {}
}
