//! What a record is made of: blobs of the text section, and numbers.

use core::ffi::CStr;

use zerocopy::FromBytes;
use zerocopy::little_endian::{U32, U64};

use super::{Refusal, is_absolute};
use crate::blob::{Blob, TextList};
use crate::limits::*;
use crate::step::*;

/// Walks the text section: each blob must begin where the one before it ended.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a [u8],
    pub(super) next: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn blob(&mut self, blob: Blob, bytes_max: usize) -> Result<&'a [u8], Refusal> {
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

    pub(super) fn text(&mut self, blob: Blob, bytes_max: usize) -> Result<&'a CStr, Refusal> {
        let start = self.next;
        let content = self.blob(blob, bytes_max)?;
        let text = CStr::from_bytes_until_nul(&self.text[start..]).map_err(|_| Refusal::Text)?;
        if text.count_bytes() == content.len() { Ok(text) } else { Err(Refusal::Text) }
    }

    pub(super) fn texts(&mut self, blob: Blob, item_bytes_max: usize) -> Result<TextList<'a>, Refusal> {
        TextList::new(self.blob(blob, MESSAGE_BYTES_MAX)?, item_bytes_max).ok_or(Refusal::Text)
    }

    pub(super) fn ids(&mut self, blob: Blob) -> Result<&'a [U32], Refusal> {
        <[U32]>::ref_from_bytes(self.blob(blob, GROUP_COUNT_MAX * 4)?).map_err(|_| Refusal::Text)
    }
}

/// The fields of one record, taken one by one; what is left at the end must be zero.
pub(super) struct Fields<'r, 'c, 'a> {
    record: &'r StepRecord,
    cursor: &'c mut Cursor<'a>,
    word_used: bool,
    blobs_used: usize,
    numbers_used: usize,
}

impl<'r, 'c, 'a> Fields<'r, 'c, 'a> {
    pub(super) fn of(record: &'r StepRecord, cursor: &'c mut Cursor<'a>) -> Self {
        Self { record, cursor, word_used: false, blobs_used: 0, numbers_used: 0 }
    }

    pub(super) fn word(&mut self) -> u32 {
        self.word_used = true;
        self.record.word.get()
    }

    pub(super) fn propagations(&mut self) -> Result<Propagations, Refusal> {
        Propagations::from_code(self.word()).ok_or(Refusal::StepValue)
    }

    fn blob(&mut self) -> Blob {
        self.blobs_used += 1;
        self.record.blobs[self.blobs_used - 1]
    }

    pub(super) fn text(&mut self, bytes_max: usize) -> Result<&'a CStr, Refusal> {
        let blob = self.blob();
        self.cursor.text(blob, bytes_max)
    }

    /// A program for seccomp(2): whole instructions, at least one.
    pub(super) fn filter(&mut self) -> Result<&'a [u8], Refusal> {
        let blob = self.blob();
        let program = self.cursor.blob(blob, FILTER_INSTRUCTION_COUNT_MAX * FILTER_INSTRUCTION_BYTES)?;
        let is_whole = !program.is_empty() && program.len().is_multiple_of(FILTER_INSTRUCTION_BYTES);
        if is_whole { Ok(program) } else { Err(Refusal::StepValue) }
    }

    pub(super) fn texts(&mut self, item_bytes_max: usize) -> Result<TextList<'a>, Refusal> {
        let blob = self.blob();
        self.cursor.texts(blob, item_bytes_max)
    }

    pub(super) fn ids(&mut self) -> Result<&'a [U32], Refusal> {
        let blob = self.blob();
        self.cursor.ids(blob)
    }

    /// A path of the container: absolute.
    pub(super) fn path(&mut self) -> Result<&'a CStr, Refusal> {
        let path = self.text(PATH_BYTES_MAX)?;
        if is_absolute(path) { Ok(path) } else { Err(Refusal::StepValue) }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers_used += 1;
        self.record.numbers[self.numbers_used - 1].get()
    }

    pub(super) fn flag(&mut self) -> Result<bool, Refusal> {
        match self.number() {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Refusal::StepValue),
        }
    }

    /// Low half, high half.
    pub(super) fn pair(&mut self) -> (u32, u32) {
        let number = self.number();
        (number as u32, (number >> 32) as u32)
    }

    pub(super) fn attributes(&mut self) -> Attributes {
        let (set, clear) = self.pair();
        Attributes { set, clear }
    }

    pub(super) fn finish(&self) -> Result<(), Refusal> {
        let unused_is_zero = (self.word_used || self.record.word == U32::ZERO)
            && self.record.blobs[self.blobs_used..].iter().all(|blob| *blob == Blob::UNUSED)
            && self.record.numbers[self.numbers_used..].iter().all(|number| *number == U64::ZERO)
            && self.record.reserved == 0;
        if unused_is_zero { Ok(()) } else { Err(Refusal::UnusedField) }
    }
}
