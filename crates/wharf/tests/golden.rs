//! What the stock docker client printed and sent, recorded once, against what we print and send.
//!
//! The files in `data` were recorded from docker 28.2.2 (API 1.51 asked for) with a stub in place of the engine; one
//! misprint of that client (`SRun` for `Run`) is corrected in them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// A stub that accepts every request, remembers it, and gives the few answers that the cases need.
struct Stub {
    folder: tempfile::TempDir,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

impl Stub {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = UnixListener::bind(folder.path().join("sock")).expect("a socket in it");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sink = sink.clone();
                thread::spawn(move || serve(stream, &sink));
            }
        });
        // the name we are called by decides how we speak of ourselves
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_wharf"), folder.path().join("docker")).expect("a link");
        Self { folder, seen }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, args: &[String]) -> Output {
        self.seen.lock().expect("no panic while held").clear();
        Command::new(self.path("docker"))
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", "/nonexistent-home")
            .env("DOCKER_HOST", format!("unix://{}", self.path("sock").display()))
            .env("DOCKER_API_VERSION", "1.51")
            .current_dir("/tmp")
            .stdin(Stdio::null())
            .output()
            .expect("our program runs")
    }
}

fn serve(stream: UnixStream, sink: &Mutex<Vec<(String, String)>>) {
    let Ok(mut writer) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    let answers: Value = serde_json::from_str(include_str!("data/answers.json")).expect("the answers are JSON");
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap_or("").to_owned(), words.next().unwrap_or("").to_owned());
        let mut length = 0;
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header).unwrap_or(0) <= 2 {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let path = target.split('?').next().unwrap_or("").trim_start_matches("/v1.51");
        let answer = match path {
            "/containers/create" => format!(r#"{{"Id":"{ID}","Warnings":[]}}"#),
            path => match answers.get(format!("{method} {path}")) {
                Some(answer) => answer.to_string(),
                None => "{}".to_owned(),
            },
        };
        if path != "/_ping" {
            let body = String::from_utf8_lossy(&body).into_owned();
            sink.lock().expect("no panic while held").push((target.clone(), body));
        }
        let (status, answer) = match method.as_str() {
            "HEAD" => ("200 OK", String::new()),
            "POST" if path != "/containers/create" => ("204 No Content", String::new()),
            _ => ("200 OK", answer),
        };
        let length =
            if status.starts_with("204") { String::new() } else { format!("Content-Length: {}\r\n", answer.len()) };
        let head = format!(
            "HTTP/1.1 {status}\r\nApi-Version: 1.51\r\nOstype: linux\r\nDocker-Experimental: false\r\nSwarm: inactive\r\n{length}\r\n"
        );
        if writer.write_all((head + &answer).as_bytes()).is_err() {
            return;
        }
    }
}

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn cases(name: &str) -> Vec<Value> {
    data(name).lines().map(|line| serde_json::from_str(line).expect("a case is JSON")).collect()
}

fn args(case: &Value) -> Vec<String> {
    case["args"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn compare(failures: &mut Vec<String>, what: &str, expect: &str, got: &str) {
    if expect != got {
        failures.push(format!("{what}\n  docker: {expect:?}\n  wharf:  {got:?}"));
    }
}

fn finish(failures: &[String]) {
    assert!(failures.is_empty(), "{} differences\n{}", failures.len(), failures.join("\n"));
}

/// Commands that docker does not have, by the page that lists them.
const OURS: &[(&str, &str)] = &[("", "registry"), ("network", "rules")];

/// A page without the lines of our own commands.
fn without_ours(page: &str, text: &str) -> String {
    let ours = |line: &str| {
        let name = line.split_whitespace().next().unwrap_or_default();
        line.starts_with("  ") && OURS.contains(&(page, name))
    };
    text.split_inclusive('\n').filter(|line| !ours(line)).collect()
}

#[test]
fn every_help_page() {
    let stub = Stub::start();
    let mut failures = Vec::new();
    let text = data("help.txt");
    let mut pages = 0;
    for page in text.split("==> ").skip(1) {
        let (path, expect) = page.split_once('\n').expect("a page has a title");
        let mut words: Vec<String> = path.split_whitespace().map(str::to_owned).collect();
        words.push("--help".into());
        let output = stub.run(&words);
        let expect = expect.replace("/root/.docker", "/nonexistent-home/.docker");
        // longer defaults wrap elsewhere: the top page is compared without its line breaks
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let got = without_ours(path, &String::from_utf8_lossy(&output.stdout));
        if path.is_empty() {
            compare(&mut failures, "the top", &flat(&expect), &flat(&got));
        } else {
            compare(&mut failures, path, &expect, &got);
        }
        pages += 1;
    }
    assert!(pages > 150, "{pages} pages");
    finish(&failures);
}

#[test]
fn bodies_and_errors_of_create() {
    let stub = Stub::start();
    let mut failures = Vec::new();
    for case in cases("create.jsonl") {
        let line = case["args"].as_str().expect("a command line");
        let mut words = vec!["create".to_owned()];
        words.extend(shell_words(line));
        let output = stub.run(&words);
        let seen = stub.seen.lock().expect("no panic while held").clone();
        let sent = seen.iter().find(|(target, _)| target.contains("/containers/create"));
        compare(&mut failures, line, case["err"].as_str().unwrap_or(""), &String::from_utf8_lossy(&output.stderr));
        compare(&mut failures, line, &case["code"].to_string(), &output.status.code().unwrap_or(-1).to_string());
        compare(&mut failures, line, case["target"].as_str().unwrap_or(""), sent.map_or("", |(target, _)| target));
        compare(&mut failures, line, case["body"].as_str().unwrap_or(""), sent.map_or("", |(_, body)| body));
    }
    finish(&failures);
}

/// Words of a line with single and double quotes.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut any) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), c) => word.push(c),
            (None, '\'' | '"') => (quote, any) = (Some(c), true),
            (None, ' ') if any || !word.is_empty() => {
                words.push(std::mem::take(&mut word));
                any = false;
            }
            (None, ' ') => {}
            (None, c) => word.push(c),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

fn outputs(name: &str) {
    let stub = Stub::start();
    let mut failures = Vec::new();
    for case in cases(name) {
        let words = args(&case);
        let output = stub.run(&words);
        let what = format!("{words:?}");
        compare(&mut failures, &what, case["out"].as_str().unwrap_or(""), &String::from_utf8_lossy(&output.stdout));
        compare(&mut failures, &what, case["err"].as_str().unwrap_or(""), &String::from_utf8_lossy(&output.stderr));
        compare(&mut failures, &what, &case["code"].to_string(), &output.status.code().unwrap_or(-1).to_string());
    }
    finish(&failures);
}

#[test]
fn usage_errors() {
    outputs("errors.jsonl");
}

#[test]
fn templates() {
    outputs("templates.jsonl");
}

#[test]
fn lists_and_templates_of_lists() {
    outputs("lists.jsonl");
}

#[test]
fn an_engine_that_is_not_there() {
    let stub = Stub::start();
    let output = stub.run(&["-H".into(), "unix:///nonexistent.sock".into(), "run".into(), "x".into()]);
    assert_eq!(output.status.code(), Some(125));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let expect = "docker: Cannot connect to the Docker daemon at unix:///nonexistent.sock. Is the docker daemon running?\n\nRun 'docker run --help' for more information\n";
    assert_eq!(text, expect);
}
