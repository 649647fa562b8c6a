//! The flags of `run` and `create` as the body of `POST /containers/create`, field for field in docker's order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::mount::VolumeFlag;
use super::network::{self, Wishes};
use super::{device, mount, port};
use crate::flags::Flags;

/// What surrounds the flags.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// Proxy variables of the configuration, which the container gets unless it sets them itself.
    pub(crate) proxies: Vec<(String, String)>,
    /// Rows and columns of the terminal.
    pub(crate) console: (u16, u16),
}

/// Builds the body.
///
/// # Errors
/// docker's sentence.
pub(crate) fn body(flags: &Flags, args: &[String], around: &Surroundings) -> Result<Value, String> {
    let streams = streams(flags);
    let open = flags.on("interactive");
    if let Some(mac) = flags.filled("mac-address") {
        network::check_mac(mac.trim())?;
    }
    if let Some(value) = flags.int("memory-swappiness")
        && value != -1
        && !(0..=100).contains(&value)
    {
        return Err(format!("invalid value: {value}. Valid memory swappiness range is 0-100"));
    }
    let volumes = volumes(flags)?;
    let mut ports = port::Ports::default();
    for text in flags.all("publish") {
        ports.publish(text)?;
    }
    for text in flags.all("expose") {
        ports.expose(text)?;
    }
    let (devices, requests) = devices(flags)?;
    let environment = environment(flags, around)?;
    let labels = labels(flags)?;
    modes(flags)?;
    let restart = super::parse_restart(flags.text("restart").unwrap_or("no"))?;
    let logging = logging(flags)?;
    let security = security(flags)?;
    let storage = storage(flags)?;
    let health = health(flags)?;
    let removes = flags.on("rm");
    if removes && !matches!(restart["Name"].as_str(), Some("no" | "")) {
        return Err("conflicting options: cannot specify both --restart and --rm".into());
    }
    let networks = networks(flags)?;

    let mut body = Map::new();
    let mut put = |key: &str, value: Value| _ = body.insert(key.to_owned(), value);
    let text = |name: &str| json!(flags.text(name).unwrap_or_default());
    put("Hostname", text("hostname"));
    put("Domainname", text("domainname"));
    put("User", text("user"));
    put("AttachStdin", json!(streams.stdin));
    put("AttachStdout", json!(streams.stdout));
    put("AttachStderr", json!(streams.stderr));
    if !ports.exposed.is_empty() {
        put("ExposedPorts", ports.exposed.iter().map(|port| (port.clone(), json!({}))).collect::<Map<_, _>>().into());
    }
    put("Tty", json!(flags.on("tty")));
    put("OpenStdin", json!(open));
    put("StdinOnce", json!(open && streams.stdin));
    put("Env", or_null(environment));
    put("Cmd", if args.len() > 1 { json!(args[1..]) } else { Value::Null });
    if let Some(health) = health {
        put("Healthcheck", health);
    }
    put("Image", json!(args.first().map_or("", String::as_str)));
    put("Volumes", volumes.anonymous.iter().map(|path| (path.clone(), json!({}))).collect::<Map<_, _>>().into());
    put("WorkingDir", text("workdir"));
    put("Entrypoint", flags.text("entrypoint").map_or(Value::Null, |text| json!([text])));
    put("OnBuild", Value::Null);
    put("Labels", labels);
    if let Some(signal) = flags.filled("stop-signal") {
        put("StopSignal", json!(signal));
    }
    if let Some(timeout) = flags.int("stop-timeout") {
        put("StopTimeout", json!(timeout));
    }
    let links: Vec<String> = flags.all("link").into_iter().map(str::to_owned).collect();
    let host = Host { ports, volumes, devices, requests, restart, logging, security, storage, links };
    put("HostConfig", host.document(flags, around, &networks));
    put("NetworkingConfig", json!({"EndpointsConfig": networks.endpoints}));
    Ok(Value::Object(body))
}

struct Streams {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

fn streams(flags: &Flags) -> Streams {
    let attach: Vec<String> = flags.all("attach").iter().filter_map(|text| super::parse_attach(text).ok()).collect();
    let has = |name: &str| attach.iter().any(|stream| stream == name);
    if flags.on("detach") && attach.is_empty() {
        return Streams { stdin: false, stdout: false, stderr: false };
    }
    if attach.is_empty() {
        return Streams { stdin: flags.on("interactive"), stdout: true, stderr: true };
    }
    Streams { stdin: has("stdin"), stdout: has("stdout"), stderr: has("stderr") }
}

fn or_null(items: Vec<String>) -> Value {
    if items.is_empty() { Value::Null } else { json!(items) }
}

#[derive(Default)]
struct Volumes {
    binds: Vec<String>,
    anonymous: BTreeSet<String>,
    tmpfs: BTreeMap<String, Value>,
    mounts: Vec<Value>,
}

fn volumes(flags: &Flags) -> Result<Volumes, String> {
    let mut out = Volumes::default();
    for text in flags.all("volume") {
        match mount::parse_volume(text)? {
            VolumeFlag::Bind(bind) => out.binds.push(bind),
            VolumeFlag::Anonymous(path) => _ = out.anonymous.insert(path),
        }
    }
    out.tmpfs.extend(flags.all("tmpfs").into_iter().map(mount::parse_tmpfs));
    out.mounts = flags.all("mount").into_iter().map(mount::parse).collect::<Result<_, _>>()?;
    Ok(out)
}

fn devices(flags: &Flags) -> Result<(Vec<Value>, Vec<Value>), String> {
    let (mut devices, mut cdi, mut requests) = (Vec::new(), Vec::new(), Vec::new());
    for text in flags.all("gpus") {
        requests.push(device::parse_gpus(text)?);
    }
    for text in flags.all("device") {
        if device::is_cdi(text) { cdi.push(text) } else { devices.push(device::parse_device(text)?) }
    }
    if !cdi.is_empty() {
        requests.push(json!({"Driver": "cdi", "Count": 0, "DeviceIDs": cdi, "Capabilities": null, "Options": null}));
    }
    Ok((devices, requests))
}

fn environment(flags: &Flags, around: &Surroundings) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    for path in flags.all("env-file") {
        out.extend(super::read_pairs(path, &|name| std::env::var(name).ok().map(|value| format!("{name}={value}")))?);
    }
    out.extend(flags.all("env").into_iter().filter_map(|text| super::parse_env(text).ok().flatten()));
    for (name, value) in &around.proxies {
        if !out.iter().any(|given| given.split('=').next() == Some(name)) {
            out.push(format!("{name}={value}"));
        }
    }
    Ok(out)
}

fn labels(flags: &Flags) -> Result<Value, String> {
    let mut out = Vec::new();
    for path in flags.all("label-file") {
        out.extend(super::read_pairs(path, &|name| Some(name.to_owned()))?);
    }
    out.extend(flags.all("label").into_iter().map(str::to_owned));
    Ok(super::pairs(&out))
}

fn modes(flags: &Flags) -> Result<(), String> {
    let container = |mode: &str| mode.strip_prefix("container:").is_some_and(|name| !name.is_empty());
    let pid = flags.text("pid").unwrap_or_default();
    if !(matches!(pid, "" | "host") || container(pid)) {
        return Err("--pid: invalid PID mode".into());
    }
    for (flag, values, kind) in [
        ("uts", &["", "host"][..], "UTS"),
        ("userns", &["", "host"], "USER"),
        ("cgroupns", &["", "host", "private"], "CGROUP"),
    ] {
        if !values.contains(&flags.text(flag).unwrap_or_default()) {
            return Err(format!("--{flag}: invalid {kind} mode"));
        }
    }
    Ok(())
}

fn logging(flags: &Flags) -> Result<Value, String> {
    let driver = flags.text("log-driver").unwrap_or_default();
    let options = flags.all("log-opt");
    if driver == "none" && !options.is_empty() {
        return Err("invalid logging opts for driver none".into());
    }
    Ok(json!({"Type": driver, "Config": super::pairs(&options)}))
}

struct Security {
    options: Vec<String>,
    /// `systempaths=unconfined`: nothing in /proc and /sys is hidden.
    open_paths: bool,
}

fn security(flags: &Flags) -> Result<Security, String> {
    let mut out = Security { options: Vec::new(), open_paths: false };
    for text in flags.all("security-opt") {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            // a colon was allowed once
            None => text.split_once(':').map_or((text, None), |(key, value)| (key, Some(value))),
        };
        match (key, value) {
            ("no-new-privileges", None) => {}
            (_, None) => return Err(format!("Invalid --security-opt: {}", crate::go::quote(text))),
            ("systempaths", Some("unconfined")) => {
                out.open_paths = true;
                continue;
            }
            ("seccomp", Some(profile)) if !matches!(profile, "unconfined" | "builtin") => {
                let fail = |why: String| format!("opening seccomp profile ({profile}) failed: {why}");
                let text =
                    std::fs::read(profile).map_err(|error| fail(crate::go::path_error("open", profile, &error)))?;
                let document: Value = serde_json::from_slice(&text)
                    .map_err(|error| format!("compacting json for seccomp profile ({profile}) failed: {error}"))?;
                out.options.push(format!("seccomp={document}"));
                continue;
            }
            _ => {}
        }
        out.options.push(text.to_owned());
    }
    Ok(out)
}

fn storage(flags: &Flags) -> Result<Value, String> {
    let options = flags.all("storage-opt");
    if options.iter().any(|text| !text.contains('=')) {
        return Err("invalid storage option".into());
    }
    Ok(super::pairs(&options))
}

fn health(flags: &Flags) -> Result<Option<Value>, String> {
    let command = flags.filled("health-cmd");
    let times = ["interval", "timeout", "start-period", "start-interval"];
    let time = |name: &str| flags.duration(&format!("health-{name}")).unwrap_or(0);
    let retries = flags.int("health-retries").unwrap_or(0);
    let any = command.is_some() || retries != 0 || times.iter().any(|name| time(name) != 0);
    if flags.on("no-healthcheck") {
        if any {
            return Err("--no-healthcheck conflicts with --health-* options".into());
        }
        return Ok(Some(json!({"Test": ["NONE"]})));
    }
    if !any {
        return Ok(None);
    }
    for name in times {
        if time(name) < 0 {
            return Err(format!("--health-{name} cannot be negative"));
        }
    }
    if retries < 0 {
        return Err("--health-retries cannot be negative".into());
    }
    let mut out = Map::new();
    if let Some(command) = command {
        out.insert("Test".into(), json!(["CMD-SHELL", command]));
    }
    for (key, name) in [
        ("Interval", "interval"),
        ("Timeout", "timeout"),
        ("StartPeriod", "start-period"),
        ("StartInterval", "start-interval"),
    ] {
        if time(name) != 0 {
            out.insert(key.into(), json!(time(name)));
        }
    }
    if retries != 0 {
        out.insert("Retries".into(), json!(retries));
    }
    Ok(Some(Value::Object(out)))
}

struct Networks {
    mode: String,
    endpoints: Value,
}

fn networks(flags: &Flags) -> Result<Networks, String> {
    let given = flags.all_of(&["network", "net"]);
    let given: Vec<_> = given.into_iter().map(network::parse).collect::<Result<_, _>>()?;
    let owned = |names: &[&str]| flags.all_of(names).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let text = |name: &str| flags.text(name).unwrap_or_default().to_owned();
    let wishes = Wishes {
        aliases: owned(&["network-alias", "net-alias"]),
        links: owned(&["link"]),
        ip: text("ip"),
        ip6: text("ip6"),
        mac: text("mac-address"),
        link_local: owned(&["link-local-ip"]),
    };
    let mode = given.first().map_or("default", |first| first.target.as_str()).to_owned();
    Ok(Networks { mode, endpoints: network::endpoints(&given, &wishes)? })
}

/// Everything of `HostConfig` that had to be checked first.
struct Host {
    ports: port::Ports,
    volumes: Volumes,
    devices: Vec<Value>,
    requests: Vec<Value>,
    restart: Value,
    logging: Value,
    security: Security,
    storage: Value,
    links: Vec<String>,
}

impl Host {
    fn document(self, flags: &Flags, around: &Surroundings, networks: &Networks) -> Value {
        let text = |name: &str| json!(flags.text(name).unwrap_or_default());
        let int = |name: &str, default: i64| json!(flags.int(name).unwrap_or(default));
        let bytes = |name: &str| json!(flags.bytes(name).unwrap_or(0));
        let list = |name: &str| or_null(flags.all(name).into_iter().map(str::to_owned).collect());
        let (add, drop) = capabilities(&flags.all("cap-add"), &flags.all("cap-drop"));
        let rates = |name: &str, bytes: bool| {
            let rates = flags.all(name).into_iter().filter_map(|text| device::parse_rate(text, bytes).ok());
            Value::Array(rates.collect())
        };
        let optional = |value: &Value| value.as_object().is_some_and(|object| !object.is_empty());
        let annotations = super::pairs(&flags.all("annotation"));
        let sysctls = super::pairs(&flags.all("sysctl"));
        let hosts = flags.all("add-host").into_iter().filter_map(|text| super::parse_extra_host(text).ok()).collect();
        let mut out = Map::new();
        let mut put = |key: &str, value: Value| _ = out.insert(key.to_owned(), value);
        put("Binds", or_null(self.volumes.binds));
        put("ContainerIDFile", text("cidfile"));
        put("LogConfig", self.logging);
        put("NetworkMode", json!(networks.mode));
        put("PortBindings", json!(self.ports.bindings));
        put("RestartPolicy", self.restart);
        put("AutoRemove", json!(flags.on("rm")));
        put("VolumeDriver", text("volume-driver"));
        put("VolumesFrom", list("volumes-from"));
        put("ConsoleSize", json!([around.console.0, around.console.1]));
        if optional(&annotations) {
            put("Annotations", annotations);
        }
        put("CapAdd", or_null(add));
        put("CapDrop", or_null(drop));
        put("CgroupnsMode", text("cgroupns"));
        let dns = |text: &str| super::parse_ip(text).ok();
        put("Dns", json!(flags.all("dns").into_iter().filter_map(dns).collect::<Vec<_>>()));
        put("DnsOptions", json!(flags.all_of(&["dns-opt", "dns-option"])));
        put("DnsSearch", json!(flags.all("dns-search")));
        put("ExtraHosts", or_null(hosts));
        put("GroupAdd", list("group-add"));
        put("IpcMode", text("ipc"));
        put("Cgroup", json!(""));
        put("Links", or_null(self.links));
        put("OomScoreAdj", int("oom-score-adj", 0));
        put("PidMode", text("pid"));
        put("Privileged", json!(flags.on("privileged")));
        put("PublishAllPorts", json!(flags.on("publish-all")));
        put("ReadonlyRootfs", json!(flags.on("read-only")));
        put("SecurityOpt", or_null(self.security.options));
        if optional(&self.storage) {
            put("StorageOpt", self.storage);
        }
        if !self.volumes.tmpfs.is_empty() {
            put("Tmpfs", json!(self.volumes.tmpfs));
        }
        put("UTSMode", text("uts"));
        put("UsernsMode", text("userns"));
        put("ShmSize", bytes("shm-size"));
        if optional(&sysctls) {
            put("Sysctls", sysctls);
        }
        if flags.filled("runtime").is_some() {
            put("Runtime", text("runtime"));
        }
        put("Isolation", text("isolation"));
        put("CpuShares", int("cpu-shares", 0));
        put("Memory", bytes("memory"));
        put("NanoCpus", json!(flags.text("cpus").and_then(|text| super::units::parse_cpus(text).ok()).unwrap_or(0)));
        put("CgroupParent", text("cgroup-parent"));
        put("BlkioWeight", int("blkio-weight", 0));
        let weights = flags.all("blkio-weight-device").into_iter().filter_map(|text| device::parse_weight(text).ok());
        put("BlkioWeightDevice", Value::Array(weights.collect()));
        put("BlkioDeviceReadBps", rates("device-read-bps", true));
        put("BlkioDeviceWriteBps", rates("device-write-bps", true));
        put("BlkioDeviceReadIOps", rates("device-read-iops", false));
        put("BlkioDeviceWriteIOps", rates("device-write-iops", false));
        put("CpuPeriod", int("cpu-period", 0));
        put("CpuQuota", int("cpu-quota", 0));
        put("CpuRealtimePeriod", int("cpu-rt-period", 0));
        put("CpuRealtimeRuntime", int("cpu-rt-runtime", 0));
        put("CpusetCpus", text("cpuset-cpus"));
        put("CpusetMems", text("cpuset-mems"));
        put("Devices", Value::Array(self.devices));
        put("DeviceCgroupRules", list("device-cgroup-rule"));
        put("DeviceRequests", if self.requests.is_empty() { Value::Null } else { Value::Array(self.requests) });
        put("MemoryReservation", bytes("memory-reservation"));
        put("MemorySwap", bytes("memory-swap"));
        put("MemorySwappiness", int("memory-swappiness", -1));
        put("OomKillDisable", json!(flags.on("oom-kill-disable")));
        put("PidsLimit", int("pids-limit", 0));
        let mut ulimits: Vec<_> =
            flags.all("ulimit").into_iter().filter_map(|text| super::parse_ulimit(text).ok()).collect();
        ulimits.sort_by(|a, b| a.0.cmp(&b.0));
        let ulimits = ulimits.into_iter().map(|(name, soft, hard)| json!({"Name": name, "Hard": hard, "Soft": soft}));
        put("Ulimits", Value::Array(ulimits.collect()));
        put("CpuCount", int("cpu-count", 0));
        put("CpuPercent", int("cpu-percent", 0));
        put("IOMaximumIOps", int("io-maxiops", 0));
        put("IOMaximumBandwidth", bytes("io-maxbandwidth"));
        if !self.volumes.mounts.is_empty() {
            put("Mounts", Value::Array(self.volumes.mounts));
        }
        let paths = if self.security.open_paths { json!([]) } else { Value::Null };
        put("MaskedPaths", paths.clone());
        put("ReadonlyPaths", paths);
        if flags.given("init") {
            put("Init", json!(flags.on("init")));
        }
        Value::Object(out)
    }
}

/// The effective lists: normal names, no duplicates, adding wins over dropping.
fn capabilities(add: &[&str], drop: &[&str]) -> (Vec<String>, Vec<String>) {
    let normal = |names: &[&str]| -> BTreeSet<String> {
        let names: BTreeSet<String> = names
            .iter()
            .map(|name| name.trim().to_uppercase())
            .map(|name| {
                if name == "ALL" || name == "RESET" || name.starts_with("CAP_") { name } else { format!("CAP_{name}") }
            })
            .collect();
        if names.contains("ALL") { BTreeSet::from(["ALL".to_owned()]) } else { names }
    };
    let (add, drop) = (normal(add), normal(drop));
    let drop = drop.into_iter().filter(|name| !add.contains(name)).collect();
    (add.into_iter().collect(), drop)
}
