//! Blobs and their uploads ("Pulling blobs", "Pushing blobs").

use crate::server::answer::{self, Answer, set};
use crate::server::name::{Repository, UploadId};
use crate::server::refusal::{Code, Outcome, Refusal};
use crate::server::route::{parse_digest, query};
use crate::server::storage::{read_link, write_link};
use crate::server::upload::Span;
use crate::server::{CONTENT_DIGEST, Registry, blocking, disk};
use hyper::body::{Body as _, Incoming};
use hyper::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
    IF_RANGE, LOCATION, RANGE,
};
use hyper::{HeaderMap, Method, Request, StatusCode};
use serde_json::json;
use std::io;
use std::sync::Arc;
use wharf_spec::digest::Digest;

const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// The part of a blob that is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part { first: u64, last: u64 },
    Nothing,
}

/// Reads `Range: bytes=first-last` (RFC 9110, 14.2). What we do not understand is as if it were not there.
fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((first, last)) = header.and_then(|text| text.trim().strip_prefix("bytes=")?.split_once('-')) else {
        return Wanted::All;
    };
    let part = match (first.trim(), last.trim()) {
        ("", suffix) => match suffix.parse::<u64>() {
            Ok(suffix) => (size.saturating_sub(suffix), size.saturating_sub(1), suffix > 0 && size > 0),
            Err(_) => return Wanted::All,
        },
        (first, last) => {
            let last = if last.is_empty() { Ok(u64::MAX) } else { last.parse() };
            match (first.parse::<u64>(), last) {
                (Ok(first), Ok(last)) if first <= last => (first, last.min(size.saturating_sub(1)), first < size),
                _ => return Wanted::All,
            }
        }
    };
    match part {
        (first, last, true) => Wanted::Part { first, last },
        _ => Wanted::Nothing,
    }
}

pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether the client has this already.
pub(crate) fn not_modified(headers: &HeaderMap, digest: &Digest) -> bool {
    let tag = format!("\"{digest}\"");
    text(headers, &IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|t| t.trim().trim_start_matches("W/") == tag))
}

fn unknown_blob(digest: &Digest) -> Refusal {
    Refusal::new(Code::BlobUnknown, json!({ "digest": digest }))
}

impl Registry {
    /// GET and HEAD of a blob.
    pub(crate) async fn blob(
        self: Arc<Self>,
        name: Repository,
        digest: Digest,
        request: &Request<Incoming>,
    ) -> Outcome<Answer> {
        let head = request.method() == Method::HEAD;
        let (this, asked) = (self.clone(), name.clone());
        let found = blocking(move || {
            if head && this.may_push().is_ok() {
                // who asks by HEAD will not send the blob again: it must not be collected before the manifest comes
                let size = this.storage.size_for_pusher(&asked, &digest);
                return Ok(size.map_err(|e| Refusal::broken("read blob", &e))?.map(|size| (None, size)));
            }
            let found = match &this.cache {
                Some(_) => this.storage.open_any(&digest),
                None => this.storage.open_blob(&asked, &digest),
            };
            Ok(found.map_err(|e| Refusal::broken("read blob", &e))?.map(|(file, size)| (Some(file), size)))
        })
        .await?;
        let headers = request.headers();
        let mut answer = match (found, &self.cache) {
            (Some(_), _) if not_modified(headers, &digest) => answer::empty(StatusCode::NOT_MODIFIED),
            (Some((file, size)), _) => part_of(file.filter(|_| !head), size, headers, &digest),
            (None, Some(cache)) => cache.blob(&name, &digest, head).await?,
            (None, None) => return Err(unknown_blob(&digest)),
        };
        set(&mut answer, CONTENT_TYPE, "application/octet-stream");
        set(&mut answer, CONTENT_DIGEST, digest.to_string());
        set(&mut answer, ETAG, format!("\"{digest}\""));
        set(&mut answer, CACHE_CONTROL, "max-age=31536000");
        Ok(answer)
    }

    /// Takes a blob out of a repository; the collector removes its bytes when no other one has it.
    pub(crate) async fn delete_blob(self: Arc<Self>, name: Repository, digest: Digest) -> Outcome<Answer> {
        blocking(move || {
            let link = self.storage.layer_link(&name, &digest);
            if !link.exists() {
                return Err(unknown_blob(&digest));
            }
            disk::remove_folder(link.parent().unwrap_or(&link)).map_err(|e| Refusal::broken("delete blob", &e))
        })
        .await?;
        Ok(answer::empty(StatusCode::ACCEPTED))
    }

    /// POST of an upload: a mount, a whole blob, or the beginning of a session.
    pub(crate) async fn post_upload(self: Arc<Self>, name: Repository, request: Request<Incoming>) -> Outcome<Answer> {
        let asked = request.uri().query().map(str::to_owned);
        let parameter = |key| query(asked.as_deref(), key);
        if let Some(digest) = parameter("mount") {
            let digest = parse_digest(&digest)?;
            let from = parameter("from").filter(|from| !from.is_empty());
            let (this, into) = (self.clone(), name.clone());
            if blocking(move || this.mount(&into, &digest, from.as_deref())).await? {
                return Ok(created(name.as_str(), &digest));
            }
        }
        let digest = parameter("digest").map(|digest| parse_digest(&digest)).transpose()?;
        let (this, owner) = (self.clone(), name.clone());
        let id = blocking(move || this.uploads.begin(&owner).map_err(|e| Refusal::broken("begin upload", &e))).await?;
        let Some(digest) = digest else { return Ok(session(StatusCode::ACCEPTED, &name, &id, 0)) };
        let sent = async {
            self.uploads.append(&name, &id, None, request.into_body()).await?;
            self.uploads.finish(&name, &id, digest).await
        };
        match sent.await {
            Ok(()) => Ok(created(name.as_str(), &digest)),
            Err(refusal) => {
                // nobody knows the session: it cannot be resumed
                let _ = blocking(move || self.uploads.cancel(&name, &id)).await;
                Err(refusal)
            }
        }
    }

    /// Gives a repository a blob that another one has. Without `from` any that has it will do.
    fn mount(&self, name: &Repository, digest: &Digest, from: Option<&str>) -> Outcome<bool> {
        let from = match from {
            Some(text) => Some(Repository::parse(text).ok_or(Code::NameInvalid)?),
            None => None,
        };
        let mount = || -> io::Result<bool> {
            let _gate = self.storage.rely()?;
            let has = |from: &Repository| read_link(&self.storage.layer_link(from, digest)).map(|link| link.is_some());
            if !from.as_ref().map_or(Ok(true), has)? || self.storage.keep(digest).is_err() {
                return Ok(false);
            }
            let link = self.storage.layer_link(name, digest);
            write_link(&link, digest)?;
            disk::sync_folder(link.parent().unwrap_or(&link)).map(|()| true)
        };
        mount().map_err(|e| Refusal::broken("mount blob", &e))
    }

    /// How much of an upload is here.
    pub(crate) fn upload_status(&self, name: &Repository, id: &UploadId) -> Outcome<Answer> {
        let received = self.uploads.received(name, id)?;
        Ok(session(StatusCode::NO_CONTENT, name, id, received))
    }

    /// The next chunk of an upload.
    pub(crate) async fn patch_upload(
        self: Arc<Self>,
        name: Repository,
        id: UploadId,
        request: Request<Incoming>,
    ) -> Outcome<Answer> {
        let span = span(request.headers())?;
        match self.uploads.append(&name, &id, span, request.into_body()).await {
            Ok(received) => Ok(session(StatusCode::ACCEPTED, &name, &id, received)),
            Err(refusal) => self.out_of_order(&name, &id, refusal),
        }
    }

    /// The end of an upload, perhaps with its last (or only) chunk.
    pub(crate) async fn put_upload(
        self: Arc<Self>,
        name: Repository,
        id: UploadId,
        request: Request<Incoming>,
    ) -> Outcome<Answer> {
        let Some(digest) = query(request.uri().query(), "digest") else {
            return Err(Refusal::saying(Code::DigestInvalid, "digest is missing"));
        };
        let digest = parse_digest(&digest)?;
        let span = span(request.headers())?;
        if !request.body().is_end_stream()
            && let Err(refusal) = self.uploads.append(&name, &id, span, request.into_body()).await
        {
            return self.out_of_order(&name, &id, refusal);
        }
        self.uploads.finish(&name, &id, digest).await?;
        Ok(created(name.as_str(), &digest))
    }

    /// A chunk that is not the next one: the client is told where to go on.
    fn out_of_order(&self, name: &Repository, id: &UploadId, refusal: Refusal) -> Outcome<Answer> {
        if refusal.code != Code::RangeInvalid {
            return Err(refusal);
        }
        let mut answer = answer::refusal(&refusal);
        let known = session(StatusCode::ACCEPTED, name, id, self.uploads.received(name, id)?);
        for header in [LOCATION, RANGE, UPLOAD_UUID] {
            if let Some(value) = known.headers().get(&header) {
                answer.headers_mut().insert(header, value.clone());
            }
        }
        Ok(answer)
    }
}

fn span(headers: &HeaderMap) -> Outcome<Option<Span>> {
    let Some(value) = text(headers, &CONTENT_RANGE) else { return Ok(None) };
    Span::parse(value).map(Some).ok_or_else(|| Refusal::new(Code::RangeInvalid, json!({ "range": value })))
}

fn created(name: &str, digest: &Digest) -> Answer {
    let mut answer = answer::empty(StatusCode::CREATED);
    set(&mut answer, LOCATION, format!("/v2/{name}/blobs/{digest}"));
    set(&mut answer, CONTENT_DIGEST, digest.to_string());
    set(&mut answer, CONTENT_LENGTH, "0");
    answer
}

/// An answer about an upload session. The address is relative, so that it is right behind any proxy.
fn session(status: StatusCode, name: &Repository, id: &UploadId, received: u64) -> Answer {
    let mut answer = answer::empty(status);
    set(&mut answer, LOCATION, format!("/v2/{name}/blobs/uploads/{}", id.as_str()));
    set(&mut answer, RANGE, format!("0-{}", received.saturating_sub(1)));
    set(&mut answer, UPLOAD_UUID, id.as_str());
    if status != StatusCode::NO_CONTENT {
        set(&mut answer, CONTENT_LENGTH, "0");
    }
    answer
}

/// A blob or the wanted part of it; without a file only the head.
fn part_of(file: Option<std::fs::File>, size: u64, headers: &HeaderMap, digest: &Digest) -> Answer {
    let same = text(headers, &IF_RANGE).is_none_or(|tag| tag == format!("\"{digest}\""));
    let (status, first, length) = match wanted(text(headers, &RANGE).filter(|_| same), size) {
        Wanted::All => (StatusCode::OK, 0, size),
        Wanted::Part { first, last } => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
        Wanted::Nothing => {
            let mut answer = answer::refusal(&Code::RangeInvalid.into());
            set(&mut answer, CONTENT_RANGE, format!("bytes */{size}"));
            return answer;
        }
    };
    let mut answer = answer::empty(status);
    if status == StatusCode::PARTIAL_CONTENT {
        set(&mut answer, CONTENT_RANGE, format!("bytes {first}-{}/{size}", first + length - 1));
    }
    set(&mut answer, ACCEPT_RANGES, "bytes");
    set(&mut answer, CONTENT_LENGTH, length.to_string());
    if let Some(file) = file {
        *answer.body_mut() = answer::pieces(file, first, length);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let part = |first, last| Wanted::Part { first, last };
        for (header, expected) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=5-", part(5, 9)),
            ("bytes=5-99", part(5, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-99", part(0, 9)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=9-5", Wanted::All),
            ("bytes=0-1,3-4", Wanted::All),
            ("chunks=0-1", Wanted::All),
            ("bytes=x-y", Wanted::All),
        ] {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::All);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
    }
}
