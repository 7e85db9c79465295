//! One broken rule at a time, each refused by its own name.

use shared_proto::bootstrap::{Header, JOINED_ALL, UNSHARED_ALL};
use shared_proto::limits::VERSION;
use shared_proto::step::StepRecord;
use shared_proto::{Attributes, Blob, Planned, Propagations, Refusal, Step, StepKind, View};

use zerocopy::little_endian::U32;

use crate::plan::{self, BUILD_ID};
use crate::sample::{self, STEP_COUNT, header_mut, step_mut};

/// The full sample, changed by `damage`, is refused with `refusal`.
fn check(what: &str, refusal: Refusal, damage: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = sample::full();
    damage(&mut bytes);
    assert_eq!(plan::check(&bytes).err(), Some(refusal), "{what}");
}

fn check_header(what: &str, refusal: Refusal, damage: impl FnOnce(&mut Header)) {
    check(what, refusal, |bytes| damage(header_mut(bytes)));
}

/// Where the sample has its first step of this kind.
fn index_of(kind: StepKind) -> usize {
    let bytes = sample::full();
    let view = View::decode(&bytes, &BUILD_ID).unwrap();
    view.steps().position(|phased| phased.step.kind() == kind).unwrap()
}

/// Which fields of the record a kind uses: its word, so many blobs, so many numbers.
fn used_fields(kind: StepKind) -> (bool, usize, usize) {
    match kind {
        StepKind::MountFilesystem => (true, 4, 3),
        StepKind::BindMount => (true, 2, 4),
        StepKind::SetMountAttributes => (false, 1, 2),
        StepKind::MakeDevice => (true, 1, 2),
        StepKind::MakeSymlink => (false, 2, 1),
        StepKind::WriteSysctl | StepKind::MaskPath => (false, 2, 0),
        StepKind::MakeDirectory => (false, 1, 0),
        StepKind::Unmount | StepKind::ReadonlyPath => (false, 1, 1),
        StepKind::FinishRoot => (true, 0, 1),
        StepKind::SetOomScoreAdjust
        | StepKind::SetHostname
        | StepKind::SetDomainname
        | StepKind::NewTimeNamespace
        | StepKind::SetAppArmorProfile
        | StepKind::SetSelinuxLabel => (false, 1, 0),
        StepKind::NewSessionKeyring | StepKind::SetNoNewPrivileges => (false, 0, 0),
        StepKind::SetRlimit => (true, 0, 2),
        StepKind::DropBounding => (true, 0, 1),
        StepKind::BecomeUser => (true, 2, 1),
        StepKind::SetCapabilities => (false, 0, 4),
        StepKind::SetUmask | StepKind::SetPersonality => (true, 0, 0),
        StepKind::SetScheduler => (true, 0, 4),
        StepKind::SetIoPriority => (false, 0, 1),
        StepKind::SetMemoryPolicy => (true, 1, 0),
        StepKind::RestrictLandlock => (true, 2, 0),
        StepKind::InstallSeccomp => (true, 1, 0),
        StepKind::RunHook => (true, 4, 1),
        StepKind::OpenConsole => (true, 0, 2),
        StepKind::SetAffinity => (false, 1, 0),
        StepKind::OwnStreams => (true, 0, 1),
    }
}

#[test]
fn magic_version_and_build_must_match() {
    for index in 0..8 {
        check_header("magic", Refusal::Magic, |header| header.magic[index] ^= 1);
    }
    for version in [0, VERSION - 1, VERSION + 1, VERSION << 8, u32::MAX] {
        check_header("version", Refusal::Version, |header| header.version.set(version));
    }
    for index in 0..BUILD_ID.len() {
        check_header("build id", Refusal::BuildId, |header| header.build_id[index] ^= 0x80);
    }
    let bytes = sample::full();
    assert_eq!(View::decode(&bytes, &[0; BUILD_ID.len()]).err(), Some(Refusal::BuildId));
}

#[test]
fn header_values_without_meaning_are_refused() {
    for bit in 8..32 {
        check_header("flags", Refusal::HeaderValue, |header| header.flags |= 1 << bit);
    }
    for bit in 13..32 {
        check_header("descriptors", Refusal::HeaderValue, |header| header.descriptors |= 1 << bit);
    }
    for value in [0].into_iter().chain(6..=u8::MAX) {
        check_header("root change", Refusal::HeaderValue, |header| header.root_change = value);
    }
    for value in 3..=u8::MAX {
        check_header("when the host's tree is left", Refusal::HeaderValue, |header| header.host_left = value);
    }
    for value in [0, 5, 6, 7, 8, 13, 14, 15, 16, 0x11, 0x80, 0xff] {
        check_header("propagation", Refusal::HeaderValue, |header| header.initial_propagation = value);
    }
    for bit in 0..32 {
        check_header("namespaces to join without an init", Refusal::HeaderValue, |header| {
            header.joined.set(1 << bit);
        });
        if UNSHARED_ALL & 1 << bit == 0 {
            check_header("namespaces that stage1 does not make", Refusal::HeaderValue, |header| {
                header.unshared.set(1 << bit);
            });
        }
        if JOINED_ALL & 1 << bit == 0 {
            check_header("namespaces that cannot be joined", Refusal::HeaderValue, |header| {
                (header.root_change, header.joined) = (5, U32::new(1 << bit));
            });
        }
    }
    check_header("reserved", Refusal::HeaderValue, |header| header.reserved = 1);
    check_header("home without its flag", Refusal::HeaderValue, |header| header.flags.set(119));
    check("root that is relative", Refusal::HeaderValue, |bytes| {
        let text = bytes.windows(9).position(|window| window == b"/var/lib/").unwrap();
        bytes[text] = b'x';
    });
}

#[test]
fn unknown_kinds_are_refused() {
    for number in (0..=u16::MAX).filter(|number| StepKind::from_number(*number).is_none()) {
        let mut bytes = sample::full();
        step_mut(&mut bytes, 0).kind.set(number);
        assert_eq!(plan::check(&bytes).err(), Some(Refusal::StepKind), "{number}");
    }
}

#[test]
fn unused_fields_must_be_zero() {
    for kind in StepKind::ALL {
        let index = index_of(*kind);
        let (uses_word, blob_count, number_count) = used_fields(*kind);
        let what = format!("{kind:?}");
        check(&what, Refusal::UnusedField, |bytes| step_mut(bytes, index).reserved = 1);
        if !uses_word {
            check(&what, Refusal::UnusedField, |bytes| step_mut(bytes, index).word.set(1 << 31));
        }
        for blob in blob_count..4 {
            check(&what, Refusal::UnusedField, |bytes| step_mut(bytes, index).blobs[blob].offset.set(1));
            check(&what, Refusal::UnusedField, |bytes| step_mut(bytes, index).blobs[blob].bytes.set(1));
        }
        for number in number_count..4 {
            check(&what, Refusal::UnusedField, |bytes| step_mut(bytes, index).numbers[number].set(1 << 63));
        }
    }
}

/// Every blob of the sample that is used, as a place in its bytes.
fn used_blobs() -> Vec<usize> {
    let bytes = sample::full();
    let view = View::decode(&bytes, &BUILD_ID).unwrap();
    let mut places = vec![core::mem::offset_of!(Header, root)];
    for (index, phased) in view.steps().enumerate() {
        let first = size_of::<Header>() + index * 72 + 8;
        let (_, blob_count, _) = used_fields(phased.step.kind());
        places.extend((0..blob_count).map(|blob| first + blob * 8));
    }
    let arguments = size_of::<Header>() + STEP_COUNT * 72;
    let count = view.arguments().len() + view.environment().len();
    places.extend((0..count).map(|index| arguments + index * 8));
    places
}

fn blob_at(bytes: &[u8], place: usize) -> [u8; size_of::<Blob>()] {
    bytes[place..place + 8].try_into().unwrap()
}

#[test]
fn strings_out_of_order_are_refused() {
    let places = used_blobs();
    assert!(places.len() > 30);
    for pair in places.windows(2) {
        check("swapped", Refusal::Text, |bytes| {
            let (first, second) = (blob_at(bytes, pair[0]), blob_at(bytes, pair[1]));
            bytes[pair[0]..pair[0] + 8].copy_from_slice(&second);
            bytes[pair[1]..pair[1] + 8].copy_from_slice(&first);
        });
        check("one string twice", Refusal::Text, |bytes| {
            let first = blob_at(bytes, pair[0]);
            bytes[pair[1]..pair[1] + 8].copy_from_slice(&first);
        });
    }
}

#[test]
fn strings_that_overlap_or_leave_gaps_are_refused() {
    for place in used_blobs() {
        for change in [1, u32::MAX, 2, 1 << 31] {
            check("offset", Refusal::Text, |bytes| {
                let offset: [u8; 4] = bytes[place..place + 4].try_into().unwrap();
                let changed = u32::from_le_bytes(offset).wrapping_add(change);
                bytes[place..place + 4].copy_from_slice(&changed.to_le_bytes());
            });
        }
        for bytes_claimed in [u32::MAX, 1 << 31, 1 << 24, 5000] {
            check("length", Refusal::Text, |bytes| {
                bytes[place + 4..place + 8].copy_from_slice(&bytes_claimed.to_le_bytes());
            });
        }
    }
}

#[test]
fn strings_with_a_nul_or_without_their_last_are_refused() {
    for place in used_blobs() {
        let bytes = sample::full();
        let [offset, length] =
            [place, place + 4].map(|at| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize);
        let text = bytes.len() - header_mut(&mut bytes.clone()).text_bytes.get() as usize;
        check("no NUL behind", Refusal::Text, |bytes| bytes[text + offset + length] = b'x');
        let content = &bytes[text + offset..text + offset + length];
        let is_string = !content.contains(&0);
        if is_string && length > 1 {
            check("NUL inside", Refusal::Text, |bytes| bytes[text + offset + length / 2] = 0);
        }
    }
}

#[test]
fn an_empty_option_is_refused() {
    check("empty option", Refusal::Text, |bytes| {
        let at = bytes.windows(8).position(|window| window == b"mode=755").unwrap();
        bytes[at] = 0;
    });
    check("option without its NUL", Refusal::Text, |bytes| {
        let at = bytes.windows(12).position(|window| window == b"size=65536k\0").unwrap();
        bytes[at + 11] = b'k';
    });
}

#[test]
fn groups_come_in_fours_of_bytes() {
    let index = index_of(StepKind::BecomeUser);
    check("a byte of the next field", Refusal::Text, |bytes| step_mut(bytes, index).blobs[0].bytes.set(7));
}

#[test]
fn step_values_without_meaning_are_refused() {
    type Change = fn(&mut StepRecord);
    let changes: &[(StepKind, Change)] = &[
        (StepKind::MountFilesystem, |record| record.word.set(0x0100)),
        (StepKind::MountFilesystem, |record| record.word.set(0x8)),
        (StepKind::MountFilesystem, |record| record.numbers[0].set(1 << 32)),
        (StepKind::MountFilesystem, |record| record.numbers[1].set(2)),
        (StepKind::MountFilesystem, |record| record.numbers[2].set(1 << 32)),
        (StepKind::BindMount, |record| record.word.set(0x5)),
        (StepKind::BindMount, |record| record.numbers[2].set(8)),
        (StepKind::BindMount, |record| record.numbers[3].set(1 << 32)),
        (StepKind::BindMount, |record| record.numbers[3].set(3)),
        (StepKind::MakeSymlink, |record| record.numbers[0].set(2)),
        (StepKind::MakeDevice, |record| record.word.set(0o100_666)),
        (StepKind::MakeDevice, |record| record.word.set(0o040_755)),
        (StepKind::MakeDevice, |record| record.word.set(0o666)),
        (StepKind::MakeDevice, |record| record.word.set(0o1_020_666)),
        (StepKind::FinishRoot, |record| record.word.set(0xf000_0000)),
        (StepKind::FinishRoot, |record| record.numbers[0].set(u64::MAX)),
        (StepKind::BecomeUser, |record| record.word.set(4)),
        (StepKind::SetUmask, |record| record.word.set(0o1000)),
        (StepKind::SetScheduler, |record| record.word.set(7)),
        (StepKind::RestrictLandlock, |record| record.word.set(0x1_7fff)),
        (StepKind::RestrictLandlock, |record| record.word.set(0x3fff)),
        (StepKind::SetScheduler, |record| record.word.set(0x80 << 16)),
        (StepKind::SetIoPriority, |record| record.numbers[0].set(0)),
        (StepKind::SetIoPriority, |record| record.numbers[0].set(4)),
        (StepKind::SetIoPriority, |record| record.numbers[0].set(1 | 8 << 32)),
        (StepKind::SetPersonality, |record| record.word.set(1)),
        (StepKind::OpenConsole, |record| record.word.set(2)),
        (StepKind::OpenConsole, |record| record.numbers[0].set(0x1_0000)),
        (StepKind::OpenConsole, |record| record.numbers[0].set(0x1_0000 << 32)),
        (StepKind::OpenConsole, |record| record.numbers[1].set(1 << 32)),
        (StepKind::SetMemoryPolicy, |record| record.word.set(7)),
        (StepKind::SetMemoryPolicy, |record| record.word.set(0x1_0001)),
    ];
    for (kind, change) in changes {
        let index = index_of(*kind);
        check(&format!("{kind:?}"), Refusal::StepValue, |bytes| change(step_mut(bytes, index)));
    }
}

#[test]
fn fifos_and_block_devices_are_accepted() {
    for mode in [0o010_600, 0o060_660, 0o020_666] {
        let step = Step::MakeDevice { path: "/dev/x", mode, major: 7, minor: 0, uid: 0, gid: 0 };
        assert_eq!(plan::check(&sample::with_steps(&[step])).err(), None, "{mode:o}");
    }
}

#[test]
fn relative_paths_are_refused() {
    let relative = ["tmp".to_owned()];
    let steps: [Step<Planned<'_>>; 5] = [
        Step::RestrictLandlock { handled: 1, paths: &relative, rights: &[1] },
        Step::MaskPath { path: "proc/kcore", data: "" },
        Step::MakeDirectory { path: "" },
        Step::SetMountAttributes {
            path: "./x",
            recursive: false,
            attributes: Attributes { set: 1, clear: 0 },
        },
        Step::MountFilesystem {
            fstype: "tmpfs",
            source: "",
            target: "tmp",
            data: "",
            flags: 0,
            propagations: Propagations::default(),
            copies_up: false,
            is_mapped: false,
        },
    ];
    for step in steps {
        let refusal = plan::check(&sample::with_steps(&[step])).err();
        assert_eq!(refusal, Some(Refusal::StepValue), "{step:?}");
    }
}

#[test]
fn each_path_of_landlock_has_rights_that_are_handled() {
    let paths = ["/a", "/b"].map(str::to_owned);
    for (handled, rights) in [(3, &[1][..]), (3, &[1, 2, 3]), (3, &[1, 4]), (3, &[1, 0]), (0, &[1, 1])] {
        let step = Step::RestrictLandlock { handled, paths: paths.as_slice(), rights };
        assert_eq!(plan::check(&sample::with_steps(&[step])).err(), Some(Refusal::StepValue), "{rights:?}");
    }
}

#[test]
fn strings_of_the_parent_with_a_nul_never_reach_stage1() {
    let as_text = sample::with_steps(&[Step::MakeDirectory { path: "/a\0b" }]);
    assert_eq!(plan::check(&as_text).err(), Some(Refusal::Text));
    let as_argument = sample::with_strings(&[], &["/init\0x".to_owned()], &[]);
    assert_eq!(plan::check(&as_argument).err(), Some(Refusal::Text));
}
