//! Options of `bench`.

use std::path::PathBuf;

use super::flags::options;

options! {
    /// Lists are comma-separated; the command reads them, and numbers.
    pub struct Bench {
        /// Runtimes to compare with: names of programs in PATH, or NAME=PROGRAM; or none
        #[flag(value: "RUNTIME,...", default: Some("crun,runc,youki"))]
        pub against: String,
        /// Directory with the config.json to measure; its root file system is shared by all [default: a root file system inside pinnace]
        #[flag(short: Some('b'), value: "DIR")]
        pub bundle: Option<PathBuf>,
        /// Rounds that are measured; in each, every runtime has its turn
        #[flag(value: "N", default: Some("100"))]
        pub rounds: String,
        /// Rounds before them that do not count
        #[flag(value: "N", default: Some("5"))]
        pub warm_up: String,
        /// Milliseconds of rest before each command, 0 for none; of several, each is measured
        #[flag(value: "MS,...", default: Some("0"))]
        pub spaced: String,
        /// What is measured: run, exec, lifecycle (create, start, state, list, kill, delete), or none
        #[flag(value: "NAME,...", default: Some("run,exec,lifecycle"))]
        pub workload: String,
        /// Measure run, exec, state and list beside so many idle containers, too, such as 0,100,1000
        #[flag(value: "N,...")]
        pub idle: Option<String>,
        /// Measure so many starts at once, too, such as 1,4,16,64
        #[flag(value: "N,...")]
        pub parallel: Option<String>,
        /// Measure so many starts at once, and then a start each second while the kernel tidies up
        #[flag(value: "N")]
        pub burst: Option<String>,
        /// Seconds to watch after a burst
        #[flag(value: "SECONDS", default: Some("60"))]
        pub watch: String,
        /// Write results.json, results.csv, index.html and summary.svg into this directory
        #[flag(value: "DIR")]
        pub report: Option<PathBuf>,
    }
}
