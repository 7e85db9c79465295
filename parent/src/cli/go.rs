//! Options as Go's flag package reads them, since runc's callers write them so, and in clusters, as crun's do.
//!
//! ```text
//! --bundle /b   -bundle /b   --bundle=/b   -b /b   -b=/b   -b/b      the bundle is /b
//! --detach   -detach   -d   --detach=true   -d=T                     on
//! --detach=false   -d=0                                              off, whatever stands before it
//! -dtu 1000                                                          -d -t -u 1000
//! ```
//! Engines add their user's options behind their own: the last one counts.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::flags::{Flag, Flags, Table};

/// What words are beside options.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) operands: Vec<OsString>,
    /// The last text that is asked for in place of the command.
    pub(super) text: Option<Text>,
    /// The first thing that is wrong, in runc's words. The rest has been read all the same: the log's options may be in it.
    pub(super) error: Option<String>,
}

/// Where options stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Before the command, where the program tells its version as well.
    BeforeCommand,
    /// All words from the first operand on are somebody else's.
    BeforeOperands,
    /// Also behind operands.
    Anywhere,
}

/// Reads words, and gives options their values.
pub(super) fn read(options: &mut dyn Flags, words: &[OsString], stand: Stand) -> Words {
    let mut read = Words::default();
    let mut reader = Reader { table: options.table(), options, stand, text: None };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            break;
        }
        // Behind an operand a negative number is one more, as to runc: `kill ID -1` is refused by the kernel.
        let is_number = |name: &&[u8]| !read.operands.is_empty() && name.iter().all(u8::is_ascii_digit);
        match bytes.strip_prefix(b"-").filter(|name| !name.is_empty() && !is_number(name)) {
            None => {
                read.operands.push(word.clone());
                if stand != Stand::Anywhere {
                    break;
                }
            }
            Some(name) => {
                let option = reader.option(name, &mut rest);
                read.error = read.error.take().or(option.err());
            }
        }
    }
    read.operands.extend(rest.cloned());
    read.text = reader.text;
    read
}

/// An option, and the value in the same word.
type Given<'w> = (&'static Flag, Option<&'w [u8]>);

struct Reader<'o> {
    table: Table,
    options: &'o mut dyn Flags,
    stand: Stand,
    text: Option<Text>,
}

impl Reader<'_> {
    /// `word` is without its first dash; a value may be the next of `rest`.
    fn option<'a>(
        &mut self,
        word: &[u8],
        rest: &mut impl Iterator<Item = &'a OsString>,
    ) -> Result<(), String> {
        let name = word.strip_prefix(b"-").unwrap_or(word);
        let (name, value) = match name.iter().position(|byte| *byte == b'=') {
            Some(place) => (&name[..place], Some(&name[place + 1..])),
            None => (name, None),
        };
        if name.is_empty() || name.starts_with(b"-") {
            return Err(format!("bad flag syntax: -{}", String::from_utf8_lossy(word)));
        }
        if let Some(flag) = self.find(name) {
            return self.give(flag, value, rest);
        }
        if let Some(text) = Text::named(name, self.stand) {
            self.text = value.is_none_or(|value| boolean(value) == Some(true)).then_some(text);
            return Ok(());
        }
        if word.starts_with(b"-") || name.len() == 1 {
            return Err(unknown(name));
        }
        for (flag, value) in self.cluster(word).ok_or_else(|| unknown(name))? {
            self.give(flag, value, rest)?;
        }
        Ok(())
    }

    /// `value` is what stands in the same word.
    fn give<'a>(
        &mut self,
        flag: &Flag,
        value: Option<&[u8]>,
        rest: &mut impl Iterator<Item = &'a OsString>,
    ) -> Result<(), String> {
        let name = flag.long;
        let refused = |value: &[u8], what: &str, reason: &str| {
            format!("invalid {what}value {:?} for {reason}", String::from_utf8_lossy(value))
        };
        let value = match (value, flag.kind.is_switch()) {
            (None, true) => b"true".as_slice(),
            (Some(text), true) => match boolean(text) {
                Some(true) => b"true",
                Some(false) => b"false".as_slice(),
                None => return Err(refused(text, "boolean ", &format!("-{name}: parse error"))),
            },
            (Some(value), false) => value,
            (None, false) => {
                rest.next().ok_or_else(|| format!("flag needs an argument: -{name}"))?.as_bytes()
            }
        };
        if flag.kind.is_text() && std::str::from_utf8(value).is_err() {
            return Err(refused(value, "", &format!("flag -{name}: not UTF-8")));
        }
        // As if it had not been given.
        let or_default = match flag.default {
            Some(default) if value.is_empty() => default.as_bytes(),
            _ => value,
        };
        self.options
            .set(name, OsStr::from_bytes(or_default))
            .map_err(|_| refused(value, "", &format!("flag -{name}: parse error")))
    }

    fn find(&self, name: &[u8]) -> Option<&'static Flag> {
        let is_letter = |letter: char| letter.is_ascii() && name == [letter as u8];
        self.table.flags().find(|flag| flag.long.as_bytes() == name || flag.short.is_some_and(is_letter))
    }

    /// Several letters behind one dash: switches, and perhaps one that takes a value at the end, with the value or without.
    ///
    /// A value that looks like the rest of a long option's name is none: `-bogus` is a mistake, and no `-b ogus`.
    fn cluster<'w>(&self, word: &'w [u8]) -> Option<Vec<Given<'w>>> {
        let mut found = Vec::new();
        for place in 0..word.len() {
            let (flag, behind) = (self.find(&word[place..=place])?, &word[place + 1..]);
            if flag.kind.is_switch() {
                found.push((flag, None));
                continue;
            }
            let value = match behind {
                [] => None,
                [b'a'..=b'z', ..] => return None,
                [b'=', value @ ..] => Some(value),
                value => Some(value),
            };
            found.push((flag, value));
            break;
        }
        Some(found)
    }
}

/// What every command tells of itself, and the program of its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Help,
    Usage,
    Version,
}

impl Text {
    fn named(name: &[u8], stand: Stand) -> Option<Self> {
        match name {
            b"help" | b"h" | b"?" => Some(Self::Help),
            b"usage" => Some(Self::Usage),
            b"version" | b"v" | b"V" if stand == Stand::BeforeCommand => Some(Self::Version),
            _ => None,
        }
    }
}

fn unknown(name: &[u8]) -> String {
    format!("flag provided but not defined: -{}", String::from_utf8_lossy(name))
}

/// What Go's strconv.ParseBool takes.
pub(super) fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"1" | b"t" | b"T" | b"TRUE" | b"true" | b"True" => Some(true),
        b"0" | b"f" | b"F" | b"FALSE" | b"false" | b"False" => Some(false),
        _ => None,
    }
}
