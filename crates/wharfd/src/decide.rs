//! From values to what the daemon does: the engine's configuration, sockets, files.

use crate::listen::{Address, Security, info_warning};
use crate::settings::{SettingsError, Values};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use wharf_engine::{Config, Dns, Firewall, Gate, NetworkConfig, RESERVED_RUNTIMES, Runtime, Subnet};

/// Everything decided before anything is touched.
#[derive(Debug)]
pub(crate) struct Decided {
    /// For the engine.
    pub(crate) engine: Config,
    /// Where to listen.
    pub(crate) addresses: Vec<Address>,
    /// Certificate and key for TCP sockets.
    pub(crate) tls: Option<wharf_tls::Server>,
    /// How TCP sockets are protected.
    pub(crate) security: Security,
    /// A socket that is served as well when nobody owns it.
    pub(crate) courtesy: Option<PathBuf>,
    /// The file with the daemon's PID.
    pub(crate) pidfile: PathBuf,
    /// Group of the unix sockets: a name or a number.
    pub(crate) group: Option<String>,
    /// Least severity that is logged.
    pub(crate) log_level: tracing::Level,
    /// One JSON object per log line.
    pub(crate) log_json: bool,
}

/// Docker's socket, served too when nobody owns it.
const COURTESY_SOCKET: &str = "/var/run/docker.sock";
/// Our own socket.
const OWN_SOCKET: &str = "/run/wharf/wharf.sock";

/// Makes every decision. Pure but for looking at where our own executables lie.
///
/// # Errors
/// A value that cannot be: with dockerd's sentence where it has one.
pub(crate) fn decide(values: &Values) -> Result<Decided, SettingsError> {
    let invalid = |text: String| SettingsError::Invalid(text);
    let (tls, security) = tls(values);
    let exec_root = absolute(values, "exec-root", "/run/wharf")?;
    let mut addresses =
        values.list("hosts").iter().map(|h| Address::parse(h, tls.is_some())).collect::<Result<Vec<_>, _>>()?;
    let courtesy = addresses.is_empty().then(|| COURTESY_SOCKET.into());
    if addresses.is_empty() {
        addresses.push(Address::Unix(OWN_SOCKET.into()));
    }
    let debug = values.switch("debug", false);
    let log_level = match values.value("log-level").unwrap_or(if debug { "debug" } else { "info" }) {
        "debug" => tracing::Level::DEBUG,
        "info" => tracing::Level::INFO,
        "warn" => tracing::Level::WARN,
        "error" | "fatal" => tracing::Level::ERROR,
        other => return Err(invalid(format!("invalid logging level: {other}"))),
    };
    let log_json = match values.value("log-format").unwrap_or("text") {
        "text" => false,
        "json" => true,
        other => return Err(invalid(format!("invalid log format: {other}"))),
    };
    let cgroupns_mode = values.value("default-cgroupns-mode").map(str::to_owned);
    if let Some(mode) = cgroupns_mode.as_deref().filter(|m| !matches!(*m, "host" | "private")) {
        return Err(invalid(format!("invalid default cgroup namespace mode ({mode}): use \"host\" or \"private\"")));
    }
    let ipc_mode = values.value("default-ipc-mode").unwrap_or("private");
    if !matches!(ipc_mode, "shareable" | "private") {
        return Err(invalid(format!("IPC mode \"{ipc_mode}\" is not supported as default value")));
    }
    exec_options(&values.list("exec-opts"))?;
    let dns = Dns {
        servers: values.list("dns").iter().map(|s| server(s)).collect::<Result<_, _>>()?,
        search: values.list("dns-search"),
        options: values.list("dns-opts"),
    };
    let runtimes = runtimes(values)?;
    let engine = Config {
        data_root: absolute(values, "data-root", "/var/lib/wharf")?,
        shim: own_program("wharf-shim"),
        netd: own_program("wharf-netd"),
        cgroup_parent: values.value("cgroup-parent").unwrap_or("/docker").to_owned(),
        default_runtime: default_runtime(values, &runtimes)?,
        runtimes,
        storage_driver: values.value("storage-driver").map(str::to_owned),
        log_driver: values.value("log-driver").unwrap_or("json-file").to_owned(),
        log_opts: values.pairs("log-opts")?,
        bridge: values.value("bridge").unwrap_or("docker0").to_owned(),
        bip: values.value("bip").map(str::to_owned),
        mtu: values.number("mtu")?,
        gate: gate(values)?,
        network: network(values)?,
        dns,
        default_ulimits: ulimits(values)?,
        default_shm_size: values.value("default-shm-size").map_or(Ok(64 << 20), size)?,
        init: values.switch("init", false),
        seccomp_profile: seccomp_profile(values.value("seccomp-profile"))?,
        no_new_privileges: values.switch("no-new-privileges", false),
        cgroupns_mode,
        ipc_mode: ipc_mode.to_owned(),
        shutdown_timeout: values.number("shutdown-timeout")?.unwrap_or(15),
        labels: labels(values)?,
        insecure_registries: values.list("insecure-registries"),
        registry_mirrors: values.list("registry-mirrors"),
        default_registry: values.value("default-registry").filter(|name| !name.is_empty()).map(str::to_owned),
        max_concurrent_downloads: positive(values, "max-concurrent-downloads", 3)?,
        max_concurrent_uploads: positive(values, "max-concurrent-uploads", 5)?,
        max_download_attempts: positive(values, "max-download-attempts", 5)?,
        http_proxy: proxy(values, "http-proxy", &["HTTP_PROXY", "http_proxy"]),
        https_proxy: proxy(values, "https-proxy", &["HTTPS_PROXY", "https_proxy"]),
        no_proxy: proxy(values, "no-proxy", &["NO_PROXY", "no_proxy"]),
        debug,
        experimental: values.switch("experimental", false),
        exec_root: exec_root.clone(),
        commit: option_env!("WHARF_COMMIT").unwrap_or_default().to_owned(),
        build_time: option_env!("WHARF_BUILD_TIME").unwrap_or_default().to_owned(),
        api_warnings: addresses.iter().filter_map(|address| info_warning(address, security)).collect(),
        ..Config::default()
    };
    engine.check_registries().map_err(|error| invalid(error.to_string()))?;
    let pidfile = values.value("pidfile").map_or_else(|| exec_root.join("wharfd.pid"), PathBuf::from);
    let group = values.value("group").map(str::to_owned);
    Ok(Decided { engine, addresses, tls, security, courtesy, pidfile, group, log_level, log_json })
}

/// What protects TCP sockets. As with dockerd, `--tlsverify` (whatever its value) switches TLS on, and the files lie in
/// `$DOCKER_CERT_PATH` or `~/.docker` when they are not named.
fn tls(values: &Values) -> (Option<wharf_tls::Server>, Security) {
    let verify = values.switch("tlsverify", false);
    if !verify && !values.switch("tls", values.value("tlsverify").is_some()) {
        return (None, Security::Plain);
    }
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".docker");
    let folder = std::env::var_os("DOCKER_CERT_PATH").filter(|v| !v.is_empty()).map_or_else(home, PathBuf::from);
    let file = |key: &str, name: &str| values.value(key).map_or_else(|| folder.join(name), PathBuf::from);
    let clients =
        if verify { wharf_tls::Clients::SignedBy(file("tlscacert", "ca.pem")) } else { wharf_tls::Clients::Any };
    let security = if verify { Security::Verified } else { Security::Encrypted };
    let server =
        wharf_tls::Server { certificate: file("tlscert", "cert.pem"), key: file("tlskey", "key.pem"), clients };
    (Some(server), security)
}

fn gate(values: &Values) -> Result<Gate, SettingsError> {
    let firewall = match values.value("firewall-backend").unwrap_or("nftables") {
        _ if !values.switch("iptables", true) => Firewall::Off,
        "nftables" | "" => Firewall::Nftables,
        "iptables" => Firewall::Iptables,
        other => {
            return Err(SettingsError::Invalid(format!(
                "invalid firewall-backend \"{other}\": use nftables or iptables"
            )));
        }
    };
    Ok(Gate {
        firewall,
        ip6: values.switch("ip6tables", true),
        masquerade: firewall != Firewall::Off && values.switch("ip-masq", true),
        forward: values.switch("ip-forward", true),
        proxy: values.switch("userland-proxy", true),
        publish_range: values.value("publish-range").map(port_range).transpose()?,
    })
}

/// `49000-49900`
fn port_range(text: &str) -> Result<RangeInclusive<u16>, SettingsError> {
    let range = text.split_once('-').and_then(|(first, last)| Some(first.parse().ok()?..=last.parse().ok()?));
    let usable = range.filter(|r: &RangeInclusive<u16>| *r.start() > 0 && !r.is_empty());
    usable.ok_or_else(|| {
        SettingsError::Invalid(format!("invalid publish-range \"{text}\": use FIRST-LAST, ports from 1 to 65535"))
    })
}

/// A number above zero; in Docker, zero stands for the default.
fn positive<N>(values: &Values, key: &'static str, default: N) -> Result<N, SettingsError>
where
    N: std::str::FromStr + Default + PartialEq,
{
    let number = values.number::<N>(key).map_err(|_| {
        let text = values.value(key).unwrap_or_default();
        SettingsError::Invalid(format!("invalid {}: {text}", key.replace('-', " ")))
    })?;
    Ok(number.filter(|n| *n != N::default()).unwrap_or(default))
}

/// A setting that the environment gives unless the administrator does.
fn proxy(values: &Values, key: &str, variables: &[&str]) -> String {
    let given = values.value(key).map(str::to_owned);
    given.or_else(|| variables.iter().find_map(|name| std::env::var(name).ok())).unwrap_or_default()
}

fn absolute(values: &Values, key: &str, default: &str) -> Result<PathBuf, SettingsError> {
    let path = values.path(key, default);
    if path.is_absolute() {
        return Ok(path);
    }
    let here =
        std::env::current_dir().map_err(|e| SettingsError::Invalid(format!("{key} `{}`: {e}", path.display())))?;
    Ok(here.join(path))
}

/// One of our executables: named by the environment, else beside this one, else wherever `PATH` finds it.
fn own_program(name: &str) -> PathBuf {
    let variable = name.to_uppercase().replace('-', "_");
    if let Some(path) = std::env::var_os(variable) {
        return path.into();
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(name))).filter(|p| p.exists());
    beside.unwrap_or_else(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|p| p.exists()).unwrap_or_else(|| name.into())
    })
}

/// `--add-runtime name=path`, and `{"path": …, "runtimeArgs": […]}` from the file.
fn runtimes(values: &Values) -> Result<BTreeMap<String, Runtime>, SettingsError> {
    let one = |name: &str, text: &str| -> Option<Runtime> {
        if !text.starts_with('{') {
            return Some(Runtime { path: text.into(), args: Vec::new() });
        }
        let document: serde_json::Value = serde_json::from_str(text).ok()?;
        let known = |key: &String| matches!(key.as_str(), "path" | "runtimeArgs");
        let members = document.as_object().filter(|members| members.keys().all(known))?;
        let args = members.get("runtimeArgs").map_or(Ok(Vec::new()), |args| serde_json::from_value(args.clone()));
        let path = members.get("path").and_then(serde_json::Value::as_str).unwrap_or(name);
        Some(Runtime { path: path.into(), args: args.ok()? })
    };
    let mut runtimes = BTreeMap::new();
    for (name, text) in values.pairs("runtimes")? {
        if RESERVED_RUNTIMES.contains(&name.as_str()) {
            return Err(SettingsError::Invalid(format!("runtime name '{name}' is reserved")));
        }
        let runtime = one(&name, &text).filter(|runtime| !runtime.path.as_os_str().is_empty()).ok_or_else(|| {
            SettingsError::Invalid(format!(
                "runtime {name}: only OCI runtimes by `path` and `runtimeArgs` are supported"
            ))
        })?;
        runtimes.insert(name, runtime);
    }
    Ok(runtimes)
}

fn default_runtime(values: &Values, runtimes: &BTreeMap<String, Runtime>) -> Result<String, SettingsError> {
    let name = values.value("default-runtime").unwrap_or("runc");
    if !runtimes.contains_key(name) && !RESERVED_RUNTIMES.contains(&name) {
        return Err(SettingsError::Invalid(format!("specified default runtime '{name}' does not exist")));
    }
    Ok(name.to_owned())
}

fn exec_options(options: &[String]) -> Result<(), SettingsError> {
    for option in options {
        match option.split_once('=') {
            Some(("native.cgroupdriver", "cgroupfs")) => {}
            Some(("native.cgroupdriver", driver)) => {
                return Err(SettingsError::Invalid(format!(
                    "native.cgroupdriver option \"{driver}\" is not supported: use \"cgroupfs\""
                )));
            }
            _ => return Err(SettingsError::Invalid(format!("Unknown option {option}"))),
        }
    }
    Ok(())
}

fn server(text: &str) -> Result<String, SettingsError> {
    let valid = text.parse::<std::net::IpAddr>().is_ok();
    valid.then(|| text.to_owned()).ok_or_else(|| SettingsError::Invalid(format!("{text} is not an ip address")))
}

/// What the flags say about networks.
fn network(values: &Values) -> Result<NetworkConfig, SettingsError> {
    let invalid = |text: String| Err(SettingsError::Invalid(text));
    fn parse<T: std::str::FromStr>(values: &Values, key: &'static str) -> Result<Option<T>, SettingsError> {
        let Some(text) = values.value(key).filter(|text| !text.is_empty()) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| SettingsError::Invalid(format!("invalid value \"{text}\" for \"{key}\"")))
    }
    if values.value("bip").is_some() && values.value("bridge").is_some() {
        return invalid("You specified -b & --bip, mutually exclusive options. Please specify only one".into());
    }
    let icc = values.switch("icc", true);
    if !icc && !values.switch("iptables", true) {
        return invalid(
            "You specified --iptables=false with --icc=false. ICC=false uses iptables to function. Please set --icc or --iptables to true"
                .into(),
        );
    }
    if let Some(text) = values.value("bip").filter(|t| t.parse::<Subnet>().is_err()) {
        return invalid(format!("invalid value \"{text}\" for \"bip\": invalid CIDR address"));
    }
    let mut options = BTreeMap::<String, BTreeMap<String, String>>::new();
    for text in values.list("default-network-opts") {
        // DRIVER=OPTION=VALUE
        let parts = text.split_once('=').and_then(|(driver, rest)| Some((driver, rest.split_once('=')?)));
        let Some((driver, (option, value))) = parts else {
            return invalid(format!("invalid default network option: {text}: use DRIVER=OPTION=VALUE"));
        };
        options.entry(driver.to_owned()).or_default().insert(option.to_owned(), value.to_owned());
    }
    Ok(NetworkConfig {
        bip6: parse(values, "bip6")?,
        fixed_cidr: parse(values, "fixed-cidr")?,
        fixed_cidr_v6: parse(values, "fixed-cidr-v6")?,
        gateway: parse(values, "default-gateway")?,
        gateway_v6: parse(values, "default-gateway-v6")?,
        icc,
        host_binding: parse::<std::net::IpAddr>(values, "ip")?.filter(|ip| !ip.is_unspecified()),
        ipv6: values.switch("ipv6", false),
        pools: values.list("default-address-pools").iter().map(|text| pool(text)).collect::<Result<_, _>>()?,
        options,
        host_gateway_ips: values
            .list("host-gateway-ips")
            .iter()
            .flat_map(|list| list.split(','))
            .map(|text| {
                server(text)?.parse().map_err(|_| SettingsError::Invalid(format!("{text} is not an ip address")))
            })
            .collect::<Result<_, _>>()?,
    })
}

/// `base=10.10.0.0/16,size=24`
fn pool(text: &str) -> Result<(Subnet, u8), SettingsError> {
    let invalid = |why: &str| SettingsError::Invalid(format!("invalid default address pool {text}: {why}"));
    let (mut base, mut size) = (None, None);
    for field in text.split(',') {
        match field.split_once('=') {
            Some(("base", value)) => base = Some(value.parse::<Subnet>().map_err(|e| invalid(&e.to_string()))?),
            Some(("size", value)) => size = Some(value.parse::<u8>().map_err(|_| invalid("size is not a number"))?),
            _ => return Err(invalid("use base=CIDR,size=BITS")),
        }
    }
    let (Some(base), Some(size)) = (base, size) else { return Err(invalid("use base=CIDR,size=BITS")) };
    let width = if base.is_ipv4() { 32 } else { 128 };
    if size < base.prefix || size > width {
        return Err(invalid(&format!("the size must lie between {} and {width}", base.prefix)));
    }
    Ok((base, size))
}

fn ulimits(values: &Values) -> Result<BTreeMap<String, (i64, i64)>, SettingsError> {
    let pairs = values.pairs("default-ulimits")?;
    pairs
        .into_iter()
        .map(|(name, text)| {
            let (soft, hard) = text.split_once(':').unwrap_or((&text, &text));
            let limits = soft.parse().ok().zip(hard.parse().ok());
            let limits =
                limits.ok_or_else(|| SettingsError::Invalid(format!("invalid ulimit argument: {name}={text}")))?;
            Ok((name, limits))
        })
        .collect()
}

/// Docker's sizes: `64m`, `1g`, `1024`.
fn size(text: &str) -> Result<u64, SettingsError> {
    let invalid = || SettingsError::Invalid(format!("invalid size: '{text}'"));
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (digits, shift) = match lower.char_indices().last() {
        Some((at, 'k')) => (&lower[..at], 10),
        Some((at, 'm')) => (&lower[..at], 20),
        Some((at, 'g')) => (&lower[..at], 30),
        Some((at, 't')) => (&lower[..at], 40),
        _ => (lower, 0),
    };
    let number: u64 = digits.trim().parse().map_err(|_| invalid())?;
    number.checked_shl(shift).filter(|n| n >> shift == number).ok_or_else(invalid)
}

fn seccomp_profile(value: Option<&str>) -> Result<Option<String>, SettingsError> {
    match value {
        None | Some("" | "builtin") => Ok(None),
        Some("unconfined") => Ok(Some("unconfined".into())),
        Some(path) => {
            let text = std::fs::read_to_string(Path::new(path));
            text.map(Some).map_err(|e| SettingsError::Invalid(format!("opening seccomp profile ({path}) failed: {e}")))
        }
    }
}

fn labels(values: &Values) -> Result<Vec<String>, SettingsError> {
    let labels = values.list("labels");
    if let Some(bad) = labels.iter().find(|l| !l.contains('=')) {
        return Err(SettingsError::Invalid(format!("bad attribute format: {bad}")));
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(line: &str) -> Result<Decided, String> {
        let values = Values::from_args(line.split_whitespace().map(str::to_owned)).map_err(|e| e.to_string())?;
        decide(&values).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_are_our_own_socket_and_dockers_when_free() {
        let decided = decided("").unwrap();
        assert_eq!(decided.addresses, [Address::Unix("/run/wharf/wharf.sock".into())]);
        assert_eq!(decided.courtesy, Some("/var/run/docker.sock".into()));
        assert_eq!(decided.pidfile, Path::new("/run/wharf/wharfd.pid"));
    }

    #[test]
    fn values_reach_the_engine() {
        let line = "--default-ulimit nofile=10:20 --default-shm-size 8m --log-opt max-size=1m --dns 192.0.2.1 --mtu 1400 --iptables=false";
        let engine = decided(line).unwrap().engine;
        assert_eq!(engine.default_ulimits["nofile"], (10, 20));
        assert_eq!((engine.default_shm_size, engine.mtu, engine.gate.masquerade), (8 << 20, Some(1400), false));
        assert_eq!((engine.log_opts["max-size"].as_str(), engine.dns.servers[0].as_str()), ("1m", "192.0.2.1"));
    }

    #[test]
    fn r_net_03_network_flags_reach_the_engine() {
        let line = "--icc=false --ip 192.0.2.7 --ipv6 --fixed-cidr 172.17.1.0/24 --fixed-cidr-v6 fd00:7::/64 --default-gateway 172.17.0.9 \
            --default-address-pool base=10.10.0.0/16,size=24 --default-network-opt bridge=com.docker.network.driver.mtu=1400 --host-gateway-ip 192.0.2.9";
        let network = decided(line).unwrap().engine.network;
        assert!(!network.icc && network.ipv6);
        assert_eq!(network.host_binding, Some([192, 0, 2, 7].into()));
        assert_eq!(network.pools[0].0.to_string(), "10.10.0.0/16");
        assert_eq!(network.options["bridge"]["com.docker.network.driver.mtu"], "1400");
        assert_eq!(network.host_gateway_ips, [std::net::IpAddr::from([192, 0, 2, 9])]);
    }

    #[test]
    fn r_arch_03_tls_is_asked_for_in_dockerds_ways() {
        assert_eq!(decided("-H tcp://192.0.2.1").unwrap().security, Security::Plain);
        assert_eq!(decided("--tls=false").unwrap().security, Security::Plain);
        assert_eq!(decided("--tls").unwrap().security, Security::Encrypted);
        assert_eq!(decided("--tlsverify=false").unwrap().security, Security::Encrypted);
        let verified = decided("--tlsverify --tlscacert /a --tlscert /b --tlskey /c -H tcp://192.0.2.1").unwrap();
        assert_eq!(verified.security, Security::Verified);
        assert_eq!(verified.addresses, [Address::Tcp("192.0.2.1:2376".into())]);
        let clients = wharf_tls::Clients::SignedBy("/a".into());
        assert_eq!(verified.tls, Some(wharf_tls::Server { certificate: "/b".into(), key: "/c".into(), clients }));
    }

    #[test]
    fn impossible_values_are_refused() {
        for (line, sentence) in [
            ("--log-level loud", "invalid logging level: loud"),
            ("--dns x", "x is not an ip address"),
            ("--label x", "bad attribute format: x"),
            ("--default-shm-size 8x", "invalid size: '8x'"),
            ("--exec-opt a=b", "Unknown option a=b"),
            ("--mtu x", "invalid value \"x\" for \"mtu\""),
            ("--default-ipc-mode host", "IPC mode \"host\" is not supported as default value"),
        ] {
            assert_eq!(decided(line).unwrap_err(), sentence);
        }
        for (line, sentence) in [
            ("--bip x", "invalid value \"x\" for \"bip\": invalid CIDR address"),
            (
                "--bip 10.1.0.1/16 -b br7",
                "You specified -b & --bip, mutually exclusive options. Please specify only one",
            ),
            ("--default-gateway fd00::1", "invalid value \"fd00::1\" for \"default-gateway\""),
            (
                "--default-address-pool base=10.0.0.0/16,size=8",
                "invalid default address pool base=10.0.0.0/16,size=8: the size must lie between 16 and 32",
            ),
            ("--default-network-opt bridge", "invalid default network option: bridge: use DRIVER=OPTION=VALUE"),
        ] {
            assert_eq!(decided(line).unwrap_err(), sentence);
        }
    }
}
