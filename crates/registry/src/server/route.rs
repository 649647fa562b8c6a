//! Paths and queries of the distribution specification ("Endpoints").

use crate::server::name::{Name, Repository, Tag, UploadId};
use crate::server::refusal::{Code, Outcome, Refusal};
use serde_json::json;
use wharf_spec::digest::Digest;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/v2/`: does the registry speak this?
    Base,
    /// `/v2/_catalog`.
    Catalog,
    /// `/v2/<name>/tags/list`.
    Tags(Repository),
    /// `/v2/<name>/manifests/<reference>`.
    Manifest(Repository, Name),
    /// `/v2/<name>/blobs/<digest>`.
    Blob(Repository, Digest),
    /// `/v2/<name>/blobs/uploads/`.
    Uploads(Repository),
    /// `/v2/<name>/blobs/uploads/<session>`.
    Upload(Repository, UploadId),
    /// `/v2/<name>/referrers/<digest>`.
    Referrers(Repository, Digest),
}

/// Reads a path.
pub(crate) fn route(path: &str) -> Outcome<Route> {
    let path = decode(path).ok_or(Code::NotFound)?;
    let rest = match path.strip_prefix("/v2") {
        Some("" | "/") => return Ok(Route::Base),
        Some(rest) => rest.strip_prefix('/').ok_or(Code::NotFound)?,
        None => return Err(Code::NotFound.into()),
    };
    if rest.trim_end_matches('/') == "_catalog" {
        return Ok(Route::Catalog);
    }
    let parts: Vec<&str> = rest.split('/').collect();
    match parts.as_slice() {
        [name @ .., "tags", "list"] => Ok(Route::Tags(repository(name)?)),
        [name @ .., "manifests", reference] => Ok(Route::Manifest(repository(name)?, reference_name(reference)?)),
        [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => Ok(Route::Uploads(repository(name)?)),
        [name @ .., "blobs", "uploads", id] => {
            let name = repository(name)?;
            Ok(Route::Upload(name, UploadId::parse(id).ok_or(Code::BlobUploadUnknown)?))
        }
        [name @ .., "blobs", digest] => Ok(Route::Blob(repository(name)?, parse_digest(digest)?)),
        [name @ .., "referrers", digest] => Ok(Route::Referrers(repository(name)?, parse_digest(digest)?)),
        _ => Err(Code::NotFound.into()),
    }
}

fn repository(parts: &[&str]) -> Outcome<Repository> {
    let name = parts.join("/");
    Repository::parse(&name).ok_or_else(|| Refusal::new(Code::NameInvalid, json!({ "name": name })))
}

fn reference_name(text: &str) -> Outcome<Name> {
    if text.contains(':') {
        return parse_digest(text).map(Name::Digest);
    }
    Tag::parse(text).map(Name::Tag).ok_or_else(|| Refusal::new(Code::TagInvalid, json!({ "tag": text })))
}

/// A digest out of a request.
pub(crate) fn parse_digest(text: &str) -> Outcome<Digest> {
    text.parse().map_err(|error: wharf_spec::digest::DigestError| {
        Refusal::new(Code::DigestInvalid, json!({"digest": text, "reason": error.to_string()}))
    })
}

/// One value of a query; `None` when it is not given. The first one counts.
pub(crate) fn query(query: Option<&str>, key: &str) -> Option<String> {
    query?.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decode(name)? != key {
            return None;
        }
        decode(&value.replace('+', " "))
    })
}

/// Undoes percent-encoding; `None` when the result is not text.
fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        out.push((high * 16 + low) as u8);
    }
    String::from_utf8(out).ok()
}

/// Writes a value into a query.
pub(crate) fn encode(text: &str) -> String {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_' | b'~' | b'/' | b':');
    text.bytes().map(|c| if plain(c) { char::from(c).to_string() } else { format!("%{c:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(path: &str) -> Code {
        route(path).expect_err(path).code
    }

    #[test]
    fn paths_of_the_specification() {
        let name = || Repository::parse("a/tags/b").expect("a name");
        let digest = Digest::of(b"");
        assert_eq!(route("/v2").unwrap(), Route::Base);
        assert_eq!(route("/v2/").unwrap(), Route::Base);
        assert_eq!(route("/v2/_catalog").unwrap(), Route::Catalog);
        assert_eq!(route("/v2/a/tags/b/tags/list").unwrap(), Route::Tags(name()));
        assert_eq!(route(&format!("/v2/a/tags/b/blobs/{digest}")).unwrap(), Route::Blob(name(), digest));
        let encoded = format!("/v2/a%2Ftags%2Fb/referrers/{}", digest.to_string().replace(':', "%3A"));
        assert_eq!(route(&encoded).unwrap(), Route::Referrers(name(), digest));
        assert_eq!(route("/v2/a/tags/b/blobs/uploads/").unwrap(), Route::Uploads(name()));
        let Route::Manifest(_, Name::Tag(tag)) = route("/v2/a/manifests/v1.0").unwrap() else { panic!("a tag") };
        assert_eq!(tag.as_str(), "v1.0");
    }

    #[test]
    fn hostile_paths_are_refused() {
        assert_eq!(code("/v2/../manifests/x"), Code::NameInvalid);
        assert_eq!(code("/v2/a%2F..%2Fb/manifests/x"), Code::NameInvalid);
        assert_eq!(code("/v2/a/manifests/..%2Fx"), Code::NotFound);
        assert_eq!(code("/v2/a/manifests/%00"), Code::TagInvalid);
        assert_eq!(code("/v2/a/manifests/sha256:xyz"), Code::DigestInvalid);
        assert_eq!(code("/v2/a/blobs/md5:00"), Code::DigestInvalid);
        assert_eq!(code("/v2/a/blobs/uploads/../../x"), Code::NotFound);
        assert_eq!(code("/v2/a/blobs/uploads/x"), Code::BlobUploadUnknown);
        assert_eq!(code("/v2/a%ff/tags/list"), Code::NotFound);
        assert_eq!(code("/v1/_ping"), Code::NotFound);
        assert_eq!(code("/v20/"), Code::NotFound);
    }

    #[test]
    fn queries() {
        assert_eq!(query(Some("n=1&last=a%2Fb"), "last").as_deref(), Some("a/b"));
        assert_eq!(query(Some("n=1"), "last"), None);
        assert_eq!(query(None, "n"), None);
        assert_eq!(encode("a+b c"), "a%2Bb%20c");
    }
}
