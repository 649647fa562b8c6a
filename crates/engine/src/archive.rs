//! The facade's copying of files: what is at a path of a container, out as a tar, in from a tar.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;
use wharf_archive::{Decoder, Error as Tar, Extract, Links, Owner, Replace};

use crate::container::snapshot::Container;
use crate::container::view::{self, View};
use crate::{ByteSink, ByteSource, ByteStream, Engine, Error, Result, blocking};

/// What is at a path of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathStat {
    /// Last part of the path that was asked for.
    pub name: String,
    /// Bytes.
    pub size: i64,
    /// Type and permission bits, the kernel's `st_mode`.
    pub mode: u32,
    /// Time of the last change.
    pub mtime: Timestamp,
    /// Of a symbolic link: where it leads in the end; else empty.
    pub link_target: String,
}

/// How a tar is extracted into a container.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExtractOptions {
    /// Refuse to put a folder in the place of something else, and the other way round.
    pub keep_kinds: bool,
    /// Everything is to belong to the container's own user.
    pub copy_owner: bool,
}

impl Engine {
    /// What is at `path`, which is relative to the container's root; a link at its end is not followed.
    pub async fn container_path_stat(&self, name: &str, path: &str) -> Result<PathStat> {
        let handle = self.inner.index.resolve(name)?;
        let view = view::open(&self.inner, &handle).await?;
        let (name, path) = (name.to_owned(), path.to_owned());
        blocking(move || stat(&view, &name, &path, Path::new(&path)).map(|(_, stat)| stat)).await
    }

    /// The file or folder at `path`, with everything in it, as a tar stream.
    pub async fn container_archive(&self, name: &str, path: &str) -> Result<(PathStat, ByteStream)> {
        let handle = self.inner.index.resolve(name)?;
        let view = view::open(&self.inner, &handle).await?;
        let (name, asked) = (name.to_owned(), path.to_owned());
        let (view, place, stat) = blocking(move || {
            let whole = absolute(&asked);
            let (place, stat) = stat(&view, &name, &asked, &whole)?;
            Ok((view, place, stat))
        })
        .await?;
        let (mut sink, stream) = ByteSink::channel();
        let shown = PathBuf::from(&stat.name);
        tokio::task::spawn_blocking(move || {
            // dropping the stream makes writing fail: there is nothing else to ask
            if let Err(error) = wharf_archive::pack_resource(place, &shown, &mut sink, &|| Ok(())) {
                sink.fail(std::io::Error::other(error));
            }
            drop(view);
        });
        self.inner.container_event(&handle.id, "archive-path", &[]);
        Ok((stat, stream))
    }

    /// Extracts a tar, compressed or not, into the folder `path`.
    pub async fn container_extract(
        &self,
        name: &str,
        path: &str,
        options: ExtractOptions,
        source: ByteSource,
    ) -> Result<()> {
        let handle = self.inner.index.resolve(name)?;
        let view = view::open(&self.inner, &handle).await?;
        let container = handle.container();
        let (name, path) = (name.to_owned(), path.to_owned());
        blocking(move || extract(&view, &container, &name, &path, options, source)).await?;
        self.inner.container_event(&handle.id, "extract-to-dir", &[]);
        Ok(())
    }
}

/// Go's words for a number of the kernel's.
fn reason(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default().to_owned();
    match errno {
        Errno::LOOP => "too many levels of symbolic links".into(),
        _ => text[..1].to_lowercase() + &text[1..],
    }
}

fn not_there(name: &str, path: &str) -> Error {
    Error::NotFound(format!("Could not find the file {path} in container {name}"))
}

/// A path from the root, without `..` (which here only takes a part away, as in Docker), its trailing slash or dot kept.
fn absolute(path: &str) -> PathBuf {
    let mut parts: Vec<&OsStr> = Vec::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    let mut whole: PathBuf = Path::new("/").join(parts.iter().collect::<PathBuf>());
    if last_part(path) == "." {
        // `join(".")` would be the same path for Rust, but the name in the archive is `.`
        whole.push(".");
    } else if path.ends_with('/') && !parts.is_empty() {
        whole.push("");
    }
    whole
}

/// Go's `filepath.Base`.
fn last_part(path: &str) -> &str {
    let trimmed = path.trim_end_matches('/');
    match trimmed.rsplit('/').next() {
        Some(last) if !trimmed.is_empty() => last,
        _ if path.is_empty() => ".",
        _ => "/",
    }
}

/// Opens what is at `whole` and describes it; `asked` is what the client said.
fn stat(view: &View, name: &str, asked: &str, whole: &Path) -> Result<(OwnedFd, PathStat)> {
    let (place, stat) = view.place(whole).map_err(|errno| match errno {
        Errno::NOENT => not_there(name, asked),
        Errno::ACCESS => Error::Forbidden(format!("lstat {}: {}", whole.display(), reason(errno))),
        errno => Error::System(format!("lstat {}: {}", whole.display(), reason(errno))),
    })?;
    let described = describe(view, whole, &stat)?;
    Ok((place, described))
}

fn describe(view: &View, whole: &Path, stat: &Stat) -> Result<PathStat> {
    let text = whole.to_string_lossy();
    let link_target = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => {
            let target = view
                .follow(whole)
                .ok_or_else(|| Error::System(format!("evalSymlinksInScope: too many links in {}", whole.display())))?;
            target.to_string_lossy().into_owned()
        }
        _ => String::new(),
    };
    let nanos = i32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Ok(PathStat {
        name: last_part(&text).to_owned(),
        size: stat.st_size,
        mode: stat.st_mode,
        mtime: Timestamp::new(stat.st_mtime, nanos).unwrap_or_default(),
        link_target,
    })
}

fn extract(
    view: &View,
    container: &Arc<Container>,
    name: &str,
    path: &str,
    options: ExtractOptions,
    source: ByteSource,
) -> Result<()> {
    let (folder, whole) = view.folder(&absolute(path)).map_err(|errno| match errno {
        Errno::NOENT => not_there(name, path),
        Errno::NOTDIR => Error::InvalidParameter("extraction point is not a directory".into()),
        Errno::LOOP => Error::System("EvalSymlinks: too many links".into()),
        errno => Error::System(format!("lstat {path}: {}", reason(errno))),
    })?;
    may_write(container, &whole)?;
    let owner = match container.config.user.as_str() {
        user if options.copy_owner && !user.is_empty() => {
            let user = view.accounts().resolve(user, &[])?;
            Owner::Fixed(user.uid, user.gid)
        }
        _ => Owner::Archive,
    };
    let rename = Path::to_path_buf;
    let how = Extract {
        owner,
        replace: if options.keep_kinds { Replace::SameKind } else { Replace::Anything },
        links: Links::InRoot,
        rename: &rename,
        check: &|| Ok(()),
    };
    let input = Decoder::new(source).map_err(|e| refused(e, &whole))?;
    let _held = wharf_sys::quota::HeldToLimits::begin();
    wharf_archive::extract(folder.as_fd(), input, &how).map(drop).map_err(|error| refused(error, &whole))
}

/// What is declared read-only stays so.
fn may_write(container: &Container, folder: &Path) -> Result<()> {
    let above = |destination: &str| folder.starts_with(destination);
    let mount = container.mounts.iter().filter(|m| above(&m.destination)).max_by_key(|m| m.destination.len());
    let in_memory = container.host_config.tmpfs.iter().flatten().any(|(path, _)| above(path));
    match mount {
        Some(mount) if !mount.rw => Err(Error::InvalidParameter("mounted volume is marked read-only".into())),
        None if container.host_config.readonly_rootfs && !in_memory => {
            Err(Error::InvalidParameter("container rootfs is marked read-only".into()))
        }
        _ => Ok(()),
    }
}

/// What was wrong with an archive, or with where it was to go.
fn refused(error: Tar, folder: &Path) -> Error {
    match error {
        Tar::Clash { folder: kind, .. } => {
            let with = if kind { "non-directory" } else { "directory" };
            let text = error.to_string();
            let head = text.strip_suffix(with).unwrap_or(&text);
            Error::System(format!("{head}{with} {:?}", folder.to_string_lossy()))
        }
        Tar::Hostile { .. } | Tar::Corrupt(_) | Tar::Truncated(_) | Tar::Unsupported(_) | Tar::TooLarge { .. } => {
            Error::InvalidParameter(error.to_string())
        }
        Tar::Io { ref source, .. } if source.raw_os_error() == Some(Errno::ROFS.raw_os_error()) => {
            Error::InvalidParameter("mounted volume is marked read-only".into())
        }
        other => Error::System(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_ctr_06_cp_names_of_paths() {
        let check = |path: &str, whole: &str, name: &str| {
            let got = absolute(path);
            assert_eq!(got.to_str(), Some(whole), "{path}");
            assert_eq!(last_part(whole), name, "{path}");
        };
        check("/a/dir", "/a/dir", "dir");
        check("a/dir/", "/a/dir/", "dir");
        check("/a/dir/.", "/a/dir/.", ".");
        check("/", "/", "/");
        check(".", "/.", ".");
        check("//a/../b", "/b", "b");
        check("/../../x", "/x", "x");
        check("..", "/", "/");
    }
}
