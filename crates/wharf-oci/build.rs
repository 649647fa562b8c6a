//! Makes the program begin before its C library (see `wharf_sys::early`), where that is written.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86_64") {
        println!("cargo::rustc-link-arg-bins=-Wl,-e,wharf_early_entry");
    }
}
