//! `WWW-Authenticate`: what a registry wants to know (RFC 9110 section 11.6.1, Docker token specification).

use hyper::header::{HeaderMap, WWW_AUTHENTICATE};

/// How a registry wants to be convinced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// User and password with each request.
    Basic,
    /// A token of the server at `realm`.
    Bearer {
        /// Address of the token server.
        realm: String,
        /// Whom the token is for.
        service: String,
        /// What the registry says is needed.
        scope: String,
    },
}

/// The best scheme that an answer offers: Bearer before Basic.
pub(crate) fn scheme(headers: &HeaderMap) -> Option<Scheme> {
    let mut basic = None;
    for value in headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|v| v.to_str().ok()) {
        for (name, parameters) in challenges(value) {
            let get = |key: &str| {
                let found = parameters.iter().find(|(k, _)| k.eq_ignore_ascii_case(key));
                found.map(|(_, v)| v.clone()).unwrap_or_default()
            };
            if name.eq_ignore_ascii_case("bearer") && !get("realm").is_empty() {
                return Some(Scheme::Bearer { realm: get("realm"), service: get("service"), scope: get("scope") });
            }
            if name.eq_ignore_ascii_case("basic") {
                basic = Some(Scheme::Basic);
            }
        }
    }
    basic
}

type Challenge = (String, Vec<(String, String)>);

/// `Bearer a="b, c",d=e, Basic realm="x"` and whatever else somebody may send.
fn challenges(text: &str) -> Vec<Challenge> {
    let mut list: Vec<Challenge> = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find([' ', ',', '=']).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        let after = tail.trim_start();
        if let Some(value) = after.strip_prefix('=') {
            let (value, next) = value_of(value.trim_start());
            if let Some((_, parameters)) = list.last_mut() {
                parameters.push((word.to_owned(), value));
            }
            rest = next;
        } else {
            if !word.is_empty() {
                list.push((word.to_owned(), Vec::new()));
            }
            rest = after;
        }
        rest = rest.trim_start_matches([' ', ',', '\t']);
    }
    list
}

fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let check = |values: &[&str], expect: Option<Scheme>| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
            }
            assert_eq!(scheme(&headers), expect, "{values:?}");
        };
        let bearer = |realm: &str, service: &str, scope: &str| {
            Some(Scheme::Bearer { realm: realm.into(), service: service.into(), scope: scope.into() })
        };
        check(&[r#"Basic realm="x y""#], Some(Scheme::Basic));
        check(
            &[r#"Bearer realm="https://a.example/token",service="r.example",scope="repository:a/b:pull,push""#],
            bearer("https://a.example/token", "r.example", "repository:a/b:pull,push"),
        );
        check(&[r#"Basic realm="x", Bearer realm=https://a/t , service="q\"q""#], bearer("https://a/t", "q\"q", ""));
        check(&["Basic realm=x", "bearer realm=y"], bearer("y", "", ""));
        for nonsense in
            ["", ",", "=", "Bearer", "Bearer realm=", "Bearer realm=\"", "\"\"", "a=b", "Negotiate x==", "\\"]
        {
            check(&[nonsense], None);
        }
    }
}
