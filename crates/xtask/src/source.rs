//! Rules for source files that no compiler checks: a head line, a length, where unsafe code and sleeping may stand.

use crate::metadata::root;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Lines a source file may have; tables of data are exempt (`//! table` in the first line's text, or under `tests`).
const LONGEST: usize = 900;

/// Every breach in the Rust files that git tracks, one per line.
pub fn check_source_files() -> Vec<String> {
    let mut found = Vec::new();
    for path in tracked("*.rs") {
        let text = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
        let shown = path.display();
        if !text.starts_with("//!") && !text.starts_with("#!") {
            found.push(format!("{shown}: does not open with a //! line that says what it owns"));
        }
        let tests = path.components().any(|c| c.as_os_str() == "tests") || shown.to_string().ends_with("tests.rs");
        let table = text.lines().next().unwrap_or_default().to_lowercase().contains("table");
        if !tests && !table && text.lines().count() > LONGEST {
            found.push(format!("{shown}: {} lines", text.lines().count()));
        }
        if !path.starts_with("crates/sys") {
            found.extend(lines_with(&path, &text, &["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]));
        }
        if tests {
            // clippy.toml bans the blocking kind everywhere; in tests no kind may stand
            found.extend(lines_with(&path, &text, &["time::sleep("]));
        }
        found.extend(lines_with(&path, &text, &["#[should_panic", "#[ignore]", "#[ignore ="]));
    }
    found
}

/// Tracked text files that carry a path of some machine; one per line.
pub fn check_no_names_of_machines() -> Vec<String> {
    let mut found = Vec::new();
    for path in tracked("*") {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        found.extend(lines_with(&path, &text, &[concat!("/wo", "rk/"), concat!("/ro", "ot/.cargo")]));
    }
    found
}

fn lines_with(path: &Path, text: &str, needles: &[&str]) -> Vec<String> {
    // this file names what it looks for
    if path.ends_with("xtask/src/source.rs") {
        return Vec::new();
    }
    let hit = |line: &str| needles.iter().find(|n| line.contains(*n)).map(|n| n.to_string());
    let code = |line: &str| !line.trim_start().starts_with("//");
    let lines = text.lines().enumerate().filter(|(_, line)| code(line));
    lines.filter_map(|(i, line)| hit(line).map(|n| format!("{}:{}: {n}", path.display(), i + 1))).collect()
}

fn tracked(pattern: &str) -> Vec<PathBuf> {
    let output = Command::new("git").args(["ls-files", "--", pattern]).current_dir(root()).output();
    let output = output.expect("git runs");
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    names.lines().map(PathBuf::from).filter(|p| root().join(p).exists()).collect()
}
