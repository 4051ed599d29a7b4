//! Files at URLs, of which one knows the digest.

use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{Stream, try_unfold};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode, header};
use sha2::{Digest as _, Sha256};
use tokio::task::spawn_blocking;
use tokio_util::io::{StreamReader, SyncIoBridge};
use url::Url;

use super::Fetcher;
use super::address::UrlRefusal;
use super::client::{Client, Failure, Reading};
use super::crew::FIRST_PAUSE;
use crate::import::{ImportError, ImportOptions, Imported, import_reader};
use crate::store::{Store, StoreError};

/// So many bytes make it as often again that a server is asked which cuts connections: one that brings a few bytes each time is
/// not worth a connection for each.
const PROGRESS: u64 = 1 << 20;

/// How much of a file is fetched at most, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLimits {
    /// Most bytes.
    pub max_bytes: u64,
    /// Pins the file under this name once it is there.
    pub pin: Option<String>,
}

/// Why a file was not fetched. What came of it is garbage in the store.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The URL cannot be asked, or what it answers is of no use.
    #[error("{url}: {failure}")]
    Url { url: Box<Url>, failure: Failure },
    /// It has more bytes than allowed.
    #[error("{url} has more than {limit} bytes{}", super::said(*declared))]
    TooLarge {
        url: Box<Url>,
        limit: u64,
        /// How many the server says it has, if that was enough to refuse it.
        declared: Option<u64>,
    },
    /// It is another file.
    #[error("{url} gave {length} bytes with the sha2-256 digest {}, not {}", hex(actual), hex(expected))]
    Digest {
        url: Box<Url>,
        length: u64,
        /// Of what came.
        actual: [u8; 32],
        /// What was asked for.
        expected: [u8; 32],
    },
    /// It could not be stored.
    #[error(transparent)]
    Import(#[from] ImportError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The task that was storing ended early, because the runtime is shutting down.
    #[error("the fetch was interrupted by the shutdown of the program")]
    Interrupted,
}

fn hex(bytes: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Fetcher {
    /// Brings the file at a stranger's URL into the store, as UnixFS, if the sha2-256 of its bytes is `digest`. Its server is asked
    /// under the same rules as a gateway, and over `https` only, unless `http` is allowed. After a cut it goes on where it was.
    ///
    /// # Errors
    /// [`FileError`].
    pub async fn fetch_file(
        &self,
        store: &Store,
        url: &Url,
        digest: [u8; 32],
        limits: &FileLimits,
    ) -> Result<Imported, FileError> {
        let refused = |failure| FileError::Url { url: Box::new(url.clone()), failure };
        if url.scheme() != "https" && !self.options.allow_http {
            return Err(refused(Failure::Url(UrlRefusal::Insecure)));
        }
        let guard = store.guard();
        let download = Download {
            client: self.files.clone(),
            url: url.clone(),
            deadline: Instant::now() + self.options.total_timeout,
            reading: None,
            tag: None,
            offset: 0,
            max_bytes: limits.max_bytes,
            resumes: self.options.resumes,
            left: 0,
            counted: None,
            pause: FIRST_PAUSE,
        };
        let options = ImportOptions { max_bytes: limits.max_bytes, ..ImportOptions::default() };
        let into = store.clone();
        let bridge = SyncIoBridge::new(StreamReader::new(Box::pin(download.pieces())));
        let imported = spawn_blocking(move || {
            let mut hashing = Hashing { reader: bridge, hasher: Sha256::new() };
            let imported = import_reader(&into, &mut hashing, &options);
            (imported, <[u8; 32]>::from(hashing.hasher.finalize()))
        });
        let (imported, actual) = imported.await.map_err(|_| FileError::Interrupted)?;
        let imported = imported.map_err(|error| match error {
            ImportError::TooManyBytes { limit, .. } => {
                FileError::TooLarge { url: Box::new(url.clone()), limit, declared: None }
            }
            ImportError::Read { source } => match source.downcast::<Failure>() {
                Ok(Failure::Declared { length, limit }) => {
                    FileError::TooLarge { url: Box::new(url.clone()), limit, declared: Some(length) }
                }
                Ok(failure) => refused(failure),
                Err(source) => ImportError::Read { source }.into(),
            },
            error => error.into(),
        })?;
        if actual != digest {
            let (url, length) = (Box::new(url.clone()), imported.size);
            return Err(FileError::Digest { url, length, actual, expected: digest });
        }
        if let Some(name) = limits.pin.clone() {
            let (store, cid) = (store.clone(), imported.cid);
            spawn_blocking(move || store.pin(&cid, &name)).await.map_err(|_| FileError::Interrupted)??;
        }
        drop(guard);
        Ok(imported)
    }
}

/// The digest of what is read.
struct Hashing<R> {
    reader: R,
    hasher: Sha256,
}

impl<R: io::Read> io::Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// A file that comes.
struct Download {
    client: Client,
    url: Url,
    deadline: Instant,
    reading: Option<Reading>,
    /// What tells one state of the file from another.
    tag: Option<HeaderValue>,
    offset: u64,
    max_bytes: u64,
    resumes: u32,
    left: u32,
    /// The offset at which `left` was set the last time.
    counted: Option<u64>,
    /// Before the next connection.
    pause: Duration,
}

impl Download {
    /// Its bytes, in order.
    fn pieces(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        try_unfold(self, |mut download| async move {
            let piece = download.next().await.map_err(io::Error::other)?;
            Ok(piece.map(|piece| (piece, download)))
        })
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match self.try_next().await {
                Ok(Some(piece)) => {
                    self.offset += piece.len() as u64;
                    if self.counted.is_none_or(|counted| self.offset - counted >= PROGRESS) {
                        (self.left, self.counted, self.pause) = (self.resumes, Some(self.offset), FIRST_PAUSE);
                    }
                    return Ok(Some(piece));
                }
                Err(Failure::Connection { reason }) if self.left > 0 && Instant::now() + self.pause < self.deadline => {
                    tracing::debug!(url = %self.url, reason, "going on after a cut");
                    self.left -= 1;
                    self.reading = None;
                    tokio::time::sleep(self.pause).await;
                    self.pause *= 2;
                }
                ended => return ended,
            }
        }
    }

    async fn try_next(&mut self) -> Result<Option<Bytes>, Failure> {
        let reading = match &mut self.reading {
            Some(reading) => reading,
            none => none.insert(
                Self::open(&self.client, &self.url, self.deadline, &mut self.tag, self.offset, self.max_bytes).await?,
            ),
        };
        reading.next().await
    }

    async fn open(
        client: &Client,
        url: &Url,
        deadline: Instant,
        tag: &mut Option<HeaderValue>,
        offset: u64,
        max_bytes: u64,
    ) -> Result<Reading, Failure> {
        let mut headers = HeaderMap::new();
        // What is compressed on the way has another length than it says.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if offset > 0 {
            if let Ok(range) = HeaderValue::from_str(&format!("bytes={offset}-")) {
                headers.insert(header::RANGE, range);
            }
            if let Some(tag) = &*tag {
                headers.insert(header::IF_RANGE, tag.clone());
            }
        }
        let (response, slot) = client.send(url, headers, deadline).await?;
        let status = response.status();
        match (offset, status) {
            (0, StatusCode::OK) => {}
            (1.., StatusCode::PARTIAL_CONTENT) if starts_at(&response, offset) => {}
            (1.., StatusCode::OK | StatusCode::PARTIAL_CONTENT) => return Err(Failure::OtherPart),
            _ => return Err(Failure::Answer { status: status.as_u16() }),
        }
        if let Some(length) = response.content_length().map(|length| length.saturating_add(offset))
            && length > max_bytes
        {
            return Err(Failure::Declared { length, limit: max_bytes });
        }
        if offset == 0 {
            // A weak tag says nothing about bytes.
            let strong = response.headers().get(header::ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
            *tag = strong.cloned();
        }
        Ok(client.read(response, slot, deadline))
    }
}

/// Whether a part of a file begins where it shall.
fn starts_at(response: &Response, offset: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.trim().parse::<u64>().ok());
    start == Some(offset)
}
