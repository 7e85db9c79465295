//! What the fuzzers begin with: the stored messages, and one with each of their steps alone.

use crate::plan::{BUILD_ID, Plan};
use shared_proto::View;

/// Bootstraps, each twice: to be read as they are, and with their strings repaired.
pub fn bootstraps() -> Vec<Vec<u8>> {
    let full = sections(include_str!("../../fixtures/wire/bootstrap.hex")).concat();
    let view = View::decode(&full, &BUILD_ID).expect("the stored message is good");
    let mut seeds = vec![full.clone()];
    for index in 0..view.step_count() {
        let mut plan = Plan::read(&view);
        plan.steps = vec![plan.steps[index]];
        plan.arguments.truncate(1);
        plan.environment.truncate(index % 2);
        seeds.push(plan.encode());
    }
    let repaired = seeds.iter().map(|seed| {
        let mut seed = seed.clone();
        seed[0] |= 1;
        seed
    });
    let as_they_are = seeds.iter().map(|seed| {
        let mut seed = seed.clone();
        seed[0] &= !1;
        seed
    });
    repaired.chain(as_they_are).collect()
}

/// What engines wrote: the stored configurations, without what nothing reads.
pub fn configs() -> Vec<Vec<u8>> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/configs");
    let entries = std::fs::read_dir(directory).expect("the stored configurations");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let compact = |path| {
        let text = std::fs::read(path).expect("read a stored configuration");
        let tree: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        tree.to_string().into_bytes()
    };
    paths.iter().map(compact).collect()
}

/// Frames of every kind.
pub fn frames() -> Vec<Vec<u8>> {
    sections(include_str!("../../fixtures/wire/frames.hex"))
}

/// The bytes below each title of a stored dump.
fn sections(dump: &str) -> Vec<Vec<u8>> {
    let mut sections = Vec::new();
    for line in dump.lines() {
        match sections.last_mut() {
            Some(section) if !line.starts_with('#') => {
                let bytes =
                    line.split(' ').map(|digits| u8::from_str_radix(digits, 16).expect("hexadecimal"));
                Vec::extend(section, bytes);
            }
            _ => sections.push(Vec::new()),
        }
    }
    sections
}
