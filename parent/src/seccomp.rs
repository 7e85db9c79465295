//! A profile → the program that the kernel runs before each system call of the container.
//!
//! ```text
//! config::Seccomp → verdicts   what each number of each architecture means (names resolved by libseccomp)
//!                 → layout     a tree over the numbers: quick to load, quick to run
//!                 → cache      kept by the digest of the profile (key)
//! ```
//! The verdicts are libseccomp's: `tests.rs` compares both programs over every number and over the edges of every argument. Where rules hang
//! on the order in which libseccomp happens to look at them, or for an architecture that no host of pinnace runs, libseccomp's own program
//! is taken.

mod assemble;
mod cache;
mod key;
mod layout;
#[allow(unsafe_code)]
mod library;
mod socketcall;
#[cfg(test)]
mod tests;
mod verdicts;

use std::fmt;
use std::path::Path;

use shared_proto::limits::FILTER_INSTRUCTION_COUNT_MAX;

use crate::config::Seccomp;
use crate::error::{Error, Result};
use assemble::Instruction;
pub use library::version as library_version;

/// The program for a profile, from the cache below `directory` or compiled and left there.
///
/// Errors: libseccomp refuses the profile; the program would be longer than the kernel takes.
pub fn program(profile: &Seccomp, directory: &Path) -> Result<Vec<u8>> {
    let key = key::of(profile);
    if let Some(program) = cache::load(directory, &key) {
        return Ok(program);
    }
    let program = compile(profile)?;
    cache::store(directory, &key, &program);
    Ok(program)
}

/// The program for a profile: struct sock_filter after struct sock_filter.
///
/// Errors: as `program`. What is far too large is refused before it costs anything.
pub fn compile(profile: &Seccomp) -> Result<Vec<u8>> {
    let verdicts::Reading { tables, rule_count } = verdicts::read(profile);
    let laid_out = tables.and_then(|tables| layout::program(profile, &tables));
    let program = match laid_out {
        Some(program) if program.len() <= FILTER_INSTRUCTION_COUNT_MAX => program,
        _ if rule_count > FILTER_INSTRUCTION_COUNT_MAX => {
            return Err(too_large(format_args!("it has {rule_count} rules with conditions")));
        }
        // libseccomp looks at an argument once for many rules, and is the shorter one where they are many.
        _ => by_library(profile)?,
    };
    if program.len() > FILTER_INSTRUCTION_COUNT_MAX {
        return Err(too_large(format_args!("it has {} instructions", program.len())));
    }
    Ok(program.into_iter().flat_map(Instruction::to_bytes).collect())
}

const PATH: &str = "$.linux.seccomp.syscalls";

fn too_large(what: fmt::Arguments<'_>) -> Error {
    let most = FILTER_INSTRUCTION_COUNT_MAX;
    Error::new(format!(
        "{PATH}: error loading seccomp filter: {what}, and the kernel takes {most} instructions at most"
    ))
}

/// Our own layout, if it can express the profile.
#[cfg(test)]
fn laid_out(profile: &Seccomp) -> Option<Vec<Instruction>> {
    let tables = verdicts::read(profile).tables?;
    layout::program(profile, &tables).filter(|program| program.len() <= FILTER_INSTRUCTION_COUNT_MAX)
}

fn by_library(profile: &Seccomp) -> Result<Vec<Instruction>> {
    Ok(layout::with_enosys(profile, &verdicts::last_numbers(profile), &library::compile(profile)?))
}
