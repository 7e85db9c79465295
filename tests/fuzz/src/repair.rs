//! Makes arbitrary bytes look enough like a message to be read further.

use shared_proto::bootstrap::{Header, MAGIC};
use shared_proto::limits::{BUILD_ID_BYTES, VERSION};
use shared_proto::step::StepRecord;
use shared_proto::{Blob, StepKind};

const HEADER_BYTES: usize = size_of::<Header>();
const RECORD_BYTES: usize = size_of::<StepRecord>();
const BLOB_BYTES: usize = size_of::<Blob>();

/// Sizes and identities of the header.
pub(crate) fn header(bytes: &mut [u8], build_id: &[u8; BUILD_ID_BYTES]) {
    if bytes.len() < HEADER_BYTES {
        return;
    }
    let text_bytes = bytes.len().saturating_sub(text_start(bytes));
    put(bytes, 0, &MAGIC);
    put_word(bytes, 8, VERSION as usize);
    put_word(bytes, 12, bytes.len());
    put(bytes, 16, build_id);
    put_word(bytes, HEADER_BYTES - 4, text_bytes);
}

/// Offsets of all strings, the NUL behind each, and the end of the message behind the last.
pub(crate) fn strings(bytes: &mut Vec<u8>) {
    if bytes.len() < HEADER_BYTES {
        return;
    }
    let text_start = text_start(bytes);
    if text_start > bytes.len() {
        return;
    }
    let mut next = 0;
    for place in blob_places(bytes) {
        put_word(bytes, place, next);
        // Short ones, or the first wild length would swallow the message.
        let length = word(bytes, place + 4) % 600;
        put_word(bytes, place + 4, length);
        let end = text_start + next + length;
        if bytes.len() <= end {
            bytes.resize(end + 1, b'/');
        }
        bytes[end] = 0;
        next += length + 1;
    }
    bytes.truncate(text_start + next);
}

/// Where the blobs lie that the records use.
fn blob_places(bytes: &[u8]) -> Vec<usize> {
    let step_count = word(bytes, HEADER_BYTES - 16);
    let mut places = vec![core::mem::offset_of!(Header, root)];
    for index in 0..step_count {
        let record = HEADER_BYTES + index * RECORD_BYTES;
        let kind = StepKind::from_number(u16::from_le_bytes([bytes[record], bytes[record + 1]]));
        places.extend((0..kind.map_or(0, blob_count)).map(|blob| record + 8 + blob * BLOB_BYTES));
    }
    let lists = HEADER_BYTES + step_count * RECORD_BYTES;
    places.extend((lists..text_start(bytes)).step_by(BLOB_BYTES));
    places
}

fn blob_count(kind: StepKind) -> usize {
    match kind {
        StepKind::MountFilesystem | StepKind::RunHook => 4,
        StepKind::BindMount
        | StepKind::MakeSymlink
        | StepKind::WriteSysctl
        | StepKind::MaskPath
        | StepKind::BecomeUser
        | StepKind::RestrictLandlock => 2,
        StepKind::SetMountAttributes
        | StepKind::MakeDevice
        | StepKind::MakeDirectory
        | StepKind::ReadonlyPath
        | StepKind::Unmount
        | StepKind::SetOomScoreAdjust
        | StepKind::SetHostname
        | StepKind::SetDomainname
        | StepKind::SetMemoryPolicy
        | StepKind::SetAffinity
        | StepKind::NewTimeNamespace
        | StepKind::SetAppArmorProfile
        | StepKind::SetSelinuxLabel
        | StepKind::InstallSeccomp => 1,
        StepKind::FinishRoot
        | StepKind::NewSessionKeyring
        | StepKind::SetRlimit
        | StepKind::DropBounding
        | StepKind::SetCapabilities
        | StepKind::SetUmask
        | StepKind::SetNoNewPrivileges
        | StepKind::SetScheduler
        | StepKind::SetIoPriority
        | StepKind::SetPersonality
        | StepKind::OpenConsole
        | StepKind::OwnStreams => 0,
    }
}

/// Where the text section begins, by the counts that the header claims.
fn text_start(bytes: &[u8]) -> usize {
    let [steps, arguments, environment] = [16, 12, 8].map(|from_end| word(bytes, HEADER_BYTES - from_end));
    HEADER_BYTES + steps * RECORD_BYTES + (arguments + environment) * BLOB_BYTES
}

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]) as usize
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

fn put_word(bytes: &mut [u8], at: usize, value: usize) {
    put(bytes, at, &(value as u32).to_le_bytes());
}
