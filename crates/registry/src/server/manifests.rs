//! Manifests and indexes ("Pulling manifests", "Pushing Manifests", "Deleting").

use crate::server::answer::{self, Answer, set};
use crate::server::blobs::{not_modified, text};
use crate::server::document::{Document, Kind, stored_media_type};
use crate::server::name::{Name, Repository, Tag};
use crate::server::refusal::{Code, Outcome, Refusal};
use crate::server::storage::{MAX_MANIFEST, Storage, write_link};
use crate::server::upload::IDLE;
use crate::server::{CONTENT_DIGEST, Registry, blocking, disk};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, LOCATION};
use hyper::{HeaderMap, Request, StatusCode};
use serde_json::json;
use std::io;
use std::sync::Arc;
use wharf_spec::digest::Digest;

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// What a client can read.
struct Accepted(Vec<String>);

impl Accepted {
    fn of(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        let types = values.flat_map(|value| value.split(',')).filter_map(|text| text.split(';').next());
        Self(types.map(|text| text.trim().to_ascii_lowercase()).filter(|text| !text.is_empty()).collect())
    }

    fn allows(&self, media_type: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|a| a == media_type || a == "*/*" || a == "application/*")
    }
}

fn unknown(name: &Repository, which: &Name) -> Refusal {
    let key = match which {
        Name::Tag(_) => "Tag",
        Name::Digest(_) => "Digest",
    };
    Refusal::new(Code::ManifestUnknown, json!({"Name": name.as_str(), key: which.to_string()}))
}

/// Bytes of a manifest with their digest.
pub(crate) type Found = (Digest, Vec<u8>);

impl Registry {
    /// GET and HEAD of a manifest.
    pub(crate) async fn manifest(
        self: Arc<Self>,
        name: Repository,
        which: Name,
        request: &Request<Incoming>,
    ) -> Outcome<Answer> {
        if let Some(cache) = &self.cache {
            cache.refresh(&name, &which).await?;
        }
        let accepted = Accepted::of(request.headers());
        let headers = request.headers();
        let (digest, bytes) = self.clone().find(name, which, accepted).await?;
        if not_modified(headers, &digest) {
            return Ok(answer::empty(StatusCode::NOT_MODIFIED));
        }
        // of an answer to HEAD hyper sends only the head
        let mut answer = answer::bytes(&stored_media_type(&bytes), bytes);
        set(&mut answer, CONTENT_DIGEST, digest.to_string());
        set(&mut answer, ETAG, format!("\"{digest}\""));
        Ok(answer)
    }

    /// The manifest that a name means for a client that can read `accepted`.
    async fn find(self: Arc<Self>, name: Repository, which: Name, accepted: Accepted) -> Outcome<Found> {
        let this = self.clone();
        let (owner, asked) = (name.clone(), which.clone());
        let found = blocking(move || {
            let digest = match &asked {
                Name::Digest(digest) => Some(*digest),
                Name::Tag(tag) => this.storage.tag(&owner, tag).map_err(|e| Refusal::broken("read tag", &e))?,
            };
            let bytes = digest.map(|digest| this.storage.manifest(&owner, &digest)).transpose();
            let bytes = bytes.map_err(|e| Refusal::broken("read manifest", &e))?.flatten();
            digest.zip(bytes).ok_or_else(|| unknown(&owner, &asked))
        })
        .await?;
        let kind = stored_media_type(&found.1);
        if accepted.allows(&kind) {
            return Ok(found);
        }
        // as the stock registry: an old client gets the manifest of the commonest platform out of a list
        let platform = Document::parse(&found.1, None).ok().filter(|list| list.kind == Kind::DockerList);
        let default = platform.and_then(|list| {
            let fits = |p: &super::document::Platform| p.os == "linux" && p.architecture == "amd64";
            list.manifests.into_iter().find(|m| m.platform.as_ref().is_some_and(fits))
        });
        let Some(default) = default.filter(|m| matches!(which, Name::Tag(_)) && accepted.allows(&m.media_type)) else {
            let message = format!("the manifest is {kind}, which the Accept header does not name");
            return Err(Refusal::saying(Code::ManifestUnknown, message));
        };
        let child = Name::Digest(default.digest);
        if let Some(cache) = &self.cache {
            cache.refresh(&name, &child).await?;
        }
        blocking(move || {
            let bytes = self.storage.manifest(&name, &default.digest);
            let bytes = bytes.map_err(|e| Refusal::broken("read manifest", &e))?;
            Ok((default.digest, bytes.ok_or_else(|| unknown(&name, &child))?))
        })
        .await
    }

    /// PUT of a manifest: what it refers to must be here.
    pub(crate) async fn put_manifest(
        self: Arc<Self>,
        name: Repository,
        which: Name,
        request: Request<Incoming>,
    ) -> Outcome<Answer> {
        let kind = text(request.headers(), &CONTENT_TYPE).map(str::to_owned);
        let bytes = whole(request.into_body()).await?;
        let document = Document::parse(&bytes, kind.as_deref())?;
        let digest = match &which {
            Name::Tag(_) => Digest::of(&bytes),
            Name::Digest(claimed) => {
                let digest = claimed.same_algorithm(&bytes);
                if digest != *claimed {
                    return Err(Refusal::new(Code::DigestInvalid, json!({"digest": claimed, "actual": digest})));
                }
                digest
            }
        };
        let subject = document.subject;
        let tag = match &which {
            Name::Tag(tag) => Some(tag.clone()),
            Name::Digest(_) => None,
        };
        let owner = name.clone();
        blocking(move || {
            let broken = |e: io::Error| Refusal::broken("store manifest", &e);
            let _gate = self.storage.rely().map_err(broken)?;
            self.storage.check(&owner, &document)?;
            self.storage.store(&owner, &digest, &bytes, document.subject.as_ref(), tag.as_ref()).map_err(broken)
        })
        .await?;
        let mut answer = answer::empty(StatusCode::CREATED);
        set(&mut answer, LOCATION, format!("/v2/{name}/manifests/{digest}"));
        set(&mut answer, CONTENT_DIGEST, digest.to_string());
        set(&mut answer, CONTENT_LENGTH, "0");
        if let Some(subject) = subject {
            set(&mut answer, SUBJECT, subject.to_string());
        }
        Ok(answer)
    }

    /// DELETE of a tag, or of a manifest with all its tags.
    pub(crate) async fn delete_manifest(self: Arc<Self>, name: Repository, which: Name) -> Outcome<Answer> {
        blocking(move || {
            let broken = |e: io::Error| Refusal::broken("delete manifest", &e);
            match &which {
                Name::Tag(tag) => {
                    self.storage.tag(&name, tag).map_err(broken)?.ok_or_else(|| unknown(&name, &which))?;
                    disk::remove_folder(&self.storage.tag_folder(&name, tag)).map_err(broken)
                }
                Name::Digest(digest) => {
                    if !self.storage.revision_link(&name, digest).exists() {
                        return Err(unknown(&name, &which));
                    }
                    self.storage.forget(&name, digest).map_err(broken)
                }
            }
        })
        .await?;
        Ok(answer::empty(StatusCode::ACCEPTED))
    }
}

impl Storage {
    /// Finds out whether everything that a document needs is here, and keeps it from being collected. The caller holds the
    /// gate.
    fn check(&self, name: &Repository, document: &Document) -> Outcome<()> {
        let missing = |digest: &Digest| Refusal::new(Code::ManifestBlobUnknown, json!({ "digest": digest }));
        let broken = |e: io::Error| Refusal::broken("read blob", &e);
        for blob in document.blobs.iter().filter(|blob| !blob.is_foreign()) {
            let Some((_, size)) = self.open_blob(name, &blob.digest).map_err(broken)? else {
                return Err(missing(&blob.digest));
            };
            if size != blob.size {
                let detail = json!({"digest": blob.digest, "size": blob.size, "actual": size});
                return Err(Refusal::new(Code::ManifestInvalid, detail));
            }
            self.keep(&blob.digest).map_err(broken)?;
        }
        for child in &document.manifests {
            let bytes = self.manifest(name, &child.digest).map_err(broken)?.ok_or_else(|| missing(&child.digest))?;
            self.keep_manifest(name, &child.digest, &bytes, 0).map_err(broken)?;
        }
        Ok(())
    }

    /// Keeps a manifest, and what it needs, from being collected.
    fn keep_manifest(&self, name: &Repository, digest: &Digest, bytes: &[u8], depth: u8) -> io::Result<()> {
        /// Indexes in indexes deeper than this are nobody's honest work.
        const DEEPEST: u8 = 4;
        self.keep(digest)?;
        disk::touch(&self.revision_link(name, digest))?;
        let Ok(document) = Document::parse(bytes, None) else { return Ok(()) };
        for blob in &document.blobs {
            match self.keep(&blob.digest) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        for child in document.manifests.iter().filter(|_| depth < DEEPEST) {
            if let Some(bytes) = self.manifest(name, &child.digest)? {
                self.keep_manifest(name, &child.digest, &bytes, depth + 1)?;
            }
        }
        Ok(())
    }

    /// Stores a manifest: bytes, then the links to them, then the tag. The caller holds the gate.
    pub(crate) fn store(
        &self,
        name: &Repository,
        digest: &Digest,
        bytes: &[u8],
        subject: Option<&Digest>,
        tag: Option<&Tag>,
    ) -> io::Result<()> {
        if self.keep(digest).is_err() {
            disk::write(&self.blob(digest), bytes)?;
        }
        wharf_sys::failpoint::hit("registry.manifest.after_blob")?;
        if let Some(subject) = subject {
            self.index_referrers(name)?;
            write_link(&self.referrer_link(name, subject, digest), digest)?;
        }
        write_link(&self.revision_link(name, digest), digest)?;
        wharf_sys::failpoint::hit("registry.manifest.after_revision")?;
        let settled = match tag {
            Some(tag) => {
                self.set_tag(name, tag, digest)?;
                self.tag_folder(name, tag).join("current/link")
            }
            None => self.revision_link(name, digest),
        };
        disk::sync_folder(settled.parent().unwrap_or(&settled))
    }

    /// Removes a manifest from a repository: tags first, so that none ever names what is not there.
    pub(crate) fn forget(&self, name: &Repository, digest: &Digest) -> io::Result<()> {
        for tag in self.tags(name)?.unwrap_or_default() {
            if self.tag(name, &tag)? == Some(*digest) {
                disk::remove_folder(&self.tag_folder(name, &tag))?;
            }
        }
        let subject = self.manifest(name, digest).ok().flatten();
        let subject = subject.and_then(|bytes| Document::parse(&bytes, None).ok()?.subject);
        if let Some(subject) = subject {
            let link = self.referrer_link(name, &subject, digest);
            disk::remove_folder(link.parent().unwrap_or(&link))?;
        }
        let link = self.revision_link(name, digest);
        disk::remove_folder(link.parent().unwrap_or(&link))
    }
}

/// A manifest's bytes.
async fn whole(mut body: Incoming) -> Outcome<Vec<u8>> {
    let cut = || Refusal::saying(Code::ManifestInvalid, "the manifest was cut off");
    let mut bytes = Vec::new();
    while let Some(frame) = tokio::time::timeout(IDLE, body.frame()).await.map_err(|_| cut())? {
        let Ok(data) = frame.map_err(|_| cut())?.into_data() else { continue };
        if bytes.len() + data.len() > MAX_MANIFEST as usize {
            return Err(Code::TooLarge.into());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}
