//! Bytes on their way in a copy: counted, and shown while they move.

use std::io::{self, IsTerminal as _, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{human, output};

/// How often the count is shown, as often as docker does.
const EVERY: Duration = Duration::from_millis(75);

/// A stream whose bytes are counted.
pub(crate) struct Counted<T> {
    inner: T,
    bytes: Arc<AtomicU64>,
}

impl<T> Counted<T> {
    pub(crate) fn new(inner: T, bytes: Arc<AtomicU64>) -> Self {
        Self { inner, bytes }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Shows how far a copy is, when anybody looks.
pub(crate) struct Progress {
    bytes: Arc<AtomicU64>,
    quiet: bool,
    shown: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Progress {
    /// Begins to show `header` and the bytes so far, in one line of a terminal.
    pub(crate) fn new(quiet: bool, header: &'static str) -> Self {
        let bytes = Arc::new(AtomicU64::new(0));
        let shown = (!quiet && io::stderr().is_terminal()).then(|| {
            let (over, total) = (Arc::new(AtomicBool::new(false)), bytes.clone());
            let end = over.clone();
            (over, std::thread::spawn(move || show(header, &total, &end)))
        });
        Self { bytes, quiet, shown }
    }

    /// The counter.
    pub(crate) fn bytes(&self) -> Arc<AtomicU64> {
        self.bytes.clone()
    }

    /// Takes the line away and says how much went where.
    pub(crate) fn finish(mut self, to: &str) {
        self.stop();
        if !self.quiet {
            let size = human::size3(self.bytes.load(Ordering::Relaxed) as f64);
            output::err(&format!("Successfully copied {size} to {to}\n"));
        }
    }

    fn stop(&mut self) {
        if let Some((over, thread)) = self.shown.take() {
            over.store(true, Ordering::Release);
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop();
    }
}

fn show(header: &str, bytes: &AtomicU64, over: &AtomicBool) {
    let mut last = u64::MAX;
    while !over.load(Ordering::Acquire) {
        let now = bytes.load(Ordering::Relaxed);
        if now != last {
            output::err(&format!("\r\x1b[2K{header}{}", human::size3(now as f64)));
            last = now;
        }
        std::thread::park_timeout(EVERY);
    }
    output::err("\r\x1b[2K");
}
