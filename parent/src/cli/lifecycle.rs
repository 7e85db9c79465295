//! Options of the commands that lead a container from its creation to its end.

use std::ffi::OsString;

use super::flags::options;

options! {
    /// Commands that take an id and nothing else.
    pub struct OneId {}
    operands ids: String = "ID", "Name of the container"
}

options! {
    pub struct Kill {
        /// Signal every process of the container
        #[flag(short: Some('a'))]
        pub all: bool,
        /// Signal every container whose id the regular expression in place of the ID matches; ^ and $ are its ends
        #[flag(short: Some('r'))]
        pub regex: bool,
    }
    operands operands: String = "ID [SIGNAL]", "Name of the container, then the signal as a name or number [default: SIGTERM]"
}

options! {
    pub struct Delete {
        /// Kill the container first; an unknown id is no error
        #[flag(short: Some('f'))]
        pub force: bool,
        /// Delete every container whose id the regular expression in place of the ID matches; ^ and $ are its ends
        #[flag(short: Some('r'))]
        pub regex: bool,
    }
    operands ids: String = "ID", "Name of the container"
}

options! {
    pub struct Mounts {}
    operands operands: OsString = "ACTION ID FILE", "add or remove, the name of the container, and a JSON file with a list of mounts, as in config.json, or standard input (-)"
}
