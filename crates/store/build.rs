//! Compiles the program of the built-in `hello-world` image: one source file, no dependencies, static and small. Cargo's way to depend on
//! an executable (artifact dependencies) is not stable, and the compiler alone is enough.

use std::{env, path::PathBuf, process::Command};

const SOURCE: &str = "../hello/src/main.rs";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let out = PathBuf::from(variable("OUT_DIR")).join("hello");
    let status = Command::new(variable("RUSTC"))
        .args(["--edition=2024", "--crate-type=bin", "--crate-name=hello"])
        .args(["-Copt-level=z", "-Cpanic=abort", "-Cstrip=symbols", "-Clto=fat", "-Ccodegen-units=1"])
        .args(["-Ctarget-feature=+crt-static", "-Crelocation-model=static"])
        .arg(format!("--target={}", variable("TARGET")))
        .arg("-o")
        .arg(&out)
        .arg(SOURCE)
        .status();
    match status {
        Ok(status) if status.success() => {}
        other => panic!("compile {SOURCE}: {other:?}"),
    }
}
