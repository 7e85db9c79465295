//! Numbers are pinned: one that has ever meant something never means another thing.

use std::fmt::{Debug, Write};

use shared_proto::order::MUST_COME_BEFORE;
use shared_proto::{
    Call, DescriptorSlot, Moment, Phase, Propagation, PropagationKind, Refusal, RootChange, StepKind, limits,
};

use crate::golden;

#[test]
fn numbers_are_the_stored_ones() {
    let mut text = String::new();
    for kind in StepKind::ALL {
        let phases: Vec<&str> = kind.phases().iter().map(|phase| phase.name()).collect();
        writeln!(text, "StepKind {} {kind:?} {} {}", *kind as u16, kind.name(), phases.join(",")).unwrap();
    }
    for phase in all(|number| Phase::from_number(number.try_into().ok()?)) {
        writeln!(text, "Phase {} {phase:?} {}", phase as u8, phase.name()).unwrap();
    }
    for call in Call::ALL {
        writeln!(text, "Call {} {call:?} {}", *call as u16, call.name()).unwrap();
    }
    for refusal in all(Refusal::from_number) {
        writeln!(text, "Refusal {} {refusal:?} {}", refusal as u16, refusal.text()).unwrap();
    }
    for slot in DescriptorSlot::ALL {
        writeln!(text, "DescriptorSlot {} {slot:?}", slot as u8).unwrap();
    }
    for &moment in Moment::ALL {
        writeln!(text, "Moment {} {moment:?}", moment as u32).unwrap();
    }
    for change in
        [RootChange::Pivot, RootChange::Move, RootChange::Chroot, RootChange::Bind, RootChange::Enter]
    {
        writeln!(text, "RootChange {} {change:?}", change as u8).unwrap();
    }
    for propagation in all(|number| Propagation::from_code(number.into())) {
        writeln!(text, "Propagation {} {propagation:?}", propagation.code()).unwrap();
    }
    for (first, second, reason) in MUST_COME_BEFORE {
        writeln!(text, "MustComeBefore {first:?} {second:?} {reason}").unwrap();
    }
    text += &bounds();
    golden::check("numbers.txt", &text);
}

fn bounds() -> String {
    let mut text = String::new();
    let mut bound = |name: &str, value: usize| writeln!(text, "Bound {name} {value}").unwrap();
    bound("VERSION", limits::VERSION as usize);
    bound("BUILD_ID_BYTES", limits::BUILD_ID_BYTES);
    bound("MESSAGE_BYTES_MAX", limits::MESSAGE_BYTES_MAX);
    bound("INLINE_BYTES_MAX", limits::INLINE_BYTES_MAX);
    bound("STEP_COUNT_MAX", limits::STEP_COUNT_MAX);
    bound("PATH_BYTES_MAX", limits::PATH_BYTES_MAX);
    bound("OPTION_BYTES_MAX", limits::OPTION_BYTES_MAX);
    bound("ARGUMENT_BYTES_MAX", limits::ARGUMENT_BYTES_MAX);
    bound("ARGUMENT_COUNT_MAX", limits::ARGUMENT_COUNT_MAX);
    bound("GROUP_COUNT_MAX", limits::GROUP_COUNT_MAX);
    bound("NODE_COUNT_MAX", limits::NODE_COUNT_MAX as usize);
    bound("EARLY_BIND_COUNT_MAX", limits::EARLY_BIND_COUNT_MAX);
    bound("FRAME_DESCRIPTOR_COUNT_MAX", limits::FRAME_DESCRIPTOR_COUNT_MAX);
    bound("FILTER_INSTRUCTION_COUNT_MAX", limits::FILTER_INSTRUCTION_COUNT_MAX);
    bound("FILTER_INSTRUCTION_BYTES", limits::FILTER_INSTRUCTION_BYTES);
    bound("FRAME_BYTES", limits::FRAME_BYTES);
    text
}

/// Everything that has a number, in its order.
fn all<T: Debug>(from_number: impl Fn(u16) -> Option<T>) -> Vec<T> {
    (0..=u16::MAX).filter_map(from_number).collect()
}

#[test]
fn number_and_value_are_one_to_one() {
    for number in 0..=u16::MAX {
        assert!(StepKind::from_number(number).is_none_or(|kind| kind as u16 == number));
        assert!(Call::from_number(number).is_none_or(|call| call as u16 == number));
        assert!(Refusal::from_number(number).is_none_or(|refusal| refusal as u16 == number));
    }
    for number in 0..=u8::MAX {
        assert!(Phase::from_number(number).is_none_or(|phase| phase as u8 == number));
    }
    assert_eq!(all(StepKind::from_number), StepKind::ALL);
    assert_eq!(all(Call::from_number), Call::ALL);
    let kinds = [
        PropagationKind::Shared,
        PropagationKind::Slave,
        PropagationKind::Private,
        PropagationKind::Unbindable,
    ];
    let codes = (0..=u32::from(u8::MAX)).filter(|code| Propagation::from_code(*code).is_some());
    assert_eq!(codes.count(), 2 * kinds.len());
}
