//! What is noted if somebody wants to know where the time goes.

use shared_proto::Moment;
use shared_proto::trace::{STEP, trace_bytes};

use super::*;

fn traced() -> Fake {
    let descriptors = DescriptorSlots::default().with(DescriptorSlot::Trace);
    let mut datagrams = conversation();
    datagrams[0] = (encoded(Bootstrap { descriptors, ..bootstrap() }, &steps()), 1);
    kernel(datagrams)
}

#[test]
fn every_moment_and_every_step_is_noted_in_its_turn() {
    let _alone = alone();
    let mut kernel = traced();
    assert_eq!(run(&mut kernel), End::Executed);
    let labels: Vec<u32> = kernel
        .trace
        .iter()
        .filter_map(|line| line.strip_prefix("note 0x"))
        .map(|label| u32::from_str_radix(label, 16).unwrap())
        .collect();
    let numbers: Vec<u32> =
        labels.iter().filter(|&label| label & STEP != 0).map(|label| label & !STEP).collect();
    // The last installs a filter, under which nobody may look at the clock.
    let expected: Vec<u32> = (0..steps().len() as u32 - 1).collect();
    assert_eq!(numbers, expected);
    let moments: Vec<Moment> = labels.into_iter().filter_map(Moment::from_number).collect();
    let unseen = [Moment::Born, Moment::HooksRun, Moment::HostLeft];
    let expected: Vec<Moment> =
        Moment::ALL.iter().copied().filter(|moment| !unseen.contains(moment)).collect();
    assert_eq!(moments, expected);
    let room = format!("take_notes received 0 {}", trace_bytes(steps().len()));
    assert!(kernel.trace.contains(&room), "{:?}", kernel.trace);
}

#[test]
fn notes_cost_nothing_but_themselves() {
    let _alone = alone();
    let (mut with, mut without) = (traced(), kernel(conversation()));
    run(&mut with);
    run(&mut without);
    let calls = |kernel: &Fake| {
        let is_note = |line: &&String| line.starts_with("note ") || line.starts_with("take_notes ");
        kernel.trace.iter().filter(|line| !is_note(line)).count()
    };
    assert_eq!(calls(&with), without.trace.len());
    assert_eq!(calls(&without), without.trace.len());
}
