//! What is done with registries: pull, push, search, login, and looking at what they have.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, Response, StatusCode};
use wharf_api::go::Any;
use wharf_api::image::{AuthConfig, Authenticated, Descriptor, Distribution, SearchResult};
use wharf_engine::{Credentials, PullOptions, PushOptions, RegistryAccess};

use super::progress::{messages, progressing};
use super::{Answer, Call, ok};
use crate::body::{self, Body};
use crate::failure::Failure;
use crate::input::{self, Unread};

/// Longest manifest that can be put, in bytes: what registries take.
const MANIFEST: usize = 4 << 20;
/// Longest `X-Registry-Auth` that is a body, in bytes.
const AUTH: usize = 64 << 10;
/// Clients write base64 with padding and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `docker pull`.
pub(super) async fn pull(call: &Call<'_>) -> Answer {
    let query = &call.query;
    let options = PullOptions {
        name: query.string("fromImage"),
        tag: query.string("tag"),
        platform: query.text("platform").map(str::to_owned),
        // what cannot be read counts as none: so do old clients' headers
        credentials: header(call.headers).unwrap_or_default(),
    };
    let progress = call.engine.image_pull(options).await?;
    progressing(call, progress).await
}

/// `docker push`. Old clients send their credentials as the body.
pub(super) async fn push(call: &Call<'_>, name: &str, body: Unread) -> Answer {
    let credentials = if call.headers.contains_key("x-registry-auth") {
        header(call.headers).unwrap_or_default()
    } else {
        let bytes = input::whole(body, AUTH).await?;
        let parsed = if bytes.is_empty() { Ok(AuthConfig::default()) } else { serde_json::from_slice(&bytes) };
        let parsed = parsed.map_err(|e| Failure::bad(format!("bad parameters and missing X-Registry-Auth: {e}")))?;
        credentials(parsed)
    };
    let tag = call.query.string("tag");
    let platform = call.query.text("platform").map(platform_text).transpose()?;
    let options = PushOptions { name: name.to_owned(), tag, platform, credentials };
    let progress = call.engine.image_push(options).await?;
    // every error comes in the stream
    Ok(messages(call, None, progress))
}

/// The platform of a push comes as an OCI platform, in JSON.
fn platform_text(json: &str) -> Result<String, Failure> {
    let parsed: wharf_spec::platform::Platform =
        serde_json::from_str(json).map_err(|e| Failure::bad(format!("failed to parse platform: {e}")))?;
    Ok(parsed.to_string())
}

/// `docker search`.
pub(super) async fn search(call: &Call<'_>) -> Answer {
    let query = &call.query;
    let limit = query.text("limit").filter(|text| !text.is_empty()).map(str::parse::<i64>).transpose();
    let limit = limit.map_err(|_| {
        let text = query.string("limit");
        Failure::bad(format!("invalid limit specified: strconv.Atoi: parsing {text:?}: invalid syntax"))
    })?;
    let credentials = header(call.headers).unwrap_or_default();
    let found = call
        .engine
        .image_search(&query.string("term"), limit.filter(|n| *n != 0), &query.filters()?, &credentials)
        .await?;
    let row = |one: wharf_engine::Found| SearchResult {
        star_count: one.star_count,
        is_official: one.is_official,
        name: one.name,
        is_automated: one.is_automated,
        description: one.description,
    };
    ok(&found.into_iter().map(row).collect::<Vec<_>>())
}

/// `docker login`.
pub(super) async fn login(call: &Call<'_>, body: Unread) -> Answer {
    let config: AuthConfig = input::optional(call.headers, body).await?;
    let server = config.server_address.clone();
    let login = call.engine.registry_login(&server, credentials(config)).await?;
    ok(&Authenticated { identity_token: login.identity_token, status: "Login Succeeded".into() })
}

/// `docker manifest inspect` of other engines, `docker trust`, `compose`: what a name means.
pub(super) async fn inspect(call: &Call<'_>, name: &str) -> Answer {
    let found = call.engine.distribution_inspect(name, &registry_access(call)).await?;
    let platforms =
        found.platforms.iter().filter_map(|platform| serde_json::to_value(platform).ok().map(Any)).collect();
    ok(&Distribution {
        descriptor: Descriptor {
            media_type: found.media_type,
            digest: found.digest.to_string(),
            size: i64::try_from(found.size).unwrap_or(i64::MAX),
        },
        platforms: Some(platforms),
    })
}

/// `wharf manifest`: the document, or a new one.
pub(super) async fn manifest(call: &Call<'_>, name: &str, body: Unread) -> Answer {
    let access = registry_access(call);
    if call.method == Method::PUT {
        let kind = call.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let bytes = input::whole(body, MANIFEST).await?;
        let digest = call.engine.distribution_put(name, &kind, bytes, &access).await?;
        return ok(&serde_json::json!({ "Digest": digest.to_string() }));
    }
    let document = call.engine.distribution_manifest(name, &access).await?;
    let mut response = Response::new(Body::from(document.bytes));
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(&document.media_type) {
        headers.insert(CONTENT_TYPE, kind);
    }
    if let Ok(digest) = HeaderValue::from_str(&document.digest.to_string()) {
        headers.insert("docker-content-digest", digest);
    }
    Ok(response)
}

/// `wharf manifest push`: what an index points to must be in its own repository.
pub(super) async fn mount(call: &Call<'_>, name: &str) -> Answer {
    let query = &call.query;
    let access = registry_access(call);
    call.engine.distribution_mount(name, &query.string("from"), &query.string("digest"), &access).await?;
    Ok(body::empty(StatusCode::CREATED))
}

fn registry_access(call: &Call<'_>) -> RegistryAccess {
    let credentials = header(call.headers).unwrap_or_default();
    RegistryAccess { credentials, insecure: call.query.flag("insecure") }
}

/// `X-Registry-Auth`: base64 of JSON. `None` when there is none or it is nonsense.
fn header(headers: &HeaderMap) -> Option<Credentials> {
    let text = headers.get("x-registry-auth")?.as_bytes();
    // the usual alphabet is met, too
    let text: Vec<u8> = text
        .iter()
        .map(|c| match c {
            b'+' => b'-',
            b'/' => b'_',
            c => *c,
        })
        .collect();
    let json = BASE64.decode(text).ok()?;
    serde_json::from_slice(&json).ok().map(credentials)
}

fn credentials(config: AuthConfig) -> Credentials {
    let (mut username, mut password) = (config.username, config.password);
    if username.is_empty()
        && let Ok(plain) = base64::engine::general_purpose::STANDARD.decode(&config.auth)
        && let Some((user, secret)) = String::from_utf8_lossy(&plain).split_once(':')
    {
        (username, password) = (user.to_owned(), secret.trim_end_matches('\0').to_owned());
    }
    Credentials { username, password, identity_token: config.identity_token, registry_token: config.registry_token }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_reg_01_credentials_come_in_a_header() {
        let check = |text: &str, expect: Option<(&str, &str)>| {
            let mut headers = HeaderMap::new();
            headers.insert("x-registry-auth", text.parse().expect("a header"));
            let found = header(&headers);
            assert_eq!(found.as_ref().map(|c| (c.username.as_str(), c.password.as_str())), expect, "{text}");
        };
        let encode = |json: &str| base64::engine::general_purpose::URL_SAFE.encode(json);
        check(&encode(r#"{"username":"u","password":"p?>~"}"#), Some(("u", "p?>~")));
        check(encode(r#"{"username":"u","password":"pp"}"#).trim_end_matches('='), Some(("u", "pp")));
        check(&encode(r#"{"auth":"dTpw"}"#), Some(("u", "p")));
        check(&encode("{}"), Some(("", "")));
        check("!!", None);
        check(&encode("nonsense"), None);
    }
}
