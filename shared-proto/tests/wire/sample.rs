//! One message with a step of every kind in it, and the means to change single fields of it.

use shared_proto::bootstrap::Header;
use shared_proto::step::StepRecord;
use shared_proto::{
    Attributes, BindOrigin, Bootstrap, DescriptorSlot, DescriptorSlots, HostLeft, Message, Nofollow, Phase,
    PhasedStep, Planned, Propagation, PropagationKind, Propagations, RootChange, Scheduler, Step,
};
use zerocopy::FromBytes;

use crate::plan::encode_message;

/// How many steps [`full`] has.
pub(crate) const STEP_COUNT: usize = 36;

pub(crate) const SLAVE: Propagation = Propagation { kind: PropagationKind::Slave, recursive: true };
const SHARED: Propagation = Propagation { kind: PropagationKind::Shared, recursive: false };

/// A bootstrap without anything that could be left out.
pub(crate) fn bootstrap(root: &str) -> Bootstrap<Planned<'_>> {
    Bootstrap {
        root,
        root_change: RootChange::Pivot,
        host_left: HostLeft::BeforeNetwork,
        initial_propagation: SLAVE,
        descriptors: DescriptorSlots::default(),
        await_cgroups: false,
        await_network: false,
        new_cgroup_namespace: false,
        home_of: None,
        loopback_up: false,
        await_hooks: false,
        born_late: false,
        reports_ready: false,
        joined: 0,
        unshared: 0,
        preserved_count: 0,
    }
}

/// A message with these steps in the first phase that each may stand in.
pub(crate) fn with_steps<'p>(steps: &[Step<Planned<'p>>]) -> Vec<u8> {
    let phased = |step: &Step<Planned<'p>>| PhasedStep { phase: step.kind().phases()[0], step: *step };
    with_phased(&steps.iter().map(phased).collect::<Vec<_>>())
}

/// A message with these steps.
pub(crate) fn with_phased(steps: &[PhasedStep<Planned<'_>>]) -> Vec<u8> {
    with_strings(steps, &["/init".to_owned()], &[])
}

/// A message with these steps, arguments and environment.
pub(crate) fn with_strings(
    steps: &[PhasedStep<Planned<'_>>],
    arguments: &[String],
    environment: &[String],
) -> Vec<u8> {
    encode_message(&Message { bootstrap: bootstrap("/root"), steps, arguments, environment })
}

/// The same without steps, of a container that is held.
pub(crate) fn held(arguments: &[String], environment: &[String]) -> Vec<u8> {
    let descriptors = DescriptorSlots::default().with(DescriptorSlot::Listener);
    let bootstrap = Bootstrap { descriptors, ..bootstrap("/root") };
    encode_message(&Message { bootstrap, steps: &[], arguments, environment })
}

/// The message whose bytes are stored: every kind of step, and every field with a value of its own.
pub(crate) fn full() -> Vec<u8> {
    let arguments = ["/bin/sh", "-c", ""].map(str::to_owned);
    let environment = ["PATH=/bin:/usr/bin", "TERM=xterm"].map(str::to_owned);
    let mut steps = Vec::new();
    steps.extend(mounts().map(|step| PhasedStep { phase: Phase::Mounts, step }));
    steps.extend(views().map(|step| PhasedStep { phase: Phase::Views, step }));
    steps.extend(identity().map(|step| PhasedStep { phase: Phase::Identity, step }));
    let paths = ["/usr", "/tmp"].map(str::to_owned);
    steps.extend(lockdown(&paths).map(|step| PhasedStep { phase: Phase::Lockdown, step }));
    assert_eq!(steps.len(), STEP_COUNT);
    encode_message(&Message {
        bootstrap: Bootstrap {
            root_change: RootChange::Bind,
            host_left: HostLeft::BehindViews,
            descriptors: DescriptorSlots::default()
                .with(DescriptorSlot::Listener)
                .with(DescriptorSlot::MountNamespace)
                .with(DescriptorSlot::CgroupNamespace)
                .with(DescriptorSlot::Root)
                .with(DescriptorSlot::TimeNamespace),
            await_cgroups: true,
            await_network: true,
            new_cgroup_namespace: true,
            home_of: Some(1000),
            loopback_up: true,
            await_hooks: true,
            born_late: true,
            reports_ready: true,
            joined: 0,
            unshared: 0x4002_0000,
            preserved_count: 5,
            ..bootstrap("/var/lib/bundle/rootfs")
        },
        steps: &steps,
        arguments: &arguments,
        environment: &environment,
    })
}

fn mounts<'a>() -> [Step<Planned<'a>>; 8] {
    [
        Step::MountFilesystem {
            fstype: "tmpfs",
            source: "shm",
            target: "/dev/shm",
            data: "mode=755,size=65536k",
            flags: 14,
            propagations: list([SLAVE, SHARED]),
            copies_up: false,
            is_mapped: false,
        },
        Step::MountFilesystem {
            fstype: "proc",
            source: "",
            target: "/proc",
            data: "",
            flags: 0,
            propagations: Propagations::default(),
            copies_up: false,
            is_mapped: false,
        },
        Step::BindMount {
            source: "/etc/hosts",
            target: "/etc/hosts",
            origin: BindOrigin::Host,
            recursive: true,
            nofollow: Nofollow { source: false, target: true },
            attributes: Attributes { set: 1, clear: 2 },
            recursive_attributes: Attributes { set: 4, clear: 8 },
            propagations: list([SHARED]),
        },
        Step::MakeDevice { path: "/dev/null", mode: 0o020_666, major: 1, minor: 3, uid: 5, gid: 7 },
        Step::MakeSymlink { path: "/dev/fd", target: "/proc/self/fd", exact: true },
        Step::MakeDirectory { path: "/work" },
        Step::Unmount { path: "/mnt", mount: 0x0102_0304_0506 },
        Step::DropBounding { keep: 0x0000_0001_8000_0421 },
    ]
}

fn views<'a>() -> [Step<Planned<'a>>; 7] {
    [
        Step::SetAffinity { processors: &[0, 8191] },
        Step::BindMount {
            source: "/sys/fs/cgroup/pids/web",
            target: "/sys/fs/cgroup/pids",
            origin: BindOrigin::Parent,
            recursive: false,
            nofollow: Nofollow { source: true, target: false },
            attributes: Attributes { set: 15, clear: 0 },
            recursive_attributes: Attributes::default(),
            propagations: Propagations::default(),
        },
        Step::SetMountAttributes {
            path: "/sys/fs/cgroup",
            recursive: true,
            attributes: Attributes { set: 1, clear: 0 },
        },
        Step::OpenConsole { uid: 1000, width: 80, height: 24, bind: true },
        Step::ReadonlyPath { path: "/proc/sys", recursive: true },
        Step::MaskPath { path: "/proc/kcore", data: "context=\"system_u:object_r:container_file_t:s0\"" },
        Step::NewTimeNamespace { offsets: "monotonic 86400 5" },
    ]
}

fn identity<'a>() -> [Step<Planned<'a>>; 17] {
    [
        Step::FinishRoot { readonly: true, propagations: list([SLAVE]) },
        Step::OwnStreams { uid: 1000, files: true },
        Step::WriteSysctl { name: "net/ipv4/ip_forward", value: "1" },
        Step::SetOomScoreAdjust { value: "-500" },
        Step::SetHostname { name: "web" },
        Step::SetDomainname { name: "example.org" },
        Step::SetSelinuxLabel { label: "system_u:system_r:container_t:s0:c1,c2" },
        Step::SetAppArmorProfile { profile: "docker-default" },
        Step::NewSessionKeyring,
        Step::SetRlimit { resource: 7, soft: 1024, hard: u64::MAX },
        Step::SetScheduler {
            scheduler: Scheduler {
                policy: 6,
                flags: 0x41,
                nice: -20,
                priority: 0x0506_0708,
                runtime: 0x1112_1314_1516_1718,
                deadline: 0x2122_2324_2526_2728,
                period: 0x3132_3334_3536_3738,
            },
        },
        Step::SetIoPriority { class: 2, priority: 7 },
        Step::SetPersonality { domain: 8 },
        Step::SetMemoryPolicy { mode: 2, flags: 0x8000, nodes: &[1, 1023] },
        Step::BecomeUser {
            uid: 1000,
            gid: 1001,
            groups: &[10, 0x0102_0304],
            working_directory: b"/home/user",
            keep_capabilities: true,
            keep_groups: true,
        },
        Step::SetCapabilities { effective: 0x21, permitted: 0x421, inheritable: 0x20, ambient: 0x400 },
        Step::SetUmask { umask: 0o027 },
    ]
}

fn lockdown(paths: &[String]) -> [Step<Planned<'_>>; 4] {
    // A load and a return, with bytes that no text has.
    let program = &[0x20, 0, 0, 0, 4, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0xff, 0x7f];
    let landlock = Step::RestrictLandlock { handled: 0x7fff, paths, rights: [0xd, 0x7ffe].as_slice() };
    let hook = Step::RunHook {
        index: 3,
        path: "/hook",
        arguments: paths,
        environment: paths,
        state: paths,
        timeout_ms: 1500,
    };
    [hook, Step::SetNoNewPrivileges, landlock, Step::InstallSeccomp { flags: 0xc, program }]
}

pub(crate) fn list<const N: usize>(propagations: [Propagation; N]) -> Propagations {
    Propagations::new(propagations).expect("at most eight")
}

/// Changes the header of a message in place.
pub(crate) fn header_mut(bytes: &mut [u8]) -> &mut Header {
    Header::mut_from_prefix(bytes).expect("the message has a header").0
}

/// Changes step `index` of a message in place.
pub(crate) fn step_mut(bytes: &mut [u8], index: usize) -> &mut StepRecord {
    let start = size_of::<Header>() + index * size_of::<StepRecord>();
    StepRecord::mut_from_prefix(&mut bytes[start..]).expect("the message has this step").0
}
