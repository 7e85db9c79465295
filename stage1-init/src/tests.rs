//! Whole starts on the recording kernel: what is done, in which order, and what is said when any of it fails.

mod console;
mod copy;
mod enter;
mod failures;
mod found;
mod hooks;
mod live_mounts;
mod notes;
mod order;

use std::format;
use std::path::Path;
use std::string::String;
use std::sync::OnceLock;
use std::vec::Vec;

use shared_proto::bootstrap::{Bootstrap, DescriptorSlot, DescriptorSlots, HostLeft, PhasedStep, RootChange};
use shared_proto::limits::{BUILD_ID_BYTES, FRAME_BYTES};
use shared_proto::{
    Attributes, BindOrigin, Message, Nofollow, Phase, Planned, Propagation, PropagationKind, Propagations,
    Reply, Scheduler, Step, encode, encoded_bytes,
};

use crate::kernel::fake::{Datagram, End, Fake};
use crate::kernel::{Descriptor, Errno, Status};

const BUILD_ID: [u8; BUILD_ID_BYTES] = [7; BUILD_ID_BYTES];
const SOCKET: Descriptor = Descriptor(3);

fn bootstrap<'a>() -> Bootstrap<Planned<'a>> {
    Bootstrap {
        root: "/bundle/rootfs",
        root_change: RootChange::Pivot,
        host_left: HostLeft::First,
        initial_propagation: Propagation { kind: PropagationKind::Slave, recursive: true },
        descriptors: DescriptorSlots::default(),
        await_cgroups: true,
        await_network: true,
        new_cgroup_namespace: false,
        home_of: None,
        loopback_up: false,
        await_hooks: false,
        born_late: false,
        reports_ready: true,
        joined: 0,
        unshared: 0,
        preserved_count: 0,
    }
}

/// Lists of a plan are borrowed from `String`s.
static PATHS: OnceLock<[String; 2]> = OnceLock::new();

/// One step of most kinds.
fn steps<'a>() -> Vec<PhasedStep<Planned<'a>>> {
    let none = Attributes::default();
    let bind = |source, target, origin| Step::BindMount {
        source,
        target,
        origin,
        recursive: origin == BindOrigin::Host,
        nofollow: Nofollow::default(),
        attributes: none,
        recursive_attributes: none,
        propagations: Propagations::default(),
    };
    let mount = |fstype, target| Step::MountFilesystem {
        fstype,
        source: fstype,
        target,
        data: "",
        flags: 0,
        propagations: Propagations::default(),
        copies_up: false,
        is_mapped: false,
    };
    let phased = |phase| move |step| PhasedStep { phase, step };
    let early = [
        mount("proc", "/proc"),
        mount("tmpfs", "/dev"),
        bind("/host/data", "/data", BindOrigin::Host),
        Step::MakeDevice { path: "/dev/null", mode: 0o020666, major: 1, minor: 3, uid: 0, gid: 7 },
        Step::MakeSymlink { path: "/dev/fd", target: "/proc/self/fd", exact: false },
        Step::DropBounding { keep: !(1 << 21) },
    ];
    let late = [
        mount("sysfs", "/sys"),
        bind("/sys/fs/cgroup/cpu/web", "/sys/fs/cgroup/cpu", BindOrigin::Parent),
        Step::SetMountAttributes {
            path: "/sys/fs/cgroup",
            recursive: true,
            attributes: Attributes { set: 1, clear: 0 },
        },
        Step::ReadonlyPath { path: "/proc/sys", recursive: false },
        Step::ReadonlyPath { path: "/proc/bus", recursive: true },
        Step::MaskPath { path: "/proc/keys", data: "" },
        Step::MaskPath { path: "/proc/scsi", data: "context=\"u:r:t\"" },
        Step::MaskPath { path: "/sys/firmware", data: "context=\"u:r:t\"" },
        Step::MaskPath { path: "/proc/missing", data: "" },
    ];
    let identity = [
        Step::FinishRoot { readonly: true, propagations: Propagations::default() },
        Step::WriteSysctl { name: "net/ipv4/ip_forward", value: "1" },
        Step::SetHostname { name: "web" },
        Step::SetSelinuxLabel { label: "u:r:t" },
        Step::SetAppArmorProfile { profile: "tight" },
        Step::NewSessionKeyring,
        Step::SetRlimit { resource: 7, soft: 1024, hard: 4096 },
        Step::SetScheduler { scheduler: Scheduler { policy: 3, nice: 5, ..Scheduler::default() } },
        Step::SetIoPriority { class: 2, priority: 4 },
        Step::SetPersonality { domain: 8 },
        Step::SetMemoryPolicy { mode: 2, flags: 0x8000, nodes: [0u32, 65].as_slice() },
        Step::BecomeUser {
            uid: 5,
            gid: 6,
            groups: [7u32, 8].as_slice(),
            working_directory: b"/data".as_slice(),
            keep_capabilities: true,
            keep_groups: false,
        },
        Step::SetCapabilities { effective: 1, permitted: 1, inheritable: 0, ambient: 0 },
        Step::SetUmask { umask: 0o022 },
    ];
    let mut steps: Vec<_> = early.into_iter().map(phased(Phase::Mounts)).collect();
    steps.extend(late.into_iter().map(phased(Phase::Views)));
    steps.extend(identity.into_iter().map(phased(Phase::Identity)));
    let paths = PATHS.get_or_init(|| ["/bin", "/var/log/web"].map(String::from)).as_slice();
    let program = [6, 0, 0, 0, 0, 0, 0xff, 0x7f].as_slice();
    let lockdown = [
        Step::SetNoNewPrivileges,
        Step::RestrictLandlock { handled: 0x7fff, paths, rights: [0xdu32, 0x7ffe].as_slice() },
        Step::InstallSeccomp { flags: 8, program },
    ];
    steps.extend(lockdown.into_iter().map(phased(Phase::Lockdown)));
    steps
}

fn encoded<'p>(bootstrap: Bootstrap<Planned<'p>>, steps: &[PhasedStep<Planned<'p>>]) -> Vec<u8> {
    let arguments = ["serve", "--fast"].map(String::from);
    encoded_with(&arguments, bootstrap, steps)
}

fn encoded_with<'p>(
    arguments: &[String],
    bootstrap: Bootstrap<Planned<'p>>,
    steps: &[PhasedStep<Planned<'p>>],
) -> Vec<u8> {
    let environment = ["PATH=/bin"].map(String::from);
    let message = Message { bootstrap, steps, arguments, environment: &environment };
    let mut bytes = std::vec![0; encoded_bytes(&message)];
    encode(&message, &BUILD_ID, &mut bytes).expect("it fits");
    bytes
}

fn frame(reply: Reply, descriptors: usize) -> Datagram {
    let bytes: [u8; FRAME_BYTES] = reply.encode();
    (bytes.to_vec(), descriptors)
}

/// The parent's side of a `run`: a tree and a `tasks` file, a network, the start.
fn conversation() -> Vec<Datagram> {
    std::vec![
        (encoded(bootstrap(), &steps()), 0),
        frame(Reply::Cgroups { descriptor_count: 2 }, 2),
        frame(Reply::Network, 1),
        frame(Reply::Start { ignored_signals: 1 << 12 }, 0),
    ]
}

fn kernel(datagrams: Vec<Datagram>) -> Fake {
    let mut kernel = Fake::new(datagrams);
    kernel.missing = std::vec!["/proc/missing"];
    kernel.entries.push_back(std::vec!["bus/", "keys", "missing@", "scsi/", "sys/", "self@", "1/"]);
    let file = Status { mode: 0o100444, ..Status::default() };
    let null = Status { mode: 0o020666, device: crate::kernel::device_number(1, 3), ..Status::default() };
    kernel.modes = std::vec![("/proc/keys", file), ("/dev/null", null), ("/var/log/web", file)];
    kernel
}

/// Runs stage1 to its end.
fn run(kernel: &mut Fake) -> End {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(std::boxed::Box::new(|_| {}));
    let ended =
        std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| crate::run(kernel, SOCKET, &BUILD_ID)));
    std::panic::set_hook(quiet);
    match ended {
        Err(end) => *end.downcast::<End>().unwrap_or_else(|other| std::panic::resume_unwind(other)),
        Ok(never) => never,
    }
}

/// Tests change the process's panic hook: one at a time.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static LOCK: std::sync::Mutex<()> = std::sync::Mutex::new(());
    LOCK.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Compares with tests/fixtures/stage1, or writes it with PINNACE_WRITE_FIXTURES=1.
fn check_stored(name: &str, text: &str) {
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/stage1").join(name);
    if std::env::var_os("PINNACE_WRITE_FIXTURES").is_some() {
        std::fs::create_dir_all(stored.parent().unwrap()).unwrap();
        std::fs::write(&stored, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&stored).unwrap_or_default());
}

#[test]
fn a_start_makes_the_stored_calls() {
    let _alone = alone();
    let mut kernel = kernel(conversation());
    assert_eq!(run(&mut kernel), End::Executed);
    check_stored("start.trace", &(kernel.trace.join("\n") + "\n"));
}

#[test]
fn nothing_is_looked_up_while_the_old_root_lies_on_the_new_one() {
    let _alone = alone();
    let mut kernel = kernel(conversation());
    run(&mut kernel);
    let pivot = kernel.trace.iter().position(|line| line.starts_with("pivot_root")).unwrap();
    assert_eq!(kernel.trace[pivot + 1], "unmount_detached .");
}

#[test]
fn the_end_of_the_parent_ends_stage1() {
    let _alone = alone();
    for length in 1..4 {
        let mut kernel = kernel(conversation().into_iter().take(length).collect());
        assert_eq!(run(&mut kernel), End::Exited(1));
        assert!(kernel.trace.iter().rev().nth(1).unwrap().contains("call: ParentGone"), "{length}");
        assert!(!kernel.trace.iter().any(|line| line.starts_with("execute")));
    }
}

#[test]
fn a_message_that_is_damaged_changes_nothing() {
    let _alone = alone();
    let mut bytes = encoded(bootstrap(), &steps());
    bytes[84] ^= 0x40;
    let mut kernel = kernel(std::vec![(bytes, 0)]);
    assert_eq!(run(&mut kernel), End::Exited(1));
    let lines: Vec<&str> = kernel.trace.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(lines, ["receive", "send", "exit"]);
}

#[test]
fn a_long_plan_closes_what_its_steps_left_open() {
    let _alone = alone();
    let mut long = steps();
    let step = Step::MakeSymlink { path: "/dev/fd", target: "x", exact: false };
    let link = PhasedStep { phase: Phase::Mounts, step };
    for _ in 0..200 {
        long.insert(5, link);
    }
    let mut datagrams = conversation();
    datagrams[0].0 = encoded(bootstrap(), &long);
    let mut kernel = kernel(datagrams);
    // The fake kernel panics where a closed descriptor is used.
    assert_eq!(run(&mut kernel), End::Executed);
    assert!(kernel.trace.iter().filter(|line| *line == "close_from").count() >= 2);
}
