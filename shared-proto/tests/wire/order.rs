//! The order of steps: phases ascend, each kind stands in its phases only, and the table of what comes before what.

use shared_proto::order::MUST_COME_BEFORE;
use shared_proto::{Phase, PhasedStep, Planned, Refusal, StepKind, View};

use crate::plan::{self, BUILD_ID};
use crate::sample::{self, step_mut};

/// The sample's steps of these kinds, in these phases, are accepted or refused.
fn check(steps: &[(Phase, StepKind)], expected: Option<Refusal>) {
    let bytes = sample::full();
    let full = plan::Plan::read(&View::decode(&bytes, &BUILD_ID).unwrap());
    full.message(|message| {
        let of_kind =
            |kind: StepKind| message.steps.iter().find(|phased| phased.step.kind() == kind).unwrap();
        let steps: Vec<PhasedStep<Planned<'_>>> =
            steps.iter().map(|&(phase, kind)| PhasedStep { phase, step: of_kind(kind).step }).collect();
        assert_eq!(plan::check(&sample::with_phased(&steps)).err(), expected, "{steps:?}");
    });
}

#[test]
fn each_kind_stands_in_its_phases_only() {
    for kind in StepKind::ALL {
        for number in 0..=u8::MAX {
            let mut bytes = sample::full();
            let view = View::decode(&bytes, &BUILD_ID).unwrap();
            let index = view.steps().position(|phased| phased.step.kind() == *kind).unwrap();
            step_mut(&mut bytes, index).phase = number;
            let is_its_own = Phase::from_number(number).is_some_and(|phase| kind.phases().contains(&phase));
            let refusal = plan::check(&bytes).err();
            assert_eq!(refusal == Some(Refusal::StepPhase), !is_its_own, "{kind:?} {number}: {refusal:?}");
        }
    }
}

#[test]
fn no_step_stands_in_a_phase_of_the_skeleton() {
    for kind in StepKind::ALL {
        assert!(!kind.phases().contains(&Phase::Setup), "{kind:?}");
        assert!(!kind.phases().contains(&Phase::Execute), "{kind:?}");
        assert!(kind.phases().is_sorted() && !kind.phases().is_empty(), "{kind:?}");
    }
}

#[test]
fn phases_ascend() {
    for first in StepKind::ALL {
        for second in StepKind::ALL {
            for &earlier in first.phases() {
                for &later in second.phases() {
                    if earlier > later {
                        check(&[(earlier, *first), (later, *second)], Some(Refusal::PhaseDescends));
                    }
                }
            }
        }
    }
}

#[test]
fn every_pair_of_the_table_is_refused_the_wrong_way_round() {
    for &(first, second, reason) in MUST_COME_BEFORE {
        assert!(!reason.is_empty());
        let mut tried_count = 0;
        for &earlier in second.phases() {
            for &later in first.phases().iter().filter(|later| **later == earlier) {
                check(&[(earlier, second), (later, first)], Some(Refusal::Order));
                tried_count += 1;
            }
        }
        // Where the phases alone keep the order, no message can get as far as the table.
        let is_kept_by_phases = !second.phases().iter().any(|phase| first.phases().contains(phase));
        assert_eq!(tried_count == 0, is_kept_by_phases, "{first:?} {second:?}");
    }
}

#[test]
fn every_pair_of_the_table_is_accepted_the_right_way_round() {
    for &(first, second, _) in MUST_COME_BEFORE {
        let (earlier, later) = (first.phases()[0], second.phases()[second.phases().len() - 1]);
        check(&[(earlier, first), (later, second)], None);
    }
}

#[test]
fn pairs_outside_the_table_are_free_within_a_phase() {
    let is_ruled = |first: StepKind, second: StepKind| {
        MUST_COME_BEFORE.iter().any(|&(before, after, _)| (before, after) == (second, first))
    };
    for &first in StepKind::ALL {
        for &second in StepKind::ALL {
            for &phase in first.phases().iter().filter(|phase| second.phases().contains(phase)) {
                let expected = is_ruled(first, second).then_some(Refusal::Order);
                check(&[(phase, first), (phase, second)], expected);
            }
        }
    }
}

#[test]
fn a_late_step_is_found_behind_many_others() {
    let mut kinds = vec![(Phase::Mounts, StepKind::MaskPath)];
    kinds.extend([(Phase::Mounts, StepKind::MakeDirectory); 100]);
    check(&kinds, None);
    kinds.push((Phase::Mounts, StepKind::BindMount));
    check(&kinds, Some(Refusal::Order));
}
