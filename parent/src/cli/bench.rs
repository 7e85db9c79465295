//! Options of `bench`.

use std::path::PathBuf;

use clap::Args;

/// Lists are comma-separated; the command reads them, and numbers.
#[derive(Args, Clone, Debug, Default)]
pub struct Bench {
    /// Runtimes to compare with: names of programs in PATH, or NAME=PROGRAM; or none
    #[arg(long, value_name = "RUNTIME,...", default_value = "crun,runc,youki")]
    pub against: String,
    /// Directory with the config.json to measure; its root file system is shared by all [default: a root file system inside pinnace]
    #[arg(short, long, value_name = "DIR")]
    pub bundle: Option<PathBuf>,
    /// Rounds that are measured; in each, every runtime has its turn
    #[arg(long, value_name = "N", default_value = "100")]
    pub rounds: String,
    /// Rounds before them that do not count
    #[arg(long, value_name = "N", default_value = "5")]
    pub warm_up: String,
    /// Milliseconds of rest before each command, 0 for none; of several, each is measured
    #[arg(long, value_name = "MS,...", default_value = "0")]
    pub spaced: String,
    /// What is measured: run, exec, lifecycle (create, start, state, list, kill, delete), or none
    #[arg(long, value_name = "NAME,...", default_value = "run,exec,lifecycle")]
    pub workload: String,
    /// Measure run, exec, state and list beside so many idle containers, too, such as 0,100,1000
    #[arg(long, value_name = "N,...")]
    pub idle: Option<String>,
    /// Measure so many starts at once, too, such as 1,4,16,64
    #[arg(long, value_name = "N,...")]
    pub parallel: Option<String>,
    /// Measure so many starts at once, and then a start each second while the kernel tidies up
    #[arg(long, value_name = "N")]
    pub burst: Option<String>,
    /// Seconds to watch after a burst
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub watch: String,
    /// Write results.json, results.csv, index.html and summary.svg into this directory
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
}
