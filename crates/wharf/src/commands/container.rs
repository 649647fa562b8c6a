//! Commands on existing containers that are one request each.

use std::fs::File;
use std::io;

use serde_json::{Map, Value, json};

use super::{Call, id_of};
use crate::engine::{Query, escape_path};
use crate::exit::{Exit, Outcome};
use crate::format::{Format, object, row};
use crate::{go, json, options, output, streams};

/// The path of something below a container.
pub(crate) fn path(name: &str, verb: &str) -> String {
    format!("/containers/{}/{verb}", escape_path(name))
}

/// `pause`, `unpause`
pub(crate) fn simple(call: &Call<'_>, verb: &str) -> Outcome {
    let client = call.client()?;
    call.for_each(|name| {
        client.post(&path(name, verb), &Query::new(), None)?;
        Ok(Some(name.to_owned()))
    })
}

/// `stop`, `restart`
pub(crate) fn stop(call: &Call<'_>, verb: &str) -> Outcome {
    if call.flags.given("time") && call.flags.given("timeout") {
        return Err(Exit::error("conflicting options: cannot specify both --timeout and --time"));
    }
    let client = call.client()?;
    let timeout = call.flags.int("timeout").or_else(|| call.flags.int("time"));
    call.for_each(|name| {
        let mut query = Query::new();
        if let Some(timeout) = timeout {
            query = query.with("t", timeout.to_string());
        }
        if let Some(signal) = call.flags.filled("signal") {
            query = query.with("signal", signal);
        }
        client.post(&path(name, verb), &query, None)?;
        Ok(Some(name.to_owned()))
    })
}

/// `kill`
pub(crate) fn kill(call: &Call<'_>) -> Outcome {
    let client = call.client()?;
    let query = match call.flags.filled("signal") {
        Some(signal) => Query::new().with("signal", signal),
        None => Query::new(),
    };
    call.for_each(|name| {
        client.post(&path(name, "kill"), &query, None)?;
        Ok(Some(name.to_owned()))
    })
}

/// `wait`
pub(crate) fn wait(call: &Call<'_>) -> Outcome {
    let client = call.client()?;
    call.for_each(|name| {
        let answer = client.post(&path(name, "wait"), &Query::new(), None)?;
        if let Some(error) = answer.get("Error").filter(|error| !error.is_null()) {
            return Err(Exit::error(json::text(error, "Message")));
        }
        Ok(Some(json::int(&answer, "StatusCode").to_string()))
    })
}

/// `rm`
pub(crate) fn remove(call: &Call<'_>) -> Outcome {
    let client = call.client()?;
    let force = call.flags.on("force");
    let query = Query::new()
        .when(call.flags.on("volumes"), "v", "1")
        .when(call.flags.on("link"), "link", "1")
        .when(force, "force", "1");
    call.for_each(|name| {
        let name = name.trim_matches('/');
        if name.is_empty() {
            return Err(Exit::error("container name cannot be empty"));
        }
        match client.delete(&format!("/containers/{}", escape_path(name)), &query) {
            Ok(_) => Ok(Some(name.to_owned())),
            // forced removal of what is not there is told, but is no failure
            Err(error) if force && error.is_not_found() => {
                output::err(&format!("{error}\n"));
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    })
}

/// `rename`
pub(crate) fn rename(call: &Call<'_>) -> Outcome {
    let (old, new) = (call.args[0].trim(), call.args[1].trim());
    if new.is_empty() {
        return Err(Exit::error("new name cannot be blank"));
    }
    let query = Query::new().with("name", new);
    call.client()?.post(&path(old, "rename"), &query, None).map_err(|error| {
        output::err(&format!("{error}\n"));
        Exit::error(format!("Error: failed to rename container named {old}"))
    })?;
    Ok(())
}

/// `update`
pub(crate) fn update(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let client = call.client()?;
    let int = |name: &str| json!(flags.int(name).unwrap_or(0));
    let bytes = |name: &str| json!(flags.bytes(name).unwrap_or(0));
    let text = |name: &str| json!(flags.text(name).unwrap_or_default());
    let names = [
        "blkio-weight",
        "cpu-period",
        "cpu-quota",
        "cpu-rt-period",
        "cpu-rt-runtime",
        "cpuset-cpus",
        "cpuset-mems",
        "cpu-shares",
        "memory",
        "memory-reservation",
        "memory-swap",
        "kernel-memory",
        "restart",
        "pids-limit",
        "cpus",
    ];
    if !names.iter().any(|name| flags.given(name)) {
        return Err(Exit::error("you must provide one or more flags when using this command"));
    }
    let mut body = Map::new();
    let mut put = |key: &str, value: Value| _ = body.insert(key.to_owned(), value);
    put("CpuShares", int("cpu-shares"));
    put("Memory", bytes("memory"));
    put("NanoCpus", json!(flags.text("cpus").and_then(|text| options::units::parse_cpus(text).ok()).unwrap_or(0)));
    put("CgroupParent", json!(""));
    put("BlkioWeight", int("blkio-weight"));
    for key in [
        "BlkioWeightDevice",
        "BlkioDeviceReadBps",
        "BlkioDeviceWriteBps",
        "BlkioDeviceReadIOps",
        "BlkioDeviceWriteIOps",
    ] {
        put(key, Value::Null);
    }
    put("CpuPeriod", int("cpu-period"));
    put("CpuQuota", int("cpu-quota"));
    put("CpuRealtimePeriod", int("cpu-rt-period"));
    put("CpuRealtimeRuntime", int("cpu-rt-runtime"));
    put("CpusetCpus", text("cpuset-cpus"));
    put("CpusetMems", text("cpuset-mems"));
    for key in ["Devices", "DeviceCgroupRules", "DeviceRequests"] {
        put(key, Value::Null);
    }
    put("MemoryReservation", bytes("memory-reservation"));
    put("MemorySwap", bytes("memory-swap"));
    put("MemorySwappiness", Value::Null);
    put("OomKillDisable", Value::Null);
    put("PidsLimit", flags.int("pids-limit").map_or(Value::Null, |limit| json!(limit)));
    put("Ulimits", Value::Null);
    for key in ["CpuCount", "CpuPercent", "IOMaximumIOps", "IOMaximumBandwidth"] {
        put(key, json!(0));
    }
    let restart = match flags.filled("restart") {
        Some(text) => options::parse_restart(text).map_err(Exit::error)?,
        None => json!({"Name": "", "MaximumRetryCount": 0}),
    };
    put("RestartPolicy", restart);
    let body = Value::Object(body);
    let mut warnings = Vec::new();
    let result = call.for_each(|name| {
        let answer = client.post(&path(name, "update"), &Query::new(), Some(&body))?;
        warnings.extend(json::strings(&answer, "Warnings").into_iter().map(str::to_owned));
        Ok(Some(name.to_owned()))
    });
    if !warnings.is_empty() {
        output::line(&warnings.join("\n"));
    }
    result
}

/// `top`
pub(crate) fn top(call: &Call<'_>) -> Outcome {
    let arguments = call.args[1..].join(" ");
    let query = Query::new().when(!arguments.is_empty(), "ps_args", arguments);
    let answer = call.client()?.get(&path(&call.args[0], "top"), &query)?;
    let mut text = json::strings(&answer, "Titles").join("\t") + "\n";
    for process in json::list(&answer, "Processes") {
        let cells: Vec<&str> = json::items(process).iter().filter_map(Value::as_str).collect();
        text.push_str(&cells.join("\t"));
        text.push('\n');
    }
    // wider columns than elsewhere: 20 at least
    output::out(&crate::format::align_wide(&text, 20, 3));
    Ok(())
}

/// `port`
pub(crate) fn port(call: &Call<'_>) -> Outcome {
    let name = &call.args[0];
    let document = call.client()?.get(&path(name, "json"), &Query::new())?;
    let null = Value::Null;
    let ports = json::entries(document.get("NetworkSettings").unwrap_or(&null), "Ports");
    let host = |binding: &Value| {
        let ip = json::text(binding, "HostIp");
        let ip = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
        format!("{ip}:{}", json::text(binding, "HostPort"))
    };
    let mut lines = Vec::new();
    if let Some(wanted) = call.args.get(1) {
        let (number, protocol) = wanted.split_once('/').unwrap_or((wanted, "tcp"));
        if let Err(why) = go::parse_uint(number, 16) {
            return Err(Exit::error(format!("Error: invalid port ({number}): {why}")));
        }
        let key = format!("{number}/{protocol}");
        let bindings = ports.iter().find(|(port, _)| *port == key).map(|(_, bindings)| json::items(bindings));
        let Some(bindings) = bindings.filter(|bindings| !bindings.is_empty()) else {
            return Err(Exit::error(format!("Error: No public port '{wanted}' published for {name}")));
        };
        lines.extend(bindings.iter().map(host));
    } else {
        for (port, bindings) in ports {
            lines.extend(json::items(bindings).iter().map(|binding| format!("{port} -> {}", host(binding))));
        }
    }
    lines.sort_by(|a, b| crate::context::natural(a, b));
    if !lines.is_empty() {
        output::line(&lines.join("\n"));
    }
    Ok(())
}

/// `diff`
pub(crate) fn diff(call: &Call<'_>) -> Outcome {
    let answer = call.client()?.get(&path(&call.args[0], "changes"), &Query::new())?;
    let rows: Vec<_> = json::items(&answer)
        .iter()
        .map(|change| {
            let kind = match json::int(change, "Kind") {
                0 => "C",
                1 => "A",
                2 => "D",
                _ => "",
            };
            row("*container.diffContext", vec![("Type", kind.into()), ("Path", json::text(change, "Path").into())])
        })
        .collect();
    output::out(&Format::parse("{{.Type}} {{.Path}}")?.render(object::DIFF_HEADINGS, &rows)?);
    Ok(())
}

/// `export`
pub(crate) fn export(call: &Call<'_>) -> Outcome {
    let query = Query::new();
    write_archive(call, "export container", || Ok(call.client()?.open(&path(&call.args[0], "export"), &query)?))
}

/// Opens an archive and writes it to `-o` or to standard output (if that is no terminal).
pub(crate) fn write_archive(
    call: &Call<'_>,
    what: &str,
    open: impl FnOnce() -> Result<(crate::engine::Head, crate::engine::Body), Exit>,
) -> Outcome {
    match call.flags.filled("output") {
        None if output::is_terminal() => {
            Err(Exit::error("cowardly refusing to save to a terminal. Use the -o flag or redirect"))
        }
        None => {
            let (_, body) = open()?;
            streams::copy(body, &mut io::stdout().lock())?;
            Ok(())
        }
        Some(file) => {
            let folder = std::path::Path::new(file).parent().filter(|folder| !folder.as_os_str().is_empty());
            if let Some(folder) = folder
                && let Err(error) = std::fs::metadata(folder)
            {
                let why = go::path_error("stat", folder, &error);
                return Err(Exit::error(format!("failed to {what}: invalid output path: {why}")));
            }
            if std::path::Path::new(file).is_dir() {
                return Err(Exit::error(format!("failed to {what}: cannot write to a directory")));
            }
            let (_, body) = open()?;
            let path = std::path::Path::new(file);
            let temporary = path.with_file_name(format!(
                ".{}.{}",
                path.file_name().unwrap_or_default().to_string_lossy(),
                std::process::id()
            ));
            let mut target =
                File::create(&temporary).map_err(|error| Exit::error(go::path_error("open", &temporary, &error)))?;
            let result = streams::copy(body, &mut target).and_then(|()| std::fs::rename(&temporary, path));
            if result.is_err() {
                let _ = std::fs::remove_file(&temporary);
            }
            Ok(result?)
        }
    }
}

/// `commit`
pub(crate) fn commit(call: &Call<'_>) -> Outcome {
    let flags = &call.flags;
    let reference = call.args.get(1).map_or("", String::as_str);
    let (mut repository, mut tag) = (String::new(), String::new());
    if !reference.is_empty() {
        let parsed =
            wharf_spec::reference::Reference::parse(reference).map_err(|error| Exit::error(error.to_string()))?;
        if parsed.digest().is_some() {
            return Err(Exit::error("refusing to create a tag with a digest reference"));
        }
        repository = parsed.familiar_name();
        tag = parsed.with_default_tag().tag().unwrap_or_default().to_owned();
    }
    let mut query = Query::new()
        .with("author", flags.text("author").unwrap_or_default())
        .with("comment", flags.text("message").unwrap_or_default())
        .with("container", call.args[0].as_str())
        .with("repo", repository)
        .with("tag", tag);
    for change in flags.all("change") {
        query = query.with("changes", change);
    }
    let query = query.when(!flags.bool_or("pause", true), "pause", "0");
    let answer = call.client()?.post("/commit", &query, None)?;
    output::line(&id_of(&answer));
    Ok(())
}
