//! Credentials and tokens: what stands in `Authorization`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Method;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;

use super::address::escape;
use super::challenge::Scheme;
use super::refusal::refusal;
use super::wire::{Body, Request, Wire};
use super::{Address, Error, Result};

/// How we call ourselves to token servers: some know only this client.
const CLIENT: &str = "docker";
/// Longest answer of a token server.
const LONGEST: usize = 1 << 20;
/// A token without a time holds this long (Docker token specification).
const DEFAULT_TERM: Duration = Duration::from_secs(60);
/// A token is renewed this long before its end.
const MARGIN: Duration = Duration::from_secs(10);

/// What the user has for a registry (the API's `AuthConfig`).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub username: String,
    /// Password, or a token that stands for it.
    pub password: String,
    /// A token that fetches tokens.
    pub identity_token: String,
    /// A token for the registry itself.
    pub registry_token: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // secrets stay out of logs
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

impl Credentials {
    fn basic(&self) -> Option<String> {
        let plain = format!("{}:{}", self.username, self.password);
        (!self.username.is_empty()).then(|| format!("Basic {}", STANDARD.encode(plain)))
    }
}

/// What will be done with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Pull,
    /// Writing, too.
    Push,
}

/// `repository:a/b:pull`.
pub(crate) fn scope(path: &str, access: Access) -> String {
    let actions = match access {
        Access::Pull => "pull",
        Access::Push => "pull,push",
    };
    format!("repository:{path}:{actions}")
}

/// What a token server gave.
#[derive(Debug, Default)]
pub(crate) struct Grant {
    token: String,
    until: Option<Instant>,
    /// Fetches further tokens: the result of a login.
    pub(crate) refresh: String,
}

/// The credentials of one operation at one registry, and the tokens they gave.
#[derive(Debug)]
pub(crate) struct Auth {
    credentials: Credentials,
    scheme: Mutex<Option<Scheme>>,
    tokens: tokio::sync::Mutex<HashMap<String, Grant>>,
}

impl Auth {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self { credentials, scheme: Mutex::default(), tokens: tokio::sync::Mutex::default() }
    }

    /// Notes what the registry wants. `false`: nothing new.
    pub(crate) fn challenged(&self, scheme: Option<Scheme>) -> bool {
        let mut known = self.scheme.lock().unwrap_or_else(PoisonError::into_inner);
        let new = scheme.is_some() && *known != scheme;
        if new {
            *known = scheme;
        }
        new
    }

    pub(crate) fn scheme(&self) -> Option<Scheme> {
        self.scheme.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Forgets the tokens for these scopes: the registry did not take them.
    pub(crate) async fn forget(&self, scopes: &[String]) {
        self.tokens.lock().await.remove(&scopes.join(" "));
    }

    /// The value of `Authorization` for these scopes; `None` when nothing is wanted (yet).
    ///
    /// # Errors
    /// [`Error::NoCredentials`] when there must be some; what the token server says.
    pub(crate) async fn value(
        &self,
        wire: &Wire,
        scopes: &[String],
        request: (&'static str, &str),
    ) -> Result<Option<String>> {
        if !self.credentials.registry_token.is_empty() {
            return Ok(Some(format!("Bearer {}", self.credentials.registry_token)));
        }
        let (method, url) = request;
        match self.scheme() {
            None => Ok(None),
            Some(Scheme::Basic) => match self.credentials.basic() {
                Some(value) => Ok(Some(value)),
                None => Err(Error::NoCredentials { method, url: url.to_owned() }),
            },
            Some(Scheme::Bearer { realm, service, .. }) => {
                let key = scopes.join(" ");
                // held while asking: others want the same token
                let mut tokens = self.tokens.lock().await;
                let fresh = |g: &Grant| g.until.is_none_or(|until| Instant::now() + MARGIN < until);
                if let Some(grant) = tokens.get(&key).filter(|g| fresh(g)) {
                    return Ok(Some(format!("Bearer {}", grant.token)));
                }
                let grant = fetch(wire, &self.credentials, &realm, &service, scopes, false).await?;
                let value = format!("Bearer {}", grant.token);
                tokens.insert(key, grant);
                Ok(Some(value))
            }
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<u64>,
}

/// Asks a token server. `login`: a refresh token is wanted, too.
pub(crate) async fn fetch(
    wire: &Wire,
    credentials: &Credentials,
    realm: &str,
    service: &str,
    scopes: &[String],
    login: bool,
) -> Result<Grant> {
    let realm =
        Address::parse(realm).map_err(|_| Error::Lie(format!("the registry names a token server {realm:?}")))?;
    let secret = !credentials.identity_token.is_empty() || !credentials.username.is_empty();
    if secret && !wire.settings.may_tell(&realm).await {
        let place = realm.origin();
        return Err(Error::Lie(format!("the token server {place} is not encrypted: it is not told the password")));
    }
    let request = if credentials.identity_token.is_empty() {
        by_get(&realm, credentials, service, scopes, login)
    } else {
        by_post(&realm, credentials, service, scopes)
    };
    let answer = wire.send(request).await?;
    if !answer.status.is_success() {
        return Err(refusal(answer).await);
    }
    let from = answer.address.origin();
    let text = answer.read(LONGEST).await?;
    let parsed: TokenAnswer = serde_json::from_slice(&text)
        .map_err(|e| Error::Lie(format!("the token server {from} answers with nonsense: {e}")))?;
    let token = parsed.token.filter(|t| !t.is_empty()).or(parsed.access_token).unwrap_or_default();
    let clean = |text: &str| text.bytes().all(|c| c.is_ascii_graphic());
    if token.is_empty() || !clean(&token) {
        return Err(Error::Lie("authorization server did not include a token in the response".into()));
    }
    let term = parsed.expires_in.map_or(DEFAULT_TERM, Duration::from_secs).max(DEFAULT_TERM);
    Ok(Grant { token, until: Instant::now().checked_add(term), refresh: parsed.refresh_token.unwrap_or_default() })
}

fn by_get(realm: &Address, credentials: &Credentials, service: &str, scopes: &[String], login: bool) -> Request {
    let mut address = realm.clone();
    if !credentials.username.is_empty() {
        address = address.with_query("account", &credentials.username);
    }
    if login {
        address = address.with_query("client_id", CLIENT).with_query("offline_token", "true");
    }
    for scope in scopes {
        address = address.with_query("scope", scope);
    }
    if !service.is_empty() {
        address = address.with_query("service", service);
    }
    let request = Request::get(address);
    match credentials.basic() {
        Some(value) => request.header(AUTHORIZATION, &value),
        None => request,
    }
}

fn by_post(realm: &Address, credentials: &Credentials, service: &str, scopes: &[String]) -> Request {
    let form = [
        ("grant_type", "refresh_token"),
        ("service", service),
        ("client_id", CLIENT),
        ("refresh_token", &credentials.identity_token),
        ("scope", &scopes.join(" ")),
    ];
    let pairs: Vec<String> = form.iter().map(|(key, value)| format!("{key}={}", escape(value))).collect();
    Request::new(Method::POST, realm.clone())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::Whole(Bytes::from(pairs.join("&"))))
}
