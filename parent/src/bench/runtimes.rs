//! Who takes part: found, and asked who they are; or told why not.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Missing;
use super::child::output_of;
use super::contestant::is_interruption;
use pinnace::{Error, Result};

/// How the runtime is called whose program we are.
pub(crate) const OURS: &str = "pinnace";

/// A program with runc's command line.
#[derive(Clone, Debug)]
pub(crate) struct Runtime {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    /// The first line of what `--version` prints.
    pub(crate) version: String,
    pub(crate) bytes: u64,
}

/// Ourselves, and those of `against` that there are; who is missing goes to `missing`.
///
/// Errors: an entry of `against` is no NAME and no NAME=PROGRAM, or a name is there twice; we are asked to end.
pub(crate) fn find(against: &[String], missing: &mut Vec<Missing>) -> Result<Vec<Runtime>> {
    let own = own_program()?;
    let mut found = Vec::new();
    let mut names = vec![OURS.to_owned()];
    found.push(ask(OURS.to_owned(), own)?);
    for entry in against.iter().filter(|entry| !entry.is_empty()) {
        let (name, program) = understand(entry)?;
        if names.contains(&name) {
            let hint = if name == OURS { "it takes part by itself" } else { "it is there twice" };
            return Err(Error::new(format!("--against {entry}: {hint}; call the other one NAME=PROGRAM")));
        }
        names.push(name.clone());
        match locate(&program).and_then(|program| ask(name.clone(), program)) {
            Ok(runtime) => found.push(runtime),
            Err(error) if is_interruption(&error) => return Err(error),
            Err(error) => missing.push(Missing::everything(name, &error)),
        }
    }
    Ok(found)
}

pub(super) fn own_program() -> Result<PathBuf> {
    env::current_exe().map_err(|error| Error::io("read /proc/self/exe", &error))
}

/// A name, and where its program is or how it is called.
fn understand(entry: &str) -> Result<(String, PathBuf)> {
    let (name, program) = match entry.split_once('=') {
        Some((name, program)) => (name, program),
        None => (entry.rsplit('/').next().unwrap_or_default(), entry),
    };
    // It becomes a part of ids and file names.
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_.+-".contains(letter);
    if program.is_empty()
        || !name.starts_with(|first: char| first.is_ascii_alphanumeric())
        || !name.chars().all(is_plain)
    {
        return Err(Error::new(format!(
            "--against {entry:?}: not a NAME of letters and digits, and no NAME=PROGRAM"
        )));
    }
    Ok((name.to_owned(), PathBuf::from(program)))
}

pub(super) fn locate(program: &Path) -> Result<PathBuf> {
    if program.components().count() > 1 {
        return program.canonicalize().map_err(|error| Error::io(program.display(), &error));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let administrators = [PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")];
    let places = env::split_paths(&path).chain(administrators);
    let found = places.map(|place| place.join(program)).find(|file| file.is_file());
    found.ok_or_else(|| Error::new("not found in PATH"))
}

fn ask(name: String, program: PathBuf) -> Result<Runtime> {
    let mut command = Command::new(&program);
    command.arg("--version");
    let text = output_of(command)?;
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let version = line.unwrap_or("tells no version").to_owned();
    let bytes = program.metadata().map_or(0, |data| data.len());
    Ok(Runtime { name, program, version, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entry: &str, expected: Option<(&str, &str)>) {
        let understood = understand(entry).ok();
        let expected = expected.map(|(name, program)| (name.to_owned(), PathBuf::from(program)));
        assert_eq!(understood, expected, "{entry}");
    }

    #[test]
    fn entries_are_names_paths_or_both() {
        check("crun", Some(("crun", "crun")));
        check("/opt/bin/crun", Some(("crun", "/opt/bin/crun")));
        check("old=/opt/x y/pinnace", Some(("old", "/opt/x y/pinnace")));
        for wrong in ["=/bin/true", "x=", "a b=/bin/true", "<b>=/bin/true", "/", "-x=/y"] {
            check(wrong, None);
        }
    }

    #[test]
    fn nobody_takes_part_twice() {
        let twice = ["a=/bin/true".to_owned(), "a=/bin/false".to_owned()];
        let error = find(&twice, &mut Vec::new()).unwrap_err().to_string();
        assert_eq!(error, "--against a=/bin/false: it is there twice; call the other one NAME=PROGRAM");
    }

    #[test]
    fn who_is_not_there_is_told_with_the_reason() {
        let mut missing = Vec::new();
        let against =
            ["no-such-runtime".to_owned(), "x=/no/such/program".to_owned(), "text=/etc/passwd".to_owned()];
        assert_eq!(find(&against, &mut missing).unwrap().len(), 1);
        let reasons: Vec<_> = missing.iter().map(|missing| missing.reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "not found in PATH",
                "/no/such/program: no such file or directory",
                "execute /etc/passwd: permission denied"
            ]
        );
    }
}
