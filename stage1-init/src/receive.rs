//! Bytes and descriptors from the parent → a checked view.

use core::ffi::CStr;

use heapless::Vec;
use shared_proto::bootstrap::{MAGIC_MEMFD, RootChange};
use shared_proto::limits::{
    BUILD_ID_BYTES, FRAME_BYTES, FRAME_DESCRIPTOR_COUNT_MAX, INLINE_BYTES_MAX, MESSAGE_BYTES_MAX,
    PATH_BYTES_MAX,
};
use shared_proto::{Call, DescriptorSlot, Reply, View};

use crate::kernel::{At, Descriptor, Errno, Fault, Kernel};
use crate::steps::masks::LISTING_BYTES;

/// Descriptors of one datagram, in the order of travel.
pub(crate) type DescriptorList = Vec<Descriptor, FRAME_DESCRIPTOR_COUNT_MAX>;

/// A checked bootstrap with its descriptors. The message stays where it is for the life of the program.
pub(crate) struct Received {
    pub(crate) view: View<'static>,
    descriptors: DescriptorList,
}

impl Received {
    /// The descriptor in `slot`, if it is filled.
    pub(crate) fn descriptor(&self, slot: DescriptorSlot) -> Option<Descriptor> {
        let slots = self.view.bootstrap().descriptors;
        let position = slots.iter().position(|filled| filled == slot)?;
        self.descriptors.get(position).copied()
    }

    /// All that came with the bootstrap and travel in a slot.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = Descriptor> + '_ {
        self.descriptors.iter().copied()
    }

    /// The descriptor with the highest number, if any came.
    pub(crate) fn highest_descriptor(&self) -> Option<Descriptor> {
        self.descriptors.iter().copied().max()
    }
}

/// Bytes of the texts that stage1 finds and keeps: the program's path, and HOME.
const TEXT_BYTES: usize = 2 * (PATH_BYTES_MAX + 16);

/// Bytes of the memory behind the message.
pub(crate) const LASTING_BYTES: usize = TEXT_BYTES + LISTING_BYTES;

/// Zeroed memory that lasts: not on the stack, where each page would be touched whether it is used or not.
pub(crate) struct Lasting {
    text: &'static mut [u8],
    /// For the listing of a directory.
    pub(crate) listing: Option<&'static mut [u8]>,
}

impl Lasting {
    fn new(memory: &'static mut [u8]) -> Self {
        let (text, listing) = memory.split_at_mut_checked(TEXT_BYTES).unwrap_or_default();
        Self { text, listing: Some(listing) }
    }

    /// The parts in a row, which have no NUL.
    pub(crate) fn keep(&mut self, parts: &[&[u8]]) -> Result<&'static CStr, Errno> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        if length >= self.text.len() {
            return Err(Errno::NAMETOOLONG);
        }
        let (text, rest) = core::mem::take(&mut self.text).split_at_mut(length + 1);
        self.text = rest;
        // The memory is zeroed: the NUL is there.
        text.iter_mut().zip(parts.iter().copied().flatten()).for_each(|(to, from)| *to = *from);
        Ok(CStr::from_bytes_until_nul(text).unwrap_or_default())
    }
}

/// Receives the bootstrap and checks all of it.
pub(crate) fn bootstrap<K: Kernel>(
    kernel: &mut K,
    socket: Descriptor,
    build_id: &[u8; BUILD_ID_BYTES],
) -> Result<(Received, Lasting), Fault> {
    let mut descriptors = DescriptorList::new();
    let (memory, lasting) =
        kernel.message_memory().split_at_mut_checked(INLINE_BYTES_MAX).unwrap_or_default();
    let received = kernel.receive(socket, memory, &mut descriptors).at(Call::Receive)?;
    let memory: &'static [u8] = memory;
    let bytes = memory.get(..received).unwrap_or_default();
    let bytes = match bytes.strip_prefix(&MAGIC_MEMFD) {
        Some(length) => from_memfd(kernel, length, &mut descriptors)?,
        None => bytes,
    };
    let refused =
        |number: u16| Fault { call: Call::Decode, errno: Errno::from_raw_os_error(i32::from(number)) };
    let view = View::decode(bytes, build_id).map_err(|refusal| refused(refusal as u16))?;
    let slots = view.bootstrap().descriptors;
    if slots.count() != descriptors.len() || needs_missing_namespace(&view) {
        return Err(refused(shared_proto::Refusal::HeaderValue as u16));
    }
    Ok((Received { view, descriptors }, Lasting::new(lasting)))
}

/// A root bound into a joined mount namespace needs that namespace, and to enter a container its init is needed.
fn needs_missing_namespace(view: &View<'_>) -> bool {
    let bootstrap = view.bootstrap();
    let has = |slot| bootstrap.descriptors.contains(slot);
    (bootstrap.root_change == RootChange::Bind && !has(DescriptorSlot::MountNamespace))
        || (bootstrap.root_change == RootChange::Enter) != has(DescriptorSlot::Init)
}

/// A message that was too large for the socket: its memfd came first.
fn from_memfd<K: Kernel>(
    kernel: &mut K,
    length: &[u8],
    descriptors: &mut DescriptorList,
) -> Result<&'static [u8], Fault> {
    let invalid = Fault { call: Call::Map, errno: Errno::INVAL };
    let length = u64::from_le_bytes(length.try_into().map_err(|_| invalid)?);
    if descriptors.is_empty() || length > MESSAGE_BYTES_MAX as u64 {
        return Err(invalid);
    }
    let memfd = descriptors.remove(0);
    kernel.map_file(memfd, length as usize).at(Call::Map)
}

/// The parent's next reply with its descriptors. End-of-file means that the parent is gone.
pub(crate) fn reply<K: Kernel>(
    kernel: &mut K,
    socket: Descriptor,
    descriptors: &mut DescriptorList,
) -> Result<Reply, Fault> {
    let mut frame = [0; FRAME_BYTES];
    let received = kernel.receive(socket, &mut frame, descriptors).at(Call::Receive)?;
    if received == 0 {
        return Err(Fault { call: Call::ParentGone, errno: Errno::PIPE });
    }
    let reply = frame.get(..received).and_then(Reply::decode);
    match reply.filter(|reply| reply.descriptor_count() == descriptors.len()) {
        Some(reply) => Ok(reply),
        None => Err(unexpected()),
    }
}

/// A reply that is malformed, or does not belong here.
pub(crate) fn unexpected() -> Fault {
    Fault { call: Call::Receive, errno: Errno::PROTO }
}
