//! What the daemon does on signals, as dockerd does: TERM and INT stop it, HUP reads the configuration again, USR1 writes a dump.

use crate::settings::{SettingsError, Values};
use std::future::Future;
use std::io::Write;
use tokio::signal::unix::{SignalKind, signal};
use wharf_engine::Engine;

/// A future that ends when the daemon was told to stop. Until then it serves the other signals.
///
/// # Errors
/// When a handler cannot be installed.
pub(crate) fn stop(
    engine: Engine,
    values: Values,
    set_level: impl Fn(tracing::Level) + Send + Sync + 'static,
) -> std::io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut user = signal(SignalKind::user_defined1())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break tracing::info!("Processing signal 'terminated'"),
                _ = interrupt.recv() => break tracing::info!("Processing signal 'interrupt'"),
                _ = hangup.recv() => reload(&engine, &values, &set_level),
                _ = user.recv() => dump(&engine),
            }
        }
    })
}

/// Keys that a reload changes while the daemon runs.
const LIVE: [&str; 10] = [
    "debug",
    "default-runtime",
    "insecure-registries",
    "labels",
    "log-level",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "registry-mirrors",
    "runtimes",
];

/// Reads flags and file again. What can change while serving changes; of the rest it is said that it changes at the next start.
fn reload(engine: &Engine, begun: &Values, set_level: &impl Fn(tracing::Level)) {
    tracing::info!("Got signal to reload configuration");
    let read = || -> Result<_, SettingsError> {
        let values = crate::read_file(Values::from_args(std::env::args().skip(1))?)?;
        crate::decide(&values).map(|decided| (values, decided))
    };
    let reloaded = read().map_err(|e| e.to_string()).and_then(|(values, decided)| {
        let now = engine.reload(&decided.engine).map_err(|e| e.to_string())?;
        set_level(decided.log_level);
        Ok((values, now))
    });
    match reloaded {
        Ok((values, now)) => {
            for key in begun.differing(&values, &LIVE) {
                tracing::warn!("{key}: the new value holds from the next start on");
            }
            tracing::info!("Reloaded configuration: {now:?}");
        }
        Err(error) => tracing::error!("the configuration stays as it was: {error}"),
    }
}

/// Writes what is known of the daemon's inside into a file under the exec root.
fn dump(engine: &Engine) {
    let path = engine.config().exec_root.join("wharfd-dump.log");
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&path)?;
        writeln!(file, "wharfd {} build {}\n{engine:#?}", env!("CARGO_PKG_VERSION"), crate::build())?;
        let metrics = tokio::runtime::Handle::current().metrics();
        writeln!(file, "tasks alive: {}, workers: {}", metrics.num_alive_tasks(), metrics.num_workers())?;
        file.write_all(&std::fs::read("/proc/self/status")?)
    };
    match write() {
        Ok(()) => tracing::info!("dump written to {}", path.display()),
        Err(error) => tracing::error!("dump `{}`: {error}", path.display()),
    }
}
