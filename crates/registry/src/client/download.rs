//! A blob as chunks, in order and exactly as many bytes as promised. A broken connection is resumed where it broke.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::StatusCode;
use hyper::header::{CONTENT_RANGE, RANGE};
use wharf_spec::digest::Digest;

use super::refusal::refusal;
use super::wire::{Answer, Request};
use super::{Error, Repository, Result};

/// So many bytes of progress make up for an earlier break.
const FORGIVEN: u64 = 4 << 20;

/// A blob on its way.
#[derive(Debug)]
pub struct Download {
    repository: Arc<Repository>,
    digest: Digest,
    size: u64,
    at: u64,
    answer: Option<Answer>,
    /// Bytes of the answer that were here already.
    skip: u64,
    failures: u32,
    since_failure: u64,
    wait: Option<Duration>,
}

/// What happens next.
#[derive(Debug)]
pub enum Step {
    /// The next bytes.
    Data(Bytes),
    /// It failed in passing; the next call waits so long and tries again.
    Waiting(Duration, Error),
    /// Everything has come.
    End,
}

impl Repository {
    /// A blob of `size` bytes, from byte `at` on.
    pub fn download(self: &Arc<Self>, digest: &Digest, size: u64, at: u64) -> Download {
        Download {
            repository: self.clone(),
            digest: *digest,
            size,
            at: at.min(size),
            answer: None,
            skip: 0,
            failures: 0,
            since_failure: 0,
            wait: None,
        }
    }
}

impl Download {
    /// The next step. Dropping it ends the connection.
    ///
    /// # Errors
    /// What cannot be helped by waiting, or has failed too often; [`Error::Lie`] when there are more bytes than promised.
    pub async fn next(&mut self) -> Result<Step> {
        if let Some(wait) = self.wait.take() {
            tokio::time::sleep(wait).await;
        }
        match self.step().await {
            Ok(step) => Ok(step),
            Err(error) => self.failed(error),
        }
    }

    fn failed(&mut self, error: Error) -> Result<Step> {
        self.answer = None;
        if self.since_failure >= FORGIVEN {
            self.failures = 0;
        }
        self.since_failure = 0;
        self.failures += 1;
        let settings = &self.repository.wire.settings;
        let asked = match &error {
            Error::TooMany { after, .. } => *after,
            _ => None,
        };
        let too_long = asked.is_some_and(|asked| asked > settings.patience.longest);
        if !error.is_passing() || too_long || self.failures >= settings.attempts {
            return Err(error);
        }
        let wait = settings.patience.before(self.failures, asked);
        self.wait = Some(wait);
        Ok(Step::Waiting(wait, error))
    }

    async fn step(&mut self) -> Result<Step> {
        if self.at == self.size {
            return Ok(Step::End);
        }
        let mut answer = match self.answer.take() {
            Some(answer) => answer,
            None => self.begin().await?,
        };
        loop {
            let Some(mut piece) = answer.next().await? else {
                let url = answer.address.to_string();
                return Err(Error::Unreachable { method: "Get", url, why: "unexpected EOF".into() });
            };
            let skipped = self.skip.min(piece.len() as u64);
            self.skip -= skipped;
            // fits: it is at most the length of the piece
            piece.advance(usize::try_from(skipped).unwrap_or(piece.len()));
            if piece.is_empty() {
                continue;
            }
            self.at += piece.len() as u64;
            if self.at > self.size {
                return Err(Error::Lie(format!(
                    "blob {} is longer than the {} bytes promised",
                    self.digest, self.size
                )));
            }
            self.since_failure += piece.len() as u64;
            self.answer = Some(answer);
            return Ok(Step::Data(piece));
        }
    }

    async fn begin(&mut self) -> Result<Answer> {
        let mut request = Request::get(self.repository.address(&format!("blobs/{}", self.digest)));
        if self.at > 0 {
            request = request.header(RANGE, &format!("bytes={}-", self.at));
        }
        let answer = self.repository.ask(request, None).await?;
        self.skip = match answer.status {
            // the registry knows no ranges
            StatusCode::OK => self.at,
            StatusCode::PARTIAL_CONTENT => match answer.header(CONTENT_RANGE).and_then(first_byte) {
                Some(first) if first <= self.at => self.at - first,
                _ => return Err(Error::Lie(format!("blob {}: the registry answers with another range", self.digest))),
            },
            _ => return Err(refusal(answer).await),
        };
        Ok(answer)
    }
}

/// `bytes 100-199/200`
fn first_byte(text: &str) -> Option<u64> {
    text.trim().strip_prefix("bytes")?.trim_start().split_once('-')?.0.parse().ok()
}
