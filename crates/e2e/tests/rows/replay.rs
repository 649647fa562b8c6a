//! CTR-06: a client that attaches with `logs=1&stream=1` gets what was written and what is written, each byte once.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use wharf_testkit::{Cli, Host, eventually};

/// An attached client: its stream behind the head of the answer.
fn attach(host: &Host, query: &str) -> BufReader<UnixStream> {
    let mut stream = host.api().connect().expect("the daemon's socket");
    let head = format!(
        "POST /containers/c1/attach?{query} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        assert_ne!(reader.read_line(&mut line).expect("a head"), 0);
    }
    reader
}

/// What comes until `enough` says so: of both streams.
fn read(reader: &mut impl Read, enough: impl Fn(&[Vec<u8>; 2]) -> bool) -> [String; 2] {
    let mut streams = [Vec::new(), Vec::new()];
    while !enough(&streams) {
        let mut header = [0; 8];
        reader.read_exact(&mut header).expect("a frame");
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).expect("a whole frame");
        streams[usize::from(header[0]) - 1].extend(bytes);
    }
    streams.map(|bytes| String::from_utf8(bytes).expect("text"))
}

#[test]
fn r_ctr_06_attach_with_logs_loses_and_doubles_nothing() {
    let host = Host::boot();
    let script = "i=0; while :; do echo $i; i=$((i+1)); done";
    host.docker(&[
        "run",
        "-d",
        "--name",
        "c1",
        "--log-opt",
        "max-size=1m",
        "--log-opt",
        "max-file=100",
        "busybox",
        "sh",
        "-c",
        script,
    ])
    .ok();
    for round in 1..=10 {
        let mut reader = attach(&host, "logs=1&stream=1&stdout=1&stderr=1");
        let [out, _] = read(&mut reader, |[out, _]| out.len() > round * 300_000);
        for (want, line) in out.lines().take(out.lines().count() - 1).enumerate() {
            assert_eq!(line, want.to_string(), "round {round}");
        }
    }
}

#[test]
fn r_ctr_06_attach_with_logs_knows_lines_that_have_not_ended() {
    let host = Host::boot();
    let script = "echo whole; echo fault >&2; printf beg; printf wro >&2; read x; echo ${x}n; echo ng >&2; read x";
    host.docker(&["run", "-d", "-i", "--name", "c1", "busybox", "sh", "-c", script]).ok();
    eventually("the log has the whole line", || host.docker(&["logs", "c1"]).stdout.contains("whole").then_some(()));
    // from then on it sleeps for nothing but its input: all that it has written has reached its pipes
    let pid = host.docker(&["inspect", "-f", "{{.State.Pid}}", "c1"]).ok();
    eventually("it reads", || {
        host.run("cat", &[&format!("/proc/{pid}/status")]).stdout.contains("S (sleeping)").then_some(())
    });
    let mut first = attach(&host, "logs=1&stream=1&stdin=1&stdout=1&stderr=1");
    let mut second = attach(&host, "logs=1&stream=1&stderr=1");
    // both were attached before anything more is typed
    let both = |[out, err]: &[Vec<u8>; 2]| out == b"whole\nbeg" && err == b"fault\nwro";
    assert_eq!(read(&mut first, both), ["whole\nbeg", "fault\nwro"]);
    assert_eq!(read(&mut second, |[_, err]| err == b"fault\nwro"), ["", "fault\nwro"]);
    first.get_mut().write_all(b"i\n").expect("typed");
    assert_eq!(read(&mut first, |[out, err]| out == b"in\n" && err == b"ng\n"), ["in\n", "ng\n"]);
    assert_eq!(read(&mut second, |[_, err]| err == b"ng\n"), ["", "ng\n"]);
    for cli in [Cli::Docker, Cli::Wharf] {
        let logs = host.cli(cli, &["logs", "c1"]);
        assert_eq!((logs.stdout.as_str(), logs.stderr.as_str()), ("whole\nbegin\n", "fault\nwrong\n"));
    }
}
