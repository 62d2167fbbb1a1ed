//! Names the program to the modules that the tests share: there it is cargo who does.

fn main() {
    let program = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../target/release/biollmnet");
    println!("cargo::rustc-env=CARGO_BIN_EXE_biollmnet={}", program.display());
    println!("cargo::rerun-if-changed=build.rs");
}
