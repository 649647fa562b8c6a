//! Keepers with real containers: what they print, what they are told, how they end.

mod host;

use host::{Client, Host, INTERACTIVE, Options, PLAIN, TERMINAL};
use wharf_shim::client::{Error, Keeper};
use wharf_shim::protocol::{AttachEnd, Failure, Target, Wire};

/// The executable that templates are made of.
fn exe() -> std::path::PathBuf {
    env!("CARGO_BIN_EXE_wharf-shim").into()
}

#[test]
fn output_goes_to_the_log_and_to_the_client() {
    let host = Host::new();
    let (mut client, attach, socket) = Client::new(1, Target::Init, Wire::Stdcopy);
    let script = "echo out; echo err >&2; printf unfinished; exit 3";
    let mut container =
        host.try_run("c1", &["sh", "-c", script], &PLAIN, vec![(attach, socket)]).expect("the container starts");
    assert_eq!(client.read_all(), ("out\nunfinished".into(), "err\n".into()));
    let exit = container.exit();
    assert_eq!((exit.code, exit.signal), (3, None));
    assert_eq!(container.attach_end(1), AttachEnd::Finished);
    // two pipes have no order between them; each has its own
    let logged = host.logged("c1");
    assert!(
        ["out\nerr\nunfinished", "err\nout\nunfinished", "out\nunfinishederr\n"].contains(&&logged[..]),
        "{logged}"
    );
    assert_eq!(host.exit_record("c1").map(|record| record.exit), Some(exit));
    // the keeper has gone
    assert!(host.block_on(container.events.next()).is_none());
    assert!(!host.run_dir("c1").join("shim.sock").exists());
}

#[test]
fn a_driver_that_keeps_nothing() {
    let host = Host::new();
    let mut container = host.run("c1", &["sh", "-c", "echo lost"], &Options { log: false, ..PLAIN });
    assert_eq!(container.exit().code, 0);
    assert_eq!(host.logged("c1"), "");
}

#[test]
fn input_ends_with_the_first_client() {
    let host = Host::new();
    let (mut client, mut attach, socket) = Client::new(1, Target::Init, Wire::Stdcopy);
    attach.input = b"already read, ".to_vec();
    let mut container =
        host.try_run("c1", &["cat"], &INTERACTIVE, vec![(attach, socket)]).expect("the container starts");
    client.type_in("and typed\n");
    client.end_input();
    assert_eq!(client.read_all().0, "already read, and typed\n");
    assert_eq!(container.exit().code, 0);
}

#[test]
fn input_that_stays_open_outlives_its_clients() {
    let host = Host::new();
    let mut container = host.run("c1", &["cat"], &Options { stdin_once: false, ..INTERACTIVE });
    let mut first = container.attach(1, Wire::Stdcopy);
    first.type_in("one\n");
    first.end_input();
    assert_eq!(container.attach_end(1), AttachEnd::ClientClosed);
    let mut second = container.attach(2, Wire::Stdcopy);
    second.type_in("two\n");
    second.read_until("two\n");
    host.block_on(container.keeper.close_stdin(Target::Init)).expect("it closes");
    assert_eq!(second.read_all().0, "");
    assert_eq!(container.exit().code, 0);
    assert_eq!(host.logged("c1"), "one\ntwo\n");
}

#[test]
fn several_clients_see_the_same() {
    let host = Host::new();
    let mut container = host.run("c1", &["sh", "-c", "read x; seq 1 2000; echo \"$x\" >&2"], &INTERACTIVE);
    let mut clients: Vec<_> = (1..=4).map(|id| container.attach(id, Wire::Stdcopy)).collect();
    clients[2].type_in("go\n");
    let expect: String = (1..=2000).map(|number| format!("{number}\n")).collect();
    for client in &mut clients {
        assert_eq!(client.read_all(), (expect.clone(), "go\n".into()));
    }
    assert_eq!(container.exit().code, 0);
}

#[test]
fn a_client_that_goes_away_disturbs_nobody() {
    let host = Host::new();
    let mut container = host.run("c1", &["sh", "-c", "read x; seq 1 20000"], &INTERACTIVE);
    drop(container.attach(1, Wire::Stdcopy));
    // its input was the container's own: it ended with the client, and the container goes on
    assert_eq!(container.attach_end(1), AttachEnd::ClientClosed);
    assert_eq!(container.exit().code, 0);
    assert!(host.logged("c1").ends_with("\n20000\n"));
}

#[test]
fn a_container_waits_for_a_client_that_does_not_read() {
    let host = Host::new();
    let (mut client, attach, socket) = Client::new(1, Target::Init, Wire::Stdcopy);
    let script = "yes 0123456789abcdef | head -c 8000000; echo >&2 done";
    let mut container =
        host.try_run("c1", &["sh", "-c", script], &PLAIN, vec![(attach, socket)]).expect("the container starts");
    // answered in order by one thread: after some rounds the keeper has stopped reading, whatever was in its way
    for _ in 0..200 {
        let (snapshot, _) = host.block_on(container.keeper.snapshot()).expect("a snapshot");
        assert_eq!(snapshot.exit, None, "8 MB do not fit into any buffer");
    }
    let (out, err) = client.read_all();
    assert_eq!((out.len(), err.as_str()), (8_000_000, "done\n"));
    assert_eq!(container.exit().code, 0);
    assert_eq!(host.logged("c1").len(), 8_000_005);
}

#[test]
fn a_client_that_does_not_read_is_cut_off_when_others_wait() {
    let host = Host::new();
    let mut container = host.run("c1", &["sh", "-c", "read x; yes 0123456789abcdef | head -c 8000000"], &INTERACTIVE);
    let idle = container.attach(1, Wire::Stdcopy);
    let mut reading = container.attach(2, Wire::Stdcopy);
    reading.type_in("go\n");
    // it gets everything, although the other one holds it up for a while
    assert_eq!(reading.read_all().0.len(), 8_000_000);
    assert_eq!(container.attach_end(1), AttachEnd::TooSlow);
    assert_eq!(container.attach_end(2), AttachEnd::Finished);
    assert_eq!(container.exit().code, 0);
    drop(idle);
}

#[test]
fn a_terminal_and_its_size() {
    let host = Host::new();
    let mut container = host.run("c1", &["sh", "-c", "read x; stty size; id -u"], &TERMINAL);
    let mut client = container.attach(1, Wire::Raw);
    host.block_on(container.keeper.resize(Target::Init, 100, 40)).expect("it has a terminal");
    client.type_in("go\r");
    assert_eq!(client.read_all().0, "go\r\n40 100\r\n0\r\n");
    assert_eq!(container.exit().code, 0);
    assert_eq!(host.logged("c1"), "go\r\n40 100\r\n0\r\n");
}

#[test]
fn pipes_have_no_size() {
    let host = Host::new();
    let container = host.run("c1", &["sleep", "1000"], &PLAIN);
    let refused = host.block_on(container.keeper.resize(Target::Init, 1, 1));
    assert!(matches!(refused, Err(Error::Refused(Failure::NoTarget(_)))), "{refused:?}");
}

#[test]
fn detach_keys_leave_the_container_running() {
    let host = Host::new();
    let mut container = host.run("c1", &["sh", "-c", "read x; echo \"got $x\"; read y; echo \"and $y\""], &TERMINAL);
    let mut first = container.attach(1, Wire::Raw);
    first.type_in("abc\r");
    first.read_until("got abc");
    first.type_in("\x10\x11");
    first.read_all();
    assert_eq!(container.attach_end(1), AttachEnd::Detached);

    let (mut second, mut attach, socket) = Client::new(2, Target::Init, Wire::Raw);
    attach.detach_keys = b"x!".to_vec();
    host.block_on(container.keeper.attach(&attach, socket)).expect("it attaches");
    second.type_in("de");
    second.read_until("de");
    second.type_in("x!");
    second.read_all();
    assert_eq!(container.attach_end(2), AttachEnd::Detached);

    let mut third = container.attach(3, Wire::Raw);
    third.type_in("f\r");
    assert!(third.read_all().0.ends_with("and def\r\n"));
    assert_eq!(container.exit().code, 0);
}

#[test]
fn an_exec_has_its_own_streams_and_code() {
    let host = Host::new();
    let mut container = host.run("c1", &["sleep", "1000"], &PLAIN);
    let (mut client, attach, socket) = Client::new(7, Target::Exec("e1".into()), Wire::Stdcopy);
    let process = container.exec("e1", &["sh", "-c", "cat; echo err >&2; exit 7"], false, Some((attach, socket)));
    assert!(process.expect("it starts").started.pid > 0);
    client.type_in("typed\n");
    client.end_input();
    assert_eq!(client.read_all(), ("typed\n".into(), "err\n".into()));
    assert_eq!(container.exec_exit("e1").code, 7);
    assert_eq!(container.attach_end(7), AttachEnd::Finished);
    // an exec's output is not the container's
    assert_eq!(host.logged("c1"), "");

    container.exec("e2", &["sh", "-c", "kill -TERM $$"], false, None).expect("it starts");
    let exit = container.exec_exit("e2");
    assert_eq!((exit.code, exit.signal), (143, Some(15)));

    let (mut client, attach, socket) = Client::new(8, Target::Exec("e3".into()), Wire::Raw);
    container.exec("e3", &["sh", "-c", "read x; stty size"], true, Some((attach, socket))).expect("it starts");
    host.block_on(container.keeper.resize(Target::Exec("e3".into()), 33, 11)).expect("it has a terminal");
    client.type_in("\r");
    assert!(client.read_all().0.ends_with("11 33\r\n"));

    let missing = container.exec("e4", &["/no/such"], false, None);
    assert!(matches!(missing, Err(Error::Refused(Failure::NotFound(_)))), "{missing:?}");
    let folder = container.exec("e5", &["/bin"], false, None);
    assert!(matches!(folder, Err(Error::Refused(Failure::NotExecutable(_)))), "{folder:?}");

    container.exec("e6", &["sleep", "1000"], false, None).expect("it starts");
    let (snapshot, _) = host.block_on(container.keeper.snapshot()).expect("a snapshot");
    let running: Vec<_> = snapshot.execs.iter().filter(|exec| exec.exit.is_none()).map(|exec| &exec.id[..]).collect();
    let ended: Vec<_> = snapshot.execs.iter().filter_map(|exec| Some((&exec.id[..], exec.exit?.code))).collect();
    assert_eq!((running, ended), (vec!["e6"], vec![("e1", 7), ("e2", 143), ("e3", 0)]));
    container.kill();
    assert_eq!(container.exec_exit("e6").code, 137);
    let exit = container.exit();
    assert_eq!((exit.code, exit.signal), (137, Some(9)));
}

#[test]
fn an_exec_does_not_wait_long_for_what_it_left_behind() {
    let host = Host::new();
    let mut container = host.run("c1", &["sleep", "1000"], &PLAIN);
    let (mut client, attach, socket) = Client::new(7, Target::Exec("e1".into()), Wire::Stdcopy);
    container.exec("e1", &["sh", "-c", "sleep 1000 & echo started"], false, Some((attach, socket))).expect("it starts");
    assert_eq!(client.read_all().0, "started\n");
    assert_eq!(container.exec_exit("e1").code, 0);
}

#[test]
fn what_an_exec_left_behind_may_print_for_ever() {
    let host = Host::new();
    let mut container = host.run("c1", &["sleep", "1000"], &PLAIN);
    container.exec("e1", &["sh", "-c", "yes & exit 4"], false, None).expect("it starts");
    assert_eq!(container.exec_exit("e1").code, 4);
    container.kill();
    assert_eq!(container.exit().code, 137);
}

#[test]
fn a_terminal_without_input() {
    let host = Host::new();
    let options = Options { open_stdin: false, ..TERMINAL };
    let (mut client, attach, socket) = Client::new(1, Target::Init, Wire::Raw);
    let script = "echo shown";
    client.type_in("not shown\r\x10\x11");
    client.end_input();
    let mut container =
        host.try_run("c1", &["sh", "-c", script], &options, vec![(attach, socket)]).expect("the container starts");
    assert_eq!(client.read_all().0, "shown\r\n");
    assert_eq!(container.exit().code, 0);
}

#[test]
fn a_template_that_was_killed_is_replaced() {
    let host = Host::new();
    let mut first = host.run("c1", &["sh", "-c", "read x; exit 1"], &INTERACTIVE);
    let status = std::fs::read_to_string(format!("/proc/{}/status", first.init.started.pid)).expect("it lives");
    let keeper: i32 = parent(&status);
    let status = std::fs::read_to_string(format!("/proc/{keeper}/status")).expect("it lives");
    let template = rustix::process::Pid::from_raw(parent(&status)).expect("a process");
    rustix::process::kill_process(template, rustix::process::Signal::KILL).expect("it is ours");
    assert_eq!(host.run("c2", &["true"], &PLAIN).exit().code, 0);
    host.block_on(first.keeper.close_stdin(Target::Init)).expect("its keeper lives");
    assert_eq!(first.exit().code, 1);
}

fn parent(status: &str) -> i32 {
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:\t")).expect("a parent");
    line.parse().expect("a number")
}

#[test]
fn a_daemon_that_comes_back_finds_everything() {
    let host = Host::new();
    let container = host.run("c1", &["sh", "-c", "sleep 1000"], &PLAIN);
    container.exec("e1", &["sleep", "1000"], false, None).expect("it starts");
    let init = container.init.started;
    let (again, mut events) = host.block_on(Keeper::connect(&host.run_dir("c1"))).expect("the keeper listens");
    let (snapshot, pidfd) = host.block_on(again.snapshot()).expect("a snapshot");
    assert_eq!((snapshot.id.as_str(), snapshot.init, snapshot.exit), ("c1", init, None));
    assert_eq!(snapshot.execs.iter().map(|exec| &exec.id[..]).collect::<Vec<_>>(), ["e1"]);
    wharf_sys::pidfd::kill(pidfd.expect("it lives"), 9).expect("it lives");
    while host.block_on(events.next()).is_some() {}
    assert_eq!(host.exit_record("c1").map(|record| record.exit.code), Some(137));
    assert!(matches!(host.block_on(Keeper::connect(&host.run_dir("c1"))), Err(Error::Closed)));
}

#[test]
fn an_end_without_any_daemon_is_recorded() {
    let host = Host::new();
    let mut container = host.run("c1", &["sh", "-c", "read x; echo last words; exit 9"], &INTERACTIVE);
    let mut client = container.attach(1, Wire::Stdcopy);
    let (nobody, no_events) = host.block_on(Keeper::connect(&host.run_dir("c1"))).expect("the keeper listens");
    container.keeper = nobody;
    container.events = no_events;
    let (other, mut events) = host.block_on(Keeper::connect(&host.run_dir("c1"))).expect("the keeper listens");
    drop(other);
    assert!(host.block_on(events.next()).is_none());
    client.type_in("go\n");
    // the attached client lives on without the daemon that brought it
    assert_eq!(client.read_all().0, "last words\n");
    while host.block_on(container.events.next()).is_some() {}
    assert_eq!(host.exit_record("c1").map(|record| record.exit.code), Some(9));
    assert_eq!(host.logged("c1"), "last words\n");
}

#[test]
fn a_launch_that_fails_leaves_nothing() {
    let host = Host::new();
    let (mut client, attach, socket) = Client::new(1, Target::Init, Wire::Stdcopy);
    let failed = host.try_run("c1", &["/no/such"], &PLAIN, vec![(attach, socket)]);
    assert!(matches!(failed.map(drop), Err(Error::Refused(Failure::NotFound(_)))));
    assert_eq!(client.read_all(), (String::new(), String::new()));
    assert!(!host.run_dir("c1").join("shim.sock").exists());
    assert_eq!(host.exit_record("c1"), None);
    // the same name works at once
    let mut container = host.run("c1", &["true"], &PLAIN);
    assert_eq!(container.exit().code, 0);
}

#[test]
fn a_second_run_continues_the_log_and_has_its_own_record() {
    let host = Host::new();
    assert_eq!(host.run("c1", &["sh", "-c", "echo one; exit 1"], &PLAIN).exit().code, 1);
    let mut container = host.run("c1", &["sh", "-c", "read x; echo two; exit 2"], &INTERACTIVE);
    assert_eq!(host.exit_record("c1"), None);
    host.block_on(container.keeper.close_stdin(Target::Init)).expect("it closes");
    assert_eq!(container.exit().code, 2);
    assert_eq!(host.exit_record("c1").map(|record| record.exit.code), Some(2));
    assert_eq!(host.logged("c1"), "one\ntwo\n");
}

#[test]
fn a_container_without_a_pid_namespace_leaves_nothing_running() {
    let host = Host::new();
    let options = Options { pid_namespace: false, ..PLAIN };
    let mut container = host.run("c1", &["sh", "-c", "(sleep 1000 & sleep 1000 &) ; echo done"], &options);
    assert_eq!(container.exit().code, 0);
    assert_eq!(host.logged("c1"), "done\n");
    assert!(host.block_on(container.events.next()).is_none(), "the keeper ends, so its children have");
}

#[test]
fn many_containers_at_once() {
    let host = Host::new();
    let mut containers: Vec<_> = (0..20)
        .map(|number| host.run(&format!("c{number}"), &["sh", "-c", &format!("exit {number}")], &PLAIN))
        .collect();
    for (number, container) in containers.iter_mut().enumerate() {
        assert_eq!(container.exit().code, number as i32);
    }
}

#[test]
fn keepers_are_named_and_protected() {
    let host = Host::new();
    let container = host.run("c1", &["sleep", "1000"], &PLAIN);
    let init = container.init.started.pid;
    let status = std::fs::read_to_string(format!("/proc/{init}/status")).expect("it lives");
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t")).expect("a parent");
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{parent}/{name}")).expect("the keeper lives");
    assert_eq!(read("comm"), "wharf-shim\n");
    let ours = std::fs::read_to_string("/proc/self/oom_score_adj").expect("ours");
    // without CAP_SYS_RESOURCE nobody's score can be lowered
    assert!(["-998\n", &ours].contains(&&read("oom_score_adj")[..]));
    let own = |name: &str| std::fs::read_to_string(format!("/proc/{init}/{name}")).expect("it lives");
    assert_eq!(own("oom_score_adj"), ours);
    // nothing of the keeper's signal state is the container's
    for line in own("status").lines().filter(|line| line.starts_with("SigBlk") || line.starts_with("SigIgn")) {
        assert!(line.ends_with("\t0000000000000000"), "{line}");
    }
}

#[test]
fn rubbish_on_the_socket_costs_only_its_sender() {
    let host = Host::new();
    let mut container = host.run("c1", &["sh", "-c", "read x; exit 5"], &INTERACTIVE);
    for packet in
        [&b"x"[..], &[1, 2, 3, 0], &[9, 9, 9, 9], &[1, 0x82, 1, 0], &[1, 99, 1, 0], &[1, 1, 1, 0, 0xff], &[7; 60_000]]
    {
        let socket = rustix::net::socket_with(
            rustix::net::AddressFamily::UNIX,
            rustix::net::SocketType::SEQPACKET,
            rustix::net::SocketFlags::CLOEXEC,
            None,
        )
        .expect("a socket");
        let path = host.run_dir("c1").join("shim.sock");
        let address = rustix::net::SocketAddrUnix::new(&path).expect("an address");
        rustix::net::connect(&socket, &address).expect("the keeper listens");
        rustix::net::send(&socket, packet, rustix::net::SendFlags::NOSIGNAL).expect("it is sent");
        rustix::net::shutdown(&socket, rustix::net::Shutdown::Write).expect("it shuts");
        // an answer or none, then the end of the connection
        let mut answer = [0; 1024];
        while rustix::net::recv(&socket, &mut answer, rustix::net::RecvFlags::empty()).is_ok_and(|(_, count)| count > 0)
        {
        }
    }
    let (snapshot, _) = host.block_on(container.keeper.snapshot()).expect("a snapshot");
    assert_eq!(snapshot.exit, None);
    host.block_on(container.keeper.close_stdin(Target::Init)).expect("it closes");
    assert_eq!(container.exit().code, 5);
}
