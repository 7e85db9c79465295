//! What the fuzzers feed to the protocol and to the reader of config.json, and what must hold for it.

// The tests' own converter: a view is copied into a plan, and the plan must encode to the bytes it came from.
#[allow(dead_code)]
#[path = "../../../shared-proto/tests/wire/plan.rs"]
mod plan;
// The property tests' own check.
#[path = "../../../parent/tests/configs/check.rs"]
mod check;
mod repair;
pub mod seeds;

use plan as wire;

use shared_proto::{Reply, Report};

/// A bootstrap. Its header is made to fit first, so that the input gets past it; an odd first byte (which the magic takes the
/// place of) also asks for strings that lie where they must, so that lengths can change. Returns whether it was accepted.
pub fn bootstrap(input: &[u8]) -> bool {
    let with_strings = input.first().is_some_and(|first| first & 1 == 1);
    let mut bytes = input.to_vec();
    if with_strings {
        repair::strings(&mut bytes);
    }
    repair::header(&mut bytes, &plan::BUILD_ID);
    plan::check(&bytes).is_ok()
}

/// A config.json. Returns whether it was accepted.
pub fn config(input: &[u8]) -> bool {
    check::check(input).is_ok()
}

/// A frame, either way. Returns whether it was accepted.
pub fn frame(input: &[u8]) -> bool {
    let (report, reply) = (Report::decode(input), Reply::decode(input));
    if let Some(report) = report {
        assert_eq!(report.encode(), input, "{report:?}");
    }
    if let Some(reply) = reply {
        assert_eq!(reply.encode(), input, "{reply:?}");
    }
    report.is_some() || reply.is_some()
}
