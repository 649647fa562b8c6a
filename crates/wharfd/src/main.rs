//! The `wharfd` executable: read the configuration, bind the sockets, open the engine, serve until told to stop.
//!
//! ```text
//!   settings (flags + daemon.json) → decide → lock, sockets → Engine::open (reconcile) → READY=1 → serve
//!   SIGTERM, SIGINT: stop serving (containers run on) · SIGHUP: read the file again · SIGUSR1: write a dump
//! ```

mod decide;
mod flags;
mod listen;
mod lock;
mod notify;
mod registry;
mod settings;
mod signals;

use decide::{Decided, decide};
use listen::Listener;
use settings::{SettingsError, Values};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

/// What went wrong before or while serving.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Tls(#[from] wharf_tls::Error),
    #[error("open the engine: {0}")]
    Engine(#[from] wharf_engine::Error),
}

/// Default of `--config-file`; missing is fine, unless it was named.
const CONFIG_FILES: [&str; 2] = ["/etc/wharf/daemon.json", "/etc/docker/daemon.json"];

fn main() -> ExitCode {
    let program = std::env::args().next().unwrap_or_default();
    let program = program.rsplit('/').next().unwrap_or("wharfd").to_owned();
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "registry") {
        // `wharf registry` comes this way and says what it was called as
        let name = std::env::var("WHARF_CALLED_AS").unwrap_or(program);
        return registry::main(&name, &words[1..]);
    }
    let values = match Values::from_args(words.into_iter()) {
        Ok(values) => values,
        Err(error) => return usage_error(&program, &error),
    };
    if values.switch("help", false) {
        return say(&settings::help(&program));
    }
    if values.switch("version", false) {
        return say(&format!("Wharf version {}, build {}\n", env!("CARGO_PKG_VERSION"), build()));
    }
    let checked = read_file(values).and_then(|values| decide(&values).map(|decided| (values, decided)));
    let (values, decided) = match checked {
        Ok(both) => both,
        Err(error @ SettingsError::Usage(_)) => return usage_error(&program, &error),
        Err(error) => return fail(&error.to_string()),
    };
    if values.switch("validate", false) {
        return say("configuration OK\n");
    }
    match run(values, decided) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&format!("failed to start daemon: {error}")),
    }
}

/// The commit this was built from, when the build was told (`WHARF_COMMIT`).
fn build() -> &'static str {
    option_env!("WHARF_COMMIT").unwrap_or("unknown")
}

/// Adds the values of the configuration file.
fn read_file(mut values: Values) -> Result<Values, SettingsError> {
    let named = values.value("config-file").map(str::to_owned);
    let path = match &named {
        Some(path) => path.clone(),
        None => match CONFIG_FILES.iter().find(|path| std::path::Path::new(path).exists()) {
            Some(path) => (*path).to_owned(),
            None => return Ok(values),
        },
    };
    let wrong = |why: String| SettingsError::Invalid(format!("unable to configure the daemon with file {path}: {why}"));
    let text = std::fs::read_to_string(&path).map_err(|e| wrong(e.to_string()))?;
    let file = Values::from_json(&text).map_err(|e| wrong(e.to_string()))?;
    values.merge_file(file).map_err(|e| wrong(e.to_string()))?;
    Ok(values)
}

fn run(values: Values, decided: Decided) -> Result<(), Failure> {
    let (level, reload) = tracing_subscriber::reload::Layer::new(LevelFilter::from_level(decided.log_level));
    let format = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false);
    let format = if decided.log_json { format.json().boxed() } else { format.boxed() };
    tracing_subscriber::registry().with(level).with(format).init();
    for warning in &values.warnings {
        tracing::warn!("{warning}");
    }
    let set_level = move |level: tracing::Level| {
        let _ = reload.reload(LevelFilter::from_level(level));
    };

    std::fs::create_dir_all(&decided.engine.exec_root)?;
    std::fs::create_dir_all(&decided.engine.data_root)?;
    let _lock = lock::DataRoot::lock(&decided.engine.data_root)?;
    let _pidfile = lock::PidFile::write(&decided.pidfile)?;
    // few threads: the daemon waits for the kernel more than it computes, and each stack and heap arena counts when idle
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 4)))
        .max_blocking_threads(64)
        .thread_name("wharfd")
        .thread_keep_alive(std::time::Duration::from_secs(5))
        .enable_all()
        .build()?;
    runtime.block_on(serve(values, decided, set_level))
}

async fn serve(
    values: Values,
    decided: Decided,
    set_level: impl Fn(tracing::Level) + Send + Sync + 'static,
) -> Result<(), Failure> {
    let tls = decided.tls.clone().map(wharf_tls::Reloading::new).transpose()?.map(Arc::new);
    let group = decided.group.as_deref().map_or_else(|| listen::group_id("docker"), listen::group_id);
    if let (Some(name), None) = (&decided.group, group) {
        tracing::warn!("could not change group of the socket to {name}: group {name} not found");
    }
    let mut listeners = Vec::new();
    for address in &decided.addresses {
        listeners.extend(listen::bind(address, group)?);
    }
    if let Some(path) = decided.courtesy.as_ref().filter(|path| !listen::owned_by_someone(path)) {
        match listen::bind(&listen::Address::Unix(path.clone()), group) {
            Ok(bound) => listeners.extend(bound),
            Err(error) => tracing::info!("not serving {}: {error}", path.display()),
        }
    }
    let engine = wharf_engine::Engine::open(decided.engine).await?;
    for listener in &listeners {
        for warning in listener.warnings(decided.security) {
            tracing::warn!(host = listener.shown(), "{warning}");
        }
        tracing::info!("API listen on {}", listener.shown());
    }
    let sockets: Vec<_> = listeners.iter().filter_map(Listener::path).collect();
    let listeners =
        listeners.into_iter().map(|listener| listener.for_http(tls.as_ref())).collect::<std::io::Result<Vec<_>>>()?;
    notify::tell("READY=1");
    let stop = signals::stop(engine.clone(), values, set_level)?;
    wharf_http::serve(engine.clone(), listeners, stop).await?;
    notify::tell("STOPPING=1");
    engine.close().await;
    for socket in sockets {
        let _ = std::fs::remove_file(socket);
    }
    tracing::info!("stopped; containers run on");
    Ok(())
}

fn say(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(text: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}

fn usage_error(program: &str, error: &SettingsError) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "Status: {error}\nSee '{program} --help'.\n\nUsage:\t{program} [OPTIONS]");
    ExitCode::from(125)
}
