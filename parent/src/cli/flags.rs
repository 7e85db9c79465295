//! What a command line may say: one table for each command, of which its structure, its reading and its texts are made.
//!
//! clap writes the texts. It does not read: to make its own tables, and its matches from the words, was two thirds of the instructions of an `exec`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, value_parser};

/// An option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flag {
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    pub(super) kind: Kind,
    /// The value's name in the texts.
    pub(super) value: &'static str,
    /// The value of who does not give it.
    pub(super) default: Option<&'static str>,
    /// Values that it is known to take, for shells to complete. What was given is judged where it is used, in runc's words.
    pub(super) known: &'static [&'static str],
    /// The texts do not have it.
    pub(super) is_hidden: bool,
    pub(super) help: &'static str,
}

/// What an option's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// On or off.
    Switch,
    /// On, off, or not given.
    Choice,
    /// Nothing if it is no UTF-8.
    Text,
    /// One more at each time that it is given.
    Texts,
    Path,
    /// Whatever the kernel takes.
    Word,
    /// One more at each time.
    Words,
}

impl Kind {
    pub(super) fn is_switch(self) -> bool {
        matches!(self, Kind::Switch | Kind::Choice)
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Kind::Text | Kind::Texts)
    }

    pub(super) fn adds(self) -> bool {
        matches!(self, Kind::Texts | Kind::Words)
    }
}

/// What a command's structure is, for whoever reads words into it or writes about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    /// Those of a structure that this one begins with, and its own.
    pub(super) flags: [&'static [Flag]; 2],
    pub(super) operands: Option<Operands>,
}

/// What stands behind a command's options: its name, and what it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operands(pub(super) &'static str, pub(super) &'static str);

impl Table {
    /// This one at the beginning of another, which has no operands of its own.
    pub(super) fn before(self, other: Table) -> Table {
        Table { flags: [self.flags[1], other.flags[1]], ..self }
    }

    pub(super) fn flags(&self) -> impl Iterator<Item = &'static Flag> {
        self.flags.into_iter().flatten()
    }

    /// The same for clap.
    pub(super) fn arguments(&self) -> impl Iterator<Item = Arg> {
        let operands = self
            .operands
            .map(|Operands(name, help)| Arg::new("operands").value_name(name).num_args(0..).help(help));
        operands.into_iter().chain(self.flags().map(Flag::argument))
    }
}

impl Flag {
    pub(super) const NONE: Flag = Flag {
        long: "",
        short: None,
        kind: Kind::Switch,
        value: "",
        default: None,
        known: &[],
        is_hidden: false,
        help: "",
    };

    fn argument(&self) -> Arg {
        let argument = Arg::new(self.long).long(self.long).help(self.help.trim_start()).hide(self.is_hidden);
        let argument = if let Some(letter) = self.short { argument.short(letter) } else { argument };
        if self.kind == Kind::Switch {
            return argument.action(ArgAction::SetTrue);
        }
        let action = if self.kind.adds() { ArgAction::Append } else { ArgAction::Set };
        let argument = argument.action(action).value_name(self.value);
        let argument =
            if let Some(default) = self.default { argument.default_value(default) } else { argument };
        match (self.kind, self.known) {
            (Kind::Choice, _) => {
                argument.num_args(0..=1).require_equals(true).value_parser(value_parser!(bool))
            }
            (Kind::Path, _) => argument.value_parser(value_parser!(PathBuf)),
            (_, []) => argument,
            (_, known) => argument.value_parser(PossibleValuesParser::new(known)).hide_possible_values(true),
        }
    }
}

/// A structure into which words are read.
pub(super) trait Flags {
    fn table(&self) -> Table;

    /// Gives an option a value; `true` or `false` to a switch. Without a byte it is as if it had not been given.
    fn set(&mut self, long: &str, value: &OsStr) -> Fit;

    fn set_operands(&mut self, operands: Vec<OsString>);
}

pub(super) fn table_of<T: Flags + Default>() -> Table {
    T::default().table()
}

/// What the words of nobody say.
pub(super) fn unsaid<T: Flags + Default>() -> T {
    let mut options = T::default();
    for flag in options.table().flags() {
        if let Some(default) = flag.default {
            // The tables' own values fit.
            let _ = options.set(flag.long, OsStr::new(default));
        }
    }
    options
}

/// A value of another type.
#[derive(Debug)]
pub(super) struct Unfit;

/// Whether a value is of an option's type.
pub(super) type Fit = Result<(), Unfit>;

/// The type of an option's field.
pub(super) trait Field {
    const KIND: Kind;

    fn set(&mut self, value: &OsStr) -> Fit;
}

/// A type that takes any value.
macro_rules! field {
    ($type:ty, $kind:ident, $value:ident => $make:expr) => {
        impl Field for $type {
            const KIND: Kind = Kind::$kind;

            fn set(&mut self, $value: &OsStr) -> Fit {
                *self = $make;
                Ok(())
            }
        }
    };
}

field!(bool, Switch, value => value == "true");
field!(Option<bool>, Choice, value => Some(value == "true"));
field!(String, Text, value => text(value));
field!(Option<String>, Text, value => given(value).map(text));
field!(Option<OsString>, Word, value => given(value).map(OsStr::to_owned));
field!(PathBuf, Path, value => PathBuf::from(value));
field!(Option<PathBuf>, Path, value => given(value).map(PathBuf::from));

impl Field for i64 {
    const KIND: Kind = Kind::Text;

    fn set(&mut self, value: &OsStr) -> Fit {
        *self = value.to_str().and_then(|text| text.parse().ok()).ok_or(Unfit)?;
        Ok(())
    }
}

impl Field for Vec<String> {
    const KIND: Kind = Kind::Texts;

    fn set(&mut self, value: &OsStr) -> Fit {
        self.push(text(value));
        Ok(())
    }
}

impl Field for Vec<OsString> {
    const KIND: Kind = Kind::Words;

    fn set(&mut self, value: &OsStr) -> Fit {
        self.push(value.to_owned());
        Ok(())
    }
}

/// An operand. One that means nothing if it is no UTF-8 gets the answer of all that mean nothing.
pub(super) trait Operand {
    fn of(word: OsString) -> Self;
}

impl Operand for String {
    fn of(word: OsString) -> Self {
        text(&word)
    }
}

impl Operand for OsString {
    fn of(word: OsString) -> Self {
        word
    }
}

impl Operand for PathBuf {
    fn of(word: OsString) -> Self {
        word.into()
    }
}

fn given(value: &OsStr) -> Option<&OsStr> {
    Some(value).filter(|value| !value.is_empty())
}

fn text(value: &OsStr) -> String {
    value.to_string_lossy().into_owned()
}

/// `pid_file` is the option `pid-file`.
pub(super) const fn with_dashes<const LENGTH: usize>(name: &str) -> [u8; LENGTH] {
    let mut dashed = [0; LENGTH];
    let mut place = 0;
    while place < LENGTH {
        let byte = name.as_bytes()[place];
        dashed[place] = if byte == b'_' { b'-' } else { byte };
        place += 1;
    }
    dashed
}

/// A field's name as an option.
macro_rules! long {
    ($field:ident) => {{
        const NAME: &str = stringify!($field);
        const BYTES: [u8; NAME.len()] = $crate::cli::flags::with_dashes(NAME);
        const LONG: &str = match str::from_utf8(&BYTES) {
            Ok(long) => long,
            Err(_) => NAME,
        };
        LONG
    }};
}
pub(super) use long;

/// A structure for a command's words. Its fields are its options, what is said of them are the texts; it may begin with another such structure, and
/// behind it may stand what becomes of the operands.
macro_rules! options {
    (
        $(#[doc = $about:literal])*
        pub struct $name:ident $(: $base:ident $base_type:ty)? {
            $(
                #[doc = $help:literal]
                $(#[flag($($key:ident: $value:expr),+)])?
                pub $field:ident: $type:ty,
            )*
        }
        $(operands $operands:ident: $operands_type:ty = $operands_name:literal, $operands_help:literal)?
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            $(pub $base: $base_type,)?
            $(#[doc = $help] pub $field: $type,)*
            $(#[doc = $operands_help] pub $operands: Vec<$operands_type>,)?
        }

        impl $crate::cli::flags::Flags for $name {
            fn table(&self) -> $crate::cli::flags::Table {
                #[allow(unused_imports)]
                use $crate::cli::flags::{Field, Flag, Operands, Table, long};

                const OWN: &[Flag] = &[$(Flag {
                    long: long!($field),
                    kind: <$type as Field>::KIND,
                    help: $help,
                    $($($key: $value,)+)?
                    ..Flag::NONE
                }),*];
                let table = Table { flags: [&[], OWN], operands: None };
                $(let table = Table { operands: Some(Operands($operands_name, $operands_help)), ..table };)?
                $(let table = self.$base.table().before(table);)?
                table
            }

            #[allow(unused_variables)]
            fn set(&mut self, long: &str, value: &std::ffi::OsStr) -> $crate::cli::flags::Fit {
                #[allow(unused_imports)]
                use $crate::cli::flags::{Field, long};

                $(if long == long!($field) {
                    return Field::set(&mut self.$field, value);
                })*
                $(self.$base.set(long, value)?;)?
                Ok(())
            }

            #[allow(unused_variables)]
            fn set_operands(&mut self, words: Vec<std::ffi::OsString>) {
                $(self.$operands = words.into_iter().map($crate::cli::flags::Operand::of).collect();)?
                $(self.$base.set_operands(words);)?
            }
        }
    };
}
pub(super) use options;
