//! Options of `update`.

use std::path::PathBuf;

use super::flags::options;

options! {
    /// Texts, since an empty one means nothing, and units are allowed in some: `container/update.rs` reads them.
    pub struct Update {
        /// Read the limits from a JSON file, as in linux.resources of config.json, or from standard input (-); the options below are left aside
        #[flag(short: Some('r'), value: "FILE")]
        pub resources: Option<PathBuf>,
        /// Relative weight of block I/O, 10 to 1000
        #[flag(value: "N")]
        pub blkio_weight: Option<String>,
        /// Length of a period of the processor quota
        #[flag(value: "USEC")]
        pub cpu_period: Option<String>,
        /// Processor time in each period; -1 is no limit
        #[flag(value: "USEC")]
        pub cpu_quota: Option<String>,
        /// Processor time that may be saved up beyond the quota
        #[flag(value: "USEC")]
        pub cpu_burst: Option<String>,
        /// Relative weight of processor time
        #[flag(value: "N")]
        pub cpu_share: Option<String>,
        /// Length of a period of the real-time budget
        #[flag(value: "USEC")]
        pub cpu_rt_period: Option<String>,
        /// Real-time budget in each period
        #[flag(value: "USEC")]
        pub cpu_rt_runtime: Option<String>,
        /// Processors to run on, such as 0-2,7
        #[flag(value: "LIST")]
        pub cpuset_cpus: Option<String>,
        /// Memory nodes to use
        #[flag(value: "LIST")]
        pub cpuset_mems: Option<String>,
        /// Whether the container runs only when nothing else does
        #[flag(value: "0|1", known: &["0", "1"])]
        pub cpu_idle: Option<String>,
        /// Memory; -1 is no limit, k, m and g are units
        #[flag(value: "BYTES")]
        pub memory: Option<String>,
        /// Memory that is spared when the host runs short
        #[flag(value: "BYTES")]
        pub memory_reservation: Option<String>,
        /// Memory and swap together; -1 is no limit
        #[flag(value: "BYTES")]
        pub memory_swap: Option<String>,
        /// Number of processes and threads; -1 is no limit
        #[flag(value: "N")]
        pub pids_limit: Option<String>,
        /// Schema of the L3 cache; needs intelRdt in config.json
        #[flag(value: "SCHEMA")]
        pub l3_cache_schema: Option<String>,
        /// Schema of the memory bandwidth; needs intelRdt in config.json
        #[flag(value: "SCHEMA")]
        pub mem_bw_schema: Option<String>,
        /// Accepted for old callers: the kernel has dropped it
        #[flag(value: "BYTES", is_hidden: true)]
        pub kernel_memory: Option<String>,
        /// Accepted for old callers: the kernel has dropped it
        #[flag(value: "BYTES", is_hidden: true)]
        pub kernel_memory_tcp: Option<String>,
    }
    operands ids: String = "ID", "Name of the container"
}
