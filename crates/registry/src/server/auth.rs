//! Who may come: a file of users with bcrypt passwords, as `htpasswd -B` writes it.

use base64::Engine as _;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use wharf_spec::digest::Digest;

/// How long a password that was right is known to be right: bcrypt is slow on purpose, and a push is hundreds of requests.
const REMEMBER: Duration = Duration::from_secs(300);
/// Passwords that are remembered at most.
const MAX_REMEMBERED: usize = 1024;
/// Password checks at the same time: the rest waits, so that guessing cannot take all cores.
const AT_ONCE: usize = 2;
/// Costliest hash that is taken from the file: it would take seconds to check one password beyond it.
const MAX_COST: u32 = 15;

/// The users of a registry.
#[derive(Debug)]
pub(crate) struct Users {
    path: PathBuf,
    state: Mutex<State>,
    checks: tokio::sync::Semaphore,
    /// Checked for users that do not exist, so that the time of an answer does not tell who does.
    decoy: String,
    salt: [u8; 16],
}

#[derive(Debug)]
struct State {
    written: Option<SystemTime>,
    hashes: HashMap<String, String>,
    right: HashMap<Digest, Instant>,
}

impl Users {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or has no user whose password we can check.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let hashes = read(path)?;
        let mut salt = [0; 16];
        rustix::rand::getrandom(&mut salt, rustix::rand::GetRandomFlags::empty())?;
        let decoy = hashes.values().next().cloned().unwrap_or_default();
        let state = State { written: written(path), hashes, right: HashMap::new() };
        Ok(Self {
            path: path.to_owned(),
            state: Mutex::new(state),
            checks: tokio::sync::Semaphore::new(AT_ONCE),
            decoy,
            salt,
        })
    }

    /// The name of the user that an `Authorization` header proves.
    pub(crate) async fn check(&self, header: Option<&str>) -> Option<String> {
        let (scheme, encoded) = header?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (user, password) = decoded.split_once(':')?;
        let proof = self.proof(user, password);
        let (hash, known) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            self.refresh(&mut state);
            let right = state.right.get(&proof).is_some_and(|at| at.elapsed() < REMEMBER);
            if right && state.hashes.contains_key(user) {
                return Some(user.to_owned());
            }
            let hash = state.hashes.get(user);
            (hash.unwrap_or(&self.decoy).clone(), hash.is_some())
        };
        let _turn = self.checks.acquire().await.ok()?;
        let password = password.to_owned();
        let right = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        if !right.await.unwrap_or(false) || !known {
            return None;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.right.len() >= MAX_REMEMBERED {
            state.right.retain(|_, at| at.elapsed() < REMEMBER);
        }
        if state.right.len() < MAX_REMEMBERED {
            state.right.insert(proof, Instant::now());
        }
        Some(user.to_owned())
    }

    /// What is remembered of a password: not the password.
    fn proof(&self, user: &str, password: &str) -> Digest {
        let mut hasher = wharf_spec::digest::Hasher::sha256();
        hasher.update(&self.salt);
        hasher.update(user.as_bytes());
        hasher.update(&[0]);
        hasher.update(password.as_bytes());
        hasher.finish()
    }

    /// Reads the file again when it has changed; one that cannot be read leaves the users as they were.
    fn refresh(&self, state: &mut State) {
        let now = written(&self.path);
        if now == state.written {
            return;
        }
        state.written = now;
        match read(&self.path) {
            Ok(hashes) => {
                state.hashes = hashes;
                state.right.clear();
                tracing::info!(users = state.hashes.len(), "read {} again", self.path.display());
            }
            Err(error) => tracing::error!("users stay as they were: {error}"),
        }
    }
}

fn written(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|m| m.modified()).ok()
}

fn read(path: &Path) -> io::Result<HashMap<String, String>> {
    let named = |why: String| io::Error::other(format!("htpasswd file {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| named(e.to_string()))?;
    let mut hashes = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (user, hash) = line.split_once(':').ok_or_else(|| named(format!("line {}: no colon", number + 1)))?;
        match cost(hash) {
            Some(cost) if cost <= MAX_COST => _ = hashes.insert(user.to_owned(), hash.to_owned()),
            Some(cost) => {
                tracing::warn!("{}: user {user} left out: bcrypt cost {cost} is above {MAX_COST}", path.display())
            }
            None => tracing::warn!("{}: user {user} left out: only bcrypt (htpasswd -B) is supported", path.display()),
        }
    }
    if hashes.is_empty() {
        return Err(named("no user with a bcrypt password (htpasswd -B)".into()));
    }
    Ok(hashes)
}

/// The cost in a bcrypt hash (`$2y$05$…`).
fn cost(hash: &str) -> Option<u32> {
    let mut parts = hash.strip_prefix("$2")?.split('$');
    let version = parts.next()?;
    let cost = parts.next()?.parse().ok()?;
    (matches!(version, "a" | "b" | "x" | "y") && parts.next()?.len() == 53).then_some(cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn users_of_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("htpasswd");
        assert!(Users::open(&path).is_err());
        std::fs::write(&path, "old:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n").expect("written");
        let error = Users::open(&path).expect_err("no bcrypt in it").to_string();
        assert!(error.contains("no user with a bcrypt password"), "{error}");
        let hash = bcrypt::hash("secret", 4).expect("a hash");
        std::fs::write(&path, format!("# people\n\nann:{hash}\n")).expect("written");
        let users = Users::open(&path).expect("one user");
        let basic = |text: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
        for _ in 0..2 {
            assert_eq!(users.check(Some(&basic("ann:secret"))).await.as_deref(), Some("ann"));
        }
        for wrong in ["ann:other", "ann:", "bob:secret", "ann", ""] {
            assert_eq!(users.check(Some(&basic(wrong))).await, None, "{wrong}");
        }
        assert_eq!(users.check(Some("Bearer x")).await, None);
        assert_eq!(users.check(Some("Basic !!!")).await, None);
        assert_eq!(users.check(None).await, None);
    }
}
