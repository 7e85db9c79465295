//! Steps from their records, with every value that stage1 relies on checked.

use zerocopy::little_endian::U32;

use super::fields::{Cursor, Fields};
use super::{Refusal, is_absolute};
use crate::blob::Wire;
use crate::bootstrap::*;
use crate::limits::*;
use crate::step::*;

/// The types of nodes that mknod(2) may make for a container; the numbers are the same on every Linux.
const S_IFIFO: u32 = 0o010_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFBLK: u32 = 0o060_000;

/// From linux/personality.h.
const PER_LINUX: u32 = 0;
const PER_LINUX32: u32 = 8;

/// From linux/sched.h: SCHED_DEADLINE is the last policy that a configuration knows, and there are seven flags.
const SCHED_DEADLINE: u32 = 6;
const SCHED_FLAG_ALL: u32 = 0x7f;

/// From linux/mempolicy.h: the mode's flags, and MPOL_WEIGHTED_INTERLEAVE, the last mode.
const MPOL_MODE_FLAGS: u32 = 0xe000;
const MPOL_MAX: u32 = 6;

/// From linux/landlock.h: the rights up to LANDLOCK_ACCESS_FS_IOCTL_DEV (ABI 5).
const LANDLOCK_ACCESS_FS_ALL: u32 = 0xffff;

/// One step from its record. The mirror of `encode::record`.
pub(super) fn step<'a>(
    record: &StepRecord,
    cursor: &mut Cursor<'a>,
) -> Result<PhasedStep<Wire<'a>>, Refusal> {
    let kind = StepKind::from_number(record.kind.get()).ok_or(Refusal::StepKind)?;
    let phase = Phase::from_number(record.phase).ok_or(Refusal::StepPhase)?;
    if !kind.phases().contains(&phase) {
        return Err(Refusal::StepPhase);
    }
    let mut fields = Fields::of(record, cursor);
    let step = step_fields(kind, &mut fields)?;
    fields.finish()?;
    Ok(PhasedStep { phase, step })
}

fn step_fields<'a>(kind: StepKind, fields: &mut Fields<'_, '_, 'a>) -> Result<Step<Wire<'a>>, Refusal> {
    Ok(match kind {
        StepKind::MountFilesystem => Step::MountFilesystem {
            propagations: fields.propagations()?,
            fstype: fields.text(PATH_BYTES_MAX)?,
            source: fields.text(PATH_BYTES_MAX)?,
            target: fields.path()?,
            data: fields.text(OPTION_BYTES_MAX)?,
            flags: u32::try_from(fields.number()).map_err(|_| Refusal::StepValue)?,
            copies_up: fields.flag()?,
            is_mapped: fields.flag()?,
        },
        StepKind::BindMount => {
            let (propagations, source, target) = (fields.propagations()?, fields.path()?, fields.path()?);
            let (attributes, recursive_attributes) = (fields.attributes(), fields.attributes());
            let flags = fields.number();
            if flags > 7 {
                return Err(Refusal::StepValue);
            }
            Step::BindMount {
                source,
                target,
                origin: BindOrigin::from_number(fields.number()).ok_or(Refusal::StepValue)?,
                recursive: flags & 1 != 0,
                nofollow: Nofollow { source: flags & 2 != 0, target: flags & 4 != 0 },
                attributes,
                recursive_attributes,
                propagations,
            }
        }
        StepKind::SetMountAttributes => Step::SetMountAttributes {
            path: fields.path()?,
            attributes: fields.attributes(),
            recursive: fields.flag()?,
        },
        StepKind::MakeDevice => {
            let (mode, path) = (fields.word(), fields.path()?);
            if !matches!(mode & !0o7777, S_IFIFO | S_IFCHR | S_IFBLK) {
                return Err(Refusal::StepValue);
            }
            let ((major, minor), (uid, gid)) = (fields.pair(), fields.pair());
            Step::MakeDevice { path, mode, major, minor, uid, gid }
        }
        StepKind::MakeSymlink => Step::MakeSymlink {
            path: fields.path()?,
            target: fields.text(PATH_BYTES_MAX)?,
            exact: fields.flag()?,
        },
        StepKind::MakeDirectory => Step::MakeDirectory { path: fields.path()? },
        StepKind::Unmount => Step::Unmount { path: fields.path()?, mount: fields.number() },
        StepKind::ReadonlyPath => Step::ReadonlyPath { path: fields.path()?, recursive: fields.flag()? },
        StepKind::MaskPath => Step::MaskPath { path: fields.path()?, data: fields.text(OPTION_BYTES_MAX)? },
        StepKind::FinishRoot => {
            Step::FinishRoot { propagations: fields.propagations()?, readonly: fields.flag()? }
        }
        StepKind::WriteSysctl => {
            Step::WriteSysctl { name: fields.text(PATH_BYTES_MAX)?, value: fields.text(OPTION_BYTES_MAX)? }
        }
        StepKind::SetOomScoreAdjust => Step::SetOomScoreAdjust { value: fields.text(OPTION_BYTES_MAX)? },
        StepKind::SetHostname => Step::SetHostname { name: fields.text(OPTION_BYTES_MAX)? },
        StepKind::SetDomainname => Step::SetDomainname { name: fields.text(OPTION_BYTES_MAX)? },
        StepKind::NewSessionKeyring => Step::NewSessionKeyring,
        StepKind::SetRlimit => {
            Step::SetRlimit { resource: fields.word(), soft: fields.number(), hard: fields.number() }
        }
        StepKind::DropBounding => Step::DropBounding { keep: fields.number() },
        StepKind::BecomeUser => {
            let flags = fields.word();
            if flags > 3 {
                return Err(Refusal::StepValue);
            }
            let (keep_capabilities, keep_groups) = (flags & 1 != 0, flags & 2 != 0);
            let groups = fields.ids()?;
            let working_directory = fields.path()?;
            let (uid, gid) = fields.pair();
            Step::BecomeUser { uid, gid, groups, working_directory, keep_capabilities, keep_groups }
        }
        StepKind::SetCapabilities => Step::SetCapabilities {
            effective: fields.number(),
            permitted: fields.number(),
            inheritable: fields.number(),
            ambient: fields.number(),
        },
        StepKind::SetUmask => match fields.word() {
            umask if umask <= 0o777 => Step::SetUmask { umask },
            _ => return Err(Refusal::StepValue),
        },
        StepKind::SetNoNewPrivileges => Step::SetNoNewPrivileges,
        StepKind::RunHook => {
            let timeout_ms = fields.word();
            let path = fields.path()?;
            let (arguments, environment) =
                (fields.texts(ARGUMENT_BYTES_MAX)?, fields.texts(ARGUMENT_BYTES_MAX)?);
            // It is read from a file, and has the annotations in it.
            let state = fields.texts(MESSAGE_BYTES_MAX)?;
            let index = u32::try_from(fields.number()).map_err(|_| Refusal::StepValue)?;
            if arguments.iter().next().is_none() || state.iter().count() != 2 {
                return Err(Refusal::StepValue);
            }
            Step::RunHook { index, path, arguments, environment, state, timeout_ms }
        }
        StepKind::InstallSeccomp => Step::InstallSeccomp { flags: fields.word(), program: fields.filter()? },
        StepKind::OpenConsole => {
            let bind = match fields.word() {
                0 => false,
                1 => true,
                _ => return Err(Refusal::StepValue),
            };
            let (width, height) = fields.pair();
            // struct winsize has 16 bits for each.
            if width > u32::from(u16::MAX) || height > u32::from(u16::MAX) {
                return Err(Refusal::StepValue);
            }
            let uid = u32::try_from(fields.number()).map_err(|_| Refusal::StepValue)?;
            Step::OpenConsole { uid, width, height, bind }
        }
        StepKind::SetAffinity => {
            let processors = fields.ids()?;
            if processors.iter().any(|number| number.get() >= PROCESSOR_COUNT_MAX) {
                return Err(Refusal::StepValue);
            }
            Step::SetAffinity { processors }
        }
        StepKind::OwnStreams => {
            let files = fields.flag()?;
            Step::OwnStreams { uid: fields.word(), files }
        }
        StepKind::NewTimeNamespace => Step::NewTimeNamespace { offsets: fields.text(OPTION_BYTES_MAX)? },
        StepKind::SetScheduler => Step::SetScheduler { scheduler: scheduler(fields)? },
        StepKind::SetIoPriority => match fields.pair() {
            (class @ 1..=3, priority @ 0..=7) => Step::SetIoPriority { class, priority },
            _ => return Err(Refusal::StepValue),
        },
        StepKind::SetPersonality => match fields.word() {
            domain @ (PER_LINUX | PER_LINUX32) => Step::SetPersonality { domain },
            _ => return Err(Refusal::StepValue),
        },
        StepKind::SetMemoryPolicy => {
            let word = fields.word();
            let nodes = fields.ids()?;
            let (mode, flags) = (word & !MPOL_MODE_FLAGS, word & MPOL_MODE_FLAGS);
            if mode > MPOL_MAX || nodes.iter().any(|node| node.get() >= NODE_COUNT_MAX) {
                return Err(Refusal::StepValue);
            }
            Step::SetMemoryPolicy { mode, flags, nodes }
        }
        StepKind::SetAppArmorProfile => Step::SetAppArmorProfile { profile: fields.text(OPTION_BYTES_MAX)? },
        StepKind::RestrictLandlock => {
            let handled = fields.word();
            let paths = fields.texts(PATH_BYTES_MAX)?;
            let rights = fields.ids()?;
            let fits = |rights: &U32| rights.get() != 0 && rights.get() & !handled == 0;
            if handled & !LANDLOCK_ACCESS_FS_ALL != 0
                || !paths.iter().all(is_absolute)
                || paths.iter().count() != rights.len()
                || !rights.iter().all(fits)
            {
                return Err(Refusal::StepValue);
            }
            Step::RestrictLandlock { handled, paths, rights }
        }
        StepKind::SetSelinuxLabel => Step::SetSelinuxLabel { label: fields.text(OPTION_BYTES_MAX)? },
    })
}

fn scheduler(fields: &mut Fields<'_, '_, '_>) -> Result<Scheduler, Refusal> {
    let word = fields.word();
    let (policy, flags) = (word & 0xffff, word >> 16);
    if policy > SCHED_DEADLINE || flags & !SCHED_FLAG_ALL != 0 {
        return Err(Refusal::StepValue);
    }
    let (nice, priority) = fields.pair();
    let (runtime, deadline, period) = (fields.number(), fields.number(), fields.number());
    Ok(Scheduler { policy, flags, nice: nice.cast_signed(), priority, runtime, deadline, period })
}
