//! `doctor`: what this host has that makes starts slow, or features missing. Needs no privilege, and tells what concerns its caller.

use std::fmt::Write;

use pinnace::blocking::{self, Symptom, SymptomLevel};
use pinnace::{Error, Result};
use serde_json::json;

use super::super::{Context, print};
use crate::cli::explain::Doctor;

/// 0 where a container of the default configuration starts, else 1.
pub(super) fn run(context: &Context<'_>, arguments: &Doctor) -> Result<i32> {
    // An ordinary user without a place for states has a symptom, not an error.
    let root = match &context.global.root {
        Some(_) => Some(context.state_root()?),
        None => context.state_root().ok(),
    };
    let symptoms = blocking::examine(root.as_ref())?;
    let can_start = !symptoms.iter().any(|symptom| symptom.prevents_starts);
    let text = match arguments.format.as_str() {
        "text" => text(&symptoms),
        "json" => format!("{:#}\n", json!({"canStart": can_start, "symptoms": symptoms})),
        _ => return Err(Error::new("invalid format option")),
    };
    print(&text)?;
    Ok(i32::from(!can_start))
}

/// A line for each, and below it what it means and what to do.
fn text(symptoms: &[Symptom]) -> String {
    let width = symptoms.iter().map(|symptom| symptom.subject.len()).max().unwrap_or(0);
    let mut text = String::new();
    for symptom in symptoms {
        let level = match symptom.level {
            SymptomLevel::Ok => "ok",
            SymptomLevel::Note => "note",
            SymptomLevel::Slow => "slow",
            SymptomLevel::Missing if symptom.prevents_starts => "MISSING",
            SymptomLevel::Missing => "missing",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{level:<8} {:<width$}  {}", symptom.subject, symptom.found);
        let indent = width + 11;
        if let Some(meaning) = &symptom.meaning {
            let _ = writeln!(text, "{:indent$}{meaning}", "");
        }
        if let Some(advice) = &symptom.advice {
            let _ = writeln!(text, "{:indent$}-> {advice}", "");
        }
    }
    text
}
