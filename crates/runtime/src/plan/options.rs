//! Words of mount options.

use crate::Error;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path as the kernel takes it.
pub(super) fn c_path(path: impl AsRef<Path>) -> Result<CString, Error> {
    let path = path.as_ref();
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::invalid(path.display().to_string(), "contains a NUL byte"))
}
