//! Every step of an operation may fail or be the last thing the daemon did: afterwards nothing is left, or everything is there.

mod machine;

use machine::{Machine, id};
use wharf_net::{Attach, Config, Live, NetworkRequest, PortRequest, Protocol};

/// The fail points of a process are read once: each case is a process of its own, this executable again.
fn with_failpoint(test: &str, points: &str) -> std::process::Output {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env("WHARF_FAILPOINTS", points)
        .output()
        .unwrap()
}

fn child() -> Option<String> {
    std::env::var("WHARF_FAILPOINTS").ok()
}

fn published(machine: &Machine) -> Attach {
    let port = PortRequest { container_port: 80, protocol: Protocol::Tcp, host_ip: None, host_port: Some(8080..=8080) };
    Attach { ports: vec![port], ..machine.on("bridge") }
}

#[track_caller]
fn every_step(test: &str, points: &[&str], action: &str) {
    for point in points {
        let output = with_failpoint(test, &format!("{point}={action}"));
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{point}: {text}");
    }
}

#[test]
fn attach_undoes_itself() {
    if child().is_none() {
        every_step("attach_undoes_itself", &["net.attach.after_links", "net.attach.after_firewall"], "error");
        return;
    }
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    let before = machine.links().len();
    let netns = machine.run(|| networks.namespace().unwrap());
    let wish = published(&machine);
    machine.run(|| networks.attach(&id(1), &netns, &wish)).unwrap_err();
    assert!(networks.sandbox(&id(1)).is_none());
    assert_eq!(machine.elements("any4"), 0);
    machine.until("no interface stays", || machine.links().len() == before);
    machine.run(|| std::net::TcpListener::bind(("0.0.0.0", 8080))).expect("the port is free");
}

#[test]
fn create_undoes_itself() {
    if child().is_none() {
        every_step("create_undoes_itself", &["net.create.after_row", "net.create.after_link"], "error");
        return;
    }
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    let request = NetworkRequest { name: "mine".into(), ..NetworkRequest::default() };
    machine.run(|| networks.create(&request)).unwrap_err();
    assert!(networks.find("mine").is_err());
    assert_eq!(machine.elements("bridges"), 1);
    machine.until("no bridge stays", || !machine.links().iter().any(|l| l.name.starts_with("br-")));
    drop(networks);
    assert!(machine.open(Config::default()).find("mine").is_err());
}

#[test]
fn a_removal_that_stops_half_way_leaves_the_network() {
    let test = "a_removal_that_stops_half_way_leaves_the_network";
    if child().is_none() {
        every_step(test, &["net.remove.before_row"], "error");
        return;
    }
    let machine = Machine::new();
    let networks = machine.open(Config::default());
    let request = NetworkRequest { name: "mine".into(), ..NetworkRequest::default() };
    machine.run(|| networks.create(&request)).unwrap();
    machine.run(|| networks.remove("mine")).unwrap_err();
    drop(networks);
    let networks = machine.open(Config::default());
    assert!(networks.find("mine").is_ok());
    let one = machine.start(&networks, 1, &machine.on("mine"));
    machine.run(|| networks.reconcile(&[Live { container: id(1), netns: one.netns() }])).unwrap();
    one.serve(80);
    assert!(machine.ask((one.ip(), 80)).is_ok());
}
