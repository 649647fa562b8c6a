//! Words of mount options (`fstab` style) as the OCI runtime spec lists them, and the C strings made of a document's texts.

use super::Propagation;
use crate::Error;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use wharf_sys::mount::attr;

/// The options of one mount, sorted by what acts on them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MountOptions {
    pub(super) set: u64,
    pub(super) clear: u64,
    pub(super) set_recursive: u64,
    pub(super) clear_recursive: u64,
    pub(super) propagation: Vec<(Propagation, bool)>,
    /// `bind` (false) or `rbind` (true).
    pub(super) bind: Option<bool>,
    pub(super) remount: bool,
    pub(super) copy_up: bool,
    /// `idmap` (false) or `ridmap` (true).
    pub(super) idmap: Option<bool>,
    /// Flags of the file system rather than of the mount (`sync`, `ro` …).
    pub(super) superblock: Vec<&'static str>,
    /// What is left for the file system itself.
    pub(super) data: Vec<(String, Option<String>)>,
}

/// Every word that the runtime itself understands, for the `features` document.
pub const KNOWN: &[&str] = &[
    "acl",
    "async",
    "atime",
    "bind",
    "defaults",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "idmap",
    "iversion",
    "lazytime",
    "loud",
    "mand",
    "noacl",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "noiversion",
    "nolazytime",
    "nomand",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "nosymfollow",
    "private",
    "ratime",
    "rbind",
    "rdev",
    "rdiratime",
    "relatime",
    "remount",
    "rexec",
    "ridmap",
    "rnoatime",
    "rnodev",
    "rnodiratime",
    "rnoexec",
    "rnorelatime",
    "rnostrictatime",
    "rnosuid",
    "rnosymfollow",
    "ro",
    "rprivate",
    "rrelatime",
    "rro",
    "rrw",
    "rshared",
    "rslave",
    "rstrictatime",
    "rsuid",
    "rsymfollow",
    "runbindable",
    "rw",
    "shared",
    "silent",
    "slave",
    "strictatime",
    "suid",
    "symfollow",
    "sync",
    "tmpcopyup",
    "unbindable",
];

impl MountOptions {
    /// Sorts the words. Unknown ones are the file system's.
    pub(super) fn parse(words: &[String]) -> MountOptions {
        let mut options = MountOptions::default();
        for word in words {
            options.word(word);
        }
        options
    }

    fn word(&mut self, word: &str) {
        if self.attribute(word) || self.propagation_word(word) {
            return;
        }
        match word {
            "" | "defaults" | "async" | "loud" | "nomand" | "nolazytime" | "noiversion" | "acl" | "noacl" => {}
            "bind" => self.bind = Some(self.bind.unwrap_or(false)),
            "rbind" => self.bind = Some(true),
            "remount" => self.remount = true,
            "tmpcopyup" => self.copy_up = true,
            "idmap" => self.idmap = Some(self.idmap.unwrap_or(false)),
            "ridmap" => self.idmap = Some(true),
            "sync" => self.superblock.push("sync"),
            "dirsync" => self.superblock.push("dirsync"),
            "mand" => self.superblock.push("mand"),
            "lazytime" => self.superblock.push("lazytime"),
            "iversion" => self.superblock.push("iversion"),
            "silent" => self.superblock.push("silent"),
            _ => self.data.push(match word.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (word.to_owned(), None),
            }),
        }
    }

    /// Attributes of the mount: `noexec`, or `rnoexec` for the whole tree.
    fn attribute(&mut self, word: &str) -> bool {
        let (set, clear) = match Self::bits(word) {
            Some(bits) => bits,
            None => match word.strip_prefix('r').filter(|rest| Self::bits(rest).is_some()) {
                Some(rest) => {
                    let (set, clear) = Self::bits(rest).unwrap_or_default();
                    self.set_recursive = self.set_recursive & !clear | set;
                    self.clear_recursive = self.clear_recursive & !set | clear;
                    return true;
                }
                None => return false,
            },
        };
        if word == "ro" {
            self.superblock.push("ro");
        }
        self.set = self.set & !clear | set;
        self.clear = self.clear & !set | clear;
        true
    }

    /// What a word sets and clears. Access-time modes are one field of the kernel's: to set one, all are cleared.
    fn bits(word: &str) -> Option<(u64, u64)> {
        Some(match word {
            "ro" => (attr::RDONLY, 0),
            "rw" => (0, attr::RDONLY),
            "nosuid" => (attr::NOSUID, 0),
            "suid" => (0, attr::NOSUID),
            "nodev" => (attr::NODEV, 0),
            "dev" => (0, attr::NODEV),
            "noexec" => (attr::NOEXEC, 0),
            "exec" => (0, attr::NOEXEC),
            "nodiratime" => (attr::NODIRATIME, 0),
            "diratime" => (0, attr::NODIRATIME),
            "nosymfollow" => (attr::NOSYMFOLLOW, 0),
            "symfollow" => (0, attr::NOSYMFOLLOW),
            "noatime" => (attr::NOATIME, attr::ATIME_MASK & !attr::NOATIME),
            "strictatime" => (attr::STRICTATIME, attr::ATIME_MASK & !attr::STRICTATIME),
            "relatime" | "atime" | "norelatime" | "nostrictatime" => (0, attr::ATIME_MASK),
            _ => return None,
        })
    }

    fn propagation_word(&mut self, word: &str) -> bool {
        match propagation(word) {
            Some(change) => {
                self.propagation.push(change);
                true
            }
            None => false,
        }
    }
}

/// `shared` … `runbindable`.
pub(super) fn propagation(word: &str) -> Option<(Propagation, bool)> {
    Some(match word {
        "shared" => (Propagation::Shared, false),
        "rshared" => (Propagation::Shared, true),
        "slave" => (Propagation::Slave, false),
        "rslave" => (Propagation::Slave, true),
        "private" => (Propagation::Private, false),
        "rprivate" => (Propagation::Private, true),
        "unbindable" => (Propagation::Unbindable, false),
        "runbindable" => (Propagation::Unbindable, true),
        _ => return None,
    })
}

/// A path as the kernel takes it.
pub(crate) fn c_path(path: impl AsRef<Path>) -> Result<CString, Error> {
    let path = path.as_ref();
    CString::new(path.as_os_str().as_bytes())
        .map_err(|_| Error::invalid(path.display().to_string(), "contains a NUL byte"))
}

/// A text of the document as the kernel takes it.
pub(super) fn c_text(field: &str, text: impl Into<Vec<u8>>) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::invalid(field, "contains a NUL byte"))
}

/// All of `texts`.
pub(super) fn c_texts(field: &str, texts: &[String]) -> Result<Vec<CString>, Error> {
    texts.iter().map(|text| c_text(field, text.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> MountOptions {
        MountOptions::parse(&text.split(',').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn flags_and_data_are_told_apart() {
        let options = parse("nosuid,noexec,nodev,mode=755,size=65536k,rprivate,ro");
        assert_eq!(options.set, attr::NOSUID | attr::NOEXEC | attr::NODEV | attr::RDONLY);
        assert_eq!(options.data, [("mode".into(), Some("755".into())), ("size".into(), Some("65536k".into()))]);
        assert_eq!(options.propagation, [(Propagation::Private, true)]);
        assert_eq!(options.superblock, ["ro"]);
    }

    #[test]
    fn the_last_word_wins() {
        let options = parse("ro,rw,noatime,strictatime");
        assert_eq!(options.set, attr::STRICTATIME);
        assert_eq!(options.clear, attr::RDONLY | (attr::ATIME_MASK & !attr::STRICTATIME));
    }

    #[test]
    fn recursive_forms() {
        let options = parse("rbind,rro,rnosuid,rslave");
        assert_eq!((options.set, options.set_recursive), (0, attr::RDONLY | attr::NOSUID));
        assert_eq!(options.bind, Some(true));
        assert_eq!(options.propagation, [(Propagation::Slave, true)]);
        assert!(options.data.is_empty());
    }

    #[test]
    fn every_known_word_is_understood() {
        for word in KNOWN {
            assert_eq!(parse(word).data, [], "{word}");
        }
    }
}
