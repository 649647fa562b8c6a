//! `cp`: which file goes where under which name, as docker's users know it.
//!
//! The engine only knows "what is at this path as a tar" and "extract this tar into that folder". Everything else (whether
//! the destination is the folder to copy into or the new name of the copy) is decided here, from what is on both sides.

use std::ffi::OsString;
use std::io::{self, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use serde_json::Value;
use wharf_archive::{Extract, Links, Owner, Replace};

use super::Call;
use super::container::path;
use crate::engine::{Client, Head, Method, Query};
use crate::exit::{Exit, Outcome};
use crate::transfer::{Counted, Progress};
use crate::{json, output, streams};

/// Links at the end of a destination that are followed, as docker does.
const LINKS: u32 = 10;
const BUFFER: usize = 256 << 10;
const TAR: &str = "application/x-tar";
const NO_DIRECTORY: &str = "no such directory";
const NOT_A_DIRECTORY: &str = "not a directory";

/// One side of a copy.
enum Side<'a> {
    Container(&'a str, &'a str),
    Local(&'a str),
}

fn side(text: &str) -> Side<'_> {
    // an absolute or explicitly relative path may contain colons
    match text.split_once(':') {
        Some((name, path)) if !text.starts_with('/') && !name.starts_with('.') => {
            if name.is_empty() {
                Side::Local(path)
            } else {
                Side::Container(name, path)
            }
        }
        _ => Side::Local(text),
    }
}

/// What is known of one end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    /// With the trailing slash or dot that the user gave.
    path: PathBuf,
    exists: bool,
    folder: bool,
    /// The name it is to have in the archive when its path says another.
    rename: Option<OsString>,
}

/// `cp`
pub(crate) fn copy(call: &Call<'_>) -> Outcome {
    let (source, destination) = (call.args[0].as_str(), call.args[1].as_str());
    if source.is_empty() {
        return Err(Exit::error("source can not be empty"));
    }
    if destination.is_empty() {
        return Err(Exit::error("destination can not be empty"));
    }
    match (side(source), side(destination)) {
        (Side::Container(..), Side::Container(..)) => Err(Exit::error("copying between containers is not supported")),
        (Side::Local(_), Side::Local(_)) => Err(Exit::error("must specify at least one container source")),
        (Side::Container(name, inside), Side::Local(local)) => from_container(call, name, inside, local),
        (Side::Local(local), Side::Container(name, inside)) => to_container(call, local, name, inside),
    }
}

fn progress(call: &Call<'_>, header: &'static str) -> Progress {
    let quiet = call.flags.bool_or("quiet", !output::is_terminal());
    Progress::new(quiet, header)
}

// ---- out of a container

fn from_container(call: &Call<'_>, name: &str, inside: &str, local: &str) -> Outcome {
    let stream = local == "-";
    let local = if stream { PathBuf::from("-") } else { absolute(local)? };
    if !stream {
        may_be_output(&local)?;
    }
    let client = call.client()?;
    let mut source = End { path: inside.into(), exists: true, folder: false, rename: None };
    if call.flags.on("follow-link")
        && let Ok(stat) = stat(client, name, inside)
        && stat.is_link()
    {
        (source.path, source.rename) = renamed(Path::new(inside), joined(Path::new(inside), &stat.link_target));
    }
    let query = Query::new().with("path", source.path.to_string_lossy());
    let (head, mut body) = client.open(&path(name, "archive"), &query)?;
    if stream {
        return Ok(streams::copy(body, &mut io::stdout().lock())?);
    }
    source.folder = path_stat(&head)?.is_folder();
    let progress = progress(call, "Copying from container - ");
    let counted = Counted::new(&mut body, progress.bytes());
    let done = extract(counted, &source, &local, call.flags.on("archive"));
    progress.finish(&local.display().to_string());
    done
}

/// Extracts what comes from a container at its place.
fn extract(input: impl Read, source: &End, local: &Path, keep_owner: bool) -> Outcome {
    let destination = local_destination(local)?;
    let (folder, names) = arrange(source, &destination)?;
    let into = open_folder(&folder)?;
    let keep_owner = keep_owner && rustix::process::geteuid().is_root();
    let rename = |path: &Path| names.apply(path);
    let how = Extract {
        owner: if keep_owner { Owner::Archive } else { Owner::Caller },
        replace: Replace::SameKind,
        links: Links::Refuse,
        rename: &rename,
        check: &|| Ok(()),
    };
    let done = wharf_archive::extract(into.as_fd(), BufReader::with_capacity(BUFFER, input), &how);
    done.map(drop).map_err(|error| match &error {
        wharf_archive::Error::Clash { path, folder: is_folder } => {
            let (what, with) = if *is_folder { ("directory", "non-directory") } else { ("non-directory", "directory") };
            Exit::error(format!("cannot overwrite {what} {:?} with {with} {:?}", folder.join(path), folder))
        }
        _ => Exit::error(error.to_string()),
    })
}

/// docker's refusals of a destination, before anything is asked of the engine.
fn may_be_output(local: &Path) -> Outcome {
    let parent = split(&clean(local)).0;
    if let Err(error) = std::fs::metadata(&parent)
        && error.kind() == io::ErrorKind::NotFound
    {
        return Err(Exit::error(format!("invalid output path: directory {:?} does not exist", parent)));
    }
    match rustix::fs::stat(local) {
        Ok(stat) if is_device(stat.st_mode) => Err(Exit::error(format!(
            "invalid output path: {local:?} must be a directory or a regular file: got a device"
        ))),
        Ok(_) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(at("stat", local, errno)),
    }
}

fn is_device(mode: u32) -> bool {
    matches!(FileType::from_raw_mode(mode), FileType::CharacterDevice | FileType::BlockDevice)
}

/// Looks at the destination; links at its end are followed, also to where nothing is yet.
fn local_destination(local: &Path) -> Result<End, Exit> {
    let mut place = local.to_owned();
    let mut found = rustix::fs::lstat(&place);
    let mut links = 0;
    while let Ok(stat) = &found
        && FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
    {
        if links > LINKS {
            return Err(Exit::error(format!("too many symlinks in {}", local.display())));
        }
        links += 1;
        let target = std::fs::read_link(&place)?;
        place = joined(&place, &target);
        found = rustix::fs::lstat(&place);
    }
    match found {
        Ok(stat) => Ok(End { path: place, exists: true, folder: is_folder(&stat), rename: None }),
        Err(Errno::NOENT) => {
            let parent = split(&place).0;
            let stat = rustix::fs::stat(&parent).map_err(|errno| at("stat", &parent, errno))?;
            if !is_folder(&stat) {
                return Err(Exit::error(NOT_A_DIRECTORY));
            }
            Ok(End { path: place, exists: false, folder: false, rename: None })
        }
        Err(errno) => Err(at("lstat", &place, errno)),
    }
}

// ---- into a container

fn to_container(call: &Call<'_>, local: &str, name: &str, inside: &str) -> Outcome {
    let local = if local == "-" { None } else { Some(absolute(local)?) };
    let client = call.client()?;
    let destination = inner_destination(client, name, inside)?;
    let progress = progress(call, "Copying to container - ");
    let own = call.flags.on("archive");
    let done = match &local {
        None if !destination.folder => {
            client.get(&path(name, "json"), &Query::new())?;
            return Err(Exit::error(format!("destination \"{name}:{inside}\" must be a directory")));
        }
        None => {
            let mut counted = Counted::new(io::stdin().lock(), progress.bytes());
            let query = put_query(&destination.path, own);
            client.upload(Method::Put, &path(name, "archive"), &query, TAR, &mut counted).map(drop).map_err(Exit::from)
        }
        Some(local) => {
            let source = local_source(local, call.flags.on("follow-link"))?;
            let arranged = arrange(&source, &destination);
            if arranged.is_err() {
                // a container that does not exist is the better reason
                client.get(&path(name, "json"), &Query::new())?;
            }
            let (folder, names) = arranged?;
            let packing = Packing::open(&source, &names)?;
            let mut spoilt = None;
            let write = |out: &mut dyn Write| packing.write(Counted::new(out, progress.bytes()), &mut spoilt);
            let sent = client.upload_written(Method::Put, &path(name, "archive"), &put_query(&folder, own), TAR, write);
            match spoilt {
                Some(unreadable) => Err(unreadable),
                None => sent.map(drop).map_err(Exit::from),
            }
        }
    };
    progress.finish(&format!("{name}:{}", destination.path.display()));
    done
}

fn put_query(folder: &Path, own: bool) -> Query {
    Query::new()
        .when(own, "copyUIDGID", "true")
        .with("noOverwriteDirNonDir", "true")
        .with("path", folder.to_string_lossy())
}

/// Looks at the destination in the container; a link at its end is followed, also to where nothing is yet.
fn inner_destination(client: &Client, name: &str, inside: &str) -> Result<End, Exit> {
    let mut place = PathBuf::from(inside);
    let mut found = stat(client, name, inside);
    if let Ok(link) = &found
        && link.is_link()
    {
        place = joined(Path::new(inside), &link.link_target);
        found = stat(client, name, &place.to_string_lossy());
    }
    if let Ok(stat) = &found
        && stat.is_device()
    {
        return Err(Exit::error(format!(
            "destination \"{name}:{inside}\" must be a directory or a regular file: got a device"
        )));
    }
    // what is wrong with the container itself shows when the archive is sent
    let folder = found.as_ref().is_ok_and(PathStat::is_folder);
    Ok(End { path: place, exists: found.is_ok(), folder, rename: None })
}

/// What is to be copied; links in front of its last part are resolved, and with `follow` that one, too.
fn local_source(local: &Path, follow: bool) -> Result<End, Exit> {
    let (place, rename) = if follow {
        let resolved = std::fs::canonicalize(clean(local)).map_err(|error| unresolved(local, &error))?;
        renamed(local, resolved)
    } else {
        let bytes = local.as_os_str().as_bytes();
        let cut = bytes.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
        let (parent, last) = (as_path(&bytes[..cut]), as_path(&bytes[cut..]));
        let resolved = std::fs::canonicalize(parent).map_err(|error| unresolved(parent, &error))?;
        let place = as_path(&[resolved.as_os_str().as_bytes(), b"/", last.as_os_str().as_bytes()].concat()).to_owned();
        let other = cut == bytes.len() && base(local) != base(&place);
        let rename = other.then(|| base(local));
        (place, rename)
    };
    let stat = rustix::fs::lstat(&place).map_err(|errno| at("lstat", &trimmed(&place), errno))?;
    Ok(End { path: place, exists: true, folder: is_folder(&stat), rename })
}

/// Go names the part that is missing.
fn unresolved(path: &Path, error: &io::Error) -> Exit {
    let mut at = PathBuf::new();
    for part in clean(path).components() {
        at.push(part);
        match std::fs::symlink_metadata(&at) {
            Err(_) => break,
            Ok(data) if data.is_symlink() => match std::fs::read_link(&at) {
                Ok(target) => at = joined(&at, &target),
                Err(_) => break,
            },
            Ok(_) => {}
        }
    }
    Exit::error(crate::go::path_error("lstat", at, error))
}

/// The source, opened, and its name in the archive.
struct Packing {
    place: OwnedFd,
    shown: PathBuf,
}

impl Packing {
    fn open(source: &End, names: &Names) -> Result<Packing, Exit> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (parent, last) = split(&source.path);
        let named = if last == "." { source.path.clone() } else { parent.join(&last) };
        let place = rustix::fs::open(&named, flags, Mode::empty()).map_err(|errno| at("open", &named, errno))?;
        let shown = match names {
            Names::Kept => PathBuf::from(last),
            Names::First { to, .. } => PathBuf::from(to),
        };
        Ok(Packing { place, shown })
    }

    /// Writes the archive. What is wrong with the source goes to `spoilt`; what is wrong with `out` is the answer.
    fn write(&self, out: impl Write, spoilt: &mut Option<Exit>) -> io::Result<()> {
        let packed = rustix::io::fcntl_dupfd_cloexec(&self.place, 0)
            .map_err(|errno| at("open", &self.shown, errno))
            .map(|place| wharf_archive::pack_resource(place, &self.shown, out, &|| Ok(())));
        let other = match packed {
            Ok(Ok(_)) => return Ok(()),
            // an engine that refuses stops reading: then its answer says why
            Ok(Err(wharf_archive::Error::Stream { source, .. })) => return Err(source),
            Ok(Err(error)) => Exit::error(error.to_string()),
            Err(exit) => exit,
        };
        *spoilt = Some(other);
        Err(io::ErrorKind::Other.into())
    }
}

// ---- both ways

/// How names in the archive change.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Names {
    Kept,
    /// The first part becomes another one.
    First {
        from: OsString,
        to: OsString,
    },
}

impl Names {
    fn apply(&self, path: &Path) -> PathBuf {
        let Names::First { from, to } = self else { return path.to_owned() };
        match (from.as_bytes(), path.strip_prefix(from)) {
            // names relative to the folder itself
            (b"." | b"/", _) => Path::new(to).join(path.strip_prefix(".").unwrap_or(path)),
            (_, Ok(rest)) if rest.as_os_str().is_empty() => PathBuf::from(to),
            (_, Ok(rest)) => Path::new(to).join(rest),
            (_, Err(_)) => path.to_owned(),
        }
    }
}

/// The folder to extract in, and how the names change on the way.
fn arrange(source: &End, destination: &End) -> Result<(PathBuf, Names), Exit> {
    let last = split(&source.path).1;
    let from = source.rename.clone().unwrap_or(last.clone());
    if destination.exists && destination.folder {
        // the copy keeps its name, or gets the one that the user called it by
        let names = match &source.rename {
            Some(to) => Names::First { from: last, to: to.clone() },
            None => Names::Kept,
        };
        return Ok((destination.path.clone(), names));
    }
    if destination.exists && source.folder {
        return Err(Exit::error("cannot copy directory"));
    }
    if !destination.exists && !source.folder && asserts_folder(&destination.path) {
        return Err(Exit::error(NO_DIRECTORY));
    }
    let (folder, to) = split(&destination.path);
    // a container's archive has the name it has there
    let from = if source.rename.is_some() { last } else { from };
    Ok((folder, Names::First { from, to }))
}

/// A path of the user's own, from the root; its trailing slash or dot stays.
fn absolute(path: &str) -> Result<PathBuf, Exit> {
    let path = Path::new(path);
    let whole = std::path::absolute(path)?;
    let mut whole = clean(&whole);
    if ends_in_dot(path) && whole != Path::new("/") {
        whole = as_path(&[whole.as_os_str().as_bytes(), b"/."].concat()).to_owned();
    } else if ends_in_dot(path) {
        whole = PathBuf::from("/.");
    } else if ends_in_slash(path) && whole != Path::new("/") {
        whole = as_path(&[whole.as_os_str().as_bytes(), b"/"].concat()).to_owned();
    }
    Ok(whole)
}

/// Go's `filepath.Clean`.
fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match out.components().next_back() {
                Some(Component::Normal(_)) => drop(out.pop()),
                Some(Component::RootDir) => {}
                _ => out.push(".."),
            },
            part => out.push(part),
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

/// The folder and the last part of a path; a final `.` is its last part.
fn split(path: &Path) -> (PathBuf, OsString) {
    let plain = clean(path);
    if ends_in_dot(path) {
        return (plain, ".".into());
    }
    let parent = plain.parent().map_or_else(
        || if plain.is_absolute() { PathBuf::from("/") } else { PathBuf::from(".") },
        |p| if p.as_os_str().is_empty() { PathBuf::from(".") } else { p.to_owned() },
    );
    (parent, base(&plain))
}

/// Go's `filepath.Base`.
fn base(path: &Path) -> OsString {
    let bytes = path.as_os_str().as_bytes();
    let end = bytes.iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1);
    let start = bytes[..end].iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    match (bytes.is_empty(), end) {
        (true, _) => ".".into(),
        (_, 0) => "/".into(),
        _ => OsString::from_vec(bytes[start..end].to_vec()),
    }
}

fn ends_in_dot(path: &Path) -> bool {
    base(path) == "."
}

fn ends_in_slash(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"/")
}

fn asserts_folder(path: &Path) -> bool {
    ends_in_slash(path) || ends_in_dot(path)
}

/// Where a link leads that lies at `link`.
fn joined(link: &Path, target: impl AsRef<Path>) -> PathBuf {
    let target = target.as_ref();
    if target.is_absolute() { target.to_owned() } else { clean(&split(link).0.join(target)) }
}

/// A followed link: its target with the trailing slash or dot of what the user said, and the user's name for it.
fn renamed(said: &Path, target: PathBuf) -> (PathBuf, Option<OsString>) {
    let mut bytes = target.into_os_string().into_vec();
    if ends_in_dot(said) && !ends_in_dot(as_path(&bytes)) {
        bytes.extend_from_slice(b"/.");
    }
    if ends_in_slash(said) && !bytes.ends_with(b"/") {
        bytes.push(b'/');
    }
    let target = as_path(&bytes).to_owned();
    let rename = (base(said) != base(&target)).then(|| base(said));
    (target, rename)
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

/// Without slashes at its end.
fn trimmed(path: &Path) -> PathBuf {
    path.components().collect()
}

fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn open_folder(path: &Path) -> Result<OwnedFd, Exit> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::empty()).map_err(|errno| at("open", path, errno))
}

fn at(operation: &str, path: &Path, errno: Errno) -> Exit {
    Exit::error(crate::go::path_error(operation, path, &errno.into()))
}

/// What an engine says of a path.
#[derive(Debug)]
struct PathStat {
    /// Go's `fs.FileMode`.
    mode: u64,
    link_target: String,
}

impl PathStat {
    fn is_folder(&self) -> bool {
        self.mode & 1 << 31 != 0
    }

    fn is_link(&self) -> bool {
        self.mode & 1 << 27 != 0
    }

    fn is_device(&self) -> bool {
        self.mode & 1 << 26 != 0
    }
}

fn stat(client: &Client, name: &str, inside: &str) -> Result<PathStat, Exit> {
    path_stat(&client.head(&path(name, "archive"), &Query::new().with("path", inside))?)
}

fn path_stat(head: &Head) -> Result<PathStat, Exit> {
    let text = head.get("x-docker-container-path-stat").unwrap_or_default();
    let document = BASE64_STANDARD.decode(text).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    let document = document.ok_or_else(|| Exit::error("unable to get resource stat from response: EOF"))?;
    Ok(PathStat {
        mode: document.get("mode").and_then(Value::as_u64).unwrap_or(0),
        link_target: json::text(&document, "linkTarget").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(path: &str, exists: bool, folder: bool) -> End {
        End { path: path.into(), exists, folder, rename: None }
    }

    /// Where `member` of the archive of `source` lands.
    fn check(source: &End, destination: &End, member: &str, expect: &str) {
        let landed = match arrange(source, destination) {
            Ok((folder, names)) => {
                let member = wharf_archive::clean(&names.apply(Path::new(member))).expect("a clean name");
                clean(&folder.join(member)).to_string_lossy().into_owned()
            }
            Err(exit) => exit.message,
        };
        assert_eq!(landed, expect, "{source:?} {destination:?} {member}");
    }

    #[test]
    fn r_ctr_06_cp_where_things_land() {
        let (file, folder) = (end("/s/f", true, false), end("/s/d", true, true));
        let contents = end("/s/d/.", true, true);
        let (there, other, new) = (end("/t", true, true), end("/t/x", true, false), end("/t/n", false, false));
        check(&file, &there, "f", "/t/f");
        check(&file, &other, "f", "/t/x");
        check(&file, &new, "f", "/t/n");
        check(&file, &end("/t/n/", false, false), "f", "no such directory");
        check(&folder, &there, "d/f", "/t/d/f");
        check(&folder, &other, "d/f", "cannot copy directory");
        check(&folder, &new, "d/f", "/t/n/f");
        check(&folder, &new, "d/d", "/t/n/d");
        check(&contents, &there, "f", "/t/f");
        check(&contents, &new, "f", "/t/n/f");
        check(&contents, &new, "", "/t/n");
        let link = End { rename: Some("l".into()), ..end("/s/f", true, false) };
        check(&link, &there, "f", "/t/l");
        check(&link, &new, "f", "/t/n");
        check(&end("/", true, true), &new, "etc/x", "/t/n/etc/x");
    }

    #[test]
    fn r_ctr_06_cp_sides_and_paths() {
        let container = |text| matches!(side(text), Side::Container("c", "/x"));
        assert!(container("c:/x"));
        for text in ["/c:/x", "./c:/x", "x", "-", ".c:/x"] {
            assert!(matches!(side(text), Side::Local(local) if local == text), "{text}");
        }
        let split = |path: &str| {
            let (folder, last) = split(Path::new(path));
            format!("{} {}", folder.display(), last.to_string_lossy())
        };
        assert_eq!(split("/a/b"), "/a b");
        assert_eq!(split("/a/b/"), "/a b");
        assert_eq!(split("/a/b/."), "/a/b .");
        assert_eq!(split("/"), "/ /");
        assert_eq!(split("b"), ". b");
        assert_eq!(split("."), ". .");
        assert_eq!(renamed(Path::new("/a/ld/"), "/b/d".into()), ("/b/d/".into(), Some("ld".into())));
        assert_eq!(renamed(Path::new("/a/l/."), "/b/d".into()), ("/b/d/.".into(), None));
    }
}
