//! A record of a log as it stands in its file, whatever the driver: taken apart, nothing copied yet.

use crate::{Entry, Stream, Timestamp, escape};

/// The pieces of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) text: Text<'a>,
    pub(crate) stream: Stream,
    /// A JSON object.
    pub(crate) attrs: Option<&'a [u8]>,
    pub(crate) time: Moment<'a>,
}

/// What was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text<'a> {
    /// Inside a JSON string.
    Escaped(&'a [u8]),
    /// As it was, but for a newline that may have to be added.
    Plain { bytes: &'a [u8], newline: bool },
}

/// When it was printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment<'a> {
    /// RFC 3339; parsed only where it is needed.
    Text(&'a [u8]),
    /// Read already.
    Read(Timestamp),
}

impl<'a> Line<'a> {
    /// When it was printed.
    pub(crate) fn time(&self) -> Option<Timestamp> {
        match self.time {
            Moment::Text(text) => Timestamp::parse(text),
            Moment::Read(time) => Some(time),
        }
    }

    /// Appends what was printed; `None` when that is malformed (something may have been appended then).
    pub(crate) fn push_text(&self, out: &mut Vec<u8>) -> Option<()> {
        match self.text {
            Text::Escaped(text) => escape::unescape(text, out)?,
            Text::Plain { bytes, newline } => {
                out.extend_from_slice(bytes);
                if newline {
                    out.push(b'\n');
                }
            }
        }
        Some(())
    }

    /// The whole entry; its bytes are put into `text`.
    pub(crate) fn entry<'b>(&self, text: &'b mut Vec<u8>) -> Option<Entry<'b>>
    where
        'a: 'b,
    {
        text.clear();
        self.push_text(text)?;
        Some(Entry { stream: self.stream, time: self.time()?, line: text, attrs: self.attrs })
    }
}
