//! What the keeper waits for: an epoll set, and a name for each thing in it.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use wharf_logs::Stream;
use wharf_sys::{Errno, Result};

pub(super) use rustix::event::epoll::EventFlags;

/// Events taken at once.
const BATCH: usize = 32;

/// What an event is about. Numbers are never used twice, so an event of something that is gone finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// SIGCHLD.
    Signals,
    /// A new connection.
    Listener,
    /// A connection of a daemon.
    Control(u32),
    /// An output of a process.
    Output(u32, Stream),
    /// The input of a process.
    Input(u32),
    /// The socket of an attached client.
    Session(u32),
}

impl Token {
    fn pack(self) -> u64 {
        let (kind, number) = match self {
            Self::Signals => (0, 0),
            Self::Listener => (1, 0),
            Self::Control(number) => (2, number),
            Self::Output(number, Stream::Stdout) => (3, number),
            Self::Output(number, Stream::Stderr) => (4, number),
            Self::Input(number) => (5, number),
            Self::Session(number) => (6, number),
        };
        kind << 32 | u64::from(number)
    }

    fn unpack(packed: u64) -> Option<Self> {
        let number = packed as u32;
        Some(match packed >> 32 {
            0 => Self::Signals,
            1 => Self::Listener,
            2 => Self::Control(number),
            3 => Self::Output(number, Stream::Stdout),
            4 => Self::Output(number, Stream::Stderr),
            5 => Self::Input(number),
            6 => Self::Session(number),
            _ => return None,
        })
    }
}

/// The epoll set.
#[derive(Debug)]
pub(super) struct Poller {
    epoll: OwnedFd,
}

/// What one descriptor is watched for at present; `None` when it is not in the set (where even a hang-up is not reported).
#[derive(Debug, Default)]
pub(super) struct Watch(Option<EventFlags>);

impl Poller {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Watches a descriptor for `flags`, or no longer. Costs nothing when nothing changes.
    pub(super) fn watch(
        &self,
        watch: &mut Watch,
        fd: impl AsFd,
        token: Token,
        flags: Option<EventFlags>,
    ) -> Result<()> {
        if watch.0 == flags {
            return Ok(());
        }
        let data = epoll::EventData::new_u64(token.pack());
        match (watch.0, flags) {
            (None, Some(flags)) => epoll::add(&self.epoll, fd, data, flags)?,
            (Some(_), Some(flags)) => epoll::modify(&self.epoll, fd, data, flags)?,
            (_, None) => epoll::delete(&self.epoll, fd)?,
        }
        watch.0 = flags;
        Ok(())
    }

    /// What happened; nothing when `until` came first.
    pub(super) fn wait(&self, until: Option<Instant>) -> Result<Vec<(Token, EventFlags)>> {
        let mut events = [const { std::mem::MaybeUninit::<epoll::Event>::uninit() }; BATCH];
        let timeout = until.map(|until| timespec(until.saturating_duration_since(Instant::now())));
        match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok((events, _)) => Ok(events
                .iter()
                // by value: the kernel's struct is packed
                .filter_map(|event| {
                    let epoll::Event { flags, data, .. } = *event;
                    Some((Token::unpack(data.u64())?, flags))
                })
                .collect()),
            Err(Errno::INTR) => Ok(Vec::new()),
            Err(other) => Err(other),
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    // at least one nanosecond more than asked, as a timer that fires early would only be set again
    Timespec { tv_sec: duration.as_secs() as i64, tv_nsec: i64::from(duration.subsec_nanos()) }
}
