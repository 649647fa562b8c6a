//! Contexts.

use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read, Write};

use serde_json::{Value, json};

use super::Call;
use super::inspect::Shape;
use crate::config::Config;
use crate::context::{Context, DEFAULT, check_name};
use crate::exit::{Exit, Outcome};
use crate::format::{Format, ellipsis, object, row};
use crate::{go, output};

/// The host the default context stands for.
fn default_host() -> String {
    let given = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    given.unwrap_or_else(|| "unix:///var/run/docker.sock".into())
}

/// `context ls`
pub(crate) fn list(call: &Call<'_>) -> Outcome {
    let current = call.session.context_name()?;
    let truncate = true;
    let mut contexts =
        vec![Context::new(DEFAULT, Some("Current DOCKER_HOST based configuration"), &default_host(), false)];
    contexts.extend(call.session.contexts().list());
    contexts.sort_by(|a, b| crate::context::natural(a.name(), b.name()));
    let mut rows: Vec<_> = contexts
        .iter()
        .map(|context| {
            line(context.name(), context.description(), context.host(), context.name() == current, "", truncate)
        })
        .collect();
    if current != DEFAULT && !call.session.contexts().has(&current) {
        let error = call.session.contexts().load(&current).err().unwrap_or_default();
        rows.push(line(&current, "", "", true, &error, truncate));
    }
    let source = match call.flags.filled("format").unwrap_or("table") {
        "table" if call.flags.on("quiet") => "{{.Name}}",
        "table" => object::CONTEXT_TABLE,
        other => other,
    };
    output::out(&Format::parse(source)?.render(object::CONTEXT_HEADINGS, &rows)?);
    let overridden = current == DEFAULT && std::env::var("DOCKER_HOST").is_ok_and(|host| !host.is_empty());
    if overridden && call.session.globals.filled("context").is_none() {
        output::err(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set the global --context flag, or unset DOCKER_HOST environment variable.\n",
        );
    }
    Ok(())
}

fn line(
    name: &str,
    description: &str,
    host: &str,
    current: bool,
    error: &str,
    truncate: bool,
) -> wharf_template::Value {
    let description = if truncate { ellipsis(description, 45) } else { description.to_owned() };
    row(
        "*formatter.clientContextContext",
        vec![
            ("Current", current.into()),
            ("Name", name.into()),
            ("Description", description.into()),
            ("DockerEndpoint", host.into()),
            ("Error", ellipsis(error, 45).into()),
        ],
    )
}

/// `--docker host=…,ca=…`
struct Endpoint {
    host: String,
    skip_verify: bool,
    files: Vec<(&'static str, Vec<u8>)>,
}

fn endpoint(call: &Call<'_>) -> Result<Option<Endpoint>, Exit> {
    let given = call.flags.all("docker");
    if given.is_empty() {
        return Ok(None);
    }
    let mut out = Endpoint { host: String::new(), skip_verify: false, files: Vec::new() };
    for field in given.iter().flat_map(|line| go::csv(line).unwrap_or_default()) {
        let Some((key, value)) = field.split_once('=') else {
            return Err(Exit::error(format!("{field} must be formatted as key=value")));
        };
        let mut file = |name| -> Outcome {
            let bytes = fs::read(value).map_err(|error| Exit::error(go::path_error("open", value, &error)))?;
            out.files.push((name, bytes));
            Ok(())
        };
        match key {
            "host" => out.host = value.to_owned(),
            "ca" => file("ca.pem")?,
            "cert" => file("cert.pem")?,
            "key" => file("key.pem")?,
            "skip-tls-verify" => {
                out.skip_verify =
                    go::parse_bool(value).map_err(|why| Exit::error(format!("skip-tls-verify: {why}")))?;
            }
            "from" => {
                let from = call.session.contexts().load(value).map_err(Exit::error)?;
                out.host = from.host().to_owned();
            }
            _ => {
                return Err(Exit::error(format!(
                    "unable to create docker endpoint config: unrecognized config key: {key}"
                )));
            }
        }
    }
    if !out.host.is_empty() {
        crate::engine::Address::parse(&out.host)
            .map_err(|error| Exit::error(format!("unable to create docker endpoint config: {error}")))?;
    }
    Ok(Some(out))
}

/// `context create`
pub(crate) fn create(call: &Call<'_>) -> Outcome {
    let name = &call.args[0];
    let store = call.session.contexts();
    check_name(name).map_err(Exit::error)?;
    if store.has(name) {
        return Err(Exit::error(format!("context {} already exists", go::quote(name))));
    }
    let description = call.flags.filled("description");
    let endpoint = endpoint(call)?;
    let mut files = Vec::new();
    let context = match (endpoint, call.flags.filled("from")) {
        (Some(endpoint), _) => {
            files = endpoint.files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
            Context::new(name, description, &endpoint.host, endpoint.skip_verify)
        }
        (None, Some(from)) => {
            let source = store.load(from).map_err(Exit::error)?;
            files = store.certificates(from);
            Context::new(name, description.or(Some(source.description())), source.host(), false)
        }
        (None, None) if call.flags.given("from") => Context::new(name, description, &default_host(), false),
        (None, None) => return Err(Exit::error("docker endpoint configuration is required")),
    };
    store.save(&context)?;
    for (file, bytes) in files {
        store.save_certificate(name, &file, &bytes)?;
    }
    output::line(name);
    output::err(&format!("Successfully created context {}\n", go::quote(name)));
    Ok(())
}

/// `context update`
pub(crate) fn update(call: &Call<'_>) -> Outcome {
    let name = &call.args[0];
    let store = call.session.contexts();
    let mut context = store.load(name).map_err(Exit::error)?;
    if let Some(description) = call.flags.text("description") {
        context.document["Metadata"]["Description"] = json!(description);
    }
    if let Some(endpoint) = endpoint(call)? {
        context.document["Endpoints"]["docker"] = json!({"Host": endpoint.host, "SkipTLSVerify": endpoint.skip_verify});
        for (file, bytes) in endpoint.files {
            store.save_certificate(name, file, &bytes)?;
        }
    }
    store.save(&context)?;
    output::line(name);
    output::err(&format!("Successfully updated context {}\n", go::quote(name)));
    Ok(())
}

fn select_name(call: &Call<'_>, name: &str) -> Outcome {
    let mut config = Config::load(call.session.config_folder());
    config.set("currentContext", (name != DEFAULT).then_some(name));
    Ok(config.save()?)
}

/// `context use`
pub(crate) fn select(call: &Call<'_>) -> Outcome {
    let name = &call.args[0];
    if name != DEFAULT {
        check_name(name).map_err(Exit::error)?;
        call.session.contexts().load(name).map_err(Exit::error)?;
    }
    select_name(call, name)?;
    output::line(name);
    output::err(&format!("Current context is now {}\n", go::quote(name)));
    if name != DEFAULT && std::env::var("DOCKER_HOST").is_ok_and(|host| !host.is_empty()) {
        output::err(&format!(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use {}, either set the global --context flag, or unset DOCKER_HOST environment variable.\n",
            go::quote(name)
        ));
    }
    Ok(())
}

/// `context show`
pub(crate) fn show(call: &Call<'_>) -> Outcome {
    output::line(&call.session.context_name()?);
    Ok(())
}

/// `context rm`
pub(crate) fn remove(call: &Call<'_>) -> Outcome {
    let force = call.flags.on("force");
    let store = call.session.contexts();
    let current = call.session.context_name()?;
    call.for_each(|name| {
        if name == DEFAULT {
            return Err(Exit::error("context \"default\" cannot be removed"));
        }
        if !store.has(name) && !force {
            return Err(Exit::error(format!("context {} does not exist", go::quote(name))));
        }
        if name == current {
            if !force {
                return Err(Exit::error(format!("context {} is in use, set -f flag to force remove", go::quote(name))));
            }
            select_name(call, DEFAULT)?;
        }
        store.remove(name)?;
        Ok(Some(name.to_owned()))
    })
}

/// `context inspect`
pub(crate) fn inspect(call: &Call<'_>) -> Outcome {
    let store = call.session.contexts();
    let names = if call.args.is_empty() { vec![call.session.context_name()?] } else { call.args.clone() };
    let shape = Shape::parse(call.flags.text("format").unwrap_or_default())?;
    let (mut found, mut errors, mut text) = (Vec::new(), Vec::new(), String::new());
    for name in &names {
        let (context, stored) = if name == DEFAULT {
            (Ok(Context::new(DEFAULT, None, &default_host(), false)), false)
        } else {
            (store.load(name), true)
        };
        let context = match context {
            Ok(context) => context,
            Err(why) => {
                errors.push(why);
                continue;
            }
        };
        let files: Vec<String> = store.certificates(name).into_iter().map(|(file, _)| file).collect();
        let material = if files.is_empty() { json!({}) } else { json!({"docker": files}) };
        let storage = if stored {
            json!({"MetadataPath": store.meta(name).to_string_lossy(), "TLSPath": store.tls(name).to_string_lossy()})
        } else {
            json!({"MetadataPath": "<IN MEMORY>", "TLSPath": "<IN MEMORY>"})
        };
        let document = json!({
            "Name": name, "Metadata": context.document["Metadata"], "Endpoints": context.document["Endpoints"],
            "TLSMaterial": material, "Storage": storage,
        });
        shape.add("context.Context", document, &mut found, &mut text)?;
    }
    // docker encodes this document itself, and so with escapes
    let escaped = |text: String| text.replace("<IN MEMORY>", "\\u003cIN MEMORY\\u003e");
    match &shape {
        Shape::Template(_) => shape.print(&found, &text),
        Shape::Lines => output::line(&escaped(Value::Array(found).to_string())),
        Shape::Indented => output::line(&escaped(crate::json::pretty(&Value::Array(found), "    "))),
    }
    if errors.is_empty() { Ok(()) } else { Err(Exit::error(errors.join("\n"))) }
}

/// A tar header for a file (`content` given) or a folder.
fn tar_entry(out: &mut Vec<u8>, name: &str, content: Option<&[u8]>) {
    let mut header = [0u8; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    let (mode, kind) = if content.is_some() { ("0000644", "0") } else { ("0000755", "5") };
    put(0, &name[..name.len().min(99)]);
    put(100, mode);
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", content.map_or(0, <[u8]>::len)));
    put(136, "00000000000");
    put(148, "        ");
    put(156, kind);
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out.extend_from_slice(&header);
    if let Some(content) = content {
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
    }
}

/// `context export`
pub(crate) fn export(call: &Call<'_>) -> Outcome {
    let name = &call.args[0];
    let store = call.session.contexts();
    let context = store.load(name).map_err(Exit::error)?;
    let mut archive = Vec::new();
    tar_entry(&mut archive, "meta.json", Some(context.document.to_string().as_bytes()));
    tar_entry(&mut archive, "tls", None);
    let files = store.certificates(name);
    if !files.is_empty() {
        tar_entry(&mut archive, "tls/docker", None);
    }
    for (file, bytes) in files {
        tar_entry(&mut archive, &format!("tls/docker/{file}"), Some(&bytes));
    }
    archive.resize(archive.len() + 1024, 0);
    let target = call.args.get(1).cloned().unwrap_or_else(|| format!("{name}.dockercontext"));
    if target == "-" {
        if io::stdout().is_terminal() {
            return Err(Exit::error("cowardly refusing to export to a terminal, specify a file path"));
        }
        io::stdout().lock().write_all(&archive)?;
        return Ok(());
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .open(&target)
        .map_err(|error| Exit::error(go::path_error("open", &target, &error)))?;
    file.write_all(&archive)?;
    output::err(&format!("Written file {}\n", go::quote(&target)));
    Ok(())
}

/// A context's archive may not be larger than this: a document and three certificates.
const MAX_IMPORT: u64 = 10 << 20;

/// `context import`
pub(crate) fn import(call: &Call<'_>) -> Outcome {
    let (name, source) = (&call.args[0], &call.args[1]);
    let store = call.session.contexts();
    check_name(name).map_err(Exit::error)?;
    if store.has(name) {
        return Err(Exit::error(format!("context {} already exists", go::quote(name))));
    }
    let mut bytes = Vec::new();
    let mut reader: Box<dyn Read> = match source.as_str() {
        "-" => Box::new(io::stdin()),
        file => Box::new(File::open(file).map_err(|error| Exit::error(go::path_error("open", file, &error)))?),
    };
    reader.by_ref().take(MAX_IMPORT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_IMPORT {
        return Err(Exit::error("read exceeds the defined limit"));
    }
    let mut document = None;
    let mut certificates = Vec::new();
    let mut at = 0;
    while let Some(header) = bytes.get(at..at + 512).filter(|header| header[0] != 0) {
        let text = |from: usize, length: usize| {
            String::from_utf8_lossy(&header[from..from + length]).trim_matches(['\0', ' ']).to_owned()
        };
        let (file, size) = (text(0, 100), usize::from_str_radix(&text(124, 12), 8).unwrap_or(0));
        let Some(content) = bytes.get(at + 512..at + 512 + size) else { break };
        match file.strip_prefix("tls/docker/") {
            Some(inner) if ["ca.pem", "cert.pem", "key.pem"].contains(&inner) => {
                certificates.push((inner.to_owned(), content.to_vec()));
            }
            _ if file == "meta.json" => document = serde_json::from_slice::<Value>(content).ok(),
            _ => {}
        }
        at += 512 + size.next_multiple_of(512);
    }
    let Some(mut document) = document else { return Err(Exit::error("invalid context: no metadata found")) };
    document["Name"] = json!(name);
    store.save(&Context { document })?;
    for (file, bytes) in certificates {
        store.save_certificate(name, &file, &bytes)?;
    }
    output::line(name);
    output::err(&format!("Successfully imported context {}\n", go::quote(name)));
    Ok(())
}
