//! Lists: tags, repositories, referrers ("Content Discovery").

use crate::server::answer::{self, Answer, set};
use crate::server::document::Document;
use crate::server::name::Repository;
use crate::server::refusal::{Code, Outcome, Refusal};
use crate::server::route::{encode, query};
use crate::server::storage::{Storage, write_link};
use crate::server::{Registry, blocking, disk};
use hyper::Request;
use hyper::body::Incoming;
use hyper::header::{HeaderName, LINK};
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use wharf_spec::digest::Digest;

/// Entries of one page at most, whatever the client asks for.
const MAX_PAGE: usize = 10_000;
/// Repositories of a page when the client does not say, as in the stock registry.
const CATALOG_PAGE: usize = 100;

const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// What part of a list is wanted: `n` entries after `last`.
struct Page {
    size: Option<usize>,
    last: Option<String>,
}

impl Page {
    fn of(request: &Request<Incoming>) -> Outcome<Self> {
        let asked = request.uri().query();
        let size = match query(asked, "n") {
            None => None,
            Some(text) => {
                Some(text.parse().map_err(|_| Refusal::new(Code::PaginationNumberInvalid, json!({ "n": text })))?)
            }
        };
        Ok(Self { size, last: query(asked, "last").filter(|last| !last.is_empty()) })
    }

    /// The page of a sorted list, and the query of the next one.
    fn cut(&self, mut entries: Vec<String>, default: usize) -> (Vec<String>, Option<String>) {
        if let Some(last) = &self.last {
            entries.retain(|entry| entry > last);
        }
        let size = self.size.unwrap_or(default).min(MAX_PAGE);
        let more = entries.len() > size;
        entries.truncate(size);
        let next = entries.last().filter(|_| more).map(|last| format!("n={size}&last={}", encode(last)));
        (entries, next)
    }
}

fn page(path: &str, document: &Value, next: Option<String>) -> Answer {
    let mut answer = answer::json("application/json", document);
    if let Some(next) = next {
        set(&mut answer, LINK, format!("<{path}?{next}>; rel=\"next\""));
    }
    answer
}

impl Registry {
    /// Tags of a repository.
    pub(crate) async fn tags(self: Arc<Self>, name: Repository, request: &Request<Incoming>) -> Outcome<Answer> {
        let wanted = Page::of(request)?;
        if let Some(cache) = &self.cache
            && let Some(tags) = cache.tags(&name).await?
        {
            let (tags, next) = wanted.cut(tags, MAX_PAGE);
            return Ok(page(&format!("/v2/{name}/tags/list"), &json!({"name": name.as_str(), "tags": tags}), next));
        }
        let owner = name.clone();
        let tags = blocking(move || {
            let tags = self.storage.tags(&owner).map_err(|e| Refusal::broken("list tags", &e))?;
            tags.ok_or_else(|| Refusal::new(Code::NameUnknown, json!({ "name": owner.as_str() })))
        })
        .await?;
        let (tags, next) = wanted.cut(tags.iter().map(|tag| tag.as_str().to_owned()).collect(), MAX_PAGE);
        Ok(page(&format!("/v2/{name}/tags/list"), &json!({"name": name.as_str(), "tags": tags}), next))
    }

    /// All repositories that have manifests.
    pub(crate) async fn catalog(self: Arc<Self>, request: &Request<Incoming>) -> Outcome<Answer> {
        let wanted = Page::of(request)?;
        let names = blocking(move || {
            let mut names = self.storage.repositories().map_err(|e| Refusal::broken("list repositories", &e))?;
            names.retain(|name| self.storage.has_manifests(name));
            Ok(names)
        })
        .await?;
        let (names, next) = wanted.cut(names.iter().map(Repository::to_string).collect(), CATALOG_PAGE);
        Ok(page("/v2/_catalog", &json!({ "repositories": names }), next))
    }

    /// Manifests that refer to one; none is an empty list, even when nothing is known of the subject.
    pub(crate) async fn referrers(
        self: Arc<Self>,
        name: Repository,
        subject: Digest,
        request: &Request<Incoming>,
    ) -> Outcome<Answer> {
        let wanted = query(request.uri().query(), "artifactType").filter(|kind| !kind.is_empty());
        let filter = wanted.clone();
        let manifests = blocking(move || {
            let found = self.storage.referrers(&name, &subject);
            let mut found = found.map_err(|e| Refusal::broken("list referrers", &e))?;
            if let Some(kind) = filter {
                found.retain(|entry| entry["artifactType"] == kind.as_str());
            }
            Ok(found)
        })
        .await?;
        let kind = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests});
        let mut answer = answer::json(kind, &index);
        if wanted.is_some() {
            set(&mut answer, FILTERS, "artifactType");
        }
        Ok(answer)
    }
}

impl Storage {
    fn has_manifests(&self, name: &Repository) -> bool {
        let revisions = self.repository(name).join("_manifests/revisions");
        ["sha256", "sha512"]
            .iter()
            .any(|algorithm| disk::names(&revisions.join(algorithm)).is_ok_and(|names| !names.is_empty()))
    }

    fn referrers(&self, name: &Repository, subject: &Digest) -> io::Result<Vec<Value>> {
        self.index_referrers(name)?;
        let mut found = Vec::new();
        for digest in Self::linked(&self.referrers_folder(name, subject))? {
            // a crash between the two links leaves one without its manifest
            let Some(bytes) = self.manifest(name, &digest)? else { continue };
            let Ok(document) = Document::parse(&bytes, None) else { continue };
            found.push(document.descriptor(&digest, bytes.len()));
        }
        Ok(found)
    }

    /// Makes the index of referrers of a repository that the stock registry, which has none, has written. Where nothing can
    /// be written, nothing refers.
    pub(crate) fn index_referrers(&self, name: &Repository) -> io::Result<()> {
        let folder = self.repository(name).join("_referrers");
        if folder.exists() || !self.repository(name).join("_manifests").exists() {
            return Ok(());
        }
        for digest in self.revisions(name)? {
            let Some(bytes) = self.manifest(name, &digest)? else { continue };
            let Some(subject) = Document::parse(&bytes, None).ok().and_then(|document| document.subject) else {
                continue;
            };
            match write_link(&self.referrer_link(name, &subject, &digest), &digest) {
                Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => return Ok(()),
                other => other?,
            }
        }
        match std::fs::create_dir_all(&folder) {
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(()),
            other => other,
        }
    }
}
