//! A checked view over a bootstrap. stage1's side.
//!
//! `View::decode` checks everything before the first side effect; what a view returns later was checked then.

use core::ffi::CStr;

use zerocopy::FromBytes;
use zerocopy::little_endian::{U32, U64};

use crate::blob::{Blob, TextList, Wire};
use crate::bootstrap::*;
use crate::limits::*;
use crate::order;
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

/// Why a message was refused. The number travels in the errno field of the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Refusal {
    Truncated = 1,
    Magic = 2,
    Version = 3,
    BuildId = 4,
    MessageBytes = 5,
    HeaderValue = 6,
    TooManySteps = 7,
    TooManyArguments = 8,
    NoArguments = 9,
    /// A string does not begin where the one before it ended, or is too long, or has a NUL in it.
    Text = 10,
    StepKind = 11,
    StepPhase = 12,
    PhaseDescends = 13,
    StepValue = 14,
    UnusedField = 15,
    Order = 16,
    TooManyEarlyBinds = 17,
}

impl Refusal {
    /// The rule that was broken, for people.
    pub const fn text(self) -> &'static str {
        match self {
            Refusal::Truncated => "the message ends before its sections do",
            Refusal::Magic => "the magic is not pinnace's",
            Refusal::Version => "the version is another one",
            Refusal::BuildId => "parent and stage1 are not of one build",
            Refusal::MessageBytes => "the sections do not fill the message",
            Refusal::HeaderValue => "a header field has no meaning",
            Refusal::TooManySteps => "there are more steps than the bound",
            Refusal::TooManyArguments => "there are more arguments than the bound",
            Refusal::NoArguments => "there is no program",
            Refusal::Text => "a string is out of place, too long, or holds a NUL",
            Refusal::StepKind => "a step has an unknown kind",
            Refusal::StepPhase => "a step stands in a phase that is not its own",
            Refusal::PhaseDescends => "a step stands behind one of a later phase",
            Refusal::StepValue => "a field of a step has no meaning",
            Refusal::UnusedField => "a field that must be zero is not",
            Refusal::Order => "a step stands behind one that it must come before",
            Refusal::TooManyEarlyBinds => "there are more bind sources than the bound",
        }
    }

    /// The refusal with this number.
    pub fn from_number(number: u16) -> Option<Refusal> {
        use Refusal::*;
        [
            Truncated,
            Magic,
            Version,
            BuildId,
            MessageBytes,
            HeaderValue,
            TooManySteps,
            TooManyArguments,
            NoArguments,
            Text,
            StepKind,
            StepPhase,
            PhaseDescends,
            StepValue,
            UnusedField,
            Order,
            TooManyEarlyBinds,
        ]
        .into_iter()
        .find(|refusal| *refusal as u16 == number)
    }
}

/// A message that has been checked whole.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    header: &'a Header,
    steps: &'a [StepRecord],
    arguments: &'a [Blob],
    environment: &'a [Blob],
    text: &'a [u8],
}

impl<'a> View<'a> {
    /// Checks all of `bytes`: a message of exactly this length and this build.
    pub fn decode(bytes: &'a [u8], build_id: &[u8; BUILD_ID_BYTES]) -> Result<Self, Refusal> {
        let view = Self::sections(bytes, build_id)?;
        let mut cursor = Cursor { text: view.text, next: 0 };
        let root = cursor.text(view.header.root, PATH_BYTES_MAX)?;
        if !is_absolute(root) {
            return Err(Refusal::HeaderValue);
        }
        bootstrap(view.header, view.text)?;
        view.check_steps(&mut cursor)?;
        for blob in view.arguments.iter().chain(view.environment) {
            cursor.text(*blob, ARGUMENT_BYTES_MAX)?;
        }
        if cursor.next != view.text.len() {
            return Err(Refusal::Text);
        }
        Ok(view)
    }

    fn sections(bytes: &'a [u8], build_id: &[u8; BUILD_ID_BYTES]) -> Result<Self, Refusal> {
        let (header, rest) = Header::ref_from_prefix(bytes).map_err(|_| Refusal::Truncated)?;
        if header.magic != MAGIC {
            return Err(Refusal::Magic);
        }
        if header.version.get() != VERSION {
            return Err(Refusal::Version);
        }
        if header.build_id != *build_id {
            return Err(Refusal::BuildId);
        }
        if header.message_bytes.get() as usize != bytes.len() || bytes.len() > MESSAGE_BYTES_MAX {
            return Err(Refusal::MessageBytes);
        }
        let count = |field: U32, max: usize, refusal| match field.get() as usize {
            count if count <= max => Ok(count),
            _ => Err(refusal),
        };
        let step_count = count(header.step_count, STEP_COUNT_MAX, Refusal::TooManySteps)?;
        let argument_count = count(header.argument_count, ARGUMENT_COUNT_MAX, Refusal::TooManyArguments)?;
        let environment_count =
            count(header.environment_count, ARGUMENT_COUNT_MAX, Refusal::TooManyArguments)?;
        // Who is held may have no program, and is never started then (runtime-spec config.md "Process"); nor is who only mounts in a container.
        let slots = DescriptorSlots::from_bits(header.descriptors.get()).unwrap_or_default();
        let enters = header.root_change == RootChange::Enter as u8;
        if argument_count == 0 && !slots.contains(DescriptorSlot::Listener) && !enters {
            return Err(Refusal::NoArguments);
        }
        let (steps, rest) =
            <[StepRecord]>::ref_from_prefix_with_elems(rest, step_count).map_err(|_| Refusal::Truncated)?;
        let (arguments, rest) =
            <[Blob]>::ref_from_prefix_with_elems(rest, argument_count).map_err(|_| Refusal::Truncated)?;
        let (environment, text) =
            <[Blob]>::ref_from_prefix_with_elems(rest, environment_count).map_err(|_| Refusal::Truncated)?;
        if header.text_bytes.get() as usize != text.len() {
            return Err(Refusal::MessageBytes);
        }
        Ok(Self { header, steps, arguments, environment, text })
    }

    fn check_steps(&self, cursor: &mut Cursor<'a>) -> Result<(), Refusal> {
        let mut phase = Phase::Mounts;
        let mut early_binds = 0;
        for record in self.steps {
            let phased = step(record, cursor)?;
            if phased.phase < phase {
                return Err(Refusal::PhaseDescends);
            }
            phase = phased.phase;
            early_binds += usize::from(phased.step.takes_source());
        }
        if early_binds > EARLY_BIND_COUNT_MAX {
            return Err(Refusal::TooManyEarlyBinds);
        }
        let kinds = self.steps.iter().filter_map(|record| {
            Some((Phase::from_number(record.phase)?, StepKind::from_number(record.kind.get())?))
        });
        match order::first_violation(kinds) {
            Some(_) => Err(Refusal::Order),
            None => Ok(()),
        }
    }

    /// What the skeleton needs.
    pub fn bootstrap(&self) -> Bootstrap<Wire<'a>> {
        match bootstrap(self.header, self.text) {
            Ok(bootstrap) => bootstrap,
            Err(_) => unreachable!("decode checked the header"),
        }
    }

    /// How many steps there are.
    pub fn step_count(&self) -> usize {
        self.steps.len()
    }

    /// The steps in order.
    pub fn steps(&self) -> impl Iterator<Item = PhasedStep<Wire<'a>>> + use<'a> {
        let mut cursor = Cursor { text: self.text, next: root_end(self.header) };
        self.steps.iter().map_while(move |record| step(record, &mut cursor).ok())
    }

    /// The program's arguments; none at all where there is no program, of whom `start` is not to be expected.
    pub fn arguments(&self) -> impl ExactSizeIterator<Item = &'a CStr> + use<'a> {
        let text = self.text;
        self.arguments.iter().map(move |blob| text_at(text, *blob))
    }

    /// The program's environment.
    pub fn environment(&self) -> impl ExactSizeIterator<Item = &'a CStr> + use<'a> {
        let text = self.text;
        self.environment.iter().map(move |blob| text_at(text, *blob))
    }
}

/// Where the first step's text begins: behind the root's path and its NUL.
fn root_end(header: &Header) -> usize {
    header.root.bytes.get() as usize + 1
}

/// A string that `decode` has checked.
fn text_at(text: &[u8], blob: Blob) -> &CStr {
    let start = blob.offset.get() as usize;
    text.get(start..).and_then(|rest| CStr::from_bytes_until_nul(rest).ok()).unwrap_or_default()
}

fn is_absolute(path: &CStr) -> bool {
    path.to_bytes().first() == Some(&b'/')
}

fn bootstrap<'a>(header: &Header, text: &'a [u8]) -> Result<Bootstrap<Wire<'a>>, Refusal> {
    let flags = header.flags.get();
    if flags & !FLAGS_ALL != 0 || header.reserved != [0; 2] {
        return Err(Refusal::HeaderValue);
    }
    let flag = |bit| flags & bit != 0;
    let home_of = header.home_of.get();
    if !flag(FLAG_HOME) && home_of != 0 {
        return Err(Refusal::HeaderValue);
    }
    let joined = header.joined.get();
    let enters = header.root_change == RootChange::Enter as u8;
    let unshared = header.unshared.get();
    if joined & !JOINED_ALL != 0 || unshared & !UNSHARED_ALL != 0 || (joined != 0 && !enters) {
        return Err(Refusal::HeaderValue);
    }
    Ok(Bootstrap {
        root: text_at(text, header.root),
        root_change: match header.root_change {
            1 => RootChange::Pivot,
            2 => RootChange::Move,
            3 => RootChange::Chroot,
            4 => RootChange::Bind,
            5 => RootChange::Enter,
            _ => return Err(Refusal::HeaderValue),
        },
        initial_propagation: Propagation::from_code(u32::from(header.initial_propagation))
            .ok_or(Refusal::HeaderValue)?,
        descriptors: DescriptorSlots::from_bits(header.descriptors.get()).ok_or(Refusal::HeaderValue)?,
        await_cgroups: flag(FLAG_AWAIT_CGROUPS),
        await_network: flag(FLAG_AWAIT_NETWORK),
        new_cgroup_namespace: flag(FLAG_NEW_CGROUP_NAMESPACE),
        home_of: flag(FLAG_HOME).then_some(home_of),
        loopback_up: flag(FLAG_LOOPBACK),
        pivot_late: flag(FLAG_PIVOT_LATE),
        await_hooks: flag(FLAG_AWAIT_HOOKS),
        born_late: flag(FLAG_BORN_LATE),
        reports_ready: flag(FLAG_REPORTS_READY),
        joined,
        unshared,
        preserved_count: header.preserved_count.get(),
    })
}

/// Walks the text section: each blob must begin where the one before it ended.
struct Cursor<'a> {
    text: &'a [u8],
    next: usize,
}

impl<'a> Cursor<'a> {
    fn blob(&mut self, blob: Blob, bytes_max: usize) -> Result<&'a [u8], Refusal> {
        let start = blob.offset.get() as usize;
        let bytes = blob.bytes.get() as usize;
        if start != self.next || bytes > bytes_max {
            return Err(Refusal::Text);
        }
        let content = self.text.get(start..).and_then(|rest| rest.get(..bytes)).ok_or(Refusal::Text)?;
        if self.text.get(start + bytes) != Some(&0) {
            return Err(Refusal::Text);
        }
        self.next = start + bytes + 1;
        Ok(content)
    }

    fn text(&mut self, blob: Blob, bytes_max: usize) -> Result<&'a CStr, Refusal> {
        let start = self.next;
        let content = self.blob(blob, bytes_max)?;
        let text = CStr::from_bytes_until_nul(&self.text[start..]).map_err(|_| Refusal::Text)?;
        if text.count_bytes() == content.len() { Ok(text) } else { Err(Refusal::Text) }
    }

    fn texts(&mut self, blob: Blob, item_bytes_max: usize) -> Result<TextList<'a>, Refusal> {
        TextList::new(self.blob(blob, MESSAGE_BYTES_MAX)?, item_bytes_max).ok_or(Refusal::Text)
    }

    fn ids(&mut self, blob: Blob) -> Result<&'a [U32], Refusal> {
        <[U32]>::ref_from_bytes(self.blob(blob, GROUP_COUNT_MAX * 4)?).map_err(|_| Refusal::Text)
    }
}

/// The fields of one record, taken one by one; what is left at the end must be zero.
struct Fields<'r, 'c, 'a> {
    record: &'r StepRecord,
    cursor: &'c mut Cursor<'a>,
    word_used: bool,
    blobs_used: usize,
    numbers_used: usize,
}

impl<'a> Fields<'_, '_, 'a> {
    fn word(&mut self) -> u32 {
        self.word_used = true;
        self.record.word.get()
    }

    fn propagations(&mut self) -> Result<Propagations, Refusal> {
        Propagations::from_code(self.word()).ok_or(Refusal::StepValue)
    }

    fn blob(&mut self) -> Blob {
        self.blobs_used += 1;
        self.record.blobs[self.blobs_used - 1]
    }

    fn text(&mut self, bytes_max: usize) -> Result<&'a CStr, Refusal> {
        let blob = self.blob();
        self.cursor.text(blob, bytes_max)
    }

    /// A program for seccomp(2): whole instructions, at least one.
    fn filter(&mut self) -> Result<&'a [u8], Refusal> {
        let blob = self.blob();
        let program = self.cursor.blob(blob, FILTER_INSTRUCTION_COUNT_MAX * FILTER_INSTRUCTION_BYTES)?;
        let is_whole = !program.is_empty() && program.len().is_multiple_of(FILTER_INSTRUCTION_BYTES);
        if is_whole { Ok(program) } else { Err(Refusal::StepValue) }
    }

    fn texts(&mut self, item_bytes_max: usize) -> Result<TextList<'a>, Refusal> {
        let blob = self.blob();
        self.cursor.texts(blob, item_bytes_max)
    }

    /// A path of the container: absolute.
    fn path(&mut self) -> Result<&'a CStr, Refusal> {
        let path = self.text(PATH_BYTES_MAX)?;
        if is_absolute(path) { Ok(path) } else { Err(Refusal::StepValue) }
    }

    fn number(&mut self) -> u64 {
        self.numbers_used += 1;
        self.record.numbers[self.numbers_used - 1].get()
    }

    fn flag(&mut self) -> Result<bool, Refusal> {
        match self.number() {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Refusal::StepValue),
        }
    }

    /// Low half, high half.
    fn pair(&mut self) -> (u32, u32) {
        let number = self.number();
        (number as u32, (number >> 32) as u32)
    }

    fn attributes(&mut self) -> Attributes {
        let (set, clear) = self.pair();
        Attributes { set, clear }
    }

    fn finish(&self) -> Result<(), Refusal> {
        let unused_is_zero = (self.word_used || self.record.word == U32::ZERO)
            && self.record.blobs[self.blobs_used..].iter().all(|blob| *blob == Blob::UNUSED)
            && self.record.numbers[self.numbers_used..].iter().all(|number| *number == U64::ZERO)
            && self.record.reserved == 0;
        if unused_is_zero { Ok(()) } else { Err(Refusal::UnusedField) }
    }
}

/// One step from its record. The mirror of `encode::record`.
fn step<'a>(record: &StepRecord, cursor: &mut Cursor<'a>) -> Result<PhasedStep<Wire<'a>>, Refusal> {
    let kind = StepKind::from_number(record.kind.get()).ok_or(Refusal::StepKind)?;
    let phase = Phase::from_number(record.phase).ok_or(Refusal::StepPhase)?;
    if !kind.phases().contains(&phase) {
        return Err(Refusal::StepPhase);
    }
    let mut fields = Fields { record, cursor, word_used: false, blobs_used: 0, numbers_used: 0 };
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
            let blob = fields.blob();
            let groups = fields.cursor.ids(blob)?;
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
            let blob = fields.blob();
            let processors = fields.cursor.ids(blob)?;
            if processors.is_empty() || processors.iter().any(|number| number.get() >= PROCESSOR_COUNT_MAX) {
                return Err(Refusal::StepValue);
            }
            Step::SetAffinity { processors }
        }
        StepKind::OwnStreams => {
            let files = match fields.number() {
                0 => false,
                1 => true,
                _ => return Err(Refusal::StepValue),
            };
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
            let blob = fields.blob();
            let nodes = fields.cursor.ids(blob)?;
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
            let rights = fields.blob();
            let rights = fields.cursor.ids(rights)?;
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
