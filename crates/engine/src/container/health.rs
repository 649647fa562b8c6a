//! Health checks: probes at intervals, what they found, and what follows from it.
//!
//! ```text
//!   starting ── a probe succeeds ──► healthy ◄── a probe succeeds ── unhealthy
//!      └────────── `retries` failures in a row, the start period not counted ──► ▲
//!                        paused or ended: not looked at any more, as Docker ─────┘
//! ```
//!
//! One task per container waits, runs the probe as an exec through the keeper, and tells the container's task. It ends with its
//! [`Monitor`], and takes the probe that is under way with it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use wharf_api::container::Config;
use wharf_spec::id::ContainerId;

use super::handle::{Command, Handle};
use super::snapshot::{Health, HealthProbe, HealthStatus};
use crate::execs::{self, Probe};
use crate::{Error, ExecConfig, Inner, Result};

/// Bytes of a probe's output that are kept.
const OUTPUT: usize = 4096;
/// Probes that are remembered.
const REMEMBERED: usize = 5;
/// How long starting a probe may take: it does not count as the probe's own time, but a start that hangs must end.
const START: Duration = Duration::from_secs(30);
/// How long a killed probe may take to be gone.
const KILLED: Duration = Duration::from_secs(10);

/// A health check, with Docker's defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    command: Vec<String>,
    interval: Duration,
    timeout: Duration,
    start_period: Duration,
    start_interval: Duration,
    retries: u32,
}

impl Check {
    /// The check that a container declares; `None`: it has none, or `NONE`.
    pub(crate) fn of(config: &Config) -> Option<Check> {
        let health = config.healthcheck.as_ref()?;
        let (kind, words) = health.test.as_deref()?.split_first()?;
        let command = match kind.as_str() {
            "CMD" => words.to_vec(),
            "CMD-SHELL" => {
                let own = config.shell.as_ref().map(|shell| shell.0.clone()).filter(|shell| !shell.is_empty());
                let mut command = own.unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
                command.extend(words.iter().cloned());
                command
            }
            "NONE" => return None,
            other => {
                tracing::warn!(kind = other, "unknown kind of health check (CMD, CMD-SHELL, NONE)");
                return None;
            }
        };
        let or = |nanoseconds: i64, default: u64| match u64::try_from(nanoseconds) {
            Ok(given) if given > 0 => Duration::from_nanos(given),
            _ => Duration::from_secs(default),
        };
        Some(Check {
            command,
            interval: or(health.interval, 30),
            timeout: or(health.timeout, 30),
            start_period: or(health.start_period, 0),
            start_interval: or(health.start_interval, 5),
            retries: u32::try_from(health.retries).ok().filter(|n| *n > 0).unwrap_or(3),
        })
    }

    /// How long to wait for the next probe.
    fn pause(&self, health: HealthStatus, ran: Duration) -> Duration {
        if ran < self.start_period && health == HealthStatus::Starting { self.start_interval } else { self.interval }
    }

    /// What a probe means for a container that has run since `started`.
    pub(crate) fn judge(&self, health: &Health, probe: HealthProbe, started: Option<Timestamp>) -> Health {
        let mut now = health.clone();
        if probe.exit_code == 0 {
            (now.status, now.failing_streak) = (HealthStatus::Healthy, 0);
        } else {
            let ran = since(started, probe.start);
            if now.status != HealthStatus::Starting || ran >= self.start_period {
                now.failing_streak += 1;
                if now.failing_streak >= self.retries {
                    now.status = HealthStatus::Unhealthy;
                }
            }
        }
        now.log.push(probe);
        let surplus = now.log.len().saturating_sub(REMEMBERED);
        now.log.drain(..surplus);
        now
    }
}

fn since(started: Option<Timestamp>, now: Timestamp) -> Duration {
    started.and_then(|at| Duration::try_from(now.duration_since(at)).ok()).unwrap_or_default()
}

/// The task that probes a container; dropping it ends the task.
#[derive(Debug)]
pub(crate) struct Monitor {
    _stop: oneshot::Sender<()>,
    /// Tells its probes from those of an earlier one.
    pub(crate) run: u64,
}

/// Begins to probe.
pub(crate) fn watch(
    inner: &Arc<Inner>,
    id: &ContainerId,
    check: Check,
    started: Option<Timestamp>,
    run: u64,
) -> Monitor {
    let (stop, mut stopped) = oneshot::channel();
    let (inner, id) = (inner.clone(), id.clone());
    tokio::spawn(async move {
        loop {
            let Some(handle) = inner.index.get(&id) else { return };
            let status = handle.container().health.as_ref().map_or(HealthStatus::Starting, |health| health.status);
            tokio::select! {
                _ = &mut stopped => return,
                () = sleep(check.pause(status, since(started, Timestamp::now()))) => {}
            }
            let Some(probe) = probe(&inner, &handle, &check, &mut stopped).await else { return };
            if handle.commands.send(Command::Probed(run, probe)).await.is_err() {
                return;
            }
        }
    });
    Monitor { _stop: stop, run }
}

/// One probe; `None` when it was called off.
async fn probe(
    inner: &Arc<Inner>,
    handle: &Handle,
    check: &Check,
    stopped: &mut oneshot::Receiver<()>,
) -> Option<HealthProbe> {
    let start = Timestamp::now();
    let ended = |exit_code, output| Some(HealthProbe { start, end: Timestamp::now(), exit_code, output });
    let (probe, stream) = match timeout(START, begin(inner, handle, check)).await {
        Ok(Ok(begun)) => begun,
        Ok(Err(error)) => return ended(-1, error.to_string()),
        Err(_) => return ended(-1, format!("timed out starting health check for container {}", handle.id)),
    };
    let mut output = Output::default();
    let run = async {
        output.collect(stream).await;
        probe.exit_code(inner).await
    };
    let over = tokio::select! {
        code = run => Some(code),
        () = sleep(check.timeout) => None,
        _ = stopped => {
            probe.kill();
            return None;
        }
    };
    match over {
        Some(Some(code)) => ended(code, output.text()),
        Some(None) => ended(-1, format!("healthcheck for container {} has no exit code", handle.id)),
        None => {
            probe.kill();
            let _ = timeout(KILLED, probe.exit_code(inner)).await;
            let text = output.text();
            let said = if text.is_empty() { String::new() } else { format!(": {text}") };
            ended(-1, format!("Health check exceeded timeout ({}){said}", go_duration(check.timeout)))
        }
    }
}

async fn begin(inner: &Arc<Inner>, handle: &Handle, check: &Check) -> Result<(Probe, UnixStream)> {
    if check.command.is_empty() {
        return Err(Error::InvalidParameter("the health check has no command".into()));
    }
    let container = handle.container();
    let config = ExecConfig {
        attach_stdout: true,
        attach_stderr: true,
        cmd: check.command.clone(),
        user: container.config.user.clone(),
        working_dir: container.config.working_dir.clone(),
        ..ExecConfig::default()
    };
    execs::probe(inner, &handle.id, config).await
}

/// The beginning of what a probe printed on both its streams.
#[derive(Debug, Default)]
struct Output {
    bytes: Vec<u8>,
    cut: bool,
}

impl Output {
    /// Reads frames until the stream ends; what is broken ends it, too.
    async fn collect(&mut self, mut stream: UnixStream) {
        let mut head = [0; 8];
        let mut piece = vec![0; OUTPUT];
        while stream.read_exact(&mut head).await.is_ok() {
            let mut left = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
            while left > 0 {
                let want = left.min(piece.len());
                match stream.read(&mut piece[..want]).await {
                    Ok(0) | Err(_) => return,
                    Ok(n) => {
                        self.take(&piece[..n]);
                        left -= n;
                    }
                }
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let room = OUTPUT - self.bytes.len();
        self.cut |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    fn text(&self) -> String {
        let more = if self.cut { "..." } else { "" };
        format!("{}{more}", String::from_utf8_lossy(&self.bytes))
    }
}

/// A duration as Go prints it: `700ms`, `1m30s`.
fn go_duration(duration: Duration) -> String {
    let trimmed = |value: f64| format!("{value:.9}").trim_end_matches('0').trim_end_matches('.').to_owned();
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 {
        return format!("{}ms", trimmed(seconds * 1000.0));
    }
    let (hours, minutes) = (duration.as_secs() / 3600, duration.as_secs() / 60 % 60);
    let rest = trimmed(seconds - (hours * 3600 + minutes * 60) as f64);
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_api::container::{HealthConfig, Words};

    fn config(test: &[&str], health: HealthConfig) -> Config {
        let test = Some(test.iter().map(|word| (*word).to_owned()).collect());
        Config { healthcheck: Some(HealthConfig { test, ..health }), ..Config::default() }
    }

    #[test]
    fn r_ctr_09_declarations() {
        let command = |config: &Config| Check::of(config).map(|check| check.command.join(" "));
        assert_eq!(command(&Config::default()), None);
        assert_eq!(command(&config(&[], HealthConfig::default())), None);
        assert_eq!(command(&config(&["NONE"], HealthConfig::default())), None);
        assert_eq!(command(&config(&["CMD", "a", "b"], HealthConfig::default())).as_deref(), Some("a b"));
        let mut shell = config(&["CMD-SHELL", "x || y"], HealthConfig::default());
        assert_eq!(command(&shell).as_deref(), Some("/bin/sh -c x || y"));
        shell.shell = Some(Words(vec!["/bin/ash".into(), "-ec".into()]));
        assert_eq!(command(&shell).as_deref(), Some("/bin/ash -ec x || y"));
        let check = Check::of(&shell).expect("a check");
        assert_eq!((check.interval, check.retries), (Duration::from_secs(30), 3));
    }

    #[test]
    fn r_ctr_09_what_probes_mean() {
        let at = |second| Timestamp::from_second(second).expect("a moment");
        let times = HealthConfig { retries: 2, start_period: 10_000_000_000, ..HealthConfig::default() };
        let check = Check::of(&config(&["CMD", "x"], times)).expect("a check");
        let mut health = Health::default();
        let mut told = Vec::new();
        for (second, code) in [(1, 1), (5, 1), (11, 1), (12, 1), (13, 0), (14, 1), (15, 1)] {
            let probe = HealthProbe { start: at(second), end: at(second), exit_code: code, output: String::new() };
            health = check.judge(&health, probe, Some(at(0)));
            told.push(format!("{} {}", health.status.as_str(), health.failing_streak));
        }
        let want = "starting 0, starting 0, starting 1, unhealthy 2, healthy 0, healthy 1, unhealthy 2";
        assert_eq!(told.join(", "), want);
        assert_eq!(health.log.len(), REMEMBERED);
        assert_eq!(check.pause(HealthStatus::Starting, Duration::from_secs(1)), Duration::from_secs(5));
        assert_eq!(check.pause(HealthStatus::Healthy, Duration::from_secs(1)), Duration::from_secs(30));
        assert_eq!(check.pause(HealthStatus::Starting, Duration::from_secs(10)), Duration::from_secs(30));
    }

    #[test]
    fn r_ctr_09_output_and_durations() {
        let mut output = Output::default();
        output.take(&[b'a'; OUTPUT - 1]);
        output.take(b"b");
        assert!(output.text().ends_with("ab"));
        output.take(b"c");
        assert!(output.text().ends_with("ab...") && output.text().len() == OUTPUT + 3);
        for (millis, expect) in [(700, "700ms"), (1500, "1.5s"), (90_000, "1m30s"), (3_600_000, "1h0m0s")] {
            assert_eq!(go_duration(Duration::from_millis(millis)), expect);
        }
    }
}
