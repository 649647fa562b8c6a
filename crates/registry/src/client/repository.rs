//! One repository at one endpoint: manifests, tags, small blobs. Everything that comes is bounded and verified.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, LINK};
use hyper::{Method, StatusCode};
use serde::Deserialize;
use wharf_spec::digest::Digest;
use wharf_spec::image::media_type;

use super::auth::{Auth, scope};
use super::refusal::refusal;
use super::wire::{Answer, Body, Request, Wire};
use super::{Access, Address, Credentials, Endpoint, Error, Result, Settings, challenge};

/// Longest manifest (OCI distribution specification, "Pushing Manifests": registries take at least this).
const MANIFEST: usize = 4 << 20;
/// Longest page of a list.
const PAGE: usize = 4 << 20;
/// Pages and tags of a repository that are read before the list counts as endless.
const PAGES: usize = 2_000;
const TAGS: usize = 200_000;
/// Attempts for a small request that fails in passing.
const ATTEMPTS: u32 = 3;

pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Every kind of manifest; the last two only to refuse them with a clear sentence.
const MANIFESTS: &[&str] = &[
    media_type::DOCKER_MANIFEST,
    media_type::DOCKER_INDEX,
    media_type::OCI_INDEX,
    media_type::OCI_MANIFEST,
    media_type::DOCKER_MANIFEST_V1,
    "application/json",
];

/// A manifest or index, byte for byte.
#[derive(Debug, Clone)]
pub struct Document {
    /// What it is.
    pub media_type: String,
    /// Of the bytes; verified.
    pub digest: Digest,
    /// As they came.
    pub bytes: Bytes,
}

/// A repository.
#[derive(Debug)]
pub struct Repository {
    pub(crate) wire: Wire,
    endpoint: Endpoint,
    /// `library/busybox`
    path: String,
    access: Access,
    auth: Auth,
}

impl Repository {
    /// Finds out whether a registry answers at `endpoint`, and what it wants to know.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when nobody answers.
    pub async fn open(
        settings: Arc<Settings>,
        endpoint: Endpoint,
        path: &str,
        credentials: Credentials,
        access: Access,
    ) -> Result<Arc<Self>> {
        // a mirror is somebody else
        let credentials = if endpoint.mirror { Credentials::default() } else { credentials };
        let unverified = (!endpoint.verify).then(|| endpoint.base.authority());
        let wire = Wire::new(settings, unverified);
        let repository = Self { wire, endpoint, path: path.to_owned(), access, auth: Auth::new(credentials) };
        repository.ping().await?;
        Ok(Arc::new(repository))
    }

    /// `GET /v2/`: 200 and 401 are both a registry.
    async fn ping(&self) -> Result<()> {
        let answer = self.wire.send(Request::get(self.endpoint.base.below("/v2/"))).await?;
        match answer.status.as_u16() {
            200..300 => Ok(()),
            401 => {
                self.auth.challenged(challenge::scheme(&answer.headers));
                Ok(())
            }
            _ => Err(refusal(answer).await),
        }
    }

    /// Where it is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its name inside the registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn address(&self, tail: &str) -> Address {
        self.endpoint.base.below(&format!("/v2/{}/{tail}", self.path))
    }

    fn scopes(&self, also: Option<&str>) -> Vec<String> {
        let other = also.map(|path| scope(path, Access::Pull));
        std::iter::once(scope(&self.path, self.access)).chain(other).collect()
    }

    /// Sends with authorisation; once more when the registry then says what it wants. `also`: a second repository to read.
    pub(crate) async fn ask(&self, request: Request, also: Option<&str>) -> Result<Answer> {
        let scopes = self.scopes(also);
        let again = request.again();
        let answer = self.wire.send(self.authorised(request, &scopes).await?).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let new = self.auth.challenged(challenge::scheme(&answer.headers));
        let expired = matches!(self.auth.scheme(), Some(challenge::Scheme::Bearer { .. }));
        let Some(again) = again.filter(|_| new || expired) else { return Ok(answer) };
        self.auth.forget(&scopes).await;
        self.wire.send(self.authorised(again, &scopes).await?).await
    }

    /// Only our own registry is told who we are.
    async fn authorised(&self, request: Request, scopes: &[String]) -> Result<Request> {
        if !request.address.same_origin(&self.endpoint.base) {
            return Ok(request);
        }
        let (method, url) = request.shown();
        Ok(match self.auth.value(&self.wire, scopes, (method, &url)).await? {
            Some(value) => request.header(AUTHORIZATION, &value),
            None => request,
        })
    }

    /// The same for a request that changes nothing: tried again when it fails in passing. Errors are errors here.
    pub(crate) async fn ask_patiently(&self, request: Request) -> Result<Answer> {
        let patience = self.wire.settings.patience;
        let mut request = Some(request);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let Some(this) = request.take() else { return Err(Error::Lie("a request without end".into())) };
            request = this.again();
            let failed = match self.ask(this, None).await {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) => refusal(answer).await,
                Err(error) => error,
            };
            if attempt >= ATTEMPTS || !failed.is_passing() || request.is_none() {
                return Err(failed);
            }
            let asked = match &failed {
                Error::TooMany { after, .. } => *after,
                _ => None,
            };
            if asked.is_some_and(|asked| asked > patience.longest) {
                return Err(failed);
            }
            tokio::time::sleep(patience.before(attempt, asked)).await;
        }
    }

    /// Which manifest a tag means, as far as the registry says so cheaply.
    pub async fn head_manifest(&self, reference: &str) -> Result<Option<Digest>> {
        let mut request = Request::new(Method::HEAD, self.address(&format!("manifests/{reference}")));
        for kind in MANIFESTS {
            request = request.header(ACCEPT, kind);
        }
        let answer = self.ask(request, None).await?;
        if !answer.status.is_success() {
            return Ok(None);
        }
        Ok(answer.header(CONTENT_DIGEST).and_then(|text| text.parse().ok()))
    }

    /// The manifest or index that `reference` (a tag or a digest) names.
    ///
    /// # Errors
    /// [`Error::Lie`] when the bytes have another digest than was asked for or told.
    pub async fn manifest(&self, reference: &str) -> Result<Document> {
        let mut request = Request::get(self.address(&format!("manifests/{reference}")));
        for kind in MANIFESTS {
            request = request.header(ACCEPT, kind);
        }
        let answer = self.ask_patiently(request).await?;
        let told = answer.header(CONTENT_DIGEST).and_then(|text| text.parse::<Digest>().ok());
        let kind = answer.header(CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
        let bytes = answer.read(MANIFEST).await?;
        let wanted = reference.parse::<Digest>().ok().or(told);
        let digest = match wanted {
            Some(wanted) => {
                let found = wanted.same_algorithm(&bytes);
                if found != wanted {
                    return Err(Error::Lie(format!(
                        "manifest verification failed for digest {wanted}: the bytes have digest {found}"
                    )));
                }
                wanted
            }
            None => Digest::of(&bytes),
        };
        Ok(Document { media_type: kind_of(&kind, &bytes)?, digest, bytes })
    }

    /// Puts a manifest under a tag or its digest.
    pub async fn put_manifest(&self, reference: &str, media_type: &str, bytes: Bytes) -> Result<()> {
        let request = Request::new(Method::PUT, self.address(&format!("manifests/{reference}")))
            .header(CONTENT_TYPE, media_type)
            .body(Body::Whole(bytes));
        self.ask_patiently(request).await.map(drop)
    }

    /// Every tag of the repository, as the registry sorts them.
    ///
    /// # Errors
    /// [`Error::Lie`] when the list does not end.
    pub async fn tags(&self) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let endless = || Error::Lie(format!("the list of tags of {} does not end", self.path));
        let mut tags = Vec::new();
        let mut seen = HashSet::new();
        let mut at = self.address("tags/list");
        for _ in 0..PAGES {
            if !seen.insert(at.path.clone()) {
                return Err(endless());
            }
            let answer = self.ask_patiently(Request::get(at.clone())).await?;
            let next = answer.header(LINK).and_then(next_page).map(|link| at.join(link)).transpose()?;
            let text = answer.read(PAGE).await?;
            let page: Page = serde_json::from_slice(&text)
                .map_err(|e| Error::Lie(format!("the list of tags of {} is nonsense: {e}", self.path)))?;
            let page = page.tags.unwrap_or_default();
            let empty = page.is_empty();
            tags.extend(page);
            if tags.len() > TAGS {
                return Err(endless());
            }
            match next {
                Some(next) if next.same_origin(&self.endpoint.base) && !empty => at = next,
                Some(next) if !next.same_origin(&self.endpoint.base) => {
                    return Err(Error::Lie(format!("the list of tags of {} goes on at {}", self.path, next.origin())));
                }
                _ => return Ok(tags),
            }
        }
        Err(endless())
    }

    /// A blob in memory: a configuration.
    ///
    /// # Errors
    /// [`Error::Lie`] when it is longer than `size` (or has another digest).
    pub async fn small_blob(&self, digest: &Digest, size: usize) -> Result<Bytes> {
        let answer = self.ask_patiently(Request::get(self.address(&format!("blobs/{digest}")))).await?;
        let bytes = answer.read(size).await?;
        let found = digest.same_algorithm(&bytes);
        if found != *digest {
            return Err(Error::Lie(format!("filesystem layer verification failed for digest {digest}: found {found}")));
        }
        Ok(bytes)
    }

    /// Length of a blob, when the registry has it.
    pub async fn head_blob(&self, digest: &Digest) -> Result<Option<u64>> {
        let answer = self.ask(Request::new(Method::HEAD, self.address(&format!("blobs/{digest}"))), None).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => {
                Ok(Some(answer.header(hyper::header::CONTENT_LENGTH).and_then(|n| n.parse().ok()).unwrap_or(0)))
            }
            _ => Err(refusal(answer).await),
        }
    }
}

/// `<https://…?last=x>; rel="next"`
fn next_page(link: &str) -> Option<&str> {
    let (target, rest) = link.trim_start().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then_some(target)
}

/// What a document is: its header and its own words must agree, or two readers would see two images.
fn kind_of(header: &str, bytes: &[u8]) -> Result<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Shape {
        #[serde(default)]
        schema_version: u32,
        #[serde(default)]
        media_type: String,
        #[serde(default)]
        manifests: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        config: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        layers: Option<serde::de::IgnoredAny>,
    }
    let shape: Shape =
        serde_json::from_slice(bytes).map_err(|e| Error::Lie(format!("the manifest is no JSON: {e}")))?;
    if shape.schema_version == 1 {
        return Ok(media_type::DOCKER_MANIFEST_V1.into());
    }
    if shape.manifests.is_some() && (shape.config.is_some() || shape.layers.is_some()) {
        return Err(Error::Lie("the manifest is an index and an image at once".into()));
    }
    let known = |kind: &str| media_type::is_index(kind) || media_type::is_manifest(kind);
    if known(header) && known(&shape.media_type) && header != shape.media_type {
        return Err(Error::Lie(format!("the manifest is served as {header} and says that it is {}", shape.media_type)));
    }
    let kind = [header, &shape.media_type].into_iter().find(|kind| known(kind)).map(str::to_owned);
    Ok(kind.unwrap_or_else(|| match (&shape.manifests, header) {
        (Some(_), _) => media_type::OCI_INDEX.into(),
        (None, _) if shape.layers.is_some() => media_type::OCI_MANIFEST.into(),
        (None, other) => other.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_say_what_they_are() {
        let check = |header: &str, text: &str, expect: Option<&str>| {
            assert_eq!(kind_of(header, text.as_bytes()).ok().as_deref(), expect, "{header} {text}");
        };
        let image = r#"{"schemaVersion":2,"config":{},"layers":[]}"#;
        check(media_type::DOCKER_MANIFEST, image, Some(media_type::DOCKER_MANIFEST));
        check("application/json", image, Some(media_type::OCI_MANIFEST));
        check("text/plain", r#"{"schemaVersion":2,"manifests":[]}"#, Some(media_type::OCI_INDEX));
        check("application/json", r#"{"schemaVersion":1,"fsLayers":[]}"#, Some(media_type::DOCKER_MANIFEST_V1));
        check(media_type::OCI_INDEX, r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, None);
        check(
            media_type::OCI_MANIFEST,
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json"}"#,
            None,
        );
        check(media_type::OCI_MANIFEST, "<html>", None);
    }

    #[test]
    fn links() {
        assert_eq!(next_page(r#"</v2/a/tags/list?last=x&n=2>; rel="next""#), Some("/v2/a/tags/list?last=x&n=2"));
        assert_eq!(next_page("nonsense"), None);
    }
}
