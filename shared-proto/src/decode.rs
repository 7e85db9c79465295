//! A checked view over a bootstrap. stage1's side.
//!
//! `View::decode` checks everything before the first side effect; what a view returns later was checked then.

mod fields;
mod steps;

use core::ffi::CStr;

use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

use self::fields::Cursor;
use self::steps::step;
use crate::blob::{Blob, Wire};
use crate::bootstrap::*;
use crate::limits::*;
use crate::order;
use crate::step::*;

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
        let view = *self;
        self.steps.iter().filter_map(move |record| view.step(record))
    }

    /// Those of one phase, with their numbers. The others are not read.
    pub fn steps_in(&self, phase: Phase) -> impl Iterator<Item = (u32, PhasedStep<Wire<'a>>)> + use<'a> {
        let view = *self;
        let numbered = (0..).zip(self.steps).filter(move |(_, record)| record.phase == phase as u8);
        numbered.filter_map(move |(number, record)| Some((number, view.step(record)?)))
    }

    /// Those of some kinds, likewise.
    pub fn steps_of<const N: usize>(
        &self,
        kinds: [StepKind; N],
    ) -> impl Iterator<Item = Step<Wire<'a>>> + use<'a, N> {
        let view = *self;
        let is_of = move |record: &&StepRecord| kinds.iter().any(|&kind| record.kind.get() == kind as u16);
        self.steps.iter().filter(is_of).filter_map(move |record| Some(view.step(record)?.step))
    }

    /// A step that `decode` has checked. Its first string is where the record says, and the others follow.
    fn step(&self, record: &StepRecord) -> Option<PhasedStep<Wire<'a>>> {
        step(record, &mut Cursor { text: self.text, next: record.blobs[0].offset.get() as usize }).ok()
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
    if flags & !FLAGS_ALL != 0 || header.reserved != 0 {
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
        host_left: match header.host_left {
            0 => HostLeft::First,
            1 => HostLeft::BeforeNetwork,
            2 => HostLeft::BehindViews,
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
        await_hooks: flag(FLAG_AWAIT_HOOKS),
        born_late: flag(FLAG_BORN_LATE),
        reports_ready: flag(FLAG_REPORTS_READY),
        joined,
        unshared,
        preserved_count: header.preserved_count.get(),
    })
}
