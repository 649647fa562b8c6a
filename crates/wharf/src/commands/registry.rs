//! `pull`, `push`, `search`, `login`, `logout`: what the engine does with registries, and the credentials it is told.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};
use wharf_spec::reference::Reference;

use super::Call;
use crate::config::Config;
use crate::engine::{Query, escape_path};
use crate::exit::{Exit, Outcome};
use crate::format::{Format, object};
use crate::{json, output, progress, terminal};

/// Docker Hub's name in configurations.
const HUB: &str = "https://index.docker.io/v1/";

/// The key of a registry in the configuration.
fn server_key(domain: &str) -> String {
    if matches!(domain, "docker.io" | "index.docker.io") { HUB.into() } else { domain.to_owned() }
}

fn bare_host(address: &str) -> &str {
    let address = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://")).unwrap_or(address);
    address.split('/').next().unwrap_or_default()
}

/// The credentials for a registry as the API's header wants them.
fn credentials(config: &Config, domain: &str) -> Value {
    let key = server_key(domain);
    if let Some(helper) = helper(config, &key)
        && let Some(found) = ask_helper(&helper, "get", &key)
    {
        return found;
    }
    let Some(entries) = config.object("auths") else { return json!({}) };
    let entry = entries.get(&key).or_else(|| {
        let same = entries.iter().find(|(name, _)| bare_host(name) == bare_host(&key));
        same.map(|(_, entry)| entry)
    });
    let Some(entry) = entry else { return json!({}) };
    let mut out = serde_json::Map::new();
    let decoded = STANDARD.decode(json::text(entry, "auth")).unwrap_or_default();
    let decoded = String::from_utf8_lossy(&decoded).trim_end_matches('\0').to_owned();
    if let Some((user, password)) = decoded.split_once(':') {
        out.insert("username".into(), json!(user));
        out.insert("password".into(), json!(password));
    }
    out.insert("serveraddress".into(), json!(key));
    for name in ["identitytoken", "registrytoken"] {
        let token = json::text(entry, name);
        if !token.is_empty() {
            out.insert(name.into(), json!(token));
        }
    }
    Value::Object(out)
}

/// The program that keeps the credentials of `key`, if one does.
fn helper(config: &Config, key: &str) -> Option<String> {
    let special = config.object("credHelpers").and_then(|helpers| helpers.get(key)?.as_str());
    let name = special.or_else(|| config.text("credsStore"))?;
    (!name.contains('/')).then(|| format!("docker-credential-{name}"))
}

fn run_helper(program: &str, verb: &str, input: &str) -> io::Result<(bool, String)> {
    let mut child = Command::new(program).arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(input.as_bytes()) {
            // a helper that knows its answer need not read the question
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
    }
    let done = child.wait_with_output()?;
    Ok((done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned()))
}

fn ask_helper(program: &str, verb: &str, key: &str) -> Option<Value> {
    let (worked, text) = run_helper(program, verb, key).ok()?;
    let answer: Value = serde_json::from_str(&text).ok().filter(|_| worked)?;
    let (user, secret) = (json::text(&answer, "Username"), json::text(&answer, "Secret"));
    Some(if user == "<token>" {
        json!({"serveraddress": key, "identitytoken": secret})
    } else {
        json!({"username": user, "password": secret, "serveraddress": key})
    })
}

pub(super) fn header(config: &Config, domain: &str) -> String {
    URL_SAFE.encode(credentials(config, domain).to_string())
}

/// Pulls `image` (already with tag or digest), showing progress unless `quiet`; on standard error for `run`.
pub(crate) fn fetch(call: &Call<'_>, image: &str, platform: Option<&str>, quiet: bool, to_stderr: bool) -> Outcome {
    let reference = Reference::parse(image).map_err(|error| Exit::error(error.to_string()))?;
    let tag = match reference.digest() {
        Some(digest) => digest.to_string(),
        None => reference.tag().unwrap_or_default().to_owned(),
    };
    let query = Query::new().with("fromImage", reference.name()).with("tag", tag);
    let query = query.when(platform.is_some(), "platform", platform.unwrap_or_default());
    pull_with(call, &query, reference.domain(), quiet, to_stderr)
}

fn pull_with(call: &Call<'_>, query: &Query, domain: &str, quiet: bool, to_stderr: bool) -> Outcome {
    let auth = header(call.session.config(), domain);
    let (_, body) = call.client()?.post_stream("/images/create", query, &[("X-Registry-Auth", &auth)], None)?;
    match (quiet, to_stderr) {
        (true, _) => progress::swallow(body),
        (false, true) => progress::show_on_stderr(body),
        (false, false) => progress::show(body),
    }
}

/// `pull`
pub(crate) fn pull(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let reference = Reference::parse(&call.args[0]).map_err(|error| Exit::error(error.to_string()))?;
    let all = flags.on("all-tags");
    if all && !reference.is_name_only() {
        return Err(Exit::error("tag can't be used with --all-tags/-a"));
    }
    let quiet = flags.on("quiet");
    let platform = flags.filled("platform");
    if all {
        let query = Query::new().with("fromImage", reference.name());
        let query = query.when(platform.is_some(), "platform", platform.unwrap_or_default());
        pull_with(call, &query, reference.domain(), quiet, false)?;
        output::line(&reference.name());
        return Ok(());
    }
    let named = reference.is_name_only();
    let reference = reference.with_default_tag();
    if named && !quiet {
        output::line(&format!("Using default tag: {}", reference.tag().unwrap_or_default()));
    }
    fetch(call, &reference.familiar(), platform, quiet, false)?;
    output::line(&full(&reference));
    Ok(())
}

/// The reference with its domain.
pub(super) fn full(reference: &Reference) -> String {
    let tag = reference.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
    let digest = reference.digest().map(|digest| format!("@{digest}")).unwrap_or_default();
    format!("{}{tag}{digest}", reference.name())
}

/// `push`
pub(crate) fn push(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let mut reference = Reference::parse(&call.args[0]).map_err(|error| Exit::error(error.to_string()))?;
    let (all, quiet) = (flags.on("all-tags"), flags.on("quiet"));
    if all && !reference.is_name_only() {
        return Err(Exit::error("tag can't be used with --all-tags/-a"));
    }
    if !all && reference.is_name_only() {
        reference = reference.with_default_tag();
        if !quiet {
            output::line(&format!("Using default tag: {}", reference.tag().unwrap_or_default()));
        }
    }
    let query = Query::new().when(!all, "tag", reference.tag().unwrap_or_default());
    let query = match flags.filled("platform") {
        Some(platform) => query.with("platform", platform),
        None => query,
    };
    let auth = header(call.session.config(), reference.domain());
    let path = format!("/images/{}/push", escape_path(&reference.name()));
    let (_, body) = call.client()?.post_stream(&path, &query, &[("X-Registry-Auth", &auth)], None)?;
    if quiet {
        progress::swallow(body)?;
        output::line(&full(&reference));
        return Ok(());
    }
    progress::show(body)
}

/// `search`
pub(crate) fn search(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let term = &call.args[0];
    let limit = flags.int("limit").unwrap_or(0);
    let query = call.filters(Query::new().with("term", term.as_str()).when(limit > 0, "limit", limit.to_string()));
    let answer = call.client()?.get("/images/search", &query)?;
    let given = flags.filled("format").unwrap_or("table");
    let source = if given == "table" { object::SEARCH_TABLE } else { given };
    let truncate = !flags.on("no-trunc");
    let rows: Vec<_> = json::items(&answer).iter().map(|one| object::search(one, truncate, given == "json")).collect();
    output::out(&Format::parse(source)?.render(object::SEARCH_HEADINGS, &rows)?);
    Ok(())
}

/// `login`
pub(crate) fn login(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let server = call.args.first().map_or(HUB.to_owned(), |server| server_key(bare_host(server)));
    let mut user = flags.text("username").unwrap_or_default().to_owned();
    let mut password = flags.text("password").unwrap_or_default().to_owned();
    if flags.given("password") {
        output::err("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
        if flags.on("password-stdin") {
            return Err(Exit::error("conflicting options: cannot specify both --password and --password-stdin"));
        }
    }
    if flags.on("password-stdin") {
        if user.is_empty() {
            return Err(Exit::error("the --password-stdin option requires --username to be set"));
        }
        io::stdin().read_to_string(&mut password)?;
        password.truncate(password.trim_end_matches(['\n', '\r']).len());
    }
    if user.is_empty() || password.is_empty() {
        if !io::stdin().is_terminal() {
            return Err(Exit::error("Error: Cannot perform an interactive login from a non TTY device"));
        }
        if user.is_empty() {
            user = prompt("Username: ", true)?;
        }
        if password.is_empty() {
            password = prompt("Password: ", false)?;
        }
        if user.is_empty() || password.is_empty() {
            return Err(Exit::error("Error: Password Required"));
        }
    }
    let body = json!({"username": user, "password": password, "serveraddress": server});
    let answer = call.client()?.post("/auth", &Query::new(), Some(&body))?;
    let token = json::text(&answer, "IdentityToken");
    store(call, &server, &user, &password, token)?;
    let status = json::text(&answer, "Status");
    if !status.is_empty() {
        output::line(status);
    }
    Ok(())
}

fn store(call: &Call<'_>, server: &str, user: &str, password: &str, token: &str) -> Outcome {
    let mut config = Config::load(call.session.config_folder());
    if let Some(program) = helper(&config, server) {
        let (user, secret) = if token.is_empty() { (user, password) } else { ("<token>", token) };
        let input = json!({"ServerURL": server, "Username": user, "Secret": secret}).to_string();
        let (worked, text) = run_helper(&program, "store", &input)?;
        config.object_mut("auths").insert(server.into(), json!({}));
        config.save()?;
        return if worked { Ok(()) } else { Err(Exit::error(format!("error storing credentials: {}", text.trim()))) };
    }
    let path = config.file();
    output::err(&format!(
        "\nWARNING! Your credentials are stored unencrypted in '{}'.\nConfigure a credential helper to remove this warning. See\nhttps://docs.docker.com/go/credential-store/\n\n",
        path.display()
    ));
    let mut entry =
        json!({"auth": STANDARD.encode(format!("{user}:{}", if token.is_empty() { password } else { "" }))});
    if !token.is_empty() {
        entry["identitytoken"] = json!(token);
    }
    config.object_mut("auths").insert(server.into(), entry);
    Ok(config.save()?)
}

fn prompt(question: &str, echo: bool) -> Result<String, Exit> {
    output::out(question);
    let quiet = if echo { None } else { terminal::Silent::enter() };
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    if quiet.is_some() {
        output::out("\n");
    }
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// `logout`
pub(crate) fn logout(call: &Call<'_>) -> Outcome {
    let given = call.args.first();
    let server = given.map_or(HUB.to_owned(), |server| server_key(bare_host(server)));
    let shown = if server == HUB { HUB } else { server.as_str() };
    output::line(&format!("Removing login credentials for {shown}"));
    let mut config = Config::load(call.session.config_folder());
    if let Some(program) = helper(&config, &server) {
        let _ = run_helper(&program, "erase", &server);
    }
    if config.object("auths").is_some_and(|entries| entries.contains_key(&server)) {
        config.object_mut("auths").shift_remove(&server);
        config.save()?;
    }
    Ok(())
}
