//! The quick reader of the table. The types have taken the text, so it is JSON; it goes over the bytes once and keeps nothing.

use std::collections::BTreeSet;

use super::{Field, Shape, scheduler_flag};
use crate::config::capabilities;

/// Looks for what is not as `shape` has it in a JSON text.
///
/// `None`: something may not be, and be it that a name is written with escapes.
pub(super) fn over(text: &[u8], shape: &Shape) -> Option<()> {
    Glance { rest: text }.value(shape)
}

/// What of the text is still to come.
struct Glance<'t> {
    rest: &'t [u8],
}

impl<'t> Glance<'t> {
    /// The next byte that is no white space, nor what stands between values.
    fn next(&mut self) -> Option<u8> {
        let place =
            self.rest.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b':'))?;
        let next = self.rest[place];
        self.rest = &self.rest[place + 1..];
        Some(next)
    }

    fn value(&mut self, shape: &Shape) -> Option<()> {
        let first = self.next()?;
        match (shape, first) {
            (Shape::Any, _) => self.skip(first),
            (Shape::Object(fields), b'{') => self.object(fields),
            (Shape::Map, b'{') => self.map(&Shape::Any),
            (Shape::MapOf(shape), b'{') => self.map(shape),
            (Shape::List(shape), b'[') => self.list(shape),
            (Shape::Capability, b'"') => {
                let name = self.plain_text()?;
                capabilities::number(std::str::from_utf8(name).ok()?).map(drop)
            }
            (Shape::SchedulerFlag, b'"') => {
                let name = std::str::from_utf8(self.plain_text()?).ok()?;
                (scheduler_flag(name)? == name).then_some(())
            }
            (_, b'{' | b'[') => None,
            // What else the types took for an object or a list: null.
            _ => self.skip(first),
        }
    }

    fn object(&mut self, fields: &'static [Field]) -> Option<()> {
        // A name that comes twice is refused by the types.
        let mut missing = fields.iter().filter(|field| field.is_required).count();
        while let Some(name) = self.name()? {
            match fields.iter().find(|field| field.name.as_bytes() == name) {
                Some(field) => {
                    missing -= usize::from(field.is_required);
                    self.value(&field.shape)?;
                }
                None => self.value(&Shape::Any)?,
            }
        }
        (missing == 0).then_some(())
    }

    fn map(&mut self, shape: &Shape) -> Option<()> {
        let mut names = BTreeSet::new();
        while let Some(name) = self.name()? {
            self.value(shape)?;
            names.insert(name).then_some(())?;
        }
        Some(())
    }

    fn list(&mut self, shape: &Shape) -> Option<()> {
        loop {
            let before = self.rest;
            if self.next()? == b']' {
                return Some(());
            }
            self.rest = before;
            self.value(shape)?;
        }
    }

    /// The name of the next entry, if the object does not end here.
    fn name(&mut self) -> Option<Option<&'t [u8]>> {
        match self.next()? {
            b'}' => Some(None),
            b'"' => self.plain_text().map(Some),
            _ => None,
        }
    }

    /// The text behind a quotation mark, if it is written without escapes.
    fn plain_text(&mut self) -> Option<&'t [u8]> {
        let end = self.rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest.strip_prefix(b"\"")?;
        Some(text)
    }

    /// Leaves behind the value that begins with `first`.
    fn skip(&mut self, first: u8) -> Option<()> {
        let mut depth = 0_usize;
        let mut next = first;
        loop {
            match next {
                b'"' => self.skip_text()?,
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.checked_sub(1)?,
                // Numbers and words: each letter is a value, which does not matter to what is skipped.
                _ => {}
            }
            if depth == 0 {
                break;
            }
            next = self.next()?;
        }
        if !matches!(first, b'"' | b'{' | b'[') {
            let end = self
                .rest
                .iter()
                .position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.'));
            self.rest = &self.rest[end.unwrap_or(self.rest.len())..];
        }
        Some(())
    }

    fn skip_text(&mut self) -> Option<()> {
        loop {
            let end = self.rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            let escapes = self.rest[end] == b'\\';
            self.rest = self.rest.get(end + 1 + usize::from(escapes)..)?;
            if !escapes {
                return Some(());
            }
        }
    }
}
