//! The reading side: the last lines, a span of time, and what is still to come, over rotated and compressed files.
//!
//! ```text
//!  chain (oldest … current) ─► block buffer ─► lines ─► since / until / streams ─► Entry or frames
//!      ▲                                         │ end of the current file, follow
//!      └── rotated? go on in the next file ◄─────┴── wait (inotify, stop handle)
//! ```

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use crate::chain::{self, Source};
use crate::codec::{Codec, Next};
use crate::follow::{StopHandle, Watch};
use crate::frame::{Encoder, Format};
use crate::line::Line;
use serde::{Deserialize, Serialize};

use crate::{Entry, Error, LogConfig, Result, Stream, Timestamp};

/// Bytes read at once.
const BLOCK: usize = 256 * 1024;

/// Longest line that is looked at: the longest part, every byte of it escaped, and generous attributes. What is longer is
/// no entry.
const LINE_MAX: usize = 4 * 1024 * 1024;

/// How far a writer had got at a moment ([`crate::Writer::position`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The current file.
    pub inode: u64,
    /// Its length, in bytes.
    pub length: u64,
    /// The moment of the last entry.
    pub time: Timestamp,
}

/// What to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Entries of standard output.
    pub stdout: bool,
    /// Entries of standard error.
    pub stderr: bool,
    /// No entries before this moment.
    pub since: Option<Timestamp>,
    /// No entries after this moment; the first such ends the reading.
    pub until: Option<Timestamp>,
    /// Begin with the last so many entries (of both streams, as Docker counts); `None` with the first.
    pub tail: Option<u64>,
    /// At the end wait for more.
    pub follow: bool,
}

/// What a call gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The buffer has something.
    Data,
    /// There is no more, and nothing was put into the buffer.
    End,
}

/// Reads a container's log. Calls block on the disk and, when following, until there is more: it belongs in a blocking
/// thread.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    codec: Codec,
    options: ReadOptions,
    watch: Watch,
    /// Files not begun yet.
    chain: VecDeque<Source>,
    current: Option<Source>,
    /// Records of the current file that are not wanted.
    skip: u64,
    buffer: Vec<u8>,
    /// The part of the buffer that was read and not used.
    unread: std::ops::Range<usize>,
    filter: Filter,
    ended: bool,
    text: Vec<u8>,
    frames: Option<Encoder>,
}

impl Reader {
    /// Opens the log of a container. One that has no file yet is empty.
    ///
    /// # Errors
    /// [`Error::NotReadable`] for a driver that keeps nothing; the kernel's.
    pub fn open(config: &LogConfig, options: ReadOptions) -> Result<Self> {
        match config {
            LogConfig::None => Err(Error::NotReadable),
            LogConfig::JsonFile { path, .. } => Self::open_file(path, Codec::Json, options),
            LogConfig::Local { path, .. } => Self::open_file(path, Codec::Local, options),
        }
    }

    fn open_file(path: &Path, codec: Codec, options: ReadOptions) -> Result<Self> {
        // watched before it is read, so that nothing can be written in between unseen
        let watch = if options.follow { Watch::folder_of(path)? } else { Watch::idle()? };
        let mut chain = chain::open(path)?;
        if let Some(lines) = options.tail {
            chain::seek_tail(&mut chain, codec, lines, path)?;
        }
        Ok(Self {
            path: path.to_owned(),
            codec,
            options,
            watch,
            chain,
            current: None,
            skip: 0,
            buffer: vec![0; BLOCK],
            unread: 0..0,
            filter: Filter { options, last: None, resume_after: None },
            ended: false,
            text: Vec::new(),
            frames: None,
        })
    }

    /// Reads no further than that; to be called before anything is read.
    pub fn end_at(&mut self, position: Position) {
        if !chain::end_at(&mut self.chain, position.inode, position.length) {
            // the file was compressed or removed meanwhile: what is newer is told by its time
            let until = self.filter.options.until.map_or(position.time, |until| until.min(position.time));
            self.filter.options.until = Some(until);
        }
    }

    /// A handle that ends a follower.
    pub fn stop_handle(&self) -> StopHandle {
        self.watch.stop().clone()
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// The kernel's, or a compressed file that is damaged.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>> {
        loop {
            let Some(range) = self.next_record(true)? else { return Ok(None) };
            let Some(line) = self.codec.parse(&self.buffer[range.clone()]) else { continue };
            match self.filter.judge(&line) {
                Judgement::Skip => continue,
                Judgement::End => {
                    self.ended = true;
                    return Ok(None);
                }
                Judgement::Take if line.entry(&mut self.text).is_none() => continue,
                Judgement::Take => {}
            }
            // taken apart a second time, as the loop must not keep the first borrow: some 50 ns
            return Ok(self.codec.parse(&self.buffer[range]).and_then(|line| line.entry(&mut self.text)));
        }
    }

    /// Appends entries to `out` in the form that the logs endpoint sends, until `out` has about `limit` bytes or there are
    /// no more at present. Waits only when it has nothing to give. Use one format for all calls.
    ///
    /// # Errors
    /// As [`Reader::next_entry`].
    pub fn fill(&mut self, format: Format, out: &mut Vec<u8>, limit: usize) -> Result<Progress> {
        let mut frames = self.frames.take().unwrap_or_else(|| Encoder::new(format));
        frames.begin();
        let result = self.fill_with(&mut frames, out, limit);
        self.frames = Some(frames);
        result
    }

    fn fill_with(&mut self, frames: &mut Encoder, out: &mut Vec<u8>, limit: usize) -> Result<Progress> {
        let start = out.len();
        while out.len() < limit {
            let Some(range) = self.next_record(out.len() == start)? else { break };
            let Some(line) = self.codec.parse(&self.buffer[range]) else { continue };
            match self.filter.judge(&line) {
                Judgement::Skip => {}
                // a malformed entry is left out, as a torn one is
                Judgement::Take => _ = frames.push(&line, out),
                Judgement::End => {
                    self.ended = true;
                    break;
                }
            }
        }
        Ok(if out.len() > start { Progress::Data } else { Progress::End })
    }

    /// Where in the buffer the content of the next complete record is. `None` at the end, or, unless `wait`, when there is none
    /// at present.
    fn next_record(&mut self, wait: bool) -> Result<Option<std::ops::Range<usize>>> {
        while !self.ended && !self.watch.stop().is_stopped() {
            match self.codec.next(&self.buffer[self.unread.clone()]) {
                Next::Record(content, end) => {
                    let start = self.unread.start;
                    self.unread.start += end;
                    if self.skip == 0 {
                        return Ok(Some(start + content.start..start + content.end));
                    }
                    self.skip -= 1;
                    continue;
                }
                Next::Incomplete => {}
                // the rest of this file is lost; the next one begins with a record
                Next::Damaged => self.skip_rest()?,
            }
            // asked before the read: what the container wrote before it ended is then surely seen
            let finishing = self.watch.stop().is_finishing();
            if self.read_block()? || self.next_file()? {
                continue;
            }
            if !self.options.follow || finishing {
                self.ended = true;
            } else if wait {
                self.watch.wait();
            } else {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// Reads on in the current file; whether there was anything.
    fn read_block(&mut self) -> Result<bool> {
        let Some(source) = &mut self.current else { return Ok(false) };
        if self.unread.start > 0 {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        if self.unread.end == self.buffer.len() {
            if self.buffer.len() >= LINE_MAX {
                self.unread = 0..0;
            }
            self.buffer.resize((self.buffer.len() * 2).min(LINE_MAX), 0);
        }
        let count =
            source.read(&mut self.buffer[self.unread.end..]).map_err(|error| Error::io("read", &self.path, error))?;
        self.unread.end += count;
        Ok(count > 0)
    }

    /// Leaves the rest of the current file alone.
    fn skip_rest(&mut self) -> Result<()> {
        self.unread = 0..0;
        let Some(source) = &mut self.current else { return Ok(()) };
        source.skip_rest().map_err(|error| Error::io("read", &self.path, error))
    }

    /// Goes on in the next file, at the end of one; whether there is one (or this one was cut off and starts anew).
    fn next_file(&mut self) -> Result<bool> {
        if self.chain.is_empty() && self.options.follow && self.find_newer()? {
            return Ok(true);
        }
        let Some(next) = self.chain.pop_front() else { return Ok(false) };
        // a torn line at the end of a file stays alone
        self.unread = 0..0;
        self.skip = next.skip();
        self.current = Some(next);
        Ok(true)
    }

    /// At the end of the newest file: has the writer gone on in another? Its files are then in the chain. True when there
    /// is more in the current one after all.
    fn find_newer(&mut self) -> Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let Ok(now) = std::fs::metadata(&self.path) else { return Ok(false) };
        let Some(Source::Plain { inode, position, .. }) = &mut self.current else {
            self.chain = chain::open(&self.path)?;
            return Ok(false);
        };
        if now.ino() == *inode {
            let cut_off = now.len() < *position;
            if cut_off {
                *position = 0;
                self.unread = 0..0;
            }
            return Ok(cut_off);
        }
        let inode = *inode;
        // between the last read and the rename there may have been a last write
        if self.read_block()? {
            return Ok(true);
        }
        match chain::open_after(&self.path, inode)? {
            Some(newer) => self.chain = newer,
            None => {
                self.filter.resume_after = self.filter.last;
                self.chain = chain::open(&self.path)?;
            }
        }
        Ok(false)
    }
}

/// Which lines are wanted.
#[derive(Debug)]
struct Filter {
    options: ReadOptions,
    /// The moment of the last line seen; kept by followers only.
    last: Option<Timestamp>,
    /// Lines up to this moment were given out already: set when a place was lost to a compressed or removed file.
    resume_after: Option<Timestamp>,
}

/// What becomes of a line.
enum Judgement {
    Take,
    Skip,
    End,
}

impl Filter {
    fn judge(&mut self, line: &Line<'_>) -> Judgement {
        let ReadOptions { stdout, stderr, since, until, follow, .. } = self.options;
        if since.is_some() || until.is_some() || self.resume_after.is_some() {
            let Some(time) = line.time() else { return Judgement::Skip };
            if since.is_some_and(|since| time < since) || self.resume_after.is_some_and(|last| time <= last) {
                return Judgement::Skip;
            }
            if until.is_some_and(|until| time > until) {
                return Judgement::End;
            }
            self.resume_after = None;
        }
        if follow {
            self.last = line.time().or(self.last);
        }
        let wanted = match line.stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
        };
        if wanted { Judgement::Take } else { Judgement::Skip }
    }
}
