//! Who takes part: found, named with version and build, or said aloud why not.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::options::Options;

/// The newest runc and crun, where whoever has them has put them: beside the repository.
const PEERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/peers/x86_64-debian12.tar.xz");

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// One program with a command line of its own, which does `run` and nothing else.
    Floor,
    /// Anything with runc's command line.
    Runtime,
}

pub(crate) struct Runtime {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
}

/// All that can be measured, in the order of the table; prints who they are and who is missing.
pub(crate) fn find(release: &Path, work: &Path, options: &Options) -> Vec<Runtime> {
    let peers = unpack_peers(work);
    let mut candidates = vec![
        ("floor".to_owned(), built(work.join("floor"))),
        ("pinnace".to_owned(), built(release.join("pinnace"))),
    ];
    candidates.extend(options.also.iter().map(|(name, program)| (name.clone(), built(program.clone()))));
    for name in ["crun", "crun-static", "runc", "youki"] {
        candidates.push((name.to_owned(), peer(name, peers.as_deref())));
    }
    let mut found = Vec::new();
    for (name, program) in candidates {
        if options.only.as_ref().is_some_and(|only| !only.contains(&name)) {
            continue;
        }
        match program {
            Ok(program) => {
                let kind = if name == "floor" { Kind::Floor } else { Kind::Runtime };
                println!("  {name:<12} {}", describe(kind, &program));
                found.push(Runtime { name, kind, program });
            }
            Err(reason) => println!("  NOT MEASURED: {name}: {reason}"),
        }
    }
    found
}

fn built(program: PathBuf) -> Result<PathBuf, String> {
    if program.is_file() { Ok(program) } else { Err(format!("not built ({})", program.display())) }
}

fn peer(name: &str, peers: Option<&Path>) -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = peers.map(Path::to_owned).into_iter().chain(env::split_paths(&path));
    let found = directories.map(|directory| directory.join(name)).find(|file| file.is_file());
    found.ok_or_else(|| "neither among the peers beside the repository nor in PATH".to_owned())
}

fn unpack_peers(work: &Path) -> Option<PathBuf> {
    let directory = work.join("peers");
    if !Path::new(PEERS).is_file() {
        return None;
    }
    let unpacked = fs::create_dir_all(&directory).is_ok()
        && Command::new("tar")
            .arg("xf")
            .arg(PEERS)
            .arg("-C")
            .arg(&directory)
            .status()
            .is_ok_and(|status| status.success());
    if !unpacked {
        println!("  NOT UNPACKED: {PEERS}");
    }
    unpacked.then_some(directory)
}

/// One line: what it says of itself, how it is linked, its size, where it is.
fn describe(kind: Kind, program: &Path) -> String {
    let version = match kind {
        Kind::Floor => "the same kernel calls in straight line".to_owned(),
        Kind::Runtime => version(program),
    };
    let bytes = fs::read(program).unwrap_or_default();
    let linked = if asks_for_interpreter(&bytes) { "dynamic" } else { "static" };
    format!("{version}; {linked}, {} KiB; {}", bytes.len() / 1024, program.display())
}

fn version(program: &Path) -> String {
    match Command::new(program).arg("--version").output() {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(", ")
        }
        Ok(output) => format!("--version fails: {}", String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => format!("--version fails: {error}"),
    }
}

/// Whether a 64-bit little-endian ELF file has a PT_INTERP program header.
fn asks_for_interpreter(elf: &[u8]) -> bool {
    const PT_INTERP: u64 = 3;
    let number = |offset: usize, size: usize| {
        let bytes = elf.get(offset..offset + size).unwrap_or_default();
        bytes.iter().rev().fold(0u64, |number, &byte| number << 8 | u64::from(byte))
    };
    let (table, entry_size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).any(|index| number((table + index * entry_size) as usize, 4) == PT_INTERP)
}
