//! Whole volumes as archives, and from one to another.

use std::io::{BufRead, Write};
use std::os::fd::AsFd;
use std::sync::Arc;

use wharf_archive::{Unpack, Whiteouts};

use crate::row::Volume;
use crate::{Check, Error, Request, Result, Volumes, copy, snapshot};

impl Volumes {
    /// Writes all files as a tar, the root folder (`./`) first.
    pub fn export(&self, name: &str, out: impl Write, check: Check<'_>) -> Result<()> {
        let user = self.operation("export");
        let base = self.mount(name, &user)?;
        let done = snapshot::open(&base).and_then(|root| {
            let check = || check().map_err(stopped);
            wharf_archive::pack_volume(root.as_fd(), &crate::fill::OURS, out, &check)?;
            Ok(())
        });
        let unmounted = self.unmount(name, &user);
        done.and(unmounted)
    }

    /// Makes a volume of an archive, compressed or not. One that is there must be empty, or `replace` says that its
    /// files go. All of it appears, or nothing. Answers whether the volume is new.
    pub fn import(
        &self,
        request: Request,
        input: impl BufRead,
        replace: bool,
        check: Check<'_>,
    ) -> Result<(Arc<Volume>, bool)> {
        let name = request.name.clone();
        let input = wharf_archive::Decoder::new(input)?;
        let mut input = std::io::BufReader::with_capacity(256 << 10, input);
        let mut contents = |into: std::os::fd::BorrowedFd<'_>| -> Result<()> {
            check()?;
            let options = Unpack { whiteouts: Whiteouts::Literal, limit: u64::MAX, aside: None };
            wharf_archive::unpack(into, &mut input, &options, ())?;
            // what follows the archive belongs to it: padding
            std::io::copy(&mut input, &mut std::io::sink())
                .map_err(|source| wharf_archive::Error::Stream { op: "read archive", source })?;
            check()
        };
        {
            let _lock = self.shared.lock(&[&name]);
            if self.get(&name).is_err() {
                return Ok((self.make(request, Some(&mut contents))?, true));
            }
        }
        if !replace && !self.holds_nothing(&name)? {
            return Err(Error::Conflict(format!("import {name}: the volume exists and has files")));
        }
        self.replace(&name, "import", &mut contents)?;
        Ok((self.get(&name)?, false))
    }

    /// Makes a volume with the files of another one; without options of its own it gets the other's limit.
    pub fn clone_volume(&self, source: &str, mut request: Request, check: Check<'_>) -> Result<Arc<Volume>> {
        let original = self.get(source)?;
        let name = request.name.clone();
        if request.options.is_none()
            && let Some((limit, _)) = original.backing.limit()
        {
            request.options = Some([("size".to_owned(), limit.to_string())].into());
        }
        let user = self.operation("clone");
        let base = self.mount(source, &user)?;
        let done = (|| {
            let from = snapshot::open(&base)?;
            let _lock = self.shared.lock(&[&name]);
            if self.get(&name).is_ok() {
                return Err(Error::Conflict(format!("clone {source}: a volume with the name {name} exists")));
            }
            self.make(request, Some(&mut |into| copy::copy(from.as_fd(), into, &base, check)))
        })();
        let unmounted = self.unmount(source, &user);
        let volume = done?;
        unmounted.map(|()| volume)
    }

    fn holds_nothing(&self, name: &str) -> Result<bool> {
        let user = self.operation("look");
        let base = self.mount(name, &user)?;
        let empty = snapshot::open(&base).and_then(|fd| copy::is_empty(&fd).map_err(Error::io("read", &base)));
        let unmounted = self.unmount(name, &user);
        let empty = empty?;
        unmounted.map(|()| empty)
    }

    /// The name under which an operation has a volume mounted: two of a kind may run at the same time.
    fn operation(&self, what: &str) -> String {
        let number = self.shared.number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        format!("{what}-{number}")
    }
}

/// Why the work was stopped, as an error of the archive.
fn stopped(error: Error) -> wharf_archive::Error {
    wharf_archive::Error::Stream { op: "stop", source: std::io::Error::other(error) }
}
