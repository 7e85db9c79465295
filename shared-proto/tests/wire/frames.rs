//! The frames after the bootstrap.

use shared_proto::limits::{FRAME_BYTES, FRAME_DESCRIPTOR_COUNT_MAX};
use shared_proto::{Call, Failure, HookStatus, Phase, Reply, Report};

const FAILURE: Failure = Failure { phase: Phase::Views, step: Some(17), call: Call::MoveMount, errno: 1 };
const SKELETON: Failure = Failure { phase: Phase::Setup, step: None, call: Call::Decode, errno: 17 };

const REPORTS: [Report; 12] = [
    Report::Ready,
    Report::Failed(FAILURE),
    Report::Failed(SKELETON),
    Report::Warned(FAILURE),
    Report::Listener,
    Report::HooksDue,
    Report::HookFailed { index: 2, status: HookStatus::Killed(9) },
    Report::Console,
    Report::Born { pid: 77 },
    Report::MapsDue,
    Report::Mounting,
    Report::ClocksDue,
];
const REPLIES: [Reply; 6] = [
    Reply::Cgroups { descriptor_count: 9 },
    Reply::Network,
    Reply::Start { ignored_signals: 4096 },
    Reply::Hold { ignored_signals: 1 },
    Reply::Trees { descriptor_count: 3 },
    Reply::Proceed,
];

/// A frame of every kind with its title.
pub(crate) fn every() -> Vec<(String, [u8; FRAME_BYTES])> {
    let reports = REPORTS.map(|report| (format!("{report:?}"), report.encode()));
    let replies = REPLIES.map(|reply| (format!("{reply:?}"), reply.encode()));
    reports.into_iter().chain(replies).collect()
}

/// Whatever is accepted must be the one encoding of what it means. Returns whether it was, as report and as reply.
fn check(bytes: &[u8]) -> (bool, bool) {
    let (report, reply) = (Report::decode(bytes), Reply::decode(bytes));
    if let Some(report) = report {
        assert_eq!(report.encode(), bytes, "{report:?}");
    }
    if let Some(reply) = reply {
        assert_eq!(reply.encode(), bytes, "{reply:?}");
        assert!(reply.descriptor_count() <= FRAME_DESCRIPTOR_COUNT_MAX);
    }
    (report.is_some(), reply.is_some())
}

#[test]
fn frames_come_back_as_they_were() {
    for report in REPORTS {
        assert_eq!(Report::decode(&report.encode()), Some(report));
    }
    for reply in REPLIES {
        assert_eq!(Reply::decode(&reply.encode()), Some(reply));
    }
    for call in Call::ALL {
        for number in 1..=6 {
            let phase = Phase::from_number(number).unwrap();
            for step in [None, Some(0), Some(4095)] {
                let report = Report::Failed(Failure { phase, step, call: *call, errno: 4095 });
                assert_eq!(Report::decode(&report.encode()), Some(report));
            }
        }
    }
}

#[test]
fn descriptors_that_travel_are_counted() {
    assert_eq!(REPLIES.map(Reply::descriptor_count), [9, 1, 0, 0, 3, 0]);
    assert_eq!(REPORTS.map(Report::descriptor_count), [0, 0, 0, 0, 1, 0, 1, 1, 1, 0, 1, 0]);
}

#[test]
fn every_flipped_bit_is_refused_or_means_what_it_says() {
    for (_, frame) in every() {
        for first in 0..FRAME_BYTES * 8 {
            let mut bytes = frame;
            bytes[first / 8] ^= 1 << (first % 8);
            check(&bytes);
            for second in 0..first {
                bytes[second / 8] ^= 1 << (second % 8);
                check(&bytes);
                bytes[second / 8] ^= 1 << (second % 8);
            }
        }
    }
}

#[test]
fn reserved_bits_are_refused() {
    for report in REPORTS {
        for index in [3].into_iter().chain(12..FRAME_BYTES) {
            let mut bytes = report.encode();
            bytes[index] = 1;
            assert_eq!(Report::decode(&bytes), None, "{report:?} byte {index}");
        }
    }
    for reply in REPLIES {
        for index in (4..8).chain(16..FRAME_BYTES) {
            let mut bytes = reply.encode();
            bytes[index] = 1;
            assert_eq!(Reply::decode(&bytes), None, "{reply:?} byte {index}");
        }
    }
}

#[test]
fn fields_that_a_kind_does_not_use_are_refused() {
    for index in 2..12 {
        let mut bytes = Report::Ready.encode();
        bytes[index] = 1;
        assert_eq!(Report::decode(&bytes), None, "byte {index}");
    }
    for reply in [Reply::Network, Reply::Start { ignored_signals: 4096 }, Reply::Hold { ignored_signals: 1 }]
    {
        let mut bytes = reply.encode();
        bytes[2] ^= 2;
        assert_eq!(Reply::decode(&bytes), None, "{reply:?}");
    }
}

#[test]
fn every_other_length_is_refused() {
    for (title, frame) in every() {
        for length in (0..100).filter(|length| *length != FRAME_BYTES) {
            let mut bytes = frame.to_vec();
            bytes.resize(length, 0);
            assert_eq!(check(&bytes), (false, false), "{title}, {length} bytes");
        }
    }
}

#[test]
fn every_unknown_kind_phase_and_call_is_refused() {
    let failed = Report::Failed(FAILURE).encode();
    for number in 0..=u16::MAX {
        let mut bytes = failed;
        bytes[..2].copy_from_slice(&number.to_le_bytes());
        assert_eq!(Report::decode(&bytes).is_some(), matches!(number, 2 | 3), "kind {number}");
        let mut bytes = failed;
        bytes[8..10].copy_from_slice(&number.to_le_bytes());
        assert_eq!(Report::decode(&bytes).is_some(), Call::from_number(number).is_some(), "call {number}");
        let mut bytes = Reply::Start { ignored_signals: 0 }.encode();
        bytes[..2].copy_from_slice(&number.to_le_bytes());
        // Replies for cgroups and trees may come without descriptors.
        assert_eq!(Reply::decode(&bytes).is_some(), matches!(number, 1 | 3 | 4 | 5 | 6), "kind {number}");
    }
    for number in 0..=u8::MAX {
        let mut bytes = failed;
        bytes[2] = number;
        assert_eq!(Report::decode(&bytes).is_some(), Phase::from_number(number).is_some(), "phase {number}");
    }
}

#[test]
fn one_descriptor_more_than_the_bound_is_refused() {
    let most = Reply::Cgroups { descriptor_count: FRAME_DESCRIPTOR_COUNT_MAX as u16 };
    assert_eq!(Reply::decode(&most.encode()), Some(most));
    let over = Reply::Cgroups { descriptor_count: FRAME_DESCRIPTOR_COUNT_MAX as u16 + 1 };
    assert_eq!(Reply::decode(&over.encode()), None);
}
