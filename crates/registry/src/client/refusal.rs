//! What a registry, or a server of tokens, says when it says no (OCI distribution specification, "Error codes").

use std::time::Duration;

use hyper::header::RETRY_AFTER;
use serde::Deserialize;

use super::Error;
use super::wire::Answer;

/// Longest explanation that is read, in bytes.
const EXPLANATION: usize = 64 << 10;

/// What an answer that is no success means.
pub(crate) async fn refusal(answer: Answer) -> Error {
    #[derive(Deserialize)]
    struct Explanation {
        #[serde(default)]
        errors: Vec<One>,
        /// Token servers.
        #[serde(default)]
        details: String,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default)]
        code: serde_json::Value,
        #[serde(default)]
        message: String,
    }
    let status = answer.status.as_u16();
    let (method, url) = (answer.method, answer.address.to_string());
    let after = answer.header(RETRY_AFTER).and_then(wait);
    let text = answer.read(EXPLANATION).await.unwrap_or_default();
    let parsed: Option<Explanation> = serde_json::from_slice(&text).ok();
    let details = parsed.as_ref().map(|e| clean(&e.details)).filter(|d| !d.is_empty());
    let first = parsed.and_then(|e| e.errors.into_iter().next());
    let first = first.map(|one| (one.code.as_str().unwrap_or("UNKNOWN").to_uppercase(), clean(&one.message)));
    match (status, first) {
        (429, first) => {
            let message = first.map_or_else(|| "too many requests".to_owned(), |(_, message)| message);
            Error::TooMany { message, after }
        }
        (401, first) => {
            let message = first.map(|(_, message)| message).filter(|m| !m.is_empty());
            Error::Unauthorized(message.or(details).unwrap_or_else(|| "authentication required".into()))
        }
        (_, Some((code, message))) => Error::Answer { status, code, message },
        (403, None) => {
            let message = details.unwrap_or_else(|| "requested access to the resource is denied".into());
            Error::Answer { status, code: "DENIED".into(), message }
        }
        _ => Error::Status { method, url, status },
    }
}

/// One line that cannot harm a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1_000).collect()
}

/// `Retry-After`: seconds or a date (RFC 9110 section 10.2.3).
fn wait(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u32>() {
        return Some(Duration::from_secs(seconds.into()));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(at.duration_since(jiff::Timestamp::now()).try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits() {
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("soon"), None);
    }
}
