//! A document of any web server, as a stream: what `docker import` is given the address of.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::CONTENT_LENGTH;

use super::wire::{Answer, Request, Wire};
use super::{Address, Error, Result, Settings};

/// Longest explanation of a refusal that is passed on.
const EXPLANATION: usize = 4 << 10;

/// A document on its way.
#[derive(Debug)]
pub struct Fetched {
    answer: Answer,
    /// Where it was asked for, as it was understood.
    pub address: String,
    /// Its length, when the server tells it.
    pub length: Option<u64>,
}

impl Fetched {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// That it ends before its length, or that nothing comes for too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        self.answer.next().await.map_err(|error| match error {
            // before the length that was told
            Error::Unreachable { why, .. } if why == "EOF" => Error::Lie("unexpected EOF".into()),
            other => other,
        })
    }
}

/// Asks a server for a document. What it says is nobody's credentials' business: none are sent but those in the address. Its
/// certificate is verified, even where a registry's would not be (but on the loopback interface); proxies are used.
///
/// # Errors
/// [`Error::Settings`] when the address is none; [`Error::Refused`] when the server has no such document.
pub async fn fetch(settings: &Settings, url: &str) -> Result<Fetched> {
    let address = place(url)?;
    let settings = Settings { insecure: Vec::new(), ..settings.clone() };
    let wire = Wire::new(Arc::new(settings), None);
    let mut request = Request::get(address.clone());
    if let Some(login) = super::dial::proxy_login(&address) {
        request = request.header(hyper::header::AUTHORIZATION, &login);
    }
    let answer = wire.send(request).await?;
    let status = answer.status;
    if status.as_u16() >= 400 {
        let text = answer.read(EXPLANATION).await.unwrap_or_default();
        let text: String = String::from_utf8_lossy(&text).trim().chars().filter(|c| !is_terminal_control(*c)).collect();
        let address = address.to_string();
        let reason = status.canonical_reason().unwrap_or_default();
        return Err(Error::Refused { url: address, status: status.as_u16(), why: format!("{reason}: {text}") });
    }
    let length = answer.header(CONTENT_LENGTH).and_then(|text| text.parse().ok());
    Ok(Fetched { answer, address: address.to_string(), length })
}

/// What may stand in a server's words on a terminal: lines, but nothing that steers it.
fn is_terminal_control(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// The address that was meant, with Go's sentences. Without a scheme it is a host.
fn place(url: &str) -> Result<Address> {
    let wrong = |why: &str| Error::Settings(format!("Get {url:?}: {why}"));
    match url.split_once("://") {
        None => Address::parse(&format!("http://{url}")).map_err(|_| wrong("http: no Host in request URL")),
        Some(("http" | "https", rest)) if rest.is_empty() || rest.starts_with(['/', '?']) => {
            Err(wrong("http: no Host in request URL"))
        }
        Some(("http" | "https", _)) => Address::parse(url).map_err(|_| wrong("invalid URL")),
        Some((scheme, _)) => Err(wrong(&format!("unsupported protocol scheme {scheme:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_web_addresses() {
        let check = |url: &str, expect: &str| match place(url) {
            Ok(address) => assert_eq!(address.to_string(), expect),
            Err(error) => assert_eq!(error.to_string(), expect),
        };
        check("http://a.example/x.tar", "http://a.example/x.tar");
        check("a.example/x.tar?y", "http://a.example/x.tar?y");
        check("ftp://x", "Get \"ftp://x\": unsupported protocol scheme \"ftp\"");
        check("https://", "Get \"https://\": http: no Host in request URL");
        check("file:///etc/passwd", "Get \"file:///etc/passwd\": unsupported protocol scheme \"file\"");
        check("http://a b/", "Get \"http://a b/\": invalid URL");
    }
}
