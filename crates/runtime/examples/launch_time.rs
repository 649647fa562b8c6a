//! Time of a launch: a Docker-default container (overlay root, default mounts, masked paths, filter) from `launch` to its exit.
//!
//! `cargo run --release -p wharf-runtime --example launch_time -- ROOTFS [COUNT] [PROGRAM…]`

#![allow(clippy::print_stdout, reason = "figures are what it is for")]

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use wharf_runtime::{ExecFds, ExecTarget, LaunchFds, Overlay, PlanOptions, Root, exec, launch, plan};
use wharf_spec::capability::DOCKER_DEFAULT;
use wharf_spec::runtime::Spec;

const DOCUMENT: &str = include_str!("../tests/world/docker.json");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let rootfs = PathBuf::from(args.next().ok_or("ROOTFS is missing")?);
    let count: usize = args.next().map_or(Ok(200), |text| text.parse())?;
    let program: Vec<String> = args.collect();
    let mut spec: Spec = serde_json::from_str(DOCUMENT)?;
    let process = spec.process.as_mut().ok_or("the document has a process")?;
    process.args = if program.is_empty() { vec!["true".into()] } else { program };
    let conditions = wharf_spec::seccomp::Conditions {
        arch: wharf_spec::seccomp::Arch::NATIVE,
        capabilities: DOCKER_DEFAULT,
        kernel: (6, 18),
    };
    let filter = wharf_spec::seccomp::Profile::docker_default().resolve(&conditions)?;
    spec.linux.as_mut().ok_or("the document has linux")?.seccomp = Some(filter);

    let scratch = tempfile::tempdir()?;
    let (upper, work) = (scratch.path().join("upper"), scratch.path().join("work"));
    std::fs::create_dir(&upper)?;
    std::fs::create_dir(&work)?;
    let root = Root::Overlay(Overlay::new(&[rootfs], upper, work)?);
    let options = PlanOptions { id: "time".into(), root: Some(root), ..PlanOptions::default() };
    let begun = Instant::now();
    let first = plan(&spec, &options)?;
    let cold = begun.elapsed();
    let begun = Instant::now();
    let plan = plan(&spec, &options)?;
    println!("plan: {cold:?} cold, {:?} cached; same: {}", begun.elapsed(), first == plan);
    if let Some(filter) = &plan.process.seccomp {
        println!("filter: {} instructions", filter.program.0.len());
    }
    let (mut started, mut ended) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let begun = Instant::now();
        let init = launch(&plan, LaunchFds::default())?;
        started.push(begun.elapsed());
        wharf_sys::pidfd::wait(&init.pidfd)?;
        ended.push(begun.elapsed());
    }
    println!("launch to exec: {}\nlaunch to exit: {}", summary(&mut started), summary(&mut ended));
    let process = spec.process.clone().ok_or("the document has a process")?;
    let exec_plan = wharf_runtime::plan_exec(&spec, &process, &options)?;
    spec.process.as_mut().ok_or("the document has a process")?.args = vec!["sleep".into(), "1000".into()];
    let init = launch(&wharf_runtime::plan(&spec, &options)?, LaunchFds::default())?;
    let target = ExecTarget { pidfd: init.pidfd.as_fd(), pid: init.pid };
    let mut execs = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        let joined = exec(&exec_plan, target, ExecFds::default())?;
        wharf_sys::pidfd::wait(&joined.pidfd)?;
        execs.push(begun.elapsed());
    }
    wharf_sys::pidfd::kill(&init.pidfd, 9)?;
    wharf_sys::pidfd::wait(&init.pidfd)?;
    println!("exec to exit: {}", summary(&mut execs));
    Ok(())
}

fn summary(times: &mut [Duration]) -> String {
    times.sort();
    format!(
        "p50 {:?}, p10 {:?}, p90 {:?}",
        times[times.len() / 2],
        times[times.len() / 10],
        times[times.len() * 9 / 10]
    )
}
