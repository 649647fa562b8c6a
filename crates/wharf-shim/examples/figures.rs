//! What a keeper costs: `figures <path of wharf-shim>`, as root. Prints the time of a launch, of a whole life, of 100 MB of
//! output through a keeper, and the memory of a keeper at rest.

#![allow(clippy::print_stdout, dead_code, reason = "a program for people; it shares the tests' host")]

#[path = "../tests/host/mod.rs"]
mod host;

use std::time::{Duration, Instant};

use host::{Client, Host, PLAIN};
use wharf_shim::protocol::{Target, Wire};

fn exe() -> std::path::PathBuf {
    std::env::args_os().nth(1).expect("usage: figures <path of wharf-shim>").into()
}

fn main() {
    let host = Host::new();
    lives(&host);
    output(&host);
    memory(&host);
}

/// Launch to running, and running to recorded end, one container at a time.
fn lives(host: &Host) {
    let (mut launches, mut lives) = (Vec::new(), Vec::new());
    for number in 0..200 {
        let start = Instant::now();
        let mut container = host.run(&format!("life{number}"), &["true"], &PLAIN);
        launches.push(start.elapsed());
        container.exit();
        lives.push(start.elapsed());
    }
    println!("launch until the program runs  {:?} median", median(&mut launches));
    println!("launch until the end is known  {:?} median", median(&mut lives));
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn output(host: &Host) {
    let line = "x".repeat(99);
    let script = format!("yes {line} | head -c 100000000");
    let start = Instant::now();
    let mut container = host.run("log", &["sh", "-c", &script], &PLAIN);
    container.exit();
    println!("100 MB to the log              {:.3} s", start.elapsed().as_secs_f64());

    let (mut client, mut attach, socket) = Client::new(1, Target::Init, Wire::Raw);
    attach.stdout = false;
    let announced = format!("{script}; echo end >&2; sleep 1000");
    let started = host.try_run("cpu", &["sh", "-c", &announced], &PLAIN, vec![(attach, socket)]);
    let container = started.expect("the container starts");
    client.read_until("end");
    println!("of which the keeper computes   {:.2} s", cpu(&keeper_of(container.init.started.pid)));
    drop(container);

    let (mut client, attach, socket) = Client::new(1, Target::Init, Wire::Stdcopy);
    let start = Instant::now();
    let started = host.try_run("attached", &["sh", "-c", &script], &PLAIN, vec![(attach, socket)]);
    let mut container = started.expect("the container starts");
    let bytes = client.read_all().0.len();
    container.exit();
    println!("100 MB to the log and a client {:.3} s, {bytes} bytes", start.elapsed().as_secs_f64());
}

fn memory(host: &Host) {
    const COUNT: u64 = 50;
    let containers: Vec<_> =
        (0..COUNT).map(|number| host.run(&format!("rest{number}"), &["sleep", "1000"], &PLAIN)).collect();
    // a keeper gives its buffers back after a moment of silence
    host.block_on(async { tokio::time::sleep(Duration::from_secs(1)).await });
    let (mut keepers, mut inits) = (0, 0);
    for container in &containers {
        let init = container.init.started.pid;
        keepers += pss(&keeper_of(init));
        inits += pss(&init.to_string());
    }
    println!("memory of a keeper at rest     {} KiB (its `sleep`: {} KiB)", keepers / COUNT, inits / COUNT);
}

fn keeper_of(init: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{init}/status")).expect("it lives");
    status.lines().find_map(|line| line.strip_prefix("PPid:\t")).expect("a parent").to_owned()
}

/// Seconds of processor time, in user and kernel mode.
fn cpu(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    let fields: Vec<&str> = stat.rsplit_once(") ").expect("a name").1.split(' ').collect();
    let ticks = |field: usize| fields[field - 3].parse::<f64>().expect("a number");
    (ticks(14) + ticks(15)) / 100.0
}

fn pss(pid: &str) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it lives");
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).expect("a figure");
    line.trim().trim_end_matches(" kB").parse().expect("kilobytes")
}
