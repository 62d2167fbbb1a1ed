//! Tells the binary how it was built, for `biollmnet doctor`.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for (name, source) in [("BIOLLMNET_BUILD_TARGET", "TARGET"), ("BIOLLMNET_BUILD_PROFILE", "PROFILE")] {
        println!("cargo::rustc-env={name}={}", env::var(source).unwrap_or_else(|_| "unknown".to_owned()));
    }
    println!("cargo::rustc-env=BIOLLMNET_BUILD_RUSTC={}", rustc_version().unwrap_or_else(|| "unknown".to_owned()));
}

/// The first line of `rustc --version`; a build does not fail for want of it.
fn rustc_version() -> Option<String> {
    let output = Command::new(env::var_os("RUSTC")?).arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.lines().next()?.to_owned())
}
