//! Options as Go's flag package reads them, since runc's callers write them so, and in clusters, as crun's do.
//!
//! ```text
//! --bundle /b   -bundle /b   --bundle=/b   -b /b   -b=/b   -b/b      --bundle=/b
//! --detach   -detach   -d   --detach=true   -d=T                     --detach
//! --detach=false   -d=0                                              nothing, and takes an earlier one back
//! -dtu 1000                                                          --detach --tty --user=1000
//! ```
//! On the right is what clap gets: one form, in which no value can be taken for an option.

use std::any::TypeId;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command};

/// The words behind a command's name, in order.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// `--name` or `--name=value`.
    pub(super) options: Vec<OsString>,
    pub(super) operands: Vec<OsString>,
    /// The last text that is asked for in place of the command.
    pub(super) text: Option<Text>,
    /// The first thing that is wrong, in runc's words. The rest has been read all the same: the log's options may be in it.
    pub(super) error: Option<String>,
}

/// Where the options of a command end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Options {
    /// They may stand behind operands.
    Anywhere,
    /// All words from the first operand on are somebody else's.
    BeforeOperands,
}

/// Reads the words of `command`, which knows its options.
pub(super) fn read(command: &Command, words: &[OsString], options: Options) -> Words {
    let mut read = Words::default();
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
                if options == Options::BeforeOperands {
                    break;
                }
            }
            Some(name) => {
                let option = read.option(command, name, &mut rest);
                read.error = read.error.take().or(option.err());
            }
        }
    }
    read.operands.extend(rest.cloned());
    read
}

impl Words {
    /// `word` is without its first dash; a value may be the next of `rest`.
    fn option<'a>(
        &mut self,
        command: &Command,
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
        if let Some(option) = find(command, name) {
            return self.push(option, value.map(Attached::Value), rest);
        }
        if let Some(text) = Text::named(command, name) {
            self.text = value.is_none_or(|value| boolean(value) == Some(true)).then_some(text);
            return Ok(());
        }
        if word.starts_with(b"-") || name.len() == 1 {
            return Err(unknown(name));
        }
        for (option, attached) in cluster(command, word).ok_or_else(|| unknown(name))? {
            self.push(option, attached, rest)?;
        }
        Ok(())
    }

    fn push<'a>(
        &mut self,
        option: &Arg,
        attached: Option<Attached<'_>>,
        rest: &mut impl Iterator<Item = &'a OsString>,
    ) -> Result<(), String> {
        let name = option.get_long().unwrap_or_default();
        let has_value = |value: &[u8]| [b"--", name.as_bytes(), b"=", value].concat();
        if is_switch(option) {
            let value = match attached {
                None => true,
                Some(Attached::Value(text)) => boolean(text).ok_or_else(|| {
                    format!(
                        "invalid boolean value {:?} for -{name}: parse error",
                        String::from_utf8_lossy(text)
                    )
                })?,
            };
            let written = format!("--{name}");
            if option.get_action().takes_values() {
                // Not given, on and off are three things.
                self.options.push(OsString::from(format!("{written}={value}")));
            } else if value {
                self.options.push(OsString::from(written));
            } else {
                self.options.retain(|earlier| *earlier != *written);
            }
            return Ok(());
        }
        let value = match attached {
            Some(Attached::Value(value)) => value,
            None => rest.next().ok_or_else(|| format!("flag needs an argument: -{name}"))?.as_bytes(),
        };
        if value.is_empty() && !matches!(option.get_action(), ArgAction::Append) {
            // As if it had not been given.
            let given = has_value(b"");
            self.options.retain(|earlier| !earlier.as_bytes().starts_with(&given));
        } else if is_text(option) && std::str::from_utf8(value).is_err() {
            let value = String::from_utf8_lossy(value);
            return Err(format!("invalid value {value:?} for flag -{name}: not UTF-8"));
        } else {
            self.options.push(OsString::from_vec(has_value(value)));
        }
        Ok(())
    }
}

/// What every command tells of itself, and the program of its version: clap is not asked, since it would have to know the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Help,
    Usage,
    Version,
}

impl Text {
    fn named(command: &Command, name: &[u8]) -> Option<Self> {
        match name {
            b"help" | b"h" | b"?" => Some(Self::Help),
            b"usage" => Some(Self::Usage),
            b"version" | b"v" | b"V" if command.get_version().is_some() => Some(Self::Version),
            _ => None,
        }
    }
}

/// The value in the same word as its option.
enum Attached<'a> {
    Value(&'a [u8]),
}

fn unknown(name: &[u8]) -> String {
    format!("flag provided but not defined: -{}", String::from_utf8_lossy(name))
}

fn find<'a>(command: &'a Command, name: &[u8]) -> Option<&'a Arg> {
    let name = std::str::from_utf8(name).ok()?;
    let is_letter = |letter: char| name.chars().eq([letter]);
    command
        .get_arguments()
        .find(|option| option.get_long() == Some(name) || option.get_short().is_some_and(is_letter))
}

/// An option that is on or off.
pub(super) fn is_switch(option: &Arg) -> bool {
    !option.get_action().takes_values() || option.get_num_args().is_some_and(|count| count.min_values() == 0)
}

/// An option whose value means nothing if it is no UTF-8: clap would say that without naming it. Others are paths, or the container's.
fn is_text(option: &Arg) -> bool {
    let value = option.get_value_parser().type_id();
    value != TypeId::of::<PathBuf>() && value != TypeId::of::<OsString>()
}

/// Several letters behind one dash: switches, and perhaps one that takes a value at the end, with the value or without.
///
/// A value that looks like the rest of a long option's name is none: `-bogus` is a mistake, and no `-b ogus`.
fn cluster<'a, 'w>(command: &'a Command, word: &'w [u8]) -> Option<Vec<(&'a Arg, Option<Attached<'w>>)>> {
    let mut found = Vec::new();
    for place in 0..word.len() {
        let (option, behind) = (find(command, &word[place..=place])?, &word[place + 1..]);
        if is_switch(option) {
            found.push((option, None));
            continue;
        }
        let value = match behind {
            [] => None,
            [b'a'..=b'z', ..] => return None,
            [b'=', value @ ..] => Some(Attached::Value(value)),
            value => Some(Attached::Value(value)),
        };
        found.push((option, value));
        break;
    }
    Some(found)
}

/// What Go's strconv.ParseBool takes.
pub(super) fn boolean(text: &[u8]) -> Option<bool> {
    match text {
        b"1" | b"t" | b"T" | b"TRUE" | b"true" | b"True" => Some(true),
        b"0" | b"f" | b"F" | b"FALSE" | b"false" | b"False" => Some(false),
        _ => None,
    }
}
