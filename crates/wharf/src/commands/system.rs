//! `version`, `info`, `system df`, `system dial-stdio`.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde_json::{Value, json};
use wharf_template::{Functions, Template};

use super::{COMMIT, Call, VERSION};
use crate::engine::Query;
use crate::exit::{Exit, Outcome};
use crate::format::{Format, align, object, row, schema};
use crate::{complete, human, json, output, streams};

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// `completion SHELL`
pub(crate) fn completion(call: &Call<'_>) -> Outcome {
    let shell = call.path.rsplit(' ').next().unwrap_or_default();
    output::out(&complete::script(&call.session.program, shell, !call.flags.on("no-descriptions")));
    Ok(())
}

/// `version`
pub(crate) fn version(call: &Call<'_>) -> Outcome {
    let server = call.client().and_then(|client| Ok(client.get("/version", &Query::new())?));
    let api = match (&server, call.session.client()) {
        (Ok(_), Ok(client)) => client.version()?.to_owned(),
        _ => "1.51".into(),
    };
    let client = json!({
        "Version": VERSION, "ApiVersion": api, "DefaultAPIVersion": "1.51", "GitCommit": COMMIT, "GoVersion": "rust",
        "Os": "linux", "Arch": architecture(), "BuildTime": "", "Context": call.session.context_name()?,
    });
    let (document, error) = match server {
        Ok(mut server) => {
            readable_time(&mut server);
            (json!({"Client": client, "Server": server}), None)
        }
        Err(exit) => (json!({"Client": client, "Server": null}), Some(exit)),
    };
    let text = match call.flags.filled("format") {
        None => human_version(&document),
        Some("json") => wharf_template::to_json(&schema::typed("system.versionInfo", &document)) + "\n",
        Some(source) => {
            let template = Template::parse_named("version", source, Functions::Docker)
                .map_err(|error| Exit::with(64, format!("template parsing error: {error}")))?;
            by_template(&template, &schema::typed("system.versionInfo", &document))?
        }
    };
    output::out(&text);
    error.map_or(Ok(()), Err)
}

/// The text with its line's end; what was printed before an error stays, and so does the line's end.
fn by_template(template: &Template, data: &wharf_template::Value) -> Result<String, Exit> {
    let mut text = String::new();
    let result = template.execute_into(data, &mut text);
    text.push('\n');
    match result {
        Ok(()) => Ok(text),
        Err(error) => {
            output::out(&text);
            Err(Exit::error(error.to_string()))
        }
    }
}

/// The engine's build time in words.
fn readable_time(server: &mut Value) {
    for component in server.get_mut("Components").and_then(Value::as_array_mut).into_iter().flatten() {
        if component["Name"] == "Engine"
            && let Some(time) = component["Details"].get_mut("BuildTime")
        {
            *time = json!(build_time(time.as_str().unwrap_or_default()));
        }
    }
}

/// `Tue Sep 15 11:02:57 2026`
fn build_time(text: &str) -> String {
    match text.parse::<jiff::Timestamp>() {
        Ok(moment) => moment.to_zoned(jiff::tz::TimeZone::UTC).strftime("%a %b %e %H:%M:%S %Y").to_string(),
        Err(_) => text.to_owned(),
    }
}

fn human_version(document: &Value) -> String {
    let client = &document["Client"];
    let mut out = String::from("Client:\n");
    let mut line = |indent: &str, width: usize, key: &str, value: &str| {
        _ = writeln!(out, "{indent}{:width$}{value}", format!("{key}:"));
    };
    let api = json::text(client, "ApiVersion");
    let newest = json::text(client, "DefaultAPIVersion");
    let api = if api == newest { api.to_owned() } else { format!("{api} (downgraded from {newest})") };
    line(" ", 19, "Version", json::text(client, "Version"));
    line(" ", 19, "API version", &api);
    line(" ", 19, "Git commit", json::text(client, "GitCommit"));
    line(" ", 19, "OS/Arch", &format!("{}/{}", json::text(client, "Os"), json::text(client, "Arch")));
    line(" ", 19, "Context", json::text(client, "Context"));
    let server = &document["Server"];
    if server.is_null() {
        return out;
    }
    let platform = json::text(&server["Platform"], "Name");
    _ = write!(out, "\nServer:{}{platform}\n", if platform.is_empty() { "" } else { " " });
    for component in json::list(server, "Components") {
        let mut line =
            |width: usize, key: &str, value: &str| _ = writeln!(out, "  {:width$}{value}", format!("{key}:"));
        let details = &component["Details"];
        if json::text(component, "Name") == "Engine" {
            line(18, "Version", json::text(component, "Version"));
            let api = format!(
                "{} (minimum version {})",
                json::text(details, "ApiVersion"),
                json::text(details, "MinAPIVersion")
            );
            line(18, "API version", &api);
            if !json::text(details, "GoVersion").is_empty() {
                line(18, "Go version", json::text(details, "GoVersion"));
            }
            line(18, "Git commit", json::text(details, "GitCommit"));
            line(18, "Built", json::text(details, "BuildTime"));
            line(18, "OS/Arch", &format!("{}/{}", json::text(details, "Os"), json::text(details, "Arch")));
            line(18, "Experimental", json::text(details, "Experimental"));
            continue;
        }
        line(18, "Version", json::text(component, "Version"));
        for (key, value) in json::entries(component, "Details") {
            line(18, key, value.as_str().unwrap_or_default());
        }
    }
    // every component's block has its name above it
    name_components(&out, server)
}

/// Puts the components' names above their blocks.
fn name_components(text: &str, server: &Value) -> String {
    let mut names = json::list(server, "Components").iter().map(|component| json::text(component, "Name"));
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        if line.starts_with("  Version:") {
            _ = writeln!(out, " {}:", names.next().unwrap_or_default());
        }
        out.push_str(line);
    }
    out
}

/// `info`
pub(crate) fn info(call: &Call<'_>) -> Outcome {
    let server = call.client().and_then(|client| Ok(client.get("/info", &Query::new())?));
    let own = json!({
        "Debug": call.session.globals.on("debug"), "Version": VERSION, "GitCommit": COMMIT, "GoVersion": "rust",
        "Os": "linux", "Arch": architecture(), "Context": call.session.context_name()?, "Plugins": [], "Warnings": null,
    });
    let (info, error) = match server {
        Ok(info) => (info, None),
        Err(exit) => (Value::Null, Some(exit)),
    };
    let mut document = info.as_object().cloned().unwrap_or_default();
    if let Some(exit) = &error {
        document.insert("ServerErrors".into(), json!([exit.message]));
    }
    document.insert("ClientInfo".into(), own);
    let document = Value::Object(document);
    match call.flags.filled("format") {
        None => {
            output::out(&human_info(&document, error.is_none()));
            if let Some(exit) = &error {
                return Err(Exit::error(format!("ERROR: {}\nerrors pretty printing info", exit.message)));
            }
            for warning in json::strings(&document, "Warnings") {
                output::err(&format!("{warning}\n"));
            }
            Ok(())
        }
        Some("json") => {
            output::line(&document.to_string());
            Ok(())
        }
        Some(source) => {
            let template = Template::parse(source, Functions::Docker)
                .map_err(|error| Exit::with(64, format!("template parsing error: {error}")))?;
            output::out(&by_template(&template, &schema::typed("system.dockerInfo", &document))?);
            error.map_or(Ok(()), Err)
        }
    }
}

fn human_info(document: &Value, server: bool) -> String {
    let client = &document["ClientInfo"];
    let mut out = String::from("Client:\n");
    _ = writeln!(out, " Version:    {}", json::text(client, "Version"));
    _ = writeln!(out, " Context:    {}", json::text(client, "Context"));
    _ = writeln!(out, " Debug Mode: {}", json::truth(client, "Debug"));
    out.push_str("\nServer:\n");
    if !server {
        return out;
    }
    let text = |key: &str| json::text(document, key);
    let int = |key: &str| json::int(document, key);
    _ = writeln!(out, " Containers: {}", int("Containers"));
    _ = writeln!(out, "  Running: {}", int("ContainersRunning"));
    _ = writeln!(out, "  Paused: {}", int("ContainersPaused"));
    _ = writeln!(out, "  Stopped: {}", int("ContainersStopped"));
    _ = writeln!(out, " Images: {}", int("Images"));
    let mut line = |key: &str, value: &str| {
        if !value.is_empty() {
            _ = writeln!(out, " {key}: {value}");
        }
    };
    line("Server Version", text("ServerVersion"));
    line("Storage Driver", text("Driver"));
    for pair in json::list(document, "DriverStatus") {
        let pair = json::items(pair);
        let at = |index: usize| pair.get(index).and_then(Value::as_str).unwrap_or_default();
        line(&format!(" {}", at(0)), at(1));
    }
    line("Logging Driver", text("LoggingDriver"));
    line("Cgroup Driver", text("CgroupDriver"));
    line("Cgroup Version", text("CgroupVersion"));
    let plugins = &document["Plugins"];
    _ = writeln!(out, " Plugins:");
    for (title, key) in
        [("Volume", "Volume"), ("Network", "Network"), ("Authorization", "Authorization"), ("Log", "Log")]
    {
        let names = json::strings(plugins, key);
        if !names.is_empty() {
            _ = writeln!(out, "  {title}: {}", names.join(" "));
        }
    }
    let folders = json::strings(document, "CDISpecDirs");
    if !folders.is_empty() {
        out.push_str(" CDI spec directories:\n");
        folders.iter().for_each(|folder| _ = writeln!(out, "  {folder}"));
    }
    _ = writeln!(out, " Swarm: {}", json::text(&document["Swarm"], "LocalNodeState"));
    let runtimes: Vec<&str> = json::entries(document, "Runtimes").into_iter().map(|(name, _)| name).collect();
    if !runtimes.is_empty() {
        _ = writeln!(out, " Runtimes: {}", runtimes.join(" "));
        _ = writeln!(out, " Default Runtime: {}", text("DefaultRuntime"));
    }
    _ = writeln!(out, " Init Binary: {}", text("InitBinary"));
    for (title, key) in [("containerd", "ContainerdCommit"), ("runc", "RuncCommit"), ("init", "InitCommit")] {
        _ = writeln!(out, " {title} version: {}", json::text(&document[key], "ID"));
    }
    security(document, &mut out);
    let mut line = |key: &str, value: &str| {
        if !value.is_empty() {
            _ = writeln!(out, " {key}: {value}");
        }
    };
    line("Kernel Version", text("KernelVersion"));
    line("Operating System", text("OperatingSystem"));
    line("OSType", text("OSType"));
    line("Architecture", text("Architecture"));
    line("CPUs", &int("NCPU").to_string());
    line("Total Memory", &human::binary_size(int("MemTotal") as f64));
    line("Name", text("Name"));
    line("ID", text("ID"));
    line("Docker Root Dir", text("DockerRootDir"));
    line("Debug Mode", &json::truth(document, "Debug").to_string());
    line("HTTP Proxy", text("HttpProxy"));
    line("HTTPS Proxy", text("HttpsProxy"));
    line("No Proxy", text("NoProxy"));
    let labels = json::strings(document, "Labels");
    if !labels.is_empty() {
        out.push_str(" Labels:\n");
        labels.iter().for_each(|label| _ = writeln!(out, "  {label}"));
    }
    _ = writeln!(out, " Experimental: {}", json::truth(document, "ExperimentalBuild"));
    registries(&document["RegistryConfig"], &mut out);
    _ = writeln!(out, " Live Restore Enabled: {}", json::truth(document, "LiveRestoreEnabled"));
    let license = text("ProductLicense");
    if !license.is_empty() {
        _ = writeln!(out, " Product License: {license}");
    }
    out.push('\n');
    out
}

fn security(document: &Value, out: &mut String) {
    let options = json::strings(document, "SecurityOptions");
    if options.is_empty() {
        return;
    }
    out.push_str(" Security Options:\n");
    for option in options {
        for field in option.split(',') {
            match field.split_once('=') {
                Some(("name", name)) => _ = writeln!(out, "  {name}"),
                Some(("profile", profile)) => _ = writeln!(out, "   Profile: {profile}"),
                Some((key, value)) => _ = writeln!(out, "   {key}: {value}"),
                None => _ = writeln!(out, "  {field}"),
            }
        }
    }
}

fn registries(config: &Value, out: &mut String) {
    if config.is_null() {
        return;
    }
    let insecure: Vec<&str> = json::entries(config, "IndexConfigs")
        .into_iter()
        .filter(|(_, index)| !json::truth(index, "Secure"))
        .map(|(name, _)| name)
        .collect();
    let ranges = json::strings(config, "InsecureRegistryCIDRs");
    if !(insecure.is_empty() && ranges.is_empty()) {
        out.push_str(" Insecure Registries:\n");
        insecure.iter().chain(&ranges).for_each(|name| _ = writeln!(out, "  {name}"));
    }
    let mirrors = json::strings(config, "Mirrors");
    if !mirrors.is_empty() {
        out.push_str(" Registry Mirrors:\n");
        mirrors.iter().for_each(|name| _ = writeln!(out, "  {name}"));
    }
}

/// `system df`
pub(crate) fn usage(call: &Call<'_>) -> Outcome {
    let answer = call.client()?.get("/system/df", &Query::new())?;
    if call.flags.on("verbose") {
        return verbose(&answer);
    }
    let source = match call.flags.filled("format").unwrap_or("table") {
        "table" => object::USAGE_TABLE,
        other => other,
    };
    let line = |kind: &str, total: usize, active: usize, size: i64, free: i64, share: bool| {
        let percent = if size > 0 { free * 100 / size } else { 0 };
        let reclaimable = match share && size > 0 {
            true => format!("{} ({percent}%)", human::size(free as f64)),
            false => human::size(free as f64),
        };
        let kind_name = match kind {
            "Images" => "*formatter.diskUsageImagesContext",
            "Containers" => "*formatter.diskUsageContainersContext",
            "Local Volumes" => "*formatter.diskUsageVolumesContext",
            _ => "*formatter.diskUsageBuilderContext",
        };
        row(
            kind_name,
            vec![
                ("Type", kind.into()),
                ("TotalCount", total.to_string().into()),
                ("Active", active.to_string().into()),
                ("Size", human::size(size as f64).into()),
                ("Reclaimable", reclaimable.into()),
            ],
        )
    };
    let images = json::list(&answer, "Images");
    let active = images.iter().filter(|image| json::int(image, "Containers") > 0).count();
    let used: i64 = images
        .iter()
        .filter(|image| json::int(image, "Containers") != 0)
        .map(|image| match (json::int(image, "Size"), json::int(image, "SharedSize")) {
            (-1, _) | (_, -1) => 0,
            (size, shared) => size - shared,
        })
        .sum();
    let layers = json::int(&answer, "LayersSize");
    let containers = json::list(&answer, "Containers");
    let running = |one: &&Value| ["running", "paused", "restarting"].contains(&json::text(one, "State"));
    let sizes = |list: Vec<&Value>| list.into_iter().map(|one| json::int(one, "SizeRw")).sum::<i64>();
    let stopped = containers.iter().filter(|one| !running(one)).collect();
    let volumes = json::list(&answer, "Volumes");
    let null = Value::Null;
    let figure = |volume: &Value, key: &str| json::int(volume.get("UsageData").unwrap_or(&null), key);
    let total: i64 = volumes.iter().map(|volume| figure(volume, "Size").max(0)).sum();
    let free: i64 =
        volumes.iter().filter(|one| figure(one, "RefCount") == 0).map(|one| figure(one, "Size").max(0)).sum();
    let cache = json::list(&answer, "BuildCache");
    let cache_size: i64 =
        cache.iter().filter(|one| !json::truth(one, "Shared")).map(|one| json::int(one, "Size")).sum();
    let cache_used: i64 = cache
        .iter()
        .filter(|one| json::truth(one, "InUse") && !json::truth(one, "Shared"))
        .map(|one| json::int(one, "Size"))
        .sum();
    let rows = [
        line("Images", images.len(), active, layers, layers - used, true),
        line(
            "Containers",
            containers.len(),
            containers.iter().filter(running).count(),
            sizes(containers.iter().collect()),
            sizes(stopped),
            true,
        ),
        line(
            "Local Volumes",
            volumes.len(),
            volumes.iter().filter(|one| figure(one, "RefCount") > 0).count(),
            total,
            free,
            true,
        ),
        line(
            "Build Cache",
            cache.len(),
            cache.iter().filter(|one| json::truth(one, "InUse")).count(),
            cache_size,
            cache_size - cache_used,
            false,
        ),
    ];
    output::out(&Format::parse(source)?.render(object::USAGE_HEADINGS, &rows)?);
    Ok(())
}

fn verbose(answer: &Value) -> Outcome {
    use crate::format::{container, image};
    let mut out = String::from("Images space usage:\n\n");
    let format = Format::parse(
        "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}",
    )?;
    let rows: Vec<_> = json::list(answer, "Images")
        .iter()
        .filter_map(|one| image::image(one, true, image::Digests::Hidden).into_iter().next())
        .collect();
    out.push_str(&format.render(image::HEADINGS, &rows)?);
    out.push_str("\nContainers space usage:\n\n");
    let format = Format::parse(
        "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}",
    )?;
    let rows: Vec<_> = json::list(answer, "Containers")
        .iter()
        .map(|one| {
            let mut one = one.clone();
            one["SizeRootFs"] = json!(0);
            container::container(&one, true)
        })
        .collect();
    out.push_str(&format.render(container::HEADINGS, &rows)?);
    out.push_str("\nLocal Volumes space usage:\n\n");
    let format = Format::parse("table {{.Name}}\t{{.Links}}\t{{.Size}}")?;
    let rows: Vec<_> = json::list(answer, "Volumes").iter().map(object::volume).collect();
    out.push_str(&format.render(object::VOLUME_HEADINGS, &rows)?);
    let cache = json::list(answer, "BuildCache");
    let size: i64 = cache.iter().filter(|one| !json::truth(one, "Shared")).map(|one| json::int(one, "Size")).sum();
    _ = write!(out, "\nBuild cache usage: {}\n\n", human::size(size as f64));
    let mut table = String::from("CACHE ID\tCACHE TYPE\tSIZE\tCREATED\tLAST USED\tUSAGE\tSHARED\n");
    for one in cache {
        let ago = |key: &str| human::parse_time(json::text(one, key)).map(human::ago).unwrap_or_default();
        let (id, kind) = (json::text(one, "ID"), json::text(one, "Type"));
        let size = human::size(json::int(one, "Size") as f64);
        let (uses, shared) = (json::int(one, "UsageCount"), json::truth(one, "Shared"));
        _ = writeln!(table, "{id}\t{kind}\t{size}\t{}\t{}\t{uses}\t{shared}", ago("CreatedAt"), ago("LastUsedAt"));
    }
    out.push_str(&align(&table));
    output::out(&out);
    Ok(())
}

/// `system dial-stdio`: our standard streams become the engine's socket.
pub(crate) fn dial(call: &Call<'_>) -> Outcome {
    let mut stream = call.client()?.dial()?;
    let mut writer = stream.try_clone()?;
    let pump = std::thread::spawn(move || {
        let _ = streams::copy(io::stdin().lock(), &mut writer);
        writer.close_write();
    });
    let _ = streams::copy(&mut stream, &mut io::stdout().lock());
    let _ = io::stdout().flush();
    // the engine is done: what is still typed has nowhere to go
    drop(pump);
    Ok(())
}
