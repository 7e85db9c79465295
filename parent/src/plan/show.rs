//! A plan as people and programs read it: one step a line, number, phase, kind, object.

use std::borrow::Cow;
use std::fmt::Write as _;

use linux_raw_sys::general as uapi;
use serde_json::{Value, json};
use shared_proto::bootstrap::{HostLeft, RootChange};
use shared_proto::limits::FILTER_INSTRUCTION_BYTES;
use shared_proto::{Attributes, Phase, Planned, Propagation, PropagationKind, Propagations, Scheduler, Step};

use super::Plan;
use crate::config::{self, Namespace};

/// The whole plan for people. The skeleton's own deeds stand between the phases, without a number.
pub fn text(plan: &Plan<'_>) -> String {
    let mut out = String::new();
    for line in skeleton_before(plan) {
        row(&mut out, "", Phase::Setup, "", &line);
    }
    let mut phase = Phase::Mounts;
    for (index, phased) in plan.steps.iter().enumerate() {
        between(&mut out, plan, phase, phased.phase);
        phase = phased.phase;
        row(&mut out, &index.to_string(), phase, phased.step.kind().name(), &object(&phased.step));
    }
    between(&mut out, plan, phase, Phase::Execute);
    row(&mut out, "", Phase::Execute, "", &format!("execute {}", words(plan).join(" ")));
    out
}

/// The arguments.
fn words<'p>(plan: &'p Plan<'_>) -> Vec<Cow<'p, str>> {
    plan.program.arguments.iter().map(|argument| String::from_utf8_lossy(argument)).collect()
}

fn row(out: &mut String, number: &str, phase: Phase, kind: &str, object: &str) {
    // Ignored: writing to a String cannot fail.
    let _ = writeln!(out, "{number:>4}  {:<8}  {kind:<20}  {object}", phase.name());
}

fn skeleton_before(plan: &Plan<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let namespaces = named_namespaces(plan);
    let new: Vec<&str> =
        namespaces.iter().filter(|(_, kind)| **kind == Namespace::New).map(|(name, _)| *name).collect();
    if !new.is_empty() {
        lines.push(format!("new namespaces: {}", new.join(" ")));
    }
    for (name, namespace) in &namespaces {
        if let Namespace::Join(path) = namespace {
            lines.push(format!("join {name} namespace {path}"));
        }
    }
    let is_late = plan.bootstrap.host_left != HostLeft::First;
    let how = match plan.bootstrap.root_change {
        RootChange::Pivot if is_late => "attach (pivot later)",
        RootChange::Pivot => "pivot to",
        RootChange::Move if is_late => "attach (move over / later, no pivot)",
        RootChange::Move => "move over / (no pivot)",
        RootChange::Bind if is_late => "bind (chroot later)",
        RootChange::Chroot => "chroot to",
        RootChange::Bind => "bind and chroot to",
        RootChange::Enter => "enter",
    };
    let all = propagation(plan.bootstrap.initial_propagation);
    lines.push(format!("{how} {} (host mounts {all})", plan.bootstrap.root));
    lines
}

fn named_namespaces<'p>(plan: &'p Plan<'_>) -> [(&'static str, &'p Namespace); 8] {
    let namespaces = plan.namespaces;
    [
        ("pid", &namespaces.pid),
        ("mount", &namespaces.mount),
        ("network", &namespaces.network),
        ("ipc", &namespaces.ipc),
        ("uts", &namespaces.uts),
        ("cgroup", &namespaces.cgroup),
        ("user", &namespaces.user),
        ("time", &namespaces.time),
    ]
}

/// What the skeleton does between two phases.
fn between(out: &mut String, plan: &Plan<'_>, from: Phase, to: Phase) {
    let crosses = |phase: Phase| from < phase && phase <= to;
    if crosses(Phase::Views) {
        if plan.bootstrap.await_cgroups {
            row(out, "", Phase::Views, "", "wait for the cgroups, enter them");
        }
        if plan.bootstrap.new_cgroup_namespace {
            row(out, "", Phase::Views, "", "new cgroup namespace");
        }
        leave_host(out, plan, HostLeft::BeforeNetwork);
        for device in plan.net_devices {
            let line = format!("the parent moves network device {} in as {}", device.name, device.inside);
            row(out, "", Phase::Views, "", &line);
        }
        if plan.bootstrap.await_network {
            row(out, "", Phase::Views, "", "wait for the network namespace, enter it");
        }
    }
    if crosses(Phase::Identity) {
        if plan.bootstrap.await_hooks {
            row(out, "", Phase::Views, "", "wait for the runtime's hooks");
        }
        leave_host(out, plan, HostLeft::BehindViews);
    }
    if crosses(Phase::Lockdown) {
        let report = if plan.bootstrap.reports_ready { "report ready, " } else { "" };
        row(out, "", Phase::Identity, "", &format!("find the program, {report}wait for start"));
    }
}

fn leave_host(out: &mut String, plan: &Plan<'_>, now: HostLeft) {
    if plan.bootstrap.host_left != now {
        return;
    }
    let leave = match plan.bootstrap.root_change {
        RootChange::Move => "move over /",
        RootChange::Bind => "chroot",
        _ => "pivot",
    };
    row(out, "", Phase::Views, "", leave);
}

/// The plan for programs: `{"root":…,"namespaces":{…},"netDevices":{…},"steps":[{"number","phase","kind","object"}…],"args":[…]}`.
pub fn json(plan: &Plan<'_>) -> Value {
    let namespaces = named_namespaces(plan).into_iter().filter_map(|(name, namespace)| match namespace {
        Namespace::Inherit => None,
        Namespace::New => Some((name.to_owned(), Value::from("new"))),
        Namespace::Join(path) => Some((name.to_owned(), json!({ "join": path }))),
    });
    let steps = plan.steps.iter().enumerate().map(|(index, phased)| {
        json!({
            "number": index,
            "phase": phased.phase.name(),
            "kind": phased.step.kind().name(),
            "object": object(&phased.step),
        })
    });
    let devices = plan.net_devices.iter();
    let devices = devices.map(|device| (device.name.clone(), Value::from(device.inside.as_str())));
    json!({
        "netDevices": devices.collect::<serde_json::Map<_, _>>(),
        "root": plan.bootstrap.root,
        "namespaces": namespaces.collect::<serde_json::Map<_, _>>(),
        "steps": steps.collect::<Vec<_>>(),
        "args": words(plan),
    })
}

/// What a step does: `mount proc on /proc`.
pub fn deed(plan: &Plan<'_>, index: u32) -> String {
    plan.steps
        .get(index as usize)
        .map_or_else(String::new, |phased| format!("{} {}", phased.step.kind().name(), object(&phased.step)))
}

/// The step as errors name it: `step 17, mount proc on /proc`.
pub fn step_words(plan: &Plan<'_>, index: u32) -> String {
    match plan.steps.get(index as usize) {
        Some(phased) => format!("step {index}, {} {}", phased.step.kind().name(), object(&phased.step)),
        None => format!("step {index}"),
    }
}

/// What a step is about.
fn object(step: &Step<Planned<'_>>) -> String {
    match step {
        Step::MountFilesystem { fstype, target, data, flags, propagations, copies_up, is_mapped, .. } => {
            let mut words: Vec<String> =
                data.split(',').filter(|word| !word.is_empty()).map(String::from).collect();
            words.extend(flag_words(*flags));
            words.extend(propagation_words(*propagations));
            let extras = [(copies_up, "tmpcopyup"), (is_mapped, "idmap")];
            words.extend(extras.into_iter().filter(|(is_set, _)| **is_set).map(|(_, word)| word.to_owned()));
            format!("{fstype} on {target}{}", bracketed(&words))
        }
        Step::BindMount {
            source,
            target,
            recursive,
            nofollow,
            attributes,
            recursive_attributes,
            propagations,
            ..
        } => {
            let flags = [
                (*recursive, "recursive"),
                (nofollow.source, "src-nofollow"),
                (nofollow.target, "dest-nofollow"),
            ];
            let mut words: Vec<String> =
                flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, word)| word.to_owned()).collect();
            words.extend(attribute_words(*attributes, ""));
            words.extend(attribute_words(*recursive_attributes, "r"));
            words.extend(propagation_words(*propagations));
            format!("{source} on {target}{}", bracketed(&words))
        }
        Step::SetMountAttributes { path, recursive, attributes } => {
            let mut words: Vec<String> = recursive.then(|| String::from("recursive")).into_iter().collect();
            words.extend(attribute_words(*attributes, ""));
            format!("{path}{}", bracketed(&words))
        }
        Step::MakeDevice { path, mode, major, minor, uid, gid } => {
            let kind = match mode & 0o170000 {
                0o020000 => format!("c {major}:{minor}"),
                0o060000 => format!("b {major}:{minor}"),
                _ => String::from("p"),
            };
            let owner = if (*uid, *gid) == (0, 0) { String::new() } else { format!(" {uid}:{gid}") };
            format!("{path} {kind} {:04o}{owner}", mode & 0o7777)
        }
        Step::MakeSymlink { path, target, .. } => format!("{path} -> {target}"),
        Step::MakeDirectory { path }
        | Step::ReadonlyPath { path, .. }
        | Step::Unmount { path, .. }
        | Step::MaskPath { path, .. } => (*path).to_owned(),
        Step::FinishRoot { readonly, propagations } => {
            let mut words = propagation_words(*propagations);
            words.extend(readonly.then(|| String::from("ro")));
            format!("/{}", bracketed(&words))
        }
        Step::WriteSysctl { name, value } => format!("{name} = {value}"),
        Step::SetOomScoreAdjust { value } => (*value).to_owned(),
        Step::NewTimeNamespace { offsets } => offsets.trim_end().replace('\n', ", "),
        Step::RestrictLandlock { paths, rights, .. } => {
            let rule = |(path, rights): (&String, &u32)| format!("{path} {}", landlock_words(*rights));
            paths.iter().zip(*rights).map(rule).collect::<Vec<_>>().join(", ")
        }
        Step::SetHostname { name }
        | Step::SetDomainname { name }
        | Step::SetAppArmorProfile { profile: name }
        | Step::SetSelinuxLabel { label: name } => (*name).to_owned(),
        Step::NewSessionKeyring => String::from("anonymous"),
        Step::SetNoNewPrivileges => String::from("on"),
        Step::SetRlimit { resource, soft, hard } => {
            format!("{} {}..{}", rlimit_name(*resource), limit(*soft), limit(*hard))
        }
        Step::DropBounding { keep } => format!("all but {}", capability_words(*keep)),
        Step::BecomeUser { uid, gid, groups, working_directory, .. } => {
            let groups: String = groups.iter().map(|group| format!(",{group}")).collect();
            format!("{uid}:{gid}{groups} in {}", String::from_utf8_lossy(working_directory))
        }
        Step::SetCapabilities { effective, permitted, inheritable, ambient } => {
            let mut text = format!("effective {}", capability_words(*effective));
            for (name, set) in [("permitted", permitted), ("inheritable", inheritable), ("ambient", ambient)]
            {
                // Ignored: writing to a String cannot fail.
                let _ = match set {
                    set if set == effective => write!(text, ", {name} the same"),
                    set => write!(text, ", {name} {}", capability_words(*set)),
                };
            }
            text
        }
        Step::SetUmask { umask } => format!("{umask:04o}"),
        Step::SetScheduler { scheduler } => scheduler_words(scheduler),
        Step::SetIoPriority { class, priority } => {
            format!("{} {priority}", config::io_class_name(*class).unwrap_or("class unknown"))
        }
        Step::SetPersonality { domain } => String::from(if *domain == 0 { "LINUX" } else { "LINUX32" }),
        Step::SetMemoryPolicy { mode, flags, nodes } => {
            let nodes: Vec<String> = nodes.iter().map(u32::to_string).collect();
            let nodes = if nodes.is_empty() { String::new() } else { format!(" {}", nodes.join(",")) };
            let flags = if *flags == 0 { String::new() } else { format!(" flags {flags:#x}") };
            format!("{}{nodes}{flags}", config::memory_mode_name(*mode).unwrap_or("mode unknown"))
        }
        Step::RunHook { path, timeout_ms, .. } => match timeout_ms {
            0 => (*path).to_owned(),
            limit => format!("{path} (within {} s)", limit / 1000),
        },
        Step::OpenConsole { uid, width, height, bind } => {
            let mut words = Vec::new();
            words.extend((*uid != 0).then(|| format!("owner {uid}")));
            words.extend(((*width, *height) != (0, 0)).then(|| format!("{width}x{height}")));
            words.extend(bind.then(|| String::from("also /dev/console")));
            format!("/dev/pts/ptmx{}", bracketed(&words))
        }
        Step::SetAffinity { processors: [] } => String::from("all"),
        Step::SetAffinity { processors } => {
            processors.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
        }
        Step::OwnStreams { uid, files: false } => format!("0 1 2 by {uid}"),
        Step::OwnStreams { uid, files: true } => format!("0 1 2 by {uid}, files too"),
        Step::InstallSeccomp { flags, program } => {
            let count = program.len() / FILTER_INSTRUCTION_BYTES;
            format!("{count} instructions{}", bracketed(&filter_flag_words(*flags)))
        }
    }
}

/// The policy, and what is not zero.
fn scheduler_words(scheduler: &Scheduler) -> String {
    let mut text = String::from(config::scheduler_policy_name(scheduler.policy).unwrap_or("policy unknown"));
    let numbers = [
        ("nice", i128::from(scheduler.nice)),
        ("priority", scheduler.priority.into()),
        ("runtime", scheduler.runtime.into()),
        ("deadline", scheduler.deadline.into()),
        ("period", scheduler.period.into()),
    ];
    for (name, number) in numbers.iter().filter(|(_, number)| *number != 0) {
        // Ignored: writing to a String cannot fail.
        let _ = write!(text, " {name} {number}");
    }
    if scheduler.flags != 0 {
        // Ignored, likewise.
        let _ = write!(text, " flags {:#x}", scheduler.flags);
    }
    text
}

/// As ls(1) writes permissions; each letter stands for several of the kernel's rights (LANDLOCK_ACCESS_FS_*).
fn landlock_words(rights: u32) -> String {
    let letters = [(1 << 2, 'r'), (1 << 1, 'w'), (1, 'x')];
    letters.iter().map(|(bit, letter)| if rights & bit != 0 { *letter } else { '-' }).collect()
}

/// SECCOMP_FILTER_FLAG_*, in the words of the spec.
fn filter_flag_words(flags: u32) -> Vec<String> {
    let names = [
        (config::SECCOMP_TSYNC, "tsync"),
        (config::SECCOMP_LOG, "log"),
        (config::SECCOMP_SPEC_ALLOW, "spec_allow"),
        (config::SECCOMP_NEW_LISTENER, "listener"),
        (config::SECCOMP_WAIT_KILLABLE_RECV, "wait_killable_recv"),
    ];
    names.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, name)| String::from(*name)).collect()
}

fn bracketed(words: &[String]) -> String {
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(",")) }
}

/// MOUNT_ATTR_* bits and the words of mount(8), from linux/mount.h; the atime field is a number, not a bit each.
fn attribute_words(attributes: Attributes, prefix: &str) -> Vec<String> {
    const FLAGS: [(u32, &str, &str); 6] = [
        (0x1, "ro", "rw"),
        (0x2, "nosuid", "suid"),
        (0x4, "nodev", "dev"),
        (0x8, "noexec", "exec"),
        (0x80, "nodiratime", "diratime"),
        (0x20_0000, "nosymfollow", "symfollow"),
    ];
    let mut words = Vec::new();
    for (bit, set, cleared) in FLAGS {
        if attributes.set & bit != 0 {
            words.push(format!("{prefix}{set}"));
        } else if attributes.clear & bit != 0 {
            words.push(format!("{prefix}{cleared}"));
        }
    }
    match (attributes.set & 0x70, attributes.clear & 0x70) {
        (0x10, _) => words.push(format!("{prefix}noatime")),
        (0x20, _) => words.push(format!("{prefix}strictatime")),
        (_, 0) => {}
        _ => words.push(format!("{prefix}relatime")),
    }
    words
}

/// MS_* bits in the words of mount(8).
fn flag_words(flags: u32) -> impl Iterator<Item = String> {
    const FLAGS: [(u32, &str); 14] = [
        (uapi::MS_RDONLY, "ro"),
        (uapi::MS_NOSUID, "nosuid"),
        (uapi::MS_NODEV, "nodev"),
        (uapi::MS_NOEXEC, "noexec"),
        (uapi::MS_NODIRATIME, "nodiratime"),
        (uapi::MS_NOSYMFOLLOW, "nosymfollow"),
        (uapi::MS_NOATIME, "noatime"),
        (uapi::MS_STRICTATIME, "strictatime"),
        (uapi::MS_RELATIME, "relatime"),
        (uapi::MS_SYNCHRONOUS, "sync"),
        (uapi::MS_DIRSYNC, "dirsync"),
        (uapi::MS_LAZYTIME, "lazytime"),
        (uapi::MS_SILENT, "silent"),
        (uapi::MS_I_VERSION, "iversion"),
    ];
    FLAGS.into_iter().filter(move |(bit, _)| flags & bit != 0).map(|(_, word)| word.to_owned())
}

fn propagation_words(propagations: Propagations) -> Vec<String> {
    propagations.iter().map(propagation).collect()
}

fn propagation(propagation: Propagation) -> String {
    let kind = match propagation.kind {
        PropagationKind::Shared => "shared",
        PropagationKind::Slave => "slave",
        PropagationKind::Private => "private",
        PropagationKind::Unbindable => "unbindable",
    };
    format!("{}{kind}", if propagation.recursive { "r" } else { "" })
}

fn limit(value: u64) -> String {
    if value == u64::MAX { String::from("infinity") } else { value.to_string() }
}

fn rlimit_name(resource: u32) -> String {
    match config::rlimit_name(resource) {
        Some(name) => name.to_owned(),
        None => format!("RLIMIT {resource}"),
    }
}

/// Short lists by name, long ones by their number.
fn capability_words(set: u64) -> String {
    match set.count_ones() {
        0 => String::from("none"),
        count if count > 5 => format!("{count} capabilities ({set:#x})"),
        _ => {
            let names =
                (0..64).filter(|bit| set & (1 << bit) != 0).map(|bit| match config::capability_name(bit) {
                    Some(name) => name.to_owned(),
                    None => format!("capability {bit}"),
                });
            names.collect::<Vec<_>>().join(" ")
        }
    }
}
