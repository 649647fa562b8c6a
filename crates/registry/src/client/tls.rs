//! TLS to one registry: the machine's CAs and the administrator's own files for it (`certs.d`).
//!
//! ```text
//!   certs.d/<host:port>/*.crt           further CAs
//!                      /*.cert + *.key  a certificate to show to the registry
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use wharf_tls::{Client, Trust};

use super::{Error, Result, Settings};

/// The TLS configuration for one `host[:port]`.
///
/// # Errors
/// [`Error::Settings`] for files under `certs.d` that cannot be used.
pub(crate) fn config(settings: &Settings, authority: &str, verify: bool) -> Result<Arc<ClientConfig>> {
    let own = Own::read(settings, authority)?;
    let trust = if verify { Trust::Machine { and: own.roots } } else { Trust::Anybody };
    Client { trust, identity: own.identity }.load().map_err(|e| Error::Settings(e.to_string()))
}

/// The files that the administrator gave for one registry.
#[derive(Default)]
struct Own {
    roots: Vec<PathBuf>,
    /// Certificate and key.
    identity: Option<(PathBuf, PathBuf)>,
}

impl Own {
    fn read(settings: &Settings, authority: &str) -> Result<Self> {
        let mut own = Self::default();
        for folder in &settings.certificates {
            // an authority has no slash: `Address` sees to that
            if matches!(authority, "." | "..") {
                continue;
            }
            own.add(&folder.join(authority))?;
        }
        Ok(own)
    }

    fn add(&mut self, folder: &Path) -> Result<()> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
        let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        files.sort();
        for file in &files {
            let other = |extension| Some(file.with_extension(extension)).filter(|path| files.contains(path));
            match file.extension().and_then(|e| e.to_str()) {
                Some("crt") => self.roots.push(file.clone()),
                Some("cert") => {
                    let key = other("key").ok_or_else(|| {
                        Error::Settings(format!(
                            "missing key {} for client certificate {}. CA certificates must use the extension .crt",
                            shown(&file.with_extension("key")),
                            shown(file)
                        ))
                    })?;
                    self.identity = Some((file.clone(), key));
                }
                Some("key") if other("cert").is_none() => {
                    return Err(Error::Settings(format!(
                        "missing client certificate {} for key {}",
                        shown(&file.with_extension("cert")),
                        shown(file)
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn shown(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
