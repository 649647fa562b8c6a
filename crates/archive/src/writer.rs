//! Writes a tar stream byte for byte as Go's `archive/tar` does in its PAX format: that is how Docker makes layers, so the same
//! files get the same digest. A PAX header is written only for what the ustar header cannot hold.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    os::unix::ffi::OsStrExt,
};

use crate::{
    Error, Extent, Kind, Member, Result, Sink, Time,
    header::{BLOCK, Block, field, fits_octal},
    pax,
};

/// A tar stream being written.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    written: u64,
}

impl<W: Write> Writer<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, written: 0 }
    }

    /// The sink.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Writes a member; of a file also its contents, exactly `member.size` bytes. When `contents` gives less the rest is
    /// zeros (a file that shrinks while it is read must not damage the archive).
    pub fn append(&mut self, member: &Member, contents: &mut dyn Read) -> Result<()> {
        self.header(member)?;
        if member.kind != Kind::File {
            return Ok(());
        }
        let mut buffer = vec![0; usize::try_from(member.size.clamp(1, 256 << 10)).unwrap_or(1)];
        let mut left = member.size;
        while left > 0 {
            let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let n = match contents.read(&mut buffer[..want]) {
                Ok(0) => {
                    buffer[..want].fill(0);
                    want
                }
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(Error::io("read", &member.path)(e)),
            };
            self.put(&buffer[..n])?;
            left -= n as u64;
        }
        self.finish_file(member.size)
    }

    /// Writes the header of a member alone. The caller writes the contents of a file with [`Writer::put`] and ends it
    /// with [`Writer::finish_file`].
    pub fn header(&mut self, member: &Member) -> Result<()> {
        let records = records(member);
        self.header_with(member, &records)
    }

    fn header_with(&mut self, member: &Member, records: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<()> {
        if !records.is_empty() {
            self.pax_header(member, records)?;
        }
        let block = ustar(member);
        self.put(&block.0)
    }

    /// Writes the header and the map of a file with holes (GNU's sparse format 1.0) whose data lies in `extents`. The caller
    /// writes these with [`Writer::put`], one after the other, and ends with [`Writer::finish_file`] of the size that this
    /// answers.
    pub fn sparse_header(&mut self, member: &Member, extents: &[Extent]) -> Result<u64> {
        // a hole at the end needs an empty extent there, or readers would not know how far it goes
        let end = Extent { offset: member.size, length: 0 };
        let all = || extents.iter().chain(std::iter::once(&end));
        let mut map = format!("{}\n", extents.len() + 1);
        all().for_each(|extent| map.push_str(&format!("{}\n{}\n", extent.offset, extent.length)));
        let mut map = map.into_bytes();
        map.resize(map.len().next_multiple_of(BLOCK), 0);
        let mut stored = member.clone();
        stored.size = map.len() as u64 + extents.iter().map(|extent| extent.length).sum::<u64>();
        stored.path = member.path.with_file_name("GNUSparseFile.0").join(member.path.file_name().unwrap_or_default());
        let mut records = records(&stored);
        let mut put = |key: &str, value: Vec<u8>| _ = records.insert(key.as_bytes().to_vec(), value);
        put("GNU.sparse.major", b"1".to_vec());
        put("GNU.sparse.minor", b"0".to_vec());
        put("GNU.sparse.name", name_of(member).to_vec());
        put("GNU.sparse.realsize", member.size.to_string().into_bytes());
        self.header_with(&stored, &records)?;
        self.put(&map)?;
        Ok(stored.size)
    }

    /// Writes bytes as they are.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(Error::stream("write archive"))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Room for bytes as they are, in the sink itself.
    pub fn room(&mut self) -> std::io::Result<&mut [u8]>
    where
        W: Sink,
    {
        self.out.room()
    }

    /// The first `n` bytes of the room were filled.
    pub fn advance(&mut self, n: usize) -> std::io::Result<()>
    where
        W: Sink,
    {
        self.written += n as u64;
        self.out.advance(n)
    }

    /// Pads after the contents of a file.
    pub fn finish_file(&mut self, size: u64) -> Result<()> {
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        self.put(&[0; BLOCK][..usize::try_from(padding).unwrap_or(0)])
    }

    /// Writes the end marker; answers the sink and how many bytes were written in all.
    pub fn finish(mut self) -> Result<(W, u64)> {
        self.put(&[0; 2 * BLOCK])?;
        self.out.flush().map_err(Error::stream("write archive"))?;
        Ok((self.out, self.written))
    }

    fn pax_header(&mut self, member: &Member, records: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<()> {
        let mut data = Vec::new();
        records.iter().for_each(|(key, value)| pax::push_record(&mut data, key, value));
        let mut block = Block::zeroed();
        block.set_text(field::NAME, &pax_name(name_of(member)));
        for (range, value) in [
            (field::MODE, 0),
            (field::UID, 0),
            (field::GID, 0),
            (field::SIZE, i64::try_from(data.len()).unwrap_or(i64::MAX)),
            (field::MTIME, 0),
        ] {
            block.set_octal(range, value);
        }
        block.0[field::TYPE] = b'x';
        block.seal_ustar();
        self.put(&block.0)?;
        self.put(&data)?;
        self.finish_file(data.len() as u64)
    }
}

fn name_of(member: &Member) -> &[u8] {
    member.path.as_os_str().as_bytes()
}

fn link_of(member: &Member) -> &[u8] {
    match &member.kind {
        Kind::HardLink(target) | Kind::Symlink(target) => target.as_os_str().as_bytes(),
        _ => b"",
    }
}

/// What the ustar header cannot say.
fn records(member: &Member) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut records = BTreeMap::new();
    let mut text = |key: &str, value: &[u8], width: usize| {
        if value.len() > width || !value.is_ascii() {
            records.insert(key.as_bytes().to_vec(), value.to_vec());
        }
    };
    text("path", name_of(member), field::NAME.len());
    text("linkpath", link_of(member), field::LINK.len());
    text("uname", member.uname.as_bytes(), field::UNAME.len());
    text("gname", member.gname.as_bytes(), field::GNAME.len());
    let mut number = |key: &str, value: u64, width: usize| {
        if !fits_octal(width, i64::try_from(value).unwrap_or(-1)) {
            records.insert(key.as_bytes().to_vec(), value.to_string().into_bytes());
        }
    };
    number("uid", member.uid.into(), field::UID.len());
    number("gid", member.gid.into(), field::GID.len());
    number("size", stored(member), field::SIZE.len());
    let mut time = |key: &str, time: Time| {
        if time.nanos != 0 || !fits_octal(field::MTIME.len(), time.seconds) {
            records.insert(key.as_bytes().to_vec(), pax::format_time(time).into_bytes());
        }
    };
    time("mtime", member.mtime);
    if let Some(atime) = member.atime {
        records.insert(b"atime".to_vec(), pax::format_time(atime).into_bytes());
    }
    for (name, value) in &member.xattrs {
        records.insert([pax::XATTR, name].concat(), value.clone());
    }
    records
}

fn stored(member: &Member) -> u64 {
    if member.kind == Kind::File { member.size } else { 0 }
}

fn ustar(member: &Member) -> Block {
    let mut block = Block::zeroed();
    set_ascii(&mut block, field::NAME, name_of(member));
    set_ascii(&mut block, field::LINK, link_of(member));
    block.set_octal(field::MODE, i64::from(member.mode));
    block.set_octal(field::UID, i64::from(member.uid));
    block.set_octal(field::GID, i64::from(member.gid));
    block.set_octal(field::SIZE, i64::try_from(stored(member)).unwrap_or(-1));
    block.set_octal(field::MTIME, member.mtime.seconds);
    let (kind, major, minor) = match member.kind {
        Kind::File => (b'0', 0, 0),
        Kind::HardLink(_) => (b'1', 0, 0),
        Kind::Symlink(_) => (b'2', 0, 0),
        Kind::Char { major, minor } => (b'3', major, minor),
        Kind::Block { major, minor } => (b'4', major, minor),
        Kind::Dir => (b'5', 0, 0),
        Kind::Fifo => (b'6', 0, 0),
    };
    block.0[field::TYPE] = kind;
    set_ascii(&mut block, field::UNAME, member.uname.as_bytes());
    set_ascii(&mut block, field::GNAME, member.gname.as_bytes());
    block.set_octal(field::MAJOR, i64::from(major));
    block.set_octal(field::MINOR, i64::from(minor));
    block.seal_ustar();
    block
}

/// As Go: what is not ASCII is left out, what is too long is cut, and a cut name never ends in a slash.
fn set_ascii(block: &mut Block, range: std::ops::Range<usize>, text: &[u8]) {
    let ascii: Vec<u8> = text.iter().copied().filter(|c| c.is_ascii() && *c != 0).collect();
    let width = range.len();
    let start = range.start;
    block.set_text(range, &ascii);
    if ascii.len() > width && ascii[width - 1] == b'/' {
        let kept = ascii[..width - 1].iter().rposition(|c| *c != b'/').map_or(0, |n| n + 1);
        block.0[start + kept] = 0;
    }
}

/// `dir/PaxHeaders.0/file`, ASCII, at most as long as the field.
fn pax_name(name: &[u8]) -> Vec<u8> {
    let slash = name.iter().rposition(|c| *c == b'/');
    let (dir, file) = slash.map_or((&b""[..], name), |at| (&name[..at], &name[at + 1..]));
    let parts = [dir, b"PaxHeaders.0", file];
    let joined = parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(&b'/');
    let mut ascii: Vec<u8> = joined.into_iter().filter(|c| c.is_ascii() && *c != 0).collect();
    ascii.truncate(field::NAME.len());
    while ascii.last() == Some(&b'/') {
        ascii.pop();
    }
    ascii
}
