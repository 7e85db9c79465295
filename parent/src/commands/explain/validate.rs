//! `validate`: everything that is wrong with a bundle, and what this host cannot do of it. Needs no privilege.

use std::fmt::Write;

use serde_json::json;

use super::super::{Context, print};
use crate::cli::explain::Validate;
use pinnace::blocking::{self, Creation, Finding, Level};
use pinnace::{Error, Result};

/// Stands for the id that nobody has given yet.
const ID: &str = "pinnace-validate";

/// 0 where `create` would not be refused, else 1.
pub(super) fn run(context: &Context<'_>, arguments: &Validate) -> Result<i32> {
    let mut creation = Creation::new(ID, context.log, context.trace);
    creation.bundle = arguments.bundle.as_deref();
    creation.config = &arguments.config;
    creation.manager = context.global.cgroup_manager()?;
    creation.forgives_cgroups = context.global.forgives_cgroups()?;
    creation.hold = true;
    let findings = blocking::validate(&creation);
    let is_valid = findings.iter().all(|finding| finding.level == Level::Warning);
    let text = match arguments.format.as_str() {
        "text" => text(&findings),
        "json" => format!("{:#}\n", json!({"valid": is_valid, "findings": findings})),
        _ => return Err(Error::new("invalid format option")),
    };
    print(&text)?;
    Ok(i32::from(!is_valid))
}

/// A finding a line: `error: PATH: reason (section)`.
fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        text.push_str(match finding.level {
            Level::Error => "error: ",
            Level::Warning => "warning: ",
        });
        if let Some(path) = &finding.path {
            // Writing to a string cannot fail.
            let _ = write!(text, "{path}: ");
        }
        text.push_str(&finding.reason);
        if let Some(section) = finding.section {
            let _ = write!(text, " ({section})");
        }
        text.push('\n');
    }
    text
}
