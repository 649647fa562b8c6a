//! Reads a tar stream member by member, in every dialect found in images, and tells an observer all bytes that are not payload.
//!
//! ```text
//!   [x: PAX records] [L: long name] [K: long link]  header  [sparse map]  payload, padded to 512   …   0 0 trailing
//!   └──────────────────────── Observer::raw ──────────────────────────┘  └ Payload ┘└ raw ┘            └── raw ──┘
//! ```
//! Where dialects contradict each other this follows Go's `archive/tar`, because Docker's images are read with it.

use std::{
    ffi::OsString,
    io::{self, BufRead, Read},
    os::unix::ffi::OsStringExt,
    path::PathBuf,
};

use crate::{
    Error, Extent, Kind, Member, Result, Time,
    header::{BLOCK, Block, Dialect, field, parse_number},
    pax::{self, Records},
};

/// Long names, PAX records and sparse maps larger than this are refused (Go's limit too).
const MAX_SPECIAL: u64 = 1 << 20;
/// Bytes after the end marker: the tools pad to 10 KiB, tapes to more. Without a limit a few KiB of gzip last for hours.
const MAX_TRAILING: u64 = 64 << 20;
/// More extents than this are refused: 1 MiB of a textual map cannot hold more.
const MAX_EXTENTS: usize = 1 << 18;

/// Hears every byte of the stream that is not the payload of a regular file.
pub trait Observer {
    /// The next such bytes.
    fn raw(&mut self, bytes: &[u8]) -> Result<()>;
}

impl Observer for () {
    fn raw(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// A tar stream being read.
#[derive(Debug)]
pub struct Reader<R, O = ()> {
    input: R,
    observer: O,
    /// Payload bytes of the current member not yet read.
    left: u64,
    /// Padding after them.
    padding: u64,
    done: bool,
}

/// What stood before a header and belongs to it.
#[derive(Default)]
struct Prefixes {
    pax: Records,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<R: BufRead> Reader<R> {
    /// Reads a tar from `input`.
    pub fn new(input: R) -> Self {
        Self::observed(input, ())
    }
}

impl<R: BufRead, O: Observer> Reader<R, O> {
    /// Reads a tar from `input` and tells `observer` what is not payload.
    pub fn observed(input: R, observer: O) -> Self {
        Self { input, observer, left: 0, padding: 0, done: false }
    }

    /// The observer.
    pub fn observer(&mut self) -> &mut O {
        &mut self.observer
    }

    /// The observer, when the reading is over.
    pub fn into_observer(self) -> O {
        self.observer
    }

    /// The next member; skips what is left of the current one. `None` at the end of the archive: then the whole stream
    /// has been read, trailing bytes included.
    pub fn next_member(&mut self) -> Result<Option<Member>> {
        self.skip_payload()?;
        let mut prefixes = Prefixes::default();
        loop {
            let Some(block) = self.read_header()? else { return Ok(None) };
            match block.kind() {
                b'x' => prefixes.pax = Records::parse(&self.read_special(&block)?)?,
                // global records carry comments (git) and defaults that Docker ignores as well
                b'g' => drop(self.read_special(&block)?),
                b'L' => prefixes.long_name = Some(nul_terminated(self.read_special(&block)?)),
                b'K' => prefixes.long_link = Some(nul_terminated(self.read_special(&block)?)),
                _ => return self.member(&block, &prefixes).map(Some),
            }
        }
    }

    /// Payload bytes of the current member that are still to come.
    pub fn payload_left(&self) -> u64 {
        self.left
    }

    /// The next piece of the payload without a copy; empty at its end. Call [`Reader::consume`] with what was used.
    pub fn fill_payload(&mut self) -> Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let buffer = self.input.fill_buf().map_err(Error::stream("read archive"))?;
        if buffer.is_empty() {
            return Err(Error::Truncated("a file"));
        }
        let n = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        Ok(&buffer[..n])
    }

    /// Marks `n` bytes of the payload as used; not more than the last [`Reader::fill_payload`] gave.
    pub fn consume(&mut self, n: usize) {
        debug_assert!(n as u64 <= self.left);
        self.left -= n as u64;
        self.input.consume(n);
    }

    /// The payload of the current member as a stream.
    pub fn payload(&mut self) -> Payload<'_, R, O> {
        Payload(self)
    }

    /// Reads the rest of the payload and hands it to the observer as if it were no payload.
    pub fn payload_as_raw(&mut self) -> Result<()> {
        while self.left > 0 {
            let want = self.left;
            let n = copy_raw(&mut self.input, &mut self.observer, want, "a file")?;
            self.left -= n;
        }
        Ok(())
    }

    fn skip_payload(&mut self) -> Result<()> {
        while self.left > 0 {
            let n = self.fill_payload()?.len();
            self.consume(n);
        }
        while self.padding > 0 {
            let want = self.padding;
            self.padding -= copy_raw(&mut self.input, &mut self.observer, want, "padding")?;
        }
        Ok(())
    }

    /// The next header block, verified; `None` at the end of the archive.
    fn read_header(&mut self) -> Result<Option<Block>> {
        if self.done {
            return Ok(None);
        }
        let Some(block) = self.read_block()? else {
            // no end marker at all: Go accepts that, so do we
            self.done = true;
            return Ok(None);
        };
        if !block.is_zero() {
            block.verify()?;
            return Ok(Some(block));
        }
        match self.read_block()? {
            Some(second) if !second.is_zero() => Err(Error::Corrupt("a zero block in the middle".into())),
            _ => {
                self.done = true;
                self.trailing().map(|()| None)
            }
        }
    }

    /// What comes after the end marker: padding up to the record size of whoever wrote it.
    fn trailing(&mut self) -> Result<()> {
        let mut left = MAX_TRAILING;
        loop {
            match copy_raw_some(&mut self.input, &mut self.observer, left)? {
                0 if left == 0 => return Err(Error::Corrupt("endless bytes after the end of the archive".into())),
                0 => return Ok(()),
                n => left -= n,
            }
        }
    }

    /// One block; `None` when the stream ends before its first byte.
    fn read_block(&mut self) -> Result<Option<Block>> {
        let mut block = Block::zeroed();
        let mut have = 0;
        while have < BLOCK {
            match self.input.read(&mut block.0[have..]) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(Error::Truncated("a header")),
                Ok(n) => have += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::stream("read archive")(e)),
            }
        }
        self.observer.raw(&block.0)?;
        Ok(Some(block))
    }

    /// The data of a header that describes another one.
    fn read_special(&mut self, block: &Block) -> Result<Vec<u8>> {
        let size = block.count("size", field::SIZE)?;
        if size > MAX_SPECIAL {
            return Err(Error::Corrupt("extended header is too large".into()));
        }
        let padded = size.next_multiple_of(BLOCK as u64);
        let mut data = vec![0; usize::try_from(padded).unwrap_or(0)];
        self.input.read_exact(&mut data).map_err(Error::stream("an extended header"))?;
        self.observer.raw(&data)?;
        data.truncate(usize::try_from(size).unwrap_or(0));
        Ok(data)
    }

    fn member(&mut self, block: &Block, prefixes: &Prefixes) -> Result<Member> {
        let mut member = basic_member(block, prefixes)?;
        let stored = match member.kind {
            Kind::File => match prefixes.pax.number("size")? {
                Some(size) => size,
                None => block.count("size", field::SIZE)?,
            },
            // Go: these have no payload whatever their size field says
            _ => 0,
        };
        if stored > i64::MAX as u64 - BLOCK as u64 {
            return Err(Error::Corrupt("size is out of range".into()));
        }
        self.left = stored;
        self.padding = stored.next_multiple_of(BLOCK as u64) - stored;
        member.size = stored;
        if member.kind == Kind::File {
            self.sparse(block, &prefixes.pax, &mut member)?;
        }
        Ok(member)
    }

    /// Finds the map of a sparse file in any of its four forms, and with it the true size.
    fn sparse(&mut self, block: &Block, pax: &Records, member: &mut Member) -> Result<()> {
        let version = (pax.get("GNU.sparse.major"), pax.get("GNU.sparse.minor"));
        let extents = match version {
            (Some(b"1"), Some(b"0")) => self.sparse_10()?,
            (Some(b"0"), Some(b"0" | b"1")) => sparse_01(pax)?,
            (None, None) if pax.get("GNU.sparse.map").is_some() || !pax.sparse_00.is_empty() => sparse_01(pax)?,
            (None, None) if block.kind() == b'S' => self.sparse_old_gnu(block, member)?,
            (None, None) => return Ok(()),
            _ => return Err(Error::Unsupported("unknown version of sparse files".into())),
        };
        if let Some(name) = pax.get("GNU.sparse.name") {
            member.path = to_path(name);
        }
        if let Some(size) = pax.number("GNU.sparse.realsize")?.or(pax.number("GNU.sparse.size")?) {
            member.size = size;
        }
        check_extents(&extents, member.size, self.left)?;
        member.sparse = Some(extents);
        Ok(())
    }

    /// Map in the payload: decimal lines (count, then offset and length in turn), padded to a block.
    fn sparse_10(&mut self) -> Result<Vec<Extent>> {
        let mut text = SparseText { reader: self, block: [0; BLOCK], at: BLOCK, taken: 0 };
        let count = text.number()?;
        let count = usize::try_from(count).ok().filter(|n| *n <= MAX_EXTENTS);
        let count = count.ok_or_else(|| Error::Corrupt("sparse map is too long".into()))?;
        (0..count).map(|_| Ok(Extent { offset: text.number()?, length: text.number()? })).collect()
    }

    fn sparse_old_gnu(&mut self, block: &Block, member: &mut Member) -> Result<Vec<Extent>> {
        if block.dialect() != Dialect::Gnu {
            return Err(Error::Corrupt("sparse file in a header that is not GNU's".into()));
        }
        member.size = block.count("real size", field::GNU_REAL_SIZE)?;
        let mut extents = Vec::new();
        push_gnu_extents(&mut extents, &block.0[field::GNU_SPARSE..field::GNU_EXTENDED])?;
        let mut more = block.0[field::GNU_EXTENDED] != 0;
        while more {
            let extension = self.read_block()?.ok_or(Error::Truncated("a sparse map"))?;
            push_gnu_extents(&mut extents, &extension.0[..field::EXTENSION_EXTENDED])?;
            more = extension.0[field::EXTENSION_EXTENDED] != 0;
            if extents.len() > MAX_EXTENTS {
                return Err(Error::Corrupt("sparse map is too long".into()));
            }
        }
        Ok(extents)
    }
}

/// The payload of a member as a stream.
#[derive(Debug)]
pub struct Payload<'a, R, O>(&'a mut Reader<R, O>);

impl<R: BufRead, O: Observer> Read for Payload<'_, R, O> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.0.left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let n = self.0.input.read(&mut buffer[..want])?;
        if n == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "archive ends in the middle of a file"));
        }
        self.0.left -= n as u64;
        Ok(n)
    }
}

/// Reads the decimal lines of a sparse map that stands at the beginning of a payload.
struct SparseText<'a, R, O> {
    reader: &'a mut Reader<R, O>,
    block: [u8; BLOCK],
    at: usize,
    taken: u64,
}

impl<R: BufRead, O: Observer> SparseText<'_, R, O> {
    fn number(&mut self) -> Result<u64> {
        let mut digits = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return pax::parse_decimal(&digits),
                byte if digits.len() < 20 => digits.push(byte),
                _ => return Err(Error::Corrupt("sparse map is no text".into())),
            }
        }
    }

    fn byte(&mut self) -> Result<u8> {
        if self.at == BLOCK {
            if self.reader.left < BLOCK as u64 || self.taken > MAX_SPECIAL * 8 {
                return Err(Error::Corrupt("sparse map is longer than its file".into()));
            }
            self.reader.input.read_exact(&mut self.block).map_err(Error::stream("a sparse map"))?;
            self.reader.observer.raw(&self.block)?;
            self.reader.left -= BLOCK as u64;
            self.taken += BLOCK as u64;
            self.at = 0;
        }
        self.at += 1;
        Ok(self.block[self.at - 1])
    }
}

fn basic_member(block: &Block, prefixes: &Prefixes) -> Result<Member> {
    let pax = &prefixes.pax;
    let dialect = block.dialect();
    let path = match (&prefixes.long_name, pax.get("path")) {
        (Some(long), _) => to_path(long),
        (None, Some(path)) => to_path(path),
        (None, None) => header_path(block, dialect),
    };
    let link = match (&prefixes.long_link, pax.get("linkpath")) {
        (Some(long), _) => to_path(long),
        (None, Some(link)) => to_path(link),
        (None, None) => to_path(block.text(field::LINK)),
    };
    if path.as_os_str().is_empty() && pax.get("GNU.sparse.name").is_none() {
        return Err(Error::Corrupt("a member has no name".into()));
    }
    let device = || -> Result<(u32, u32)> {
        let part = |what, range| {
            u32::try_from(block.number(what, range)?)
                .map_err(|_| Error::Corrupt(format!("device {what} is out of range")))
        };
        Ok((part("major", field::MAJOR)?, part("minor", field::MINOR)?))
    };
    let kind = match block.kind() {
        b'0' | 0 if path.as_os_str().as_encoded_bytes().ends_with(b"/") => Kind::Dir,
        b'0' | 0 | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink(link),
        b'2' => Kind::Symlink(link),
        b'3' => device().map(|(major, minor)| Kind::Char { major, minor })?,
        b'4' => device().map(|(major, minor)| Kind::Block { major, minor })?,
        b'5' => Kind::Dir,
        b'6' => Kind::Fifo,
        other => {
            return Err(Error::Unsupported(format!("member {path:?} has the unknown type {:?}", char::from(other))));
        }
    };
    let owner = |key: &str, what, range| -> Result<u32> {
        let value = match pax.number(key)? {
            Some(value) => value,
            None => block.count(what, range)?,
        };
        u32::try_from(value).map_err(|_| Error::Corrupt(format!("{what} is out of range")))
    };
    let mtime = match pax.time("mtime")? {
        Some(time) => time,
        None => Time { seconds: block.number("mtime", field::MTIME)?, nanos: 0 },
    };
    let name = |key: &str, range| match dialect {
        Dialect::V7 => String::new(),
        _ => String::from_utf8_lossy(pax.get(key).unwrap_or_else(|| block.text(range))).into_owned(),
    };
    Ok(Member {
        kind,
        // only the permission bits count; some writers put the file type above them
        mode: (block.number("mode", field::MODE)? & 0o7777) as u32,
        uid: owner("uid", "uid", field::UID)?,
        gid: owner("gid", "gid", field::GID)?,
        uname: name("uname", field::UNAME),
        gname: name("gname", field::GNAME),
        size: 0,
        mtime,
        atime: pax.time("atime")?,
        xattrs: xattrs(pax),
        sparse: None,
        path,
    })
}

fn header_path(block: &Block, dialect: Dialect) -> PathBuf {
    let name = block.text(field::NAME);
    let prefix = match dialect {
        Dialect::Ustar => block.text(field::PREFIX),
        Dialect::V7 | Dialect::Gnu => b"",
    };
    if prefix.is_empty() {
        return to_path(name);
    }
    to_path(&[prefix, b"/", name].concat())
}

fn xattrs(pax: &Records) -> Vec<(Vec<u8>, Vec<u8>)> {
    let named = |(key, value): (&Vec<u8>, &Vec<u8>)| Some((key.strip_prefix(pax::XATTR)?.to_vec(), value.clone()));
    pax.values.iter().filter_map(named).filter(|(name, _)| !name.is_empty() && !name.contains(&0)).collect()
}

/// Maps of 0.0 (repeated keys) and 0.1 (one comma-separated list) are both in the PAX records.
fn sparse_01(pax: &Records) -> Result<Vec<Extent>> {
    let numbers = match pax.get("GNU.sparse.map") {
        Some(map) => map.split(|b| *b == b',').map(pax::parse_decimal).collect::<Result<Vec<_>>>()?,
        None => pax.sparse_00.clone(),
    };
    if numbers.len() % 2 != 0 {
        return Err(Error::Corrupt("sparse map has an odd length".into()));
    }
    Ok(numbers.chunks_exact(2).map(|pair| Extent { offset: pair[0], length: pair[1] }).collect())
}

fn push_gnu_extents(extents: &mut Vec<Extent>, table: &[u8]) -> Result<()> {
    for slot in table.chunks_exact(24) {
        let (offset, length) = slot.split_at(12);
        if offset[0] == 0 {
            break;
        }
        let number = |bytes| parse_number(bytes).and_then(|n| u64::try_from(n).ok());
        let (Some(offset), Some(length)) = (number(offset), number(length)) else {
            return Err(Error::Corrupt("sparse map is no numbers".into()));
        };
        extents.push(Extent { offset, length });
    }
    Ok(())
}

fn check_extents(extents: &[Extent], size: u64, stored: u64) -> Result<()> {
    let mut end = 0;
    let mut sum: u64 = 0;
    for extent in extents {
        let next = extent.offset.checked_add(extent.length).filter(|next| *next <= size);
        let Some(next) = next.filter(|_| extent.offset >= end) else {
            return Err(Error::Corrupt("sparse map overlaps or leaves the file".into()));
        };
        end = next;
        // cannot overflow: the extents are disjoint parts of `size`
        sum += extent.length;
    }
    if sum != stored || size > i64::MAX as u64 {
        return Err(Error::Corrupt("sparse map does not match the size".into()));
    }
    Ok(())
}

fn copy_raw(input: &mut impl BufRead, observer: &mut impl Observer, most: u64, what: &'static str) -> Result<u64> {
    match copy_raw_some(input, observer, most)? {
        0 => Err(Error::Truncated(what)),
        n => Ok(n),
    }
}

fn copy_raw_some(input: &mut impl BufRead, observer: &mut impl Observer, most: u64) -> Result<u64> {
    let buffer = input.fill_buf().map_err(Error::stream("read archive"))?;
    let n = buffer.len().min(usize::try_from(most).unwrap_or(usize::MAX));
    observer.raw(&buffer[..n])?;
    input.consume(n);
    Ok(n as u64)
}

fn nul_terminated(mut data: Vec<u8>) -> Vec<u8> {
    let end = data.iter().position(|b| *b == 0).unwrap_or(data.len());
    data.truncate(end);
    data
}

fn to_path(bytes: &[u8]) -> PathBuf {
    OsString::from_vec(bytes.to_vec()).into()
}
