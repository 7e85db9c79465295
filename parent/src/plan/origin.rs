//! The place in config.json that a step comes from.

use shared_proto::bootstrap::PhasedStep;
use shared_proto::{Planned, Step};

use super::{Plan, lies_in};
use crate::config::{Config, Mount, MountKind};

/// The JSON path of the field that made this step; `None` where none did, or the plan is of no config.json.
pub fn json_path(plan: &Plan<'_>, index: usize) -> Option<String> {
    let (config, step) = (plan.config?, &plan.steps.get(index)?.step);
    let number = |list: &str, place: Option<usize>| place.map(|place| format!("$.{list}[{place}]"));
    let place_in = |list: &[String], path: &str| list.iter().position(|known| known == path);
    let fixed = match *step {
        Step::MountFilesystem { target: path, .. }
        | Step::BindMount { target: path, .. }
        | Step::SetMountAttributes { path, .. }
        | Step::MakeSymlink { path, .. } => {
            return mount(config, plan.steps.get(..index)?, path).or_else(|| device(config, path));
        }
        Step::MakeDevice { path, .. } => return device(config, path),
        Step::ReadonlyPath { path, .. } => {
            return number("linux.readonlyPaths", place_in(&config.readonly_paths, path));
        }
        Step::MaskPath { path, .. } => {
            return number("linux.maskedPaths", place_in(&config.masked_paths, path));
        }
        Step::WriteSysctl { name, .. } => {
            return Some(format!("$.linux.sysctl[{:?}]", name.replace('/', ".")));
        }
        Step::SetRlimit { resource, .. } => return rlimit(config, resource),
        Step::RunHook { index, .. } => return Some(format!("$.hooks.startContainer[{index}]")),
        Step::MakeDirectory { .. } => "$.process.cwd",
        Step::FinishRoot { readonly: true, .. } => "$.root.readonly",
        Step::FinishRoot { .. } => "$.linux.rootfsPropagation",
        Step::SetOomScoreAdjust { .. } => "$.process.oomScoreAdj",
        Step::SetHostname { .. } => "$.hostname",
        Step::SetDomainname { .. } => "$.domainname",
        Step::BecomeUser { .. } => "$.process.user",
        Step::SetCapabilities { .. } | Step::DropBounding { .. } => "$.process.capabilities",
        Step::SetNoNewPrivileges => "$.process.noNewPrivileges",
        Step::NewTimeNamespace { .. } => "$.linux.timeOffsets",
        Step::SetScheduler { .. } => "$.process.scheduler",
        Step::SetIoPriority { .. } => "$.process.ioPriority",
        Step::SetPersonality { .. } => "$.linux.personality",
        Step::SetMemoryPolicy { .. } => "$.linux.memoryPolicy",
        Step::SetAppArmorProfile { .. } => "$.process.apparmorProfile",
        Step::SetSelinuxLabel { .. } => "$.process.selinuxLabel",
        Step::RestrictLandlock { .. } => "$.annotations[\"dev.pinnace.landlock\"]",
        Step::OpenConsole { .. } => "$.process.terminal",
        Step::InstallSeccomp { .. } => "$.linux.seccomp",
        Step::Unmount { .. }
        | Step::NewSessionKeyring
        | Step::SetUmask { .. }
        | Step::SetAffinity { .. }
        | Step::OwnStreams { .. } => return None,
    };
    Some(fixed.to_owned())
}

/// The place of a limit.
pub fn rlimit(config: &Config, resource: u32) -> Option<String> {
    let place = config.process.rlimits.iter().position(|limit| limit.resource == resource);
    place.map(|place| format!("$.process.rlimits[{place}]"))
}

/// The mount at `path`. Of several there each has its turn; what is done to the place afterwards belongs to the last.
fn mount(config: &Config, before: &[PhasedStep<Planned<'_>>], path: &str) -> Option<String> {
    let is_here = |phased: &&PhasedStep<Planned<'_>>| match phased.step {
        Step::MountFilesystem { target, .. } | Step::BindMount { target, .. } => target == path,
        Step::MakeSymlink { path: copied, exact: true, .. } => copied == path,
        _ => false,
    };
    let turn = before.iter().filter(is_here).count();
    let holds = |mount: &Mount| match mount.kind {
        MountKind::Cgroup { .. } => lies_in(path, &mount.destination),
        _ => path == mount.destination,
    };
    let mut places =
        config.mounts.iter().enumerate().filter(|(_, mount)| holds(mount)).map(|(place, _)| place);
    let last = places.clone().next_back();
    places.nth(turn).or(last).map(|place| format!("$.mounts[{place}]"))
}

fn device(config: &Config, path: &str) -> Option<String> {
    let place = config.devices.iter().position(|device| device.path == path);
    place.map(|place| format!("$.linux.devices[{place}]"))
}
