//! The manual pages in man/ and the completions in completions/ are made from the definitions of the command line, and stored.
//!
//! `PINNACE_WRITE_TEXTS=1 cargo test -p pinnace --test texts` stores them anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

#[path = "texts/completions.rs"]
mod completions;

/// The program's own definitions.
#[allow(dead_code, unreachable_pub)]
#[path = "../src"]
mod program {
    pub(crate) mod cli;
}

use program::cli;

/// The definitions with a version that does not change with every line of the sources.
fn definition() -> Command {
    let mut definition = cli::definition().version(env!("CARGO_PKG_VERSION"));
    definition.build();
    definition
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Compares what a directory holds with what it should hold, by name; or stores it.
fn check(directory: &Path, wanted: &BTreeMap<String, Vec<u8>>) {
    if std::env::var_os("PINNACE_WRITE_TEXTS").is_some() {
        let _ = fs::remove_dir_all(directory);
        fs::create_dir(directory).expect("mkdir");
        for (name, text) in wanted {
            fs::write(directory.join(name), text).expect("write");
        }
    }
    let entries = fs::read_dir(directory).expect("the directory");
    let stored: BTreeMap<String, Vec<u8>> = entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("UTF-8");
            (name, fs::read(entry.path()).expect("read"))
        })
        .collect();
    let differing: Vec<&String> =
        stored.keys().chain(wanted.keys()).filter(|name| stored.get(*name) != wanted.get(*name)).collect();
    assert!(differing.is_empty(), "not current (PINNACE_WRITE_TEXTS=1 writes them): {differing:?}");
}

#[test]
fn manual_pages_are_current() {
    let definition = definition();
    let page = |command: &Command| {
        let mut text = Vec::new();
        let man = Man::new(command.clone()).source(concat!("pinnace ", env!("CARGO_PKG_VERSION")));
        man.manual("pinnace").render(&mut text).expect("a page");
        // No line ends in a blank, which editors would take away.
        let text = String::from_utf8(text).expect("UTF-8");
        let text: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        // Examples are lines, not a paragraph.
        let text = match text.split_once(".SH EXTRA\nExamples:\n") {
            Some((before, rest)) => {
                let end = rest.find("\n.SH ").map_or(rest.len(), |end| end + 1);
                format!("{before}.SH EXAMPLES\n.nf\n{}.fi\n{}", &rest[..end], &rest[end..])
            }
            None => text,
        };
        (format!("{}.1", command.get_display_name().unwrap_or("pinnace")), text.into_bytes())
    };
    let pages = std::iter::once(&definition).chain(definition.get_subcommands()).map(page);
    check(&directory("man"), &pages.collect());
}

#[test]
fn completions_are_current() {
    let scripts = [(Shell::Bash, "pinnace.bash"), (Shell::Zsh, "_pinnace"), (Shell::Fish, "pinnace.fish")];
    let script = |(shell, name): (Shell, &str)| {
        let mut definition = definition();
        let mut text = Vec::new();
        generate(shell, &mut definition, "pinnace", &mut text);
        let text = String::from_utf8(text).expect("UTF-8");
        let text = match shell {
            Shell::Bash => completions::bash(&text, &definition),
            Shell::Zsh => completions::zsh(&text),
            _ => completions::fish(&text, &definition),
        };
        (String::from(name), text.into_bytes())
    };
    check(&directory("completions"), &scripts.map(script).into());
}

/// What a shell offers at the end of a line.
fn offered(shell: &str, line: &str) -> Option<Vec<String>> {
    let (script, code) = match shell {
        "bash" => (
            "pinnace.bash",
            r#". "$1"; read -ra COMP_WORDS <<<"$2"; [[ $2 == *" " ]] && COMP_WORDS+=("")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _pinnace_operands pinnace "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"; printf '%s\n' "${COMPREPLY[@]}""#,
        ),
        _ => ("pinnace.fish", r#"source $argv[1]; complete -C $argv[2] | string replace -r "\t.*" """#),
    };
    let script = directory("completions").join(script);
    let mut command = std::process::Command::new(shell);
    if shell == "bash" {
        command.args(["-c", code, "bash"]);
    } else {
        command.args(["--no-config", "-c", code]);
    }
    let Ok(output) = command.arg(script).arg(line).output() else {
        println!("SKIP completions of {shell}: it is not installed");
        return None;
    };
    assert!(output.stderr.is_empty(), "{shell} {line:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let mut words: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(String::from).collect();
    words.sort();
    Some(words)
}

#[test]
fn shells_offer_what_comes_next() {
    for shell in ["bash", "fish"] {
        for (line, expected) in [
            ("pinnace mou", &["mounts"][..]),
            ("pinnace help mou", &["mounts"]),
            ("pinnace mounts ", &["add", "remove"]),
            ("pinnace --root /x --debug mounts a", &["add"]),
            ("pinnace mounts -", &["--help", "-h"]),
            ("pinnace kill --all web T", &["TERM"]),
            ("pinnace --log-format ", &["json", "text"]),
            ("pinnace list -f t", &["table"]),
            ("pinnace run -d new", &[]),
        ] {
            let Some(words) = offered(shell, line) else { break };
            assert_eq!(words, expected, "{shell} {line:?}");
        }
    }
}
