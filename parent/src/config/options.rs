//! Mount options: the words of mount(8) and the runtime-spec, and what each asks of the kernel.

use std::fmt::Arguments;

use linux_raw_sys::general as uapi;
use shared_proto::limits::OPTION_BYTES_MAX;

use super::problems::Problems;
use super::{MountAttributes, Propagation, PropagationKind};

// MOUNT_ATTR_* of linux/mount.h. Access times are one field of several values, not a bit each.
const RDONLY: u64 = 0x1;
const NOSUID: u64 = 0x2;
const NODEV: u64 = 0x4;
const NOEXEC: u64 = 0x8;
const ATIME: u64 = 0x70;
const RELATIME: u64 = 0x0;
const NOATIME: u64 = 0x10;
const STRICTATIME: u64 = 0x20;
const NODIRATIME: u64 = 0x80;
const NOSYMFOLLOW: u64 = 0x20_0000;

/// What one word means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// A flag of the mount: bits to set, bits to clear. The same word with an `r` before it means the whole tree.
    Attribute {
        set: u64,
        clear: u64,
    },
    Bind {
        recursive: bool,
    },
    Propagation(PropagationKind),
    /// A flag of the superblock, in the bits of mount(2): to set, to clear.
    Superblock {
        set: u32,
        clear: u32,
    },
    /// What every mount is anyway.
    Nothing,
    /// Other owners than the source's; the mappings may follow behind an equals sign.
    Idmap {
        recursive: bool,
    },
    /// The filesystem begins with what it covers.
    CopyUp,
    Remount,
    /// What becomes of a bind's symlinks.
    CopySymlink,
    SourceNofollow,
    DestinationNofollow,
}

const fn set(bits: u64) -> Meaning {
    Meaning::Attribute { set: bits, clear: 0 }
}

const fn clear(bits: u64) -> Meaning {
    Meaning::Attribute { set: 0, clear: bits }
}

const fn superblock(bits: u32) -> Meaning {
    Meaning::Superblock { set: bits, clear: 0 }
}

const fn not_superblock(bits: u32) -> Meaning {
    Meaning::Superblock { set: 0, clear: bits }
}

const fn atime(value: u64) -> Meaning {
    Meaning::Attribute { set: value, clear: ATIME }
}

const WORDS: [(&str, Meaning); 43] = [
    ("ro", set(RDONLY)),
    ("rw", clear(RDONLY)),
    ("nosuid", set(NOSUID)),
    ("suid", clear(NOSUID)),
    ("nodev", set(NODEV)),
    ("dev", clear(NODEV)),
    ("noexec", set(NOEXEC)),
    ("exec", clear(NOEXEC)),
    ("nodiratime", set(NODIRATIME)),
    ("diratime", clear(NODIRATIME)),
    ("nosymfollow", set(NOSYMFOLLOW)),
    ("symfollow", clear(NOSYMFOLLOW)),
    ("relatime", atime(RELATIME)),
    ("norelatime", atime(RELATIME)),
    ("noatime", atime(NOATIME)),
    ("atime", atime(RELATIME)),
    ("strictatime", atime(STRICTATIME)),
    ("nostrictatime", atime(RELATIME)),
    ("bind", Meaning::Bind { recursive: false }),
    ("rbind", Meaning::Bind { recursive: true }),
    ("shared", Meaning::Propagation(PropagationKind::Shared)),
    ("slave", Meaning::Propagation(PropagationKind::Slave)),
    ("private", Meaning::Propagation(PropagationKind::Private)),
    ("unbindable", Meaning::Propagation(PropagationKind::Unbindable)),
    ("sync", superblock(uapi::MS_SYNCHRONOUS)),
    ("async", not_superblock(uapi::MS_SYNCHRONOUS)),
    ("dirsync", superblock(uapi::MS_DIRSYNC)),
    ("lazytime", superblock(uapi::MS_LAZYTIME)),
    ("nolazytime", not_superblock(uapi::MS_LAZYTIME)),
    ("mand", superblock(uapi::MS_MANDLOCK)),
    ("nomand", not_superblock(uapi::MS_MANDLOCK)),
    ("silent", superblock(uapi::MS_SILENT)),
    ("loud", not_superblock(uapi::MS_SILENT)),
    ("iversion", superblock(uapi::MS_I_VERSION)),
    ("noiversion", not_superblock(uapi::MS_I_VERSION)),
    ("defaults", Meaning::Nothing),
    ("idmap", Meaning::Idmap { recursive: false }),
    ("ridmap", Meaning::Idmap { recursive: true }),
    ("tmpcopyup", Meaning::CopyUp),
    ("remount", Meaning::Remount),
    // crun's.
    ("copy-symlink", Meaning::CopySymlink),
    ("src-nofollow", Meaning::SourceNofollow),
    ("dest-nofollow", Meaning::DestinationNofollow),
];

/// Every word that a new mount may have, sorted. What is not among them goes to the filesystem.
pub fn mount_options() -> Vec<String> {
    let mut words = Vec::new();
    for (word, meaning) in WORDS {
        match meaning {
            Meaning::Attribute { .. } | Meaning::Propagation(_) => words.push(format!("r{word}")),
            Meaning::Bind { .. }
            | Meaning::Superblock { .. }
            | Meaning::Nothing
            | Meaning::Idmap { .. }
            | Meaning::CopyUp
            | Meaning::Remount
            | Meaning::CopySymlink
            | Meaning::SourceNofollow
            | Meaning::DestinationNofollow => {}
        }
        words.push(String::from(word));
    }
    words.sort();
    words
}

/// The options of one mount, sorted by what they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// `Some(recursive)` for a bind mount.
    pub(super) bind: Option<bool>,
    pub(super) attributes: MountAttributes,
    pub(super) recursive_attributes: MountAttributes,
    pub(super) propagation: Vec<Propagation>,
    /// Whether the whole tree is idmapped, and the word's value.
    pub(super) idmap: Option<(bool, Option<String>)>,
    pub(super) copies_up: bool,
    pub(super) copies_symlink: bool,
    pub(super) source_nofollow: bool,
    pub(super) destination_nofollow: bool,
    /// It is there already, and changed.
    pub(super) remount: bool,
    /// MS_* bits of the superblock.
    pub(super) superblock: u32,
    pub(super) data: Vec<String>,
}

impl Options {
    /// A new filesystem is its own whole tree: `rro` means `ro` there.
    pub(super) fn fold_recursive(&mut self) {
        let recursive = std::mem::take(&mut self.recursive_attributes);
        apply(&mut self.attributes, recursive.set, recursive.clear);
    }
}

/// Sorts the options of the mount at `path`.
pub(super) fn sort(options: &[String], path: Arguments<'_>, problems: &mut Problems) -> Options {
    let mut sorted = Options::default();
    for (index, option) in options.iter().enumerate() {
        problems.check_text(format_args!("{path}.options[{index}]"), option, OPTION_BYTES_MAX);
        match meaning(option) {
            Some((Meaning::Attribute { set, clear }, false)) => apply(&mut sorted.attributes, set, clear),
            Some((Meaning::Attribute { set, clear }, true)) => {
                apply(&mut sorted.recursive_attributes, set, clear)
            }
            Some((Meaning::Propagation(kind), recursive)) => {
                sorted.propagation.push(Propagation { kind, recursive })
            }
            // Both words mean the greater one, in either order, as flags of mount(2) do.
            Some((Meaning::Bind { recursive }, _)) => {
                sorted.bind = Some(recursive || sorted.bind == Some(true))
            }
            Some((Meaning::Superblock { set, clear }, _)) => {
                sorted.superblock = sorted.superblock & !clear | set;
            }
            Some((Meaning::Idmap { recursive }, _)) => {
                let value = option.split_once('=').map(|(_, value)| value.to_owned());
                sorted.idmap = Some((recursive, value));
            }
            Some((Meaning::Nothing, _)) => {}
            Some((Meaning::CopyUp, _)) => sorted.copies_up = true,
            Some((Meaning::Remount, _)) => sorted.remount = true,
            Some((Meaning::CopySymlink, _)) => sorted.copies_symlink = true,
            Some((Meaning::SourceNofollow, _)) => sorted.source_nofollow = true,
            Some((Meaning::DestinationNofollow, _)) => sorted.destination_nofollow = true,
            // Engines write empty words where they have nothing to say.
            None if option.is_empty() => {}
            None => sorted.data.push(option.clone()),
        }
    }
    sorted
}

/// What a word means, and whether it means the whole tree below.
fn meaning(word: &str) -> Option<(Meaning, bool)> {
    let find = |word: &str| WORDS.iter().find(|(known, _)| *known == word).map(|&(_, meaning)| meaning);
    if let Some(meaning) = find(word) {
        return Some((meaning, false));
    }
    if let Some((word @ ("idmap" | "ridmap"), _)) = word.split_once('=') {
        return find(word).map(|meaning| (meaning, false));
    }
    match find(word.strip_prefix('r')?)? {
        meaning @ (Meaning::Attribute { .. } | Meaning::Propagation(_)) => Some((meaning, true)),
        _ => None,
    }
}

/// Of two words about the same flag, the later counts.
fn apply(attributes: &mut MountAttributes, set: u64, clear: u64) {
    attributes.set = attributes.set & !clear | set;
    attributes.clear = attributes.clear & !(set & !ATIME) | clear;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: &[&str]) -> (Options, Problems) {
        let mut problems = Problems::default();
        let options: Vec<String> = options.iter().map(|option| String::from(*option)).collect();
        let sorted = sort(&options, format_args!("$.mounts[0]"), &mut problems);
        (sorted, problems)
    }

    #[test]
    fn flags_set_and_clear() {
        let (options, problems) = check(&["nosuid", "ro", "rw", "noatime"]);
        assert_eq!(problems, Problems::default());
        assert_eq!(options.attributes, MountAttributes { set: NOSUID | NOATIME, clear: RDONLY | ATIME });
        let (options, _) = check(&["noatime", "relatime", "suid", "nosuid"]);
        assert_eq!(options.attributes, MountAttributes { set: NOSUID, clear: ATIME });
    }

    #[test]
    fn every_word_of_the_spec_has_its_meaning() {
        // config.md, "Linux mount options": (word, bits set, bits cleared, for the whole tree).
        for (word, set, clear, is_recursive) in [
            ("ro", RDONLY, 0, false),
            ("rw", 0, RDONLY, false),
            ("nosuid", NOSUID, 0, false),
            ("suid", 0, NOSUID, false),
            ("nodev", NODEV, 0, false),
            ("dev", 0, NODEV, false),
            ("noexec", NOEXEC, 0, false),
            ("exec", 0, NOEXEC, false),
            ("nodiratime", NODIRATIME, 0, false),
            ("diratime", 0, NODIRATIME, false),
            ("nosymfollow", NOSYMFOLLOW, 0, false),
            ("symfollow", 0, NOSYMFOLLOW, false),
            ("noatime", NOATIME, ATIME, false),
            ("atime", RELATIME, ATIME, false),
            ("relatime", RELATIME, ATIME, false),
            ("norelatime", RELATIME, ATIME, false),
            ("strictatime", STRICTATIME, ATIME, false),
            ("nostrictatime", RELATIME, ATIME, false),
            ("rro", RDONLY, 0, true),
            ("rrw", 0, RDONLY, true),
            ("rnosuid", NOSUID, 0, true),
            ("rsuid", 0, NOSUID, true),
            ("rnodev", NODEV, 0, true),
            ("rdev", 0, NODEV, true),
            ("rnoexec", NOEXEC, 0, true),
            ("rexec", 0, NOEXEC, true),
            ("rnodiratime", NODIRATIME, 0, true),
            ("rdiratime", 0, NODIRATIME, true),
            ("rnosymfollow", NOSYMFOLLOW, 0, true),
            ("rsymfollow", 0, NOSYMFOLLOW, true),
            ("rnoatime", NOATIME, ATIME, true),
            ("ratime", RELATIME, ATIME, true),
            ("rrelatime", RELATIME, ATIME, true),
            ("rnorelatime", RELATIME, ATIME, true),
            ("rstrictatime", STRICTATIME, ATIME, true),
            ("rnostrictatime", RELATIME, ATIME, true),
        ] {
            let (options, problems) = check(&[word]);
            let (wanted, other) = match is_recursive {
                true => (options.recursive_attributes, options.attributes),
                false => (options.attributes, options.recursive_attributes),
            };
            assert_eq!(wanted, MountAttributes { set, clear }, "{word}");
            assert_eq!(other, MountAttributes::default(), "{word}");
            assert!(options.data.is_empty() && problems == Problems::default(), "{word}");
        }
        // (word, its opposite, the bit in linux/mount.h)
        for (word, opposite, bit) in [
            ("sync", "async", 16),
            ("dirsync", "rw", 128),
            ("lazytime", "nolazytime", 1 << 25),
            ("mand", "nomand", 64),
            ("silent", "loud", 1 << 15),
            ("iversion", "noiversion", 1 << 23),
        ] {
            assert_eq!(check(&[opposite, word]).0.superblock, bit, "{word}");
            assert_eq!(check(&[word, opposite]).0.superblock & bit, if word == "dirsync" { bit } else { 0 });
        }
        assert_eq!(check(&["defaults"]), Default::default());
    }

    #[test]
    fn propagation_keeps_the_order_of_the_file() {
        use PropagationKind::{Private, Shared, Slave, Unbindable};
        let (options, _) = check(&["private", "rshared", "slave", "runbindable", "shared"]);
        let expected =
            [(Private, false), (Shared, true), (Slave, false), (Unbindable, true), (Shared, false)];
        assert_eq!(options.propagation, expected.map(|(kind, recursive)| Propagation { kind, recursive }));
    }

    #[test]
    fn of_bind_and_rbind_the_recursive_one_counts() {
        for (words, expected) in
            [(["bind", "rbind"], true), (["rbind", "bind"], true), (["bind", "bind"], false)]
        {
            assert_eq!(check(&words).0.bind, Some(expected));
        }
    }

    #[test]
    fn words_with_an_r_mean_the_whole_tree() {
        let (options, _) = check(&["rbind", "rro", "rslave", "rnosymfollow"]);
        assert_eq!(options.bind, Some(true));
        assert_eq!(options.recursive_attributes.set, RDONLY | NOSYMFOLLOW);
        assert_eq!(options.propagation, [Propagation { kind: PropagationKind::Slave, recursive: true }]);
        assert_eq!(options.attributes, MountAttributes::default());
    }

    #[test]
    fn for_a_new_filesystem_the_whole_tree_is_the_mount() {
        let (mut options, _) = check(&["rw", "nodev", "rro", "rnoatime"]);
        options.fold_recursive();
        assert_eq!(options.attributes, MountAttributes { set: RDONLY | NODEV | NOATIME, clear: ATIME });
        assert_eq!(options.recursive_attributes, MountAttributes::default());
    }

    #[test]
    fn what_is_not_known_goes_to_the_filesystem() {
        let (options, problems) =
            check(&["mode=755", "newinstance", "sync", "defaults", "", "rsync", "nolazytime"]);
        assert_eq!(problems, Problems::default());
        assert_eq!(options.data, ["mode=755", "newinstance", "rsync"]);
        assert_eq!(options.superblock, 16);
    }

    #[test]
    fn what_cannot_be_done_is_named_with_its_place() {
        let (_, problems) = check(&["ro", "a\0b"]);
        let texts: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["$.mounts[0].options[1]: contains a NUL byte"]);
    }
}
