//! `run`, `create`, `start`, `attach` and `exec`: processes with our streams.

use std::fs::OpenOptions;
use std::io::Write as _;

use serde_json::{Map, Value, json};
use wharf_spec::reference::AnyReference;

use super::container::path;
use super::{Call, id_of};
use crate::engine::{self, Body, Client, Query};
use crate::exit::{Exit, Outcome};
use crate::options::create::{Surroundings, body};
use crate::streams::{self, End, Signals, Target, Wiring};
use crate::{json, output, terminal};

/// What docker uses when nobody says otherwise.
const DETACH_KEYS: &str = "ctrl-p,ctrl-q";

/// An error of `run`: docker's prefix, the hint, and the code by the kind of failure.
fn run_error(call: &Call<'_>, exit: Exit) -> Exit {
    let text = &exit.message;
    let code = match text {
        text if ["executable file not found", "no such file or directory", "system cannot find the file specified"]
            .iter()
            .any(|part| text.contains(part)) =>
        {
            127
        }
        text if ["permission denied", "is a directory"].iter().any(|part| text.contains(part)) => 126,
        _ => 125,
    };
    help_error(call, code, text)
}

fn help_error(call: &Call<'_>, code: u8, text: &str) -> Exit {
    let program = &call.session.program;
    let name = call.path.rsplit(' ').next().unwrap_or_default();
    Exit::with(code, format!("{program}: {text}\n\nRun '{program} {name} --help' for more information"))
}

/// The body of the request from the flags.
fn prepare(call: &Call<'_>) -> Result<Value, Exit> {
    let flags = &call.flags;
    let pull = flags.text("pull").unwrap_or("missing");
    if !matches!(pull, "always" | "missing" | "never") {
        let text = format!("invalid pull option: '{pull}': must be one of \"always\", \"missing\" or \"never\"");
        return Err(help_error(call, 125, &text));
    }
    let around = Surroundings { proxies: proxies(call), console: terminal::size() };
    body(flags, &call.args, &around).map_err(|why| help_error(call, 125, &why))
}

/// `proxies` of the configuration as variables, for the engine in use or for all.
fn proxies(call: &Call<'_>) -> Vec<(String, String)> {
    let Some(all) = call.session.config().object("proxies") else { return Vec::new() };
    let host = call.session.named_host().ok().flatten().unwrap_or_default();
    let Some(proxies) = all.get(&host).or_else(|| all.get("default")) else { return Vec::new() };
    let mut out = Vec::new();
    for (key, name) in [
        ("httpProxy", "HTTP_PROXY"),
        ("httpsProxy", "HTTPS_PROXY"),
        ("noProxy", "NO_PROXY"),
        ("ftpProxy", "FTP_PROXY"),
        ("allProxy", "ALL_PROXY"),
    ] {
        let value = json::text(proxies, key);
        if !value.is_empty() {
            out.push((name.to_owned(), value.to_owned()));
            out.push((name.to_lowercase(), value.to_owned()));
        }
    }
    out
}

/// The file that gets the container's ID.
struct IdFile(Option<(String, std::fs::File)>);

impl IdFile {
    fn create(path: Option<&str>) -> Result<Self, Exit> {
        let Some(path) = path else { return Ok(Self(None)) };
        if std::path::Path::new(path).exists() {
            return Err(Exit::error(format!(
                "container ID file found, make sure the other container isn't running or delete {path}"
            )));
        }
        match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(file) => Ok(Self(Some((path.to_owned(), file)))),
            Err(error) => Err(Exit::error(format!(
                "failed to create the container ID file: {}",
                crate::go::path_error("open", path, &error)
            ))),
        }
    }

    fn write(mut self, id: &str) -> Outcome {
        if let Some((path, mut file)) = self.0.take() {
            file.write_all(id.as_bytes()).map_err(|error| {
                Exit::error(format!(
                    "failed to write the container ID ({id}) to file: {}",
                    crate::go::path_error("write", path, &error)
                ))
            })?;
        }
        Ok(())
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        // no container, no file
        if let Some((path, _)) = self.0.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Creates the container, pulling its image if need be.
fn create_container(call: &Call<'_>, body: &Value) -> Result<String, Exit> {
    let flags = &call.flags;
    let id_file = IdFile::create(flags.filled("cidfile"))?;
    let image = json::text(body, "Image");
    let named = match AnyReference::parse(image).map_err(|error| Exit::error(error.to_string()))? {
        AnyReference::Id(_) => None,
        AnyReference::Named(name) => Some(name.with_default_tag().familiar()),
    };
    let host = &body["HostConfig"];
    for server in json::strings(host, "Dns").into_iter().filter(|server| server.starts_with("127.")) {
        output::err(&format!("WARNING: Localhost DNS setting (--dns={server}) may fail in containers.\n"));
    }
    let client = call.client()?;
    let platform = flags.filled("platform");
    let fetch = || {
        let Some(named) = &named else { return Ok(()) };
        super::registry::fetch(call, named, platform, flags.on("quiet"), true)
    };
    if flags.text("pull") == Some("always") {
        fetch()?;
    }
    let query = Query::new().when(flags.filled("name").is_some(), "name", flags.text("name").unwrap_or_default());
    let query = query.when(platform.is_some(), "platform", platform.unwrap_or_default());
    let mounts = body["HostConfig"]["Mounts"].as_array();
    if mounts.is_some_and(|all| all.iter().any(|mount| mount["BindOptions"].get("IdMap").is_some())) {
        super::volume::ours(call, "--mount with uid or gid")?;
    }
    let send = || client.post("/containers/create", &query, Some(body));
    let answer = match send() {
        Err(error)
            if missing_image(&error) && named.is_some() && flags.text("pull").unwrap_or("missing") == "missing" =>
        {
            if !flags.on("quiet") {
                output::err(&format!("Unable to find image '{}' locally\n", named.as_deref().unwrap_or_default()));
            }
            fetch()?;
            send()
        }
        other => other,
    }?;
    for warning in json::strings(&answer, "Warnings") {
        output::err(&format!("WARNING: {warning}\n"));
    }
    let id = id_of(&answer);
    id_file.write(&id)?;
    Ok(id)
}

fn missing_image(error: &engine::Error) -> bool {
    matches!(error, engine::Error::Response { status: 404, message } if message.starts_with("No such image") || message.contains("not found") && message.contains("image"))
}

/// `create`
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let body = prepare(call)?;
    let id = create_container(call, &body)?;
    output::line(&id);
    Ok(())
}

fn keys(call: &Call<'_>) -> Result<(String, Vec<u8>), Exit> {
    let text = match call.flags.filled("detach-keys").or_else(|| call.session.config().text("detachKeys")) {
        Some(text) => text.to_owned(),
        None => return Ok((String::new(), streams::parse_keys(DETACH_KEYS)?)),
    };
    let parsed = streams::parse_keys(&text)?;
    Ok((text, parsed))
}

/// Terminals are wanted where there are none.
fn check_terminal(attach_stdin: bool, tty: bool) -> Outcome {
    if attach_stdin && tty && !terminal::input_is_terminal() {
        return Err(Exit::error("the input device is not a TTY"));
    }
    Ok(())
}

/// `run`
pub(crate) fn run(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let mut body = prepare(call)?;
    let detached = flags.on("detach");
    if detached && flags.given("attach") {
        return Err(Exit::error("conflicting options: cannot specify both --attach and --detach"));
    }
    if detached {
        for key in ["AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"] {
            body[key] = Value::Bool(false);
        }
    } else {
        check_terminal(json::truth(&body, "AttachStdin"), json::truth(&body, "Tty"))?;
    }
    run_prepared(call, &body, detached)
}

fn run_prepared(call: &Call<'_>, body: &Value, detached: bool) -> Outcome {
    let flags = &call.flags;
    let tty = json::truth(body, "Tty");
    let (keys_text, detach) = keys(call)?;
    let id = create_container(call, body).map_err(|exit| run_error(call, exit))?;
    // not before: a pull must end with ctrl-c
    let signals = Signals::catch(!detached && flags.bool_or("sig-proxy", true), !detached && tty);
    let client = call.client()?;
    let want = |key: &str| json::truth(body, key);
    let (stdin, stdout, stderr) = (want("AttachStdin"), want("AttachStdout"), want("AttachStderr"));
    let attached = stdin || stdout || stderr;
    let removes = flags.on("rm");
    let mut waiting = None;
    if attached || removes && !detached {
        waiting = Some(wait_ahead(client, &id, if removes { "removed" } else { "next-exit" })?);
    }
    let mut stream = None;
    if attached {
        stream = Some(attach_stream(client, &id, &keys_text, [stdin, stdout, stderr], false)?);
    }
    client.connect_ahead();
    let waiting = waiting.map(|ahead| client.answer(ahead)).transpose()?.map(|(_, body)| body);
    if let Err(error) = client.post(&path(&id, "start"), &Query::new(), None) {
        if let Some(hijacked) = &stream {
            hijacked.stream.close();
        }
        if removes && let Some(waiting) = waiting {
            let _ = wait_end(waiting);
        }
        return Err(run_error(call, error.into()));
    }
    let target = Target::Container(id.clone());
    if attached && tty && output::is_terminal() {
        streams::resize(client, &target);
    }
    signals.forward(client, target);
    let Some(stream) = stream else {
        output::line(&id);
        return Ok(());
    };
    if streams::run(stream, &Wiring { tty, stdin, detach }) == End::Detached {
        return Ok(());
    }
    match waiting.map(wait_end) {
        Some(Ok(0)) | None => Ok(()),
        Some(Ok(code)) => Err(Exit::code(code as u8)),
        Some(Err(exit)) => Err(exit),
    }
}

fn attach_stream(
    client: &Client,
    id: &str,
    keys: &str,
    [stdin, stdout, stderr]: [bool; 3],
    logs: bool,
) -> Result<engine::Hijacked, Exit> {
    let query = Query::new()
        .with("stream", "1")
        .when(stdin, "stdin", "1")
        .when(stdout, "stdout", "1")
        .when(stderr, "stderr", "1")
        .when(logs, "logs", "1")
        .when(!keys.is_empty(), "detachKeys", keys);
    Ok(client.hijack(&path(id, "attach"), &query, None)?)
}

/// Asks to wait; the engine's answer that it does is read later.
fn wait_ahead(client: &Client, id: &str, condition: &str) -> Result<engine::Ahead, Exit> {
    Ok(client.post_ahead(&path(id, "wait"), &Query::new().with("condition", condition))?)
}

/// Begins to wait: the engine has answered that it does, the body comes at the end.
fn wait_begin(client: &Client, id: &str, condition: &str) -> Result<Body, Exit> {
    let query = Query::new().with("condition", condition);
    Ok(client.post_stream(&path(id, "wait"), &query, &[], None)?.1)
}

fn wait_end(body: Body) -> Result<i64, Exit> {
    let (bytes, _) = body.collect().map_err(|_| Exit::code(125))?;
    let answer: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    if let Some(error) = answer.get("Error").filter(|error| !error.is_null()) {
        output::err(&format!("Error waiting for container: {}\n", json::text(error, "Message")));
        return Ok(125);
    }
    Ok(json::int(&answer, "StatusCode"))
}

/// `start`
pub(crate) fn start(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    if !(flags.on("attach") || flags.on("interactive")) {
        let client = call.client()?;
        let query = Query::new()
            .when(flags.filled("checkpoint").is_some(), "checkpoint", flags.text("checkpoint").unwrap_or_default())
            .when(
                flags.filled("checkpoint-dir").is_some(),
                "checkpoint-dir",
                flags.text("checkpoint-dir").unwrap_or_default(),
            );
        let mut failed = Vec::new();
        for name in &call.args {
            match client.post(&path(name, "start"), &query, None) {
                Ok(_) => output::line(name),
                Err(error) => {
                    output::err(&format!("{error}\n"));
                    failed.push(name.as_str());
                }
            }
        }
        if failed.is_empty() {
            return Ok(());
        }
        return Err(Exit::error(format!("Error: failed to start containers: {}", failed.join(", "))));
    }
    if call.args.len() > 1 {
        return Err(Exit::error("you cannot start and attach multiple containers at once"));
    }
    let name = &call.args[0];
    let (keys_text, detach) = keys(call)?;
    let client = call.client()?;
    let document = client.get(&path(name, "json"), &Query::new())?;
    let id = json::text(&document, "Id").to_owned();
    let config = &document["Config"];
    let tty = json::truth(config, "Tty");
    let signals = Signals::catch(!tty, tty);
    let stdin = flags.on("interactive") && json::truth(config, "OpenStdin");
    let stream = attach_stream(client, &id, &keys_text, [stdin, true, true], false)?;
    let removes = json::truth(&document["HostConfig"], "AutoRemove");
    let waiting = wait_begin(client, &id, if removes { "removed" } else { "next-exit" })?;
    if let Err(error) = client.post(&path(&id, "start"), &Query::new(), None) {
        stream.stream.close();
        return Err(error.into());
    }
    let target = Target::Container(id);
    if tty && output::is_terminal() {
        streams::resize(client, &target);
    }
    signals.forward(client, target);
    if streams::run(stream, &Wiring { tty, stdin, detach }) == End::Detached {
        return Ok(());
    }
    match wait_end(waiting)? {
        0 => Ok(()),
        code => Err(Exit::code(code as u8)),
    }
}

/// `attach`
pub(crate) fn attach(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let client = call.client()?;
    let document = client.get(&path(&call.args[0], "json"), &Query::new())?;
    let state = &document["State"];
    if !json::truth(state, "Running") {
        return Err(Exit::error("You cannot attach to a stopped container, start it first"));
    }
    if json::truth(state, "Paused") {
        return Err(Exit::error("You cannot attach to a paused container, unpause it first"));
    }
    if json::truth(state, "Restarting") {
        return Err(Exit::error("You cannot attach to a restarting container, wait until it is running"));
    }
    let config = &document["Config"];
    let tty = json::truth(config, "Tty");
    let stdin = !flags.on("no-stdin") && json::truth(config, "OpenStdin");
    check_terminal(stdin, tty)?;
    let (keys_text, detach) = keys(call)?;
    let signals = Signals::catch(flags.bool_or("sig-proxy", true) && !tty, tty);
    let id = json::text(&document, "Id").to_owned();
    let waiting = wait_begin(client, &id, "")?;
    let stream = attach_stream(client, &id, &keys_text, [stdin, true, true], false)?;
    let target = Target::Container(id);
    if tty && output::is_terminal() {
        // a size that is wrong and then right makes the program draw its screen anew
        streams::resize_by(client, &target, 1);
        streams::resize(client, &target);
    }
    signals.forward(client, target);
    if streams::run(stream, &Wiring { tty, stdin, detach }) == End::Detached {
        return Err(Exit::error("read escape sequence"));
    }
    match wait_end(waiting)? {
        0 => Ok(()),
        code => Err(Exit::code(code as u8)),
    }
}

/// `exec`
pub(crate) fn exec(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let (tty, detached) = (flags.on("tty"), flags.on("detach"));
    let stdin = flags.on("interactive") && !detached;
    let mut environment = Vec::new();
    for file in flags.all("env-file") {
        let find = |name: &str| std::env::var(name).ok().map(|value| format!("{name}={value}"));
        environment.extend(crate::options::read_pairs(file, &find).map_err(Exit::error)?);
    }
    environment.extend(flags.all("env").into_iter().filter_map(|text| crate::options::parse_env(text).ok().flatten()));
    let (keys_text, detach) = keys(call)?;
    let signals = Signals::catch(false, tty && !detached);
    let client = call.client()?;
    let name = &call.args[0];
    if tty {
        // a missing container is told before a missing terminal is
        client.get(&path(name, "json"), &Query::new())?;
    }
    if !detached {
        check_terminal(stdin, tty)?;
    }
    let console = terminal::size();
    let mut body = Map::new();
    let mut put = |key: &str, value: Value| _ = body.insert(key.to_owned(), value);
    put("User", json!(flags.text("user").unwrap_or_default()));
    put("Privileged", json!(flags.on("privileged")));
    put("Tty", json!(tty));
    if !detached && tty && console != (0, 0) {
        put("ConsoleSize", json!([console.0, console.1]));
    }
    put("AttachStdin", json!(stdin));
    put("AttachStderr", json!(!detached));
    put("AttachStdout", json!(!detached));
    put("DetachKeys", json!(keys_text));
    put("Env", if environment.is_empty() { Value::Null } else { json!(environment) });
    put("WorkingDir", json!(flags.text("workdir").unwrap_or_default()));
    put("Cmd", json!(call.args[1..]));
    let id = id_of(&client.post(&path(name, "exec"), &Query::new(), Some(&Value::Object(body)))?);
    if id.is_empty() {
        return Err(Exit::error("exec ID empty"));
    }
    let mut start = Map::new();
    start.insert("Detach".into(), json!(detached));
    start.insert("Tty".into(), json!(tty));
    if !detached && tty && console != (0, 0) {
        start.insert("ConsoleSize".into(), json!([console.0, console.1]));
    }
    let start = Value::Object(start);
    if detached {
        client.post(&format!("/exec/{id}/start"), &Query::new(), Some(&start))?;
        return Ok(());
    }
    let stream = client.hijack(&format!("/exec/{id}/start"), &Query::new(), Some(&start))?;
    let target = Target::Exec(id.clone());
    if tty && output::is_terminal() {
        streams::resize(client, &target);
    }
    signals.forward(client, target);
    if streams::run(stream, &Wiring { tty, stdin, detach }) == End::Detached {
        return Err(Exit::error("read escape sequence"));
    }
    let document = client.get(&format!("/exec/{id}/json"), &Query::new())?;
    match json::int(&document, "ExitCode") {
        0 => Ok(()),
        code => Err(Exit::code(code as u8)),
    }
}
