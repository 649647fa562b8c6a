//! A launch that fails, or whose launcher or child is killed, at every step boundary leaves nothing behind (root needed).
//!
//! The test runs its own executable again with the fail point in the environment. That its output ends proves that every
//! process that held it has ended.
#![cfg(debug_assertions)]

mod world;

use std::process::Command;
use wharf_runtime::{LaunchFds, launch};
use world::{Outcome, World, describe, with_launcher};

const POINTS: [&str; 5] = [
    "runtime.launch.opened",
    "runtime.launch.cloned",
    "runtime.child.mounted",
    "runtime.child.pivoted",
    "runtime.launch.ready",
];

fn run_with(point: &str, action: &str) -> String {
    let output = Command::new(std::env::current_exe().expect("this executable"))
        .args(["--exact", "one_launch", "--nocapture"])
        .env("WHARF_FAILPOINTS", format!("{point}={action}"))
        .output()
        .expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn nothing_is_left_wherever_it_fails() {
    let before = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    for point in POINTS {
        for (action, expect) in [("error", "launch failed: 125|"), ("kill", "")] {
            let text = run_with(point, action);
            assert!(text.contains(expect), "{point}={action}: {text}");
            // the program has said nothing, unless only its launcher failed, which it does not wait for
            let ran = text.contains("the program ran");
            assert!(
                !ran || matches!(point, "runtime.launch.cloned" | "runtime.launch.ready"),
                "{point}={action}: {text}"
            );
        }
    }
    assert!(run_with("runtime.no.such.point", "kill").contains("the program ran"));
    assert_eq!(before, std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo"));
}

/// One launch whose fate the environment decides; without a fail point, a launch like any other.
#[test]
fn one_launch() {
    let world = World::new();
    let mut plan = world.plan(&world.document("echo the program ran"));
    plan.root = Some(world.overlay());
    let outcome = with_launcher(|| {
        let init = launch(&plan, LaunchFds::default()).map_err(|error| describe(&error))?;
        let status = wharf_sys::pidfd::wait(&init.pidfd).expect("our child").status();
        Ok(Outcome { status, output: String::new() })
    });
    match outcome {
        Ok(outcome) => assert_eq!(outcome.status, 0),
        Err(error) => {
            assert!(std::env::var_os("WHARF_FAILPOINTS").is_some(), "{error}");
            let said = rustix::io::write(rustix::stdio::stderr(), format!("launch failed: {error}\n").as_bytes());
            assert!(said.is_ok());
        }
    }
}
