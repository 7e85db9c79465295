//! Builds stage1 and hands its bytes to the parent, so that plain `cargo build --release` gives the whole product; and links the
//! parent statically (see linker/README.md).

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    // Asked now, and not when this script was compiled: target directories are copied between worktrees.
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let workspace = manifest.parent().expect("the parent lies in the workspace");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let build_id = digest(workspace, PROTOCOL_SOURCES);
    println!("cargo:rustc-env=PINNACE_SOURCE_ID={}", digest(workspace, ALL_SOURCES));

    build_freestanding(workspace, &out, &build_id);
    println!("cargo:rustc-env=PINNACE_STAGE1={}", out.join("stage1").display());
    println!("cargo:rustc-env=PINNACE_DEMO={}", out.join("demo").display());
    println!("cargo:rustc-env=PINNACE_BUILD_ID={build_id}");

    // For the program alone: tests are linked as usual, and a shared program with the C library's archive in it does not run.
    println!("cargo:rustc-link-arg-bins=-L{}", workspace.join("linker/static").display());
    if is_musl() {
        // Once more, behind libseccomp.
        println!("cargo:rustc-link-arg-bins=-lc");
    } else {
        println!("cargo:rustc-link-arg-bins=-static");
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
    // One segment for constants and code: see linker/README.md.
    println!("cargo:rustc-link-arg-bins=-Wl,-z,noseparate-code");
    // A debug build's tests unwind.
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", workspace.join("linker/no_unwind.ld").display());
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", workspace.join("linker/order.ld").display());
        println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", workspace.join("linker/arena.ld").display());
    }
    println!("cargo:rerun-if-changed={}", workspace.join("linker").display());
}

/// Runs cargo for stage1, and for what `pinnace demo` runs, in a target directory of its own, since this build holds the lock of the
/// outer one. Leaves both programs in `out`.
fn build_freestanding(workspace: &Path, out: &Path, build_id: &str) {
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let script = workspace.join("linker/stage1.ld");
    let script = script.to_str().expect("the path of the workspace is UTF-8");
    let linker_flags = [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        &format!("-Wl,-T,{script}"),
        "-Wl,--build-id=none",
        "-Wl,-z,max-page-size=4096",
        "-Wl,-z,norelro",
    ];
    let mut flags =
        vec!["-Crelocation-model=static", "-Ctarget-feature=+crt-static", "-Cforce-unwind-tables=no"];
    if is_musl() {
        // Rust brings musl's start-up code with it.
        flags.push("-Clink-self-contained=no");
    }
    let linker_flags = linker_flags.map(|flag| format!("-Clink-arg={flag}"));
    flags.extend(linker_flags.iter().map(String::as_str));

    let target_directory = out.join("stage1-target");
    let status = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"))
        .current_dir(workspace)
        .args([
            "build",
            // The outer build has brought it up to date, and whoever depends on us has not got our file to change.
            "--locked",
            "--package",
            "stage1-init",
            "--features",
            "freestanding",
            "--bin",
            "stage1",
            "--bin",
            "demo",
        ])
        .args(["--profile", "stage1", "--target", &target, "--target-dir"])
        .arg(&target_directory)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("PINNACE_BUILD_ID", build_id)
        // Wrappers and flags of the outer build (clippy's, say) are not for this one.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTFLAGS")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "building stage1 failed");

    for program in ["stage1", "demo"] {
        let built = target_directory.join(&target).join("stage1").join(program);
        std::fs::copy(&built, out.join(program)).expect("cargo has built it");
    }
}

/// Whether the C library is musl, which programs are linked with statically unasked.
fn is_musl() -> bool {
    is_for("CARGO_CFG_TARGET_ENV", "musl")
}

/// Whether cargo says this of the outer build.
fn is_for(variable: &str, value: &str) -> bool {
    env::var(variable).is_ok_and(|said| said == value)
}

/// What decides what the two programs say to each other.
const PROTOCOL_SOURCES: &[&str] = &["shared-proto/src", "stage1-init/src"];

const ALL_SOURCES: &[&str] = &["shared-proto/src", "stage1-init/src", "parent/src"];

/// Sixteen hexadecimal digits over the sources in these directories.
fn digest(workspace: &Path, directories: &[&str]) -> String {
    let mut files = Vec::new();
    for directory in directories {
        println!("cargo:rerun-if-changed={}", workspace.join(directory).display());
        collect(&workspace.join(directory), &mut files);
    }
    files.push(workspace.join("Cargo.lock"));
    files.sort();
    // FNV-1a, 64 bits: it tells builds apart; it guards nothing.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for file in files {
        let content = std::fs::read(&file).unwrap_or_else(|error| panic!("read {}: {error}", file.display()));
        let name = file.strip_prefix(workspace).expect("a file of the workspace").as_os_str();
        // With lengths, so that nothing that moves from one file or name to the next looks the same.
        for bytes in [name.as_encoded_bytes(), &content] {
            add(&bytes.len().to_le_bytes());
            add(bytes);
        }
    }
    format!("{hash:016x}")
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    let entries =
        std::fs::read_dir(directory).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
    for entry in entries.unwrap_or_else(|error| panic!("read {}: {error}", directory.display())) {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
