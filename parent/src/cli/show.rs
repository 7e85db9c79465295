//! Options of the commands that tell something, and change nothing.

use std::path::PathBuf;

use super::flags::options;

options! {
    pub struct Ps {
        /// table, made by the host's ps, or json: the pids alone
        #[flag(short: Some('f'), value: "FORMAT", default: Some("table"), known: &["table", "json"])]
        pub format: String,
    }
    operands operands: String = "ID [PS OPTIONS]", "Name of the container, then what ps is to be called with [default: -ef]"
}

options! {
    pub struct Events {
        /// Time between two records, such as 500ms or 1m30s
        #[flag(value: "DURATION", default: Some("5s"))]
        pub interval: String,
        /// Print one record and end
        pub stats: bool,
    }
    operands ids: String = "ID", "Name of the container"
}

options! {
    pub struct List {
        /// table or json
        #[flag(short: Some('f'), value: "FORMAT", default: Some("table"), known: &["table", "json"])]
        pub format: String,
        /// Only the ids
        #[flag(short: Some('q'))]
        pub quiet: bool,
    }
}

options! {
    pub struct Spec {
        /// Directory to write config.json to [default: the working directory]
        #[flag(short: Some('b'), value: "DIR")]
        pub bundle: Option<PathBuf>,
        /// Another name for config.json, or its path
        #[flag(short: Some('f'), value: "FILE", default: Some("config.json"))]
        pub file: PathBuf,
        /// A configuration that the caller can run without being root
        pub rootless: bool,
    }
}

options! {
    pub struct Features {}
}
