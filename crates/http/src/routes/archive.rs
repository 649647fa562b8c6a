//! `docker cp`: what is at a path, a tar out, a tar in.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};
use wharf_engine::{ExtractOptions, PathStat};

use super::{Answer, Call};
use crate::body::{self, Body};
use crate::failure::Failure;
use crate::input::{self, Unread};
use crate::time;

/// Where the description of the path travels.
const STAT: &str = "x-docker-container-path-stat";

fn path<'a>(call: &'a Call<'_>) -> Result<&'a str, Failure> {
    let path = call.query.text("path").ok_or_else(|| Failure::bad("bad parameter: pathcannot be empty"))?;
    if path.contains('\0') {
        return Err(Failure::bad("invalid path: it contains NUL"));
    }
    Ok(path)
}

/// `HEAD /containers/x/archive`
pub(super) async fn stat(call: &Call<'_>, name: &str) -> Answer {
    let stat = call.engine.container_path_stat(name, path(call)?).await?;
    Ok(with_stat(body::empty(StatusCode::OK), &stat))
}

/// `GET /containers/x/archive`
pub(super) async fn get(call: &Call<'_>, name: &str) -> Answer {
    let (stat, stream) = call.engine.container_archive(name, path(call)?).await?;
    let peer = call.peer.clone();
    let body = Body::items(stream, |chunk| chunk).until(async move { peer.gone().await });
    Ok(with_stat(body::typed(StatusCode::OK, "application/x-tar", body), &stat))
}

/// `PUT /containers/x/archive`
pub(super) async fn put(call: &Call<'_>, name: &str, body: Unread) -> Answer {
    let options = ExtractOptions {
        keep_kinds: call.query.flag("noOverwriteDirNonDir"),
        copy_owner: call.query.flag("copyUIDGID"),
    };
    let path = path(call)?;
    let extract = |source| call.engine.container_extract(name, path, options, source);
    input::upload(&call.peer, body, extract).await?;
    Ok(body::empty(StatusCode::OK))
}

fn with_stat(mut response: Response<Body>, stat: &PathStat) -> Response<Body> {
    let document = serde_json::json!({
        "name": stat.name,
        "size": stat.size,
        "mode": go_mode(stat.mode),
        "mtime": time::rfc3339(stat.mtime),
        "linkTarget": stat.link_target,
    });
    if let Ok(value) = HeaderValue::from_str(&BASE64_STANDARD.encode(document.to_string())) {
        response.headers_mut().insert(STAT, value);
    }
    response
}

/// The kernel's `st_mode` as Go's `fs.FileMode`.
fn go_mode(mode: u32) -> u32 {
    let kind = match mode & 0o170_000 {
        0o040_000 => 1 << 31,
        0o120_000 => 1 << 27,
        0o060_000 => 1 << 26,
        0o020_000 => 1 << 26 | 1 << 21,
        0o010_000 => 1 << 25,
        0o140_000 => 1 << 24,
        _ => 0,
    };
    let bit = |kernel: u32, go: u32| if mode & kernel != 0 { 1 << go } else { 0 };
    mode & 0o777 | kind | bit(0o4000, 23) | bit(0o2000, 22) | bit(0o1000, 20)
}

#[cfg(test)]
mod tests {
    use super::go_mode;

    #[test]
    fn r_ctr_06_cp_modes_as_go_counts_them() {
        assert_eq!(go_mode(0o040_755), 2_147_484_141);
        assert_eq!(go_mode(0o120_777), 134_218_239);
        assert_eq!(go_mode(0o010_644), 33_554_852);
        assert_eq!(go_mode(0o100_644), 420);
        assert_eq!(go_mode(0o104_755), 8_388_608 | 0o755);
        assert_eq!(go_mode(0o041_777), 1 << 31 | 1 << 20 | 0o777);
    }
}
