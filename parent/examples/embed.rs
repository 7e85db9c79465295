//! A program that runs a container: `cargo run --release --example embed -- BUNDLE`, as root.
//!
//! BUNDLE is a directory with a config.json (`"terminal": false`) and a root file system, such as README.md's section "Embedding" makes of that of "Use". The example
//! shows the container's life, and a second program in it; it prints what the container prints, and ends with its exit code.

use std::process::ExitCode;

use pinnace::{Command, Container, Kind, Options, Result};

fn main() -> ExitCode {
    let Some(bundle) = std::env::args_os().nth(1) else {
        eprintln!("usage: embed BUNDLE");
        return ExitCode::from(2);
    };
    // Any executor will do; this is the smallest.
    match smol::block_on(run(bundle.as_ref())) {
        Ok(code) => ExitCode::from(code as u8),
        Err(error) => {
            // Texts name the place in config.json, the step of the plan, or the file and the kernel's reason.
            eprintln!("embed: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(bundle: &std::path::Path) -> Result<i32> {
    // Everything is there when this returns, and the program waits. Options name another state directory, standard descriptors, systemd.
    let container =
        Container::create(bundle, format!("embed-{}", std::process::id()), Options::default()).await?;
    let ended = live(&container).await;
    // Whatever has happened, it is killed and taken away: dropping `container` would leave it.
    container.delete(true).await?;
    for warning in container.take_warnings() {
        eprintln!("embed: warning: {warning}");
    }
    ended
}

async fn live(container: &Container) -> Result<i32> {
    container.start().await?;
    match container.process().pid() {
        Some(pid) => println!("{} runs, its first process is {pid}", container.id()),
        None => println!("{} has run, and ended already", container.id()),
    }

    // One more program in it, waited for like the first. The container may have ended meanwhile, and that is a kind of error.
    match container.exec(Command::new(["/bin/sh", "-c", "echo hello from inside"])).await {
        Ok(process) => println!("the second program ended with {:?}", process.wait().await?),
        Err(error) if error.kind() == Kind::NotRunning => println!("it has ended already"),
        Err(error) => return Err(error),
    }

    // `None` would mean that somebody else has reaped our child (`Process::wait`).
    Ok(container.wait().await?.unwrap_or(255))
}
