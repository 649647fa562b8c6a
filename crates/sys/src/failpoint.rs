//! Fail points: named places where a test can make a debug build fail, die or wait.
//!
//! `WHARF_FAILPOINTS="engine.start.after_mounts=kill;store.commit=error;shim.launch=delay:50"`; a name may be followed by
//! `#N` to act at the N-th hit only (counted from 1 in each process). Release builds contain none of this.

use crate::Result;

/// What a fail point does when it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// `kill -9` of the own process.
    Kill,
    /// The call returns `EIO`.
    Error,
    /// The calling thread waits this many milliseconds.
    Delay(u64),
}

#[derive(Debug)]
struct Point {
    name: String,
    action: Action,
    only: Option<u32>,
    hits: std::sync::atomic::AtomicU32,
}

/// Reaches the fail point `name`.
///
/// # Errors
/// `EIO` when the environment asks for an error here; never in release builds.
#[inline]
pub fn hit(name: &str) -> Result<()> {
    if cfg!(debug_assertions) { act(name) } else { Ok(()) }
}

fn act(name: &str) -> Result<()> {
    static POINTS: std::sync::OnceLock<Vec<Point>> = std::sync::OnceLock::new();
    let points = POINTS.get_or_init(|| parse(&std::env::var("WHARF_FAILPOINTS").unwrap_or_default()));
    for point in points.iter().filter(|point| point.name == name) {
        let hit = point.hits.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        if point.only.is_some_and(|only| only != hit) {
            continue;
        }
        match point.action {
            Action::Kill => {
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
                // only the first process of a PID namespace gets here: its own signals cannot kill it
                crate::clone::exit(137);
            }
            Action::Error => return Err(crate::Errno::IO),
            #[allow(clippy::disallowed_methods, reason = "waiting is what this action is")]
            Action::Delay(ms) => std::thread::sleep(std::time::Duration::from_millis(ms)),
        }
    }
    Ok(())
}

fn parse(text: &str) -> Vec<Point> {
    text.split(';').filter_map(parse_one).collect()
}

fn parse_one(item: &str) -> Option<Point> {
    let (name, action) = item.trim().split_once('=')?;
    let action = match action.split_once(':') {
        None if action == "kill" => Action::Kill,
        None if action == "error" => Action::Error,
        Some(("delay", ms)) => Action::Delay(ms.parse().ok()?),
        _ => return None,
    };
    let (name, only) = match name.split_once('#') {
        Some((name, count)) => (name, Some(count.parse().ok()?)),
        None => (name, None),
    };
    Some(Point { name: name.to_owned(), action, only, hits: 0.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        let points = parse("a.b=kill; c=error;d#3=delay:20;bad;e=nothing");
        let seen: Vec<_> = points.iter().map(|p| (p.name.as_str(), p.action, p.only)).collect();
        assert_eq!(seen, [("a.b", Action::Kill, None), ("c", Action::Error, None), ("d", Action::Delay(20), Some(3))]);
    }
}
