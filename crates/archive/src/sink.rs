//! Where the bytes of a layer go: from its files straight into the buffer of whoever takes them.

use std::io::{self, Write};

/// A sink with a buffer that others may fill.
pub trait Sink: Write {
    /// Room for some bytes, at least one. What is put there counts once [`Sink::advance`] says so, which must come next.
    fn room(&mut self) -> io::Result<&mut [u8]>;

    /// The first `n` bytes of the room were filled.
    fn advance(&mut self, n: usize) -> io::Result<()>;
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn room(&mut self) -> io::Result<&mut [u8]> {
        (**self).room()
    }

    fn advance(&mut self, n: usize) -> io::Result<()> {
        (**self).advance(n)
    }
}

/// Room that a vector gives at once.
const ROOM: usize = 64 << 10;

impl Sink for Vec<u8> {
    fn room(&mut self) -> io::Result<&mut [u8]> {
        let at = self.len();
        self.resize(at + ROOM, 0);
        Ok(&mut self[at..])
    }

    fn advance(&mut self, n: usize) -> io::Result<()> {
        self.truncate(self.len().saturating_sub(ROOM) + n);
        Ok(())
    }
}

/// Takes a stream in finished pieces, without copying them.
pub trait Pieces {
    /// The next one.
    fn piece(&mut self, piece: Vec<u8>) -> io::Result<()>;
}
