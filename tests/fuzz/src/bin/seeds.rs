//! `seeds DIR` writes what the fuzzers begin with to DIR/bootstrap and DIR/frame.

use std::path::Path;

use pinnace_fuzz::seeds;

fn main() -> std::io::Result<()> {
    let directory = std::env::args_os().nth(1).expect("usage: seeds DIR");
    for (target, seeds) in [("bootstrap", seeds::bootstraps()), ("frame", seeds::frames())] {
        let directory = Path::new(&directory).join(target);
        std::fs::create_dir_all(&directory)?;
        for (number, seed) in seeds.iter().enumerate() {
            std::fs::write(directory.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}
