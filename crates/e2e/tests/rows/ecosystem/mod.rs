//! OPS-04: programs of others that speak to Docker, unmodified: Debian's Compose (version 1) and the docker-py below it.

use wharf_testkit::{Host, Output, eventually};

/// A program of Debian's Python, aimed at the daemon.
fn run(host: &Host, program: &str, args: &[&str]) -> Output {
    let socket = format!("DOCKER_HOST=unix://{}", host.socket().display());
    host.run("env", &[&[socket.as_str(), program], args].concat())
}

#[test]
fn r_ops_04_compose_runs_a_project() {
    let host = Host::boot();
    let file = host.dir().join("compose.yaml");
    std::fs::write(&file, include_str!("compose.yaml")).expect("the project's file");
    let compose = |args: &[&str]| {
        let fixed = ["--ansi", "never", "-p", "shop", "-f", file.to_str().expect("a path in UTF-8")];
        run(&host, "/usr/bin/docker-compose", &[&fixed, args].concat())
    };
    compose(&["up", "-d"]).ok();
    let states = host.docker(&["ps", "--format", "{{.Names}} {{.Ports}}"]).ok();
    for name in ["shop_db_1", "shop_web_1 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp", "shop_worker_1", "shop_worker_2"] {
        assert!(states.lines().any(|line| line.trim() == name), "{name} in {states}");
    }
    // web began when db was healthy, and found it by its name
    let greeted = || compose(&["logs", "--no-color", "web"]).ok().contains("hello-db");
    eventually("web has heard from db", || greeted().then_some(()));
    let answer = || host.run("bash", &["-c", "cat <>/dev/tcp/127.0.0.1/8080"]).stdout;
    eventually("web answers", || (answer() == "hello-web\n").then_some(()));
    assert!(compose(&["exec", "-T", "worker", "ip", "addr"]).ok().contains("10.77.0."));
    assert_eq!(compose(&["port", "web", "80"]).ok(), "0.0.0.0:8080");
    assert!(compose(&["top"]).ok().contains("sleep 600"));
    assert!(compose(&["ps"]).ok().contains("Up (healthy)"));

    compose(&["up", "-d", "--scale", "worker=3"]).ok();
    assert_eq!(compose(&["ps", "-q", "worker"]).ok().lines().count(), 3);
    compose(&["restart", "-t", "0", "web"]).ok();
    assert!(compose(&["run", "--rm", "worker", "echo", "one-off"]).ok().contains("one-off"));
    compose(&["pause", "web"]).ok();
    assert_eq!(host.docker(&["inspect", "-f", "{{.State.Status}}", "shop_web_1"]).ok(), "paused");
    compose(&["unpause", "web"]).ok();
    compose(&["kill", "worker"]).ok();

    compose(&["down", "-v", "-t", "0"]).ok();
    for left in [&["ps", "-aq"][..], &["network", "ls", "-q", "-f", "type=custom"], &["volume", "ls", "-q"]] {
        assert_eq!(host.docker(left).ok(), "", "{left:?}");
    }
    host.assert_no_leaks();
}

#[test]
fn r_ops_04_docker_py_finds_what_it_knows() {
    let host = Host::boot();
    run(&host, "/usr/bin/python3", &["-c", include_str!("tour.py")]).ok();
    host.assert_no_leaks();
}
