//! Every bound of the protocol, with its unit and its reason.

/// Version of the layout. Both programs ship in one file, so any difference is refused.
pub const VERSION: u32 = 1;

/// Bytes of the identity of one build; see `parent/build.rs`.
pub const BUILD_ID_BYTES: usize = 16;

/// Bytes of a whole bootstrap: execve(2) takes 6 MiB of arguments and environment (three quarters of
/// _STK_LIM), and records for them take half as much again at the worst.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Bytes of a bootstrap that travels as one datagram; a larger one travels as a sealed memfd. The default
/// socket buffer takes 208 KiB, and stage1 keeps this much in its zeroed memory.
pub const INLINE_BYTES_MAX: usize = 128 << 10;

/// Steps of one plan. A privileged container with every device node of a large host has some hundreds.
pub const STEP_COUNT_MAX: usize = 4096;

/// Bytes of a path without its NUL (PATH_MAX - 1).
pub const PATH_BYTES_MAX: usize = 4095;

/// Bytes of a mount's data, of a name or a value, without its NUL: mount(2) reads one page.
pub const OPTION_BYTES_MAX: usize = 4095;

/// Bytes of one argument or environment entry without its NUL (MAX_ARG_STRLEN - 1).
pub const ARGUMENT_BYTES_MAX: usize = (128 << 10) - 1;

/// Arguments, or environment entries: an empty one takes 9 bytes of the kernel's 6 MiB.
pub const ARGUMENT_COUNT_MAX: usize = 1 << 19;

/// Supplementary groups (the kernel's NGROUPS_MAX).
pub const GROUP_COUNT_MAX: usize = 65536;

/// NUMA nodes: one more than the highest number that a kernel may be built for (NODES_SHIFT is at most 10).
pub const NODE_COUNT_MAX: u32 = 1024;

/// Processors: the most that a kernel may be built for (NR_CPUS).
pub const PROCESSOR_COUNT_MAX: u32 = 8192;

/// Bind sources that are opened before the root changes; each takes a descriptor until it is mounted, and the
/// usual soft limit is 1024.
pub const EARLY_BIND_COUNT_MAX: usize = 512;

/// Descriptors that travel with one frame: a `tasks` file and a tree for each cgroup v1 hierarchy (the kernel has 14
/// controllers, and users add named ones).
pub const FRAME_DESCRIPTOR_COUNT_MAX: usize = 64;

/// Instructions of one seccomp filter (the kernel's BPF_MAXINSNS), and bytes of each (struct sock_filter).
pub const FILTER_INSTRUCTION_COUNT_MAX: usize = 4096;
pub const FILTER_INSTRUCTION_BYTES: usize = 8;

/// Bytes of a frame, either way.
pub const FRAME_BYTES: usize = 32;

const _: () = assert!(INLINE_BYTES_MAX <= MESSAGE_BYTES_MAX);
const _: () = assert!(MESSAGE_BYTES_MAX <= u32::MAX as usize);
const _: () = assert!(ARGUMENT_COUNT_MAX * 9 <= MESSAGE_BYTES_MAX);
const _: () = assert!(GROUP_COUNT_MAX * 4 <= MESSAGE_BYTES_MAX);
const _: () = assert!(EARLY_BIND_COUNT_MAX <= STEP_COUNT_MAX);
const _: () = assert!(FILTER_INSTRUCTION_COUNT_MAX * FILTER_INSTRUCTION_BYTES <= INLINE_BYTES_MAX);
