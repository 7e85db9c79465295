fn main() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    println!("cargo:rustc-link-search=native={root}/linker/static");
    println!("cargo:rustc-link-arg-bins=-static");
    println!("cargo:rustc-link-arg-bins=-no-pie");
}
