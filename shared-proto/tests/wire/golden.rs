//! Stored bytes: any change of the layout shows as a difference in a file.
//!
//! `PINNACE_WRITE_FIXTURES=1 cargo test -p shared-proto` stores them anew. Read the difference before you accept it,
//! and raise `limits::VERSION` if there has been a release with the old one.

use std::fmt::Write;
use std::path::PathBuf;

use shared_proto::bootstrap::Header;
use shared_proto::limits::FRAME_BYTES;
use shared_proto::step::StepRecord;
use shared_proto::{Blob, Phase, StepKind, View};

use crate::plan::BUILD_ID;
use crate::{frames, sample};

/// Compares `text` with the stored file, or stores it when asked to.
pub(crate) fn check(name: &str, text: &str) {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/wire")).join(name);
    if std::env::var_os("PINNACE_WRITE_FIXTURES").is_some() {
        std::fs::write(&path, text).expect("the fixture can be written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    if let Some((number, (is, should))) =
        text.lines().zip(stored.lines()).enumerate().find(|(_, (is, should))| is != should)
    {
        panic!("{} line {}:\n  is     {is}\n  stored {should}", path.display(), number + 1);
    }
    assert_eq!(text.len(), stored.len(), "{} has more lines, or fewer", path.display());
}

#[test]
fn bootstrap_has_the_stored_bytes() {
    let bytes = sample::full();
    let view = View::decode(&bytes, &BUILD_ID).unwrap();
    let mut dump = Dump { text: String::new(), rest: &bytes };
    dump.section("header", size_of::<Header>());
    for (index, phased) in view.steps().enumerate() {
        let title = format!("step {index}: {} {}", phased.phase.name(), phased.step.kind().name());
        dump.section(&title, size_of::<StepRecord>());
    }
    dump.section("arguments", view.arguments().len() * size_of::<Blob>());
    dump.section("environment", view.environment().len() * size_of::<Blob>());
    dump.section("text", dump.rest.len());
    check("bootstrap.hex", &dump.text);
}

#[test]
fn sample_has_a_step_of_every_kind() {
    let bytes = sample::full();
    let view = View::decode(&bytes, &BUILD_ID).unwrap();
    for kind in StepKind::ALL {
        assert!(view.steps().any(|phased| phased.step.kind() == *kind), "{kind:?}");
    }
}

#[test]
fn frames_have_the_stored_bytes() {
    let mut text = String::new();
    for (title, bytes) in frames::every() {
        let mut dump = Dump { text: String::new(), rest: &bytes };
        dump.section(&title, FRAME_BYTES);
        text += &dump.text;
    }
    check("frames.hex", &text);
}

/// Bytes as lines of sixteen in hexadecimal, with a title above each section.
struct Dump<'a> {
    text: String,
    rest: &'a [u8],
}

impl Dump<'_> {
    fn section(&mut self, title: &str, bytes: usize) {
        let (here, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        writeln!(self.text, "# {title}").unwrap();
        for line in here.chunks(16) {
            let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(self.text, "{}", digits.join(" ")).unwrap();
        }
    }
}

#[test]
fn steps_of_one_phase_or_kind_are_those_among_all() {
    let bytes = sample::full();
    let view = View::decode(&bytes, &BUILD_ID).unwrap();
    for phase in Phase::WITH_STEPS {
        let all = (0..).zip(view.steps()).filter(|(_, phased)| phased.phase == phase);
        assert!(view.steps_in(phase).eq(all), "{phase:?}");
    }
    for (index, kind) in StepKind::ALL.iter().enumerate() {
        let kinds = [*kind, StepKind::ALL[(index + 7) % StepKind::ALL.len()]];
        let all = view.steps().map(|phased| phased.step).filter(|step| kinds.contains(&step.kind()));
        assert!(view.steps_of(kinds).eq(all), "{kinds:?}");
    }
}
