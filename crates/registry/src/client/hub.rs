//! What concerns a registry as a whole: logging in, and Docker Hub's search.

use std::sync::Arc;

use hyper::header::AUTHORIZATION;
use serde::Deserialize;

use super::auth::{Auth, fetch};
use super::challenge::{self, Scheme};
use super::refusal::refusal;
use super::wire::{Request, Wire};
use super::{Address, Credentials, Endpoint, Error, Result, Settings};

/// Longest answer to a search.
const RESULTS: usize = 4 << 20;

/// What a login gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// To be kept instead of the password; empty when the registry gives none.
    pub identity_token: String,
}

/// Whether a registry takes these credentials.
///
/// # Errors
/// [`Error::Unauthorized`] when not: with Docker's sentence.
pub async fn login(settings: Arc<Settings>, domain: &str, credentials: Credentials) -> Result<Login> {
    let endpoints = settings.endpoints(domain, false).await?;
    let mut last = Error::Settings(format!("no address for {domain}"));
    for endpoint in endpoints {
        match login_at(settings.clone(), &endpoint, &credentials).await {
            Err(error @ Error::Unreachable { .. }) => last = error,
            other => return other,
        }
    }
    Err(last)
}

async fn login_at(settings: Arc<Settings>, endpoint: &Endpoint, credentials: &Credentials) -> Result<Login> {
    let wire = Wire::new(settings, (!endpoint.verify).then(|| endpoint.base.authority()));
    let place = endpoint.base.at("/v2/");
    let first = wire.send(Request::get(place.clone())).await?;
    if first.status.is_success() {
        // it lets everybody in
        return Ok(Login::default());
    }
    let scheme = challenge::scheme(&first.headers);
    if let Some(Scheme::Bearer { realm, service, .. }) = &scheme {
        let grant = fetch(&wire, credentials, realm, service, &[], true).await?;
        return Ok(Login { identity_token: grant.refresh });
    }
    if scheme.is_none() {
        return Err(refusal(first).await);
    }
    drop(first);
    let auth = Auth::new(credentials.clone());
    auth.challenged(scheme);
    let url = place.to_string();
    let value = auth.value(&wire, &[], ("Get", &url)).await?;
    let answer = wire.send(Request::get(place).header(AUTHORIZATION, &value.unwrap_or_default())).await?;
    if answer.status.is_success() {
        return Ok(Login::default());
    }
    let reason = answer.status.canonical_reason().unwrap_or_default();
    let status = answer.status.as_u16();
    Err(Error::Settings(format!("login attempt to {url} failed with status: {status} {reason}")))
}

/// One repository that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Found {
    /// Name.
    pub name: String,
    /// One line.
    pub description: String,
    /// Stars.
    pub star_count: i64,
    /// Docker's own.
    pub is_official: bool,
    /// Built by Docker Hub.
    pub is_automated: bool,
}

/// Searches Docker Hub, or another registry that has the old interface (`host/term`).
pub async fn search(settings: Arc<Settings>, term: &str, limit: u32, credentials: &Credentials) -> Result<Vec<Found>> {
    #[derive(Deserialize)]
    struct Results {
        #[serde(default)]
        results: Option<Vec<Found>>,
    }
    let (bases, unverified, term) = search_at(&settings, term).await?;
    let wire = Wire::new(settings, unverified);
    let mut last = None;
    for base in bases {
        let address = base.at("/v1/search").with_query("q", &term).with_query("n", &limit.to_string());
        let mut request = Request::get(address);
        if !credentials.username.is_empty() && wire.settings.may_tell(&request.address).await {
            use base64::Engine as _;
            let plain = format!("{}:{}", credentials.username, credentials.password);
            let value = base64::engine::general_purpose::STANDARD.encode(plain);
            request = request.header(AUTHORIZATION, &format!("Basic {value}"));
        }
        let answer = match wire.send(request).await {
            Ok(answer) => answer,
            Err(error) => {
                last = Some(error);
                continue;
            }
        };
        if !answer.status.is_success() {
            let status = answer.status.as_u16();
            return Err(Error::Settings(format!("Unexpected status code {status}")));
        }
        let text = answer.read(RESULTS).await?;
        let parsed: Results = serde_json::from_slice(&text)
            .map_err(|e| Error::Lie(format!("error decoding registry search results: {e}")))?;
        return Ok(parsed.results.unwrap_or_default());
    }
    Err(last.unwrap_or_else(|| Error::Settings("no registry to search".into())))
}

/// Where to search, whose certificate is not verified, and the words.
async fn search_at(settings: &Settings, term: &str) -> Result<(Vec<Address>, Option<String>, String)> {
    let hub = || Ok((vec![Address::parse("https://index.docker.io/")?], None, term.to_owned()));
    let Some((domain, rest)) = term.split_once('/') else { return hub() };
    let is_host = domain.contains(['.', ':']) || domain == "localhost";
    if !is_host {
        return hub();
    }
    if matches!(domain, "docker.io" | "index.docker.io") {
        return Ok((vec![Address::parse("https://index.docker.io/")?], None, rest.to_owned()));
    }
    let endpoints = settings.endpoints(domain, false).await?;
    let unverified = endpoints.first().filter(|e| !e.verify).map(|e| e.base.authority());
    Ok((endpoints.into_iter().map(|e| e.base).collect(), unverified, rest.to_owned()))
}
