//! Small documents from strangers' servers, under the same rules as blocks.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use reqwest::StatusCode;
use tokio::time::timeout_at;
use url::Url;

use super::Fetcher;
use super::address;
use super::client::{Client, Failure};

impl Fetcher {
    /// Gets what a stranger's URL gives, unchecked: at most `max_bytes` of it, from where blocks may be fetched from. `None`
    /// if it answers 404.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn document(&self, url: &Url, max_bytes: usize) -> Result<Option<Bytes>, Failure> {
        self.strangers.document(url, max_bytes).await
    }
}

impl Client {
    async fn document(&self, url: &Url, max_bytes: usize) -> Result<Option<Bytes>, Failure> {
        address::check(url, self.allowed).map_err(Failure::Url)?;
        let deadline = Instant::now() + self.idle_timeout;
        let response = match timeout_at(deadline.into(), self.http.get(url.clone()).send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(super::client::failure(&error)),
            Err(_) => return Err(Failure::Timeout { limit: self.idle_timeout }),
        };
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(Failure::Answer { status: status.as_u16() }),
        }
        let slot = self.slot(url, deadline).await?;
        let mut reading = self.read(response, slot, deadline);
        let mut data = BytesMut::new();
        while let Some(piece) = reading.next().await? {
            if data.len() + piece.len() > max_bytes {
                return Err(Failure::TooLong { limit: max_bytes });
            }
            data.extend_from_slice(&piece);
        }
        Ok(Some(data.freeze()))
    }
}
