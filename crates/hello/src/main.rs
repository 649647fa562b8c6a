//! The program of the built-in `hello-world` image: greets, and says what a container sees of its world.
//!
//! One file without dependencies: the store's build script compiles it with the plain compiler, statically and for size.
#![allow(clippy::print_stdout, reason = "printing is all that it does")]

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write},
};

const GREETING: &str = "
Hello from Wharf!
This message shows that your installation appears to be working correctly.

To generate this message, Wharf took the following steps:
 1. The client sent a request to the daemon.
 2. The daemon took the \"hello-world\" image that is built into it: no network was needed.
 3. The daemon created a new container from that image, which runs the
    program that produces the output you are currently reading.
 4. The daemon streamed that output to the client, which sent it to your terminal.

This is what the program sees of the world:
";

fn main() -> io::Result<()> {
    let mut out = String::from(GREETING);
    line(&mut out, "process", &format!("PID {}, {}", std::process::id(), identity()));
    line(&mut out, "host name", &read("/proc/sys/kernel/hostname"));
    line(&mut out, "kernel", &format!("{} {}", read("/proc/sys/kernel/ostype"), read("/proc/sys/kernel/osrelease")));
    line(&mut out, "arguments", &std::env::args().collect::<Vec<_>>().join(" "));
    line(&mut out, "interfaces", &interfaces());
    line(&mut out, "capabilities", &status("CapEff"));
    line(&mut out, "seccomp", &seccomp());
    list(&mut out, "limits", &limits());
    list(&mut out, "namespaces", &namespaces());
    list(&mut out, "mounts", &mounts());
    out.push('\n');
    io::stdout().write_all(out.as_bytes())
}

fn line(out: &mut String, name: &str, value: &str) {
    // writing to a String cannot fail
    let _ = writeln!(out, "  {name:<13} {value}");
}

fn list(out: &mut String, name: &str, values: &[String]) {
    for (i, value) in values.iter().enumerate() {
        line(out, if i == 0 { name } else { "" }, value);
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "-".into(), |text| text.trim().to_owned())
}

/// One field of `/proc/self/status`.
fn status(key: &str) -> String {
    let text = read("/proc/self/status");
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value.unwrap_or("-").trim().to_owned()
}

fn identity() -> String {
    let effective = |key| status(key).split_whitespace().nth(1).unwrap_or("-").to_owned();
    format!("user {}, group {}", effective("Uid"), effective("Gid"))
}

fn seccomp() -> String {
    match status("Seccomp").as_str() {
        "0" => "off".into(),
        "2" => "filter".into(),
        other => other.to_owned(),
    }
}

fn interfaces() -> String {
    let text = read("/proc/net/dev");
    let names = text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim());
    names.collect::<Vec<_>>().join(" ")
}

fn namespaces() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc/self/ns") else { return Vec::new() };
    let mut found: Vec<String> = entries
        .flatten()
        .filter(|entry| !entry.file_name().to_string_lossy().ends_with("_for_children"))
        .filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string()))
        .collect();
    found.sort();
    found.chunks(4).map(|some| some.join(" ")).collect()
}

fn mounts() -> Vec<String> {
    let text = read("/proc/self/mountinfo");
    let mount = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(4);
        let (point, options) = (left.next()?, left.next()?);
        let access = options.split(',').next()?;
        Some(format!("{point:<28} {:<8} {access}", right.split(' ').next()?))
    };
    text.lines().filter_map(mount).collect()
}

/// Limits of the control group, in version 1 or 2.
fn limits() -> Vec<String> {
    let first = |paths: &[&str]| paths.iter().map(|p| read(&format!("/sys/fs/cgroup/{p}"))).find(|v| v != "-");
    let mut found = Vec::new();
    if let Some(memory) = first(&["memory.max", "memory/memory.limit_in_bytes"]) {
        found.push(format!("memory {}", bytes(&memory)));
    }
    if let Some(pids) = first(&["pids.max", "pids/pids.max"]) {
        found.push(format!("processes {}", unlimited(&pids)));
    }
    if let Some(cpu) = first(&["cpu.max", "cpu/cpu.cfs_quota_us"]) {
        let quota = cpu.split(' ').next().unwrap_or("-").to_owned();
        found.push(format!(
            "CPU {}",
            if quota == "-1" || quota == "max" { "unlimited".into() } else { format!("{quota} µs per period") }
        ));
    }
    if found.is_empty() {
        found.push("-".into());
    }
    found
}

fn unlimited(value: &str) -> String {
    if value == "max" { "unlimited".into() } else { value.to_owned() }
}

fn bytes(value: &str) -> String {
    // version 1 writes the largest number of whole pages for "no limit"
    const NO_LIMIT: u64 = 1 << 62;
    match value.parse::<u64>() {
        Ok(n) if n < NO_LIMIT => format!("{} MiB", n >> 20),
        _ => "unlimited".into(),
    }
}
