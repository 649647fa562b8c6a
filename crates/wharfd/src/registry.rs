//! `wharfd registry serve` and `wharfd registry gc`: the embedded registry, which `wharf registry …` hands over to.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use wharf_registry::server::{Access, Collection, Config, Proxy};

/// Data folder when none is named: where the stock registry has it.
const ROOT: &str = "/var/lib/registry";
/// Connections at the same time, when not told.
const CONNECTIONS: usize = 1024;

/// How long a cache believes a tag, when not told.
const PROXY_TTL: Duration = Duration::from_secs(300);
/// Where Docker Hub's registry is.
const HUB: &str = "https://registry-1.docker.io";

/// A flag: its name, what help calls the value (nothing for a switch), and help.
type Flag = (&'static str, &'static str, &'static str);

const SERVE: &[Flag] = &[
    ("addr", "address", "Address to listen on: [IP]:PORT; can be given several times (default :5000)"),
    ("root", "folder", "Data folder, in the layout of the stock registry (default /var/lib/registry)"),
    ("tls-cert", "file", "Certificate (PEM); read again when it changes"),
    ("tls-key", "file", "Key of the certificate (PEM)"),
    ("tls-client-ca", "file", "Let in only clients with a certificate that one of these CAs has signed"),
    ("htpasswd", "file", "Users with bcrypt passwords (htpasswd -B); read again when it changes"),
    ("realm", "name", "What clients show when they ask for a password (default Registry)"),
    ("read-only", "", "Refuse pushes and deletes"),
    ("no-delete", "", "Refuse deletes"),
    ("proxy", "url", "Be a cache of the registry at this URL: what is missing is fetched from there"),
    ("proxy-user", "name", "User at the registry behind (a token or password: --proxy-password-file)"),
    ("proxy-password-file", "file", "File with the password for --proxy-user"),
    ("proxy-ttl", "duration", "How long a tag is believed before the registry behind is asked again (default 5m)"),
    ("gc-every", "duration", "Collect what nothing refers to this often, e.g. 24h (default: never)"),
    ("gc-grace", "duration", "What was pushed or asked for in this time is not collected (default 1h)"),
    ("gc-untagged", "", "Collect manifests without a tag, too"),
    ("max-connections", "number", "Connections at the same time; more wait (default 1024)"),
    ("log-level", "level", "debug, info, warn or error (default info)"),
    ("log-format", "format", "text or json (default text)"),
];

const GC: &[Flag] = &[
    ("root", "folder", "Data folder (default /var/lib/registry); a registry may be serving it"),
    ("grace", "duration", "What was pushed or asked for in this time stays (default 1h)"),
    ("delete-untagged", "", "Remove manifests without a tag, too"),
    ("upload-age", "duration", "Remove unfinished uploads of this age (default 168h)"),
    ("dry-run", "", "Only say what would be removed"),
];

/// Runs `registry` with the words after it.
pub(crate) fn main(program: &str, words: &[String]) -> ExitCode {
    let (table, about) = match words.first().map(String::as_str) {
        Some("serve") => (SERVE, "Serve a registry of images (OCI distribution 1.1) from a folder"),
        Some("gc") => (GC, "Remove what nothing refers to from a registry's folder"),
        None | Some("--help" | "-h" | "help") => return print(&overview(program)),
        Some(other) => return usage(program, &format!("unknown command: {program} registry {other}")),
    };
    let command = &words[0];
    if words.iter().any(|word| word == "--help" || word == "-h") {
        return print(&help(program, command, about, table));
    }
    let given = match Given::parse(table, &words[1..]) {
        Ok(given) => given,
        Err(why) => return usage(&format!("{program} registry {command}"), &why),
    };
    let done = if command == "serve" { serve(&given) } else { collect(&given) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "registry {command}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn usage(path: &str, why: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{why}\n\nRun '{path} --help' for more information");
    ExitCode::from(125)
}

fn overview(program: &str) -> String {
    format!(
        "\nUsage:  {program} registry COMMAND\n\nA registry of images in one folder\n\nCommands:\n  \
         gc          Remove what nothing refers to from a registry's folder\n  \
         serve       Serve a registry of images (OCI distribution 1.1) from a folder\n\n\
         Run '{program} registry COMMAND --help' for more information on a command.\n"
    )
}

fn help(program: &str, command: &str, about: &str, table: &[Flag]) -> String {
    let mut text = format!("\nUsage:  {program} registry {command} [OPTIONS]\n\n{about}\n\nOptions:\n");
    let left: Vec<String> = table.iter().map(|(name, kind, _)| format!("--{name} {kind}").trim_end().into()).collect();
    let width = left.iter().map(String::len).max().unwrap_or(0);
    for (left, (_, _, help)) in left.iter().zip(table) {
        text.push_str(&format!("      {left:width$}   {help}\n"));
    }
    text
}

/// What was given, in order.
#[derive(Debug, Default)]
struct Given(Vec<(&'static str, String)>);

impl Given {
    fn parse(table: &'static [Flag], words: &[String]) -> Result<Self, String> {
        let mut given = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(text) = word.strip_prefix("--") else {
                return Err(if word.starts_with('-') {
                    format!("unknown shorthand flag: {word}")
                } else {
                    format!("accepts no arguments: {word}")
                });
            };
            let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
            let Some((name, kind, _)) = table.iter().find(|flag| flag.0 == name) else {
                return Err(format!("unknown flag: --{name}"));
            };
            let value = match (kind.is_empty(), value) {
                (true, None) => "true".to_owned(),
                (true, Some(value)) if matches!(value, "true" | "false") => value.to_owned(),
                (true, Some(value)) => return Err(format!("invalid argument \"{value}\" for \"--{name}\" flag")),
                (false, Some(value)) => value.to_owned(),
                (false, None) => words.next().ok_or(format!("flag needs an argument: --{name}"))?.clone(),
            };
            given.push((*name, value));
        }
        Ok(Self(given))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.value(name).map(PathBuf::from)
    }

    fn on(&self, name: &str) -> bool {
        self.value(name) == Some("true")
    }

    fn duration(&self, name: &str) -> Result<Option<Duration>, String> {
        let parse = |text| duration(text).ok_or(format!("--{name}: invalid duration {text:?}: use 90s, 30m, 24h"));
        self.value(name).map(parse).transpose()
    }
}

/// Go's durations in whole seconds: `1h30m`, `90s`.
fn duration(text: &str) -> Option<Duration> {
    let (mut total, mut rest) = (0_u64, text);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let seconds = match rest[digits..].chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(seconds)?)?;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then_some(Duration::from_secs(total))
}

/// `:5000`, `127.0.0.1:5000`, `[::1]:5000`, `localhost:5000`.
fn address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || format!("--addr: invalid address {text:?}: use [IP]:PORT");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().map_err(|_| wrong())?;
    let ip = match host {
        // every address: where there is IPv6 its wildcard takes IPv4 as well
        "" if std::path::Path::new("/proc/net/if_inet6").exists() => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        "" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        host => host.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| wrong())?,
    };
    Ok(SocketAddr::new(ip, port))
}

fn config(given: &Given) -> Result<Config, String> {
    let mut addresses = Vec::new();
    for (_, text) in given.0.iter().filter(|(name, _)| *name == "addr") {
        addresses.push(address(text)?);
    }
    if addresses.is_empty() {
        addresses.push(address(":5000")?);
    }
    let tls = match (given.path("tls-cert"), given.path("tls-key"), given.path("tls-client-ca")) {
        (Some(certificate), Some(key), ca) => {
            let clients = ca.map_or(wharf_tls::Clients::Any, wharf_tls::Clients::SignedBy);
            Some(wharf_tls::Server { certificate, key, clients })
        }
        (None, None, None) => None,
        (None, None, Some(_)) => return Err("--tls-client-ca needs --tls-cert and --tls-key".into()),
        _ => return Err("--tls-cert and --tls-key go together".into()),
    };
    let access = match (given.on("read-only"), given.on("no-delete")) {
        (true, _) => Access::ReadOnly,
        (false, true) => Access::NoDelete,
        (false, false) => Access::Full,
    };
    let collection = Collection {
        grace: given.duration("gc-grace")?.unwrap_or(Collection::default().grace),
        untagged: given.on("gc-untagged"),
        ..Collection::default()
    };
    let every = given.duration("gc-every")?.filter(|every| !every.is_zero());
    if every.is_some() && access == Access::ReadOnly {
        return Err("--gc-every changes the folder: it cannot go with --read-only".into());
    }
    let connections = match given.value("max-connections") {
        None => CONNECTIONS,
        Some(text) => match text.parse() {
            Ok(number) if number > 0 => number,
            _ => return Err(format!("--max-connections: invalid number {text:?}")),
        },
    };
    let proxy = proxy(given)?;
    if proxy.is_some() && access == Access::ReadOnly {
        return Err(
            "--proxy fills the folder: it cannot go with --read-only (nothing can be pushed to a cache anyway)".into(),
        );
    }
    let realm = given.value("realm").unwrap_or("Registry").to_owned();
    if realm.contains(['"', '\\']) || realm.chars().any(char::is_control) {
        return Err(format!("--realm: {realm:?} cannot stand in a header"));
    }
    Ok(Config {
        addresses,
        root: given.path("root").unwrap_or_else(|| ROOT.into()),
        tls,
        users: given.path("htpasswd"),
        realm,
        access,
        proxy,
        connections,
        collect: every.map(|every| (every, collection)),
    })
}

fn proxy(given: &Given) -> Result<Option<Proxy>, String> {
    let Some(url) = given.value("proxy") else {
        let stray = given.0.iter().find(|(name, _)| name.starts_with("proxy-"));
        return stray.map_or(Ok(None), |(name, _)| Err(format!("--{name} needs --proxy")));
    };
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(format!("--proxy: {url:?} is no URL: use https://HOST"));
    }
    let url = if url.trim_end_matches('/') == "https://docker.io" { HUB } else { url };
    let password = match (given.value("proxy-user"), given.path("proxy-password-file")) {
        (Some(_), Some(path)) => {
            let text = std::fs::read_to_string(&path);
            text.map_err(|e| format!("--proxy-password-file {}: {e}", path.display()))?.trim_end().to_owned()
        }
        (None, None) => String::new(),
        _ => return Err("--proxy-user and --proxy-password-file go together".into()),
    };
    Ok(Some(Proxy {
        url: url.to_owned(),
        username: given.value("proxy-user").unwrap_or_default().to_owned(),
        password,
        ttl: given.duration("proxy-ttl")?.unwrap_or(PROXY_TTL),
    }))
}

fn serve(given: &Given) -> Result<(), String> {
    let level = match given.value("log-level").unwrap_or("info") {
        "debug" => LevelFilter::DEBUG,
        "info" => LevelFilter::INFO,
        "warn" => LevelFilter::WARN,
        "error" => LevelFilter::ERROR,
        other => return Err(format!("invalid logging level: {other}")),
    };
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false);
    let format = match given.value("log-format").unwrap_or("text") {
        "text" => format.boxed(),
        "json" => format.json().boxed(),
        other => return Err(format!("invalid log format: {other}")),
    };
    let config = config(given)?;
    tracing_subscriber::registry().with(level).with(format).init();
    if config.users.is_some() && config.tls.is_none() && config.addresses.iter().any(|a| !a.ip().is_loopback()) {
        tracing::warn!("passwords travel in the clear: use --tls-cert and --tls-key, or listen on a loopback address");
    }
    let (secure, root) = (config.tls.is_some(), config.root.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4)))
        .max_blocking_threads(64)
        .thread_name("registry")
        .thread_keep_alive(Duration::from_secs(5))
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let listening = |addresses: &[SocketAddr]| {
        for address in addresses {
            let scheme = if secure { "https" } else { "http" };
            tracing::info!("serving {} on {scheme}://{address}", root.display());
        }
        crate::notify::tell("READY=1");
    };
    runtime
        .block_on(async {
            let stop = told_to_stop().map_err(|e| e.to_string())?;
            wharf_registry::server::serve(config, listening, stop).await.map_err(|e| e.to_string())
        })
        .inspect(|()| tracing::info!("stopped"))
}

/// Ends on SIGTERM or SIGINT. SIGHUP does nothing: files are read again when they change.
fn told_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hangup.recv() => tracing::info!("certificates and users are read again whenever they change"),
            }
        }
    })
}

fn collect(given: &Given) -> Result<(), String> {
    let defaults = Collection::default();
    let what = Collection {
        grace: given.duration("grace")?.unwrap_or(defaults.grace),
        untagged: given.on("delete-untagged"),
        uploads: given.duration("upload-age")?.unwrap_or(defaults.uploads),
        dry_run: given.on("dry-run"),
    };
    let root = given.path("root").unwrap_or_else(|| ROOT.into());
    let report = wharf_registry::server::collect(&root, &what).map_err(|e| e.to_string())?;
    let done = if what.dry_run { "Would remove" } else { "Removed" };
    let text = format!(
        "{done} {} blobs, {} untagged manifests and {} unfinished uploads ({} bytes); {} blobs stay\n",
        report.blobs, report.manifests, report.uploads, report.bytes, report.kept
    );
    std::io::stdout().write_all(text.as_bytes()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(line: &str) -> Result<Config, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        config(&Given::parse(SERVE, &words)?)
    }

    #[test]
    fn durations_and_addresses() {
        assert_eq!(duration("1h30m5s"), Some(Duration::from_secs(5405)));
        for bad in ["", "1", "h", "1d", "-1s", "99999999999999999999h"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert_eq!(address("127.0.0.1:5000").unwrap().to_string(), "127.0.0.1:5000");
        assert_eq!(address("[::1]:0").unwrap().to_string(), "[::1]:0");
        assert_eq!(address(":5000").unwrap().port(), 5000);
        for bad in ["5000", "x:5000", ":99999", ""] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn command_lines() {
        let config = given("--addr 127.0.0.1:1 --addr=:2 --root /r --read-only").unwrap();
        assert_eq!((config.addresses.len(), config.access), (2, Access::ReadOnly));
        for (line, why) in [
            ("--x", "unknown flag: --x"),
            ("x", "accepts no arguments: x"),
            ("--addr", "flag needs an argument: --addr"),
            ("--read-only=maybe", "invalid argument \"maybe\" for \"--read-only\" flag"),
            ("--tls-cert a", "--tls-cert and --tls-key go together"),
            ("--tls-client-ca a", "--tls-client-ca needs --tls-cert and --tls-key"),
            ("--gc-every 1h --read-only", "--gc-every changes the folder: it cannot go with --read-only"),
            ("--proxy-ttl 1h", "--proxy-ttl needs --proxy"),
            ("--proxy x", "--proxy: \"x\" is no URL: use https://HOST"),
            ("--proxy https://x --proxy-user u", "--proxy-user and --proxy-password-file go together"),
            ("--max-connections 0", "--max-connections: invalid number \"0\""),
            ("--realm a\"b", "--realm: \"a\\\"b\" cannot stand in a header"),
        ] {
            assert_eq!(given(line).unwrap_err(), why);
        }
    }
}
