//! config.json → Config → Plan → bytes → what stage1 reads, for configurations that nobody wrote.

mod check;
mod grammar;
// The wire tests' own converter: a view is copied into a plan.
#[allow(dead_code)]
#[path = "../../../shared-proto/tests/wire/plan.rs"]
mod wire;

use proptest::prelude::*;
use serde_json::Value;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every configuration of the grammar is one that the specification allows.
    #[test]
    fn valid_configurations_are_planned_and_read_as_they_were_meant(config in grammar::config()) {
        prop_assert_eq!(check::check(config.to_string().as_bytes()), Ok(()));
    }

    /// One value of a valid configuration becomes another: it is taken or refused with a reason, and nothing panics.
    #[test]
    fn configurations_with_a_wrong_value_are_taken_or_refused(
        config in grammar::config(), place in any::<prop::sample::Index>(), value in grammar::anything(),
    ) {
        let mut config = config;
        let mut places = Vec::new();
        pointers(&config, String::new(), &mut places);
        let place = place.get(&places).clone();
        *config.pointer_mut(&place).expect("a place of this document") = value;
        if let Err(reason) = check::check(config.to_string().as_bytes()) {
            prop_assert!(!reason.is_empty());
        }
    }
}

/// The JSON pointer of everything in a document.
fn pointers(value: &Value, pointer: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(value, format!("{pointer}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                pointers(value, format!("{pointer}/{index}"), found);
            }
        }
        _ => {}
    }
    found.push(pointer);
}
