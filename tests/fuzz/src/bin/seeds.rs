//! `seeds DIR` writes what the fuzzers begin with to DIR/bootstrap, DIR/config and DIR/frame.

use std::path::Path;

use pinnace_fuzz::seeds;

fn main() -> std::io::Result<()> {
    let directory = std::env::args_os().nth(1).expect("usage: seeds DIR");
    let all = [("bootstrap", seeds::bootstraps()), ("config", seeds::configs()), ("frame", seeds::frames())];
    for (target, seeds) in all {
        let directory = Path::new(&directory).join(target);
        std::fs::create_dir_all(&directory)?;
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(directory.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
