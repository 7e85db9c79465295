//! Builds a bootstrap into a byte slice. The parent's side.

use alloc::string::String;

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U16, U32, U64};

use crate::blob::{Blob, Planned};
use crate::bootstrap::*;
use crate::limits::{BUILD_ID_BYTES, MESSAGE_BYTES_MAX, VERSION};
use crate::step::{Attributes, Step, StepRecord};

/// Why a plan does not fit a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The message would be larger than `MESSAGE_BYTES_MAX`, or than the buffer.
    TooLarge,
    /// An item of a list holds a NUL: it would arrive as two.
    ItemWithNul,
}

/// Everything of one start, borrowed: lists for `'a`, what their steps name for `'p`. (The forms make `'p` invariant,
/// so that with one lifetime a plan could be encoded only where it was made.)
#[derive(Clone, Copy, Debug)]
pub struct Message<'a, 'p, T> {
    pub bootstrap: Bootstrap<Planned<'p>>,
    pub steps: &'a [PhasedStep<Planned<'p>>],
    /// Bytes without a NUL, and so is `environment`: whoever calls a program may pass it anything else.
    pub arguments: &'a [T],
    pub environment: &'a [T],
}

/// Bytes that `message` takes.
pub fn encoded_bytes<T: AsRef<[u8]>>(message: &Message<'_, '_, T>) -> usize {
    let mut text = TextCounter(0);
    text.text(message.bootstrap.root);
    for phased in message.steps {
        record(phased, &mut text);
    }
    for item in message.arguments.iter().chain(message.environment) {
        text.bytes(item.as_ref());
    }
    text_start(message) + text.0
}

/// Writes `message` to the beginning of `buffer` and returns its bytes.
///
/// Strings must be free of NUL bytes, which the parent's config checks. Where they are not, the decoder refuses the message;
/// in a list it could not tell, so that one is refused here.
pub fn encode<T: AsRef<[u8]>>(
    message: &Message<'_, '_, T>,
    build_id: &[u8; BUILD_ID_BYTES],
    buffer: &mut [u8],
) -> Result<usize, EncodeError> {
    let message_bytes = encoded_bytes(message);
    if message_bytes > MESSAGE_BYTES_MAX || message_bytes > buffer.len() {
        return Err(EncodeError::TooLarge);
    }
    if message.steps.iter().any(|phased| has_item_with_nul(&phased.step)) {
        return Err(EncodeError::ItemWithNul);
    }
    let (records, text) = buffer[..message_bytes].split_at_mut(text_start(message));
    let text_bytes = text.len();
    let mut records = Records(records);
    let mut text = TextWriter { bytes: text, used: 0 };

    let bootstrap = &message.bootstrap;
    records.push(&Header {
        magic: MAGIC,
        version: U32::new(VERSION),
        message_bytes: word(message_bytes),
        build_id: *build_id,
        flags: U32::new(flags(bootstrap)),
        descriptors: U32::new(bootstrap.descriptors.bits()),
        root: text.text(bootstrap.root),
        root_change: bootstrap.root_change as u8,
        host_left: bootstrap.host_left as u8,
        initial_propagation: bootstrap.initial_propagation.code() as u8,
        reserved: 0,
        joined: U32::new(bootstrap.joined),
        unshared: U32::new(bootstrap.unshared),
        preserved_count: U32::new(bootstrap.preserved_count),
        home_of: U32::new(bootstrap.home_of.unwrap_or(0)),
        step_count: word(message.steps.len()),
        argument_count: word(message.arguments.len()),
        environment_count: word(message.environment.len()),
        text_bytes: word(text_bytes),
    });
    for phased in message.steps {
        records.push(&record(phased, &mut text));
    }
    for item in message.arguments.iter().chain(message.environment) {
        records.push(&text.bytes(item.as_ref()));
    }
    Ok(message_bytes)
}

fn has_nul(list: &[String]) -> bool {
    list.iter().any(|item| item.as_bytes().contains(&0))
}

fn has_item_with_nul(step: &Step<Planned<'_>>) -> bool {
    match step {
        Step::RestrictLandlock { paths, .. } => has_nul(paths),
        Step::RunHook { arguments, environment, state, .. } => {
            has_nul(arguments) || has_nul(environment) || has_nul(state)
        }
        _ => false,
    }
}

/// Where the text section begins.
fn text_start<T>(message: &Message<'_, '_, T>) -> usize {
    size_of::<Header>()
        + message.steps.len() * size_of::<StepRecord>()
        + (message.arguments.len() + message.environment.len()) * size_of::<Blob>()
}

/// Callers stay below `MESSAGE_BYTES_MAX`, which fits.
fn word(number: usize) -> U32 {
    U32::new(u32::try_from(number).unwrap_or(u32::MAX))
}

fn flags(bootstrap: &Bootstrap<Planned<'_>>) -> u32 {
    let flag = |set: bool, bit: u32| if set { bit } else { 0 };
    flag(bootstrap.await_cgroups, FLAG_AWAIT_CGROUPS)
        | flag(bootstrap.await_network, FLAG_AWAIT_NETWORK)
        | flag(bootstrap.new_cgroup_namespace, FLAG_NEW_CGROUP_NAMESPACE)
        | flag(bootstrap.home_of.is_some(), FLAG_HOME)
        | flag(bootstrap.loopback_up, FLAG_LOOPBACK)
        | flag(bootstrap.await_hooks, FLAG_AWAIT_HOOKS)
        | flag(bootstrap.born_late, FLAG_BORN_LATE)
        | flag(bootstrap.reports_ready, FLAG_REPORTS_READY)
}

/// The fixed-size records, one behind the other.
struct Records<'b>(&'b mut [u8]);

impl Records<'_> {
    fn push(&mut self, record: &(impl IntoBytes + zerocopy::Immutable)) {
        let bytes = record.as_bytes();
        let (here, rest) = core::mem::take(&mut self.0).split_at_mut(bytes.len());
        here.copy_from_slice(bytes);
        self.0 = rest;
    }
}

/// Where strings go: once to count their bytes, once to write them.
trait TextSink {
    fn append(&mut self, parts: &mut dyn Iterator<Item = &[u8]>) -> Blob;

    fn text(&mut self, text: &str) -> Blob {
        self.append(&mut core::iter::once(text.as_bytes()))
    }

    /// What is no text, as it is.
    fn bytes(&mut self, bytes: &[u8]) -> Blob {
        self.append(&mut core::iter::once(bytes))
    }

    /// Every item with its NUL.
    fn texts(&mut self, list: &[String]) -> Blob {
        self.append(&mut list.iter().flat_map(|item| [item.as_bytes(), b"\0"]))
    }

    fn ids(&mut self, ids: &[u32]) -> Blob {
        let mut blob = None;
        // A list of ids is short; each is appended on its own and the blob spans them.
        for id in ids {
            let piece = self.append_open(&id.to_le_bytes());
            let blob = blob.get_or_insert(Blob { offset: piece, bytes: U32::ZERO });
            blob.bytes += U32::new(4);
        }
        let end = self.append(&mut core::iter::empty());
        blob.unwrap_or(end)
    }

    /// Bytes without a NUL behind them; returns their offset.
    fn append_open(&mut self, bytes: &[u8]) -> U32;
}

struct TextCounter(usize);

impl TextSink for TextCounter {
    fn append(&mut self, parts: &mut dyn Iterator<Item = &[u8]>) -> Blob {
        self.0 += parts.map(<[u8]>::len).sum::<usize>() + 1;
        Blob::UNUSED
    }

    fn append_open(&mut self, bytes: &[u8]) -> U32 {
        self.0 += bytes.len();
        U32::ZERO
    }
}

struct TextWriter<'b> {
    bytes: &'b mut [u8],
    used: usize,
}

impl TextSink for TextWriter<'_> {
    fn append(&mut self, parts: &mut dyn Iterator<Item = &[u8]>) -> Blob {
        let start = self.used;
        for part in parts {
            self.append_open(part);
        }
        let bytes = self.used - start;
        self.append_open(b"\0");
        Blob { offset: word(start), bytes: word(bytes) }
    }

    fn append_open(&mut self, bytes: &[u8]) -> U32 {
        let start = self.used;
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
        word(start)
    }
}

const NONE: Blob = Blob::UNUSED;

fn attributes(attributes: Attributes) -> U64 {
    U64::new(u64::from(attributes.set) | u64::from(attributes.clear) << 32)
}

fn pair(low: u32, high: u32) -> U64 {
    U64::new(u64::from(low) | u64::from(high) << 32)
}

/// One step's record. The mirror of `decode::step`.
fn record(phased: &PhasedStep<Planned<'_>>, text: &mut impl TextSink) -> StepRecord {
    let zero = U64::ZERO;
    let (word, blobs, numbers) = match phased.step {
        Step::MountFilesystem { fstype, source, target, data, flags, propagations, copies_up, is_mapped } => {
            (
                propagations.code(),
                [text.text(fstype), text.text(source), text.text(target), text.text(data)],
                [
                    U64::new(u64::from(flags)),
                    U64::new(u64::from(copies_up)),
                    U64::new(u64::from(is_mapped)),
                    zero,
                ],
            )
        }
        Step::BindMount {
            source,
            target,
            origin,
            recursive,
            nofollow,
            attributes: a,
            recursive_attributes: r,
            propagations,
        } => (
            propagations.code(),
            [text.text(source), text.text(target), NONE, NONE],
            [
                attributes(a),
                attributes(r),
                U64::new(
                    u64::from(recursive) | u64::from(nofollow.source) << 1 | u64::from(nofollow.target) << 2,
                ),
                U64::new(origin.number()),
            ],
        ),
        Step::SetMountAttributes { path, recursive, attributes: a } => (
            0,
            [text.text(path), NONE, NONE, NONE],
            [attributes(a), U64::new(u64::from(recursive)), zero, zero],
        ),
        Step::MakeDevice { path, mode, major, minor, uid, gid } => {
            (mode, [text.text(path), NONE, NONE, NONE], [pair(major, minor), pair(uid, gid), zero, zero])
        }
        Step::MakeSymlink { path, target, exact } => (
            0,
            [text.text(path), text.text(target), NONE, NONE],
            [U64::new(u64::from(exact)), zero, zero, zero],
        ),
        Step::MakeDirectory { path } => (0, [text.text(path), NONE, NONE, NONE], [zero; 4]),
        Step::ReadonlyPath { path, recursive } => {
            (0, [text.text(path), NONE, NONE, NONE], [U64::new(u64::from(recursive)), zero, zero, zero])
        }
        Step::Unmount { path, mount } => {
            (0, [text.text(path), NONE, NONE, NONE], [U64::new(mount), zero, zero, zero])
        }
        Step::MaskPath { path, data } => (0, [text.text(path), text.text(data), NONE, NONE], [zero; 4]),
        Step::FinishRoot { readonly, propagations } => {
            (propagations.code(), [NONE; 4], [U64::new(u64::from(readonly)), zero, zero, zero])
        }
        Step::WriteSysctl { name, value } => (0, [text.text(name), text.text(value), NONE, NONE], [zero; 4]),
        Step::SetOomScoreAdjust { value: name }
        | Step::NewTimeNamespace { offsets: name }
        | Step::SetHostname { name }
        | Step::SetDomainname { name }
        | Step::SetAppArmorProfile { profile: name }
        | Step::SetSelinuxLabel { label: name } => (0, [text.text(name), NONE, NONE, NONE], [zero; 4]),
        Step::NewSessionKeyring | Step::SetNoNewPrivileges => (0, [NONE; 4], [zero; 4]),
        Step::SetRlimit { resource, soft, hard } => {
            (resource, [NONE; 4], [U64::new(soft), U64::new(hard), zero, zero])
        }
        Step::DropBounding { keep } => (0, [NONE; 4], [U64::new(keep), zero, zero, zero]),
        Step::BecomeUser { uid, gid, groups, working_directory, keep_capabilities, keep_groups } => (
            u32::from(keep_capabilities) | u32::from(keep_groups) << 1,
            [text.ids(groups), text.bytes(working_directory), NONE, NONE],
            [pair(uid, gid), zero, zero, zero],
        ),
        Step::SetCapabilities { effective, permitted, inheritable, ambient } => {
            (0, [NONE; 4], [effective, permitted, inheritable, ambient].map(U64::new))
        }
        Step::SetUmask { umask } => (umask, [NONE; 4], [zero; 4]),
        Step::SetScheduler { scheduler: s } => (
            s.policy | s.flags << 16,
            [NONE; 4],
            [pair(s.nice.cast_unsigned(), s.priority), s.runtime.into(), s.deadline.into(), s.period.into()],
        ),
        Step::SetIoPriority { class, priority } => (0, [NONE; 4], [pair(class, priority), zero, zero, zero]),
        Step::RestrictLandlock { handled, paths, rights } => {
            (handled, [text.texts(paths), text.ids(rights), NONE, NONE], [zero; 4])
        }
        Step::SetPersonality { domain } => (domain, [NONE; 4], [zero; 4]),
        Step::SetMemoryPolicy { mode, flags, nodes } => {
            (mode | flags, [text.ids(nodes), NONE, NONE, NONE], [zero; 4])
        }
        Step::RunHook { index, path, arguments, environment, state, timeout_ms } => (
            timeout_ms,
            [text.text(path), text.texts(arguments), text.texts(environment), text.texts(state)],
            [U64::new(u64::from(index)), zero, zero, zero],
        ),
        Step::OpenConsole { uid, width, height, bind } => {
            (u32::from(bind), [NONE; 4], [pair(width, height), U64::new(u64::from(uid)), zero, zero])
        }
        Step::SetAffinity { processors } => (0, [text.ids(processors), NONE, NONE, NONE], [zero; 4]),
        Step::OwnStreams { uid, files } => (uid, [NONE; 4], [U64::new(u64::from(files)), zero, zero, zero]),
        Step::InstallSeccomp { flags, program } => {
            (flags, [text.bytes(program), NONE, NONE, NONE], [zero; 4])
        }
    };
    StepRecord {
        kind: U16::new(phased.step.kind() as u16),
        phase: phased.phase as u8,
        reserved: 0,
        word: U32::new(word),
        blobs,
        numbers,
    }
}
