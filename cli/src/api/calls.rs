//! The calls of the API, one function for each.

use std::{io, time::Duration};

use anyhow::Context as _;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use lota_api::{
    ContentEntry, JobDetail, JobPage, JobQuery, JobRequest, JobSummary, MarketInfo, MoveMoney, NodeInfo, OpenedJob,
    Party, Phase, PublicationInfo, Resumed, Stored, TakeBidMoney, WalletInfo,
};
use lota_market::asset::Asset;
use reqwest::{Body, Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;

use super::{Api, ApiFailure};
use crate::failure::Usage;

/// How much longer the daemon may take to answer with content: it may have to be fetched from far away.
const FETCH: Duration = Duration::from_secs(600);

/// How much longer the daemon may take to open or cancel a job, or to move money: where blocks are slow, until that was seen.
const OPENING: Duration = Duration::from_secs(300);

/// A page of a directory with fewer entries is its last one; the daemon's pages are longer.
const FULL_PAGE: usize = 1_000;
/// The most entries of a directory that are listed.
const MAX_ENTRIES: usize = 1_000_000;

/// Which part of content is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// Its bytes.
    Bytes,
    /// All its blocks, as a CAR.
    Car,
}

impl Api {
    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder, patience: Duration) -> anyhow::Result<T> {
        let response = self.send(request, patience).await?;
        let body = response.bytes().await.map_err(|error| self.broken(error))?;
        serde_json::from_slice(&body)
            .context("the daemon's answer cannot be read; is it of the same version as this command?")
    }

    /// Who the daemon is.
    pub(crate) async fn node(&self) -> anyhow::Result<NodeInfo> {
        self.json(self.request(Method::GET, &["node"])?, Duration::ZERO).await
    }

    /// What amounts are in. A daemon of a version that does not say it counts in the chain's coin.
    ///
    /// # Errors
    /// When the daemon does not answer: an amount in the wrong unit is another amount.
    pub(crate) async fn asset(&self) -> anyhow::Result<Asset> {
        match self.json::<MarketInfo>(self.request(Method::GET, &["market"])?, Duration::ZERO).await {
            Ok(market) => Ok(market.asset),
            Err(error) if ApiFailure::is_not_found(&error) => Ok(Asset::coin()),
            Err(error) => Err(error),
        }
    }

    /// The same to show amounts that are there already: if it cannot be had, as the chain's coin.
    pub(crate) async fn asset_for_showing(&self) -> Asset {
        self.asset().await.unwrap_or_default()
    }

    /// Has a provider that was slashed lock jobs again.
    pub(crate) async fn resume(&self) -> anyhow::Result<Resumed> {
        self.json(self.request(Method::POST, &["node", "resume"])?, Duration::ZERO).await
    }

    /// The account's money.
    pub(crate) async fn wallet(&self) -> anyhow::Result<WalletInfo> {
        self.json(self.request(Method::GET, &["wallet"])?, Duration::ZERO).await
    }

    /// Moves money into the market.
    pub(crate) async fn deposit(&self, order: &MoveMoney) -> anyhow::Result<WalletInfo> {
        self.json(self.request(Method::POST, &["wallet", "deposit"])?.json(order), OPENING).await
    }

    /// Moves money out of the market.
    pub(crate) async fn withdraw(&self, order: &MoveMoney) -> anyhow::Result<WalletInfo> {
        self.json(self.request(Method::POST, &["wallet", "withdraw"])?.json(order), OPENING).await
    }

    /// Moves money out of the auction.
    pub(crate) async fn withdraw_bid_money(&self, order: &TakeBidMoney) -> anyhow::Result<WalletInfo> {
        self.json(self.request(Method::POST, &["wallet", "withdraw-bid-money"])?.json(order), OPENING).await
    }

    /// Opens a job.
    pub(crate) async fn open(&self, job: &JobRequest) -> anyhow::Result<OpenedJob> {
        self.json(self.request(Method::POST, &["jobs"])?.json(job), OPENING).await
    }

    /// One page of jobs.
    pub(crate) async fn jobs(&self, query: &JobQuery) -> anyhow::Result<JobPage> {
        self.json(self.request(Method::GET, &["jobs"])?.query(&query.pairs()), Duration::ZERO).await
    }

    /// All about a job.
    pub(crate) async fn job(&self, id: &str) -> anyhow::Result<JobDetail> {
        self.json(self.request(Method::GET, &["jobs", checked_id(id)?])?, Duration::ZERO).await
    }

    /// Withdraws an open job.
    pub(crate) async fn cancel(&self, id: &str) -> anyhow::Result<JobSummary> {
        self.json(self.request(Method::POST, &["jobs", checked_id(id)?, "cancel"])?, OPENING).await
    }

    /// Has a job's output published again where that failed; where it is now.
    pub(crate) async fn publish(&self, id: &str) -> anyhow::Result<Vec<PublicationInfo>> {
        self.json(self.request(Method::POST, &["jobs", checked_id(id)?, "publish"])?, Duration::ZERO).await
    }

    /// Answers when the job has ended or is in another phase than `phase`, or `patience` is over.
    pub(crate) async fn wait(&self, id: &str, phase: Phase, patience: Duration) -> anyhow::Result<JobDetail> {
        let seconds = patience.as_secs().to_string();
        let query = [("timeout", seconds.as_str()), ("changes", "true"), ("phase", phase.word())];
        self.json(self.request(Method::GET, &["jobs", checked_id(id)?, "wait"])?.query(&query), patience).await
    }

    /// Answers when the job has ended, `patience` is over, or nobody is left who may take the open job: all who answer have
    /// refused, and the others have said nothing for as long as `silence`.
    pub(crate) async fn wait_for_refusals(
        &self,
        id: &str,
        silence: Duration,
        patience: Duration,
    ) -> anyhow::Result<JobDetail> {
        let (timeout, silence) = (patience.as_secs().to_string(), silence.as_secs().to_string());
        let query = [("timeout", timeout.as_str()), ("refusals", "true"), ("silence", silence.as_str())];
        self.json(self.request(Method::GET, &["jobs", checked_id(id)?, "wait"])?.query(&query), patience).await
    }

    /// As [`wait`](Self::wait), with the job as in a list: nobody is asked what they decided.
    pub(crate) async fn wait_in_brief(&self, id: &str, phase: Phase, patience: Duration) -> anyhow::Result<JobSummary> {
        let seconds = patience.as_secs().to_string();
        let query = [("timeout", seconds.as_str()), ("changes", "true"), ("phase", phase.word()), ("brief", "true")];
        self.json(self.request(Method::GET, &["jobs", checked_id(id)?, "wait"])?.query(&query), patience).await
    }

    /// Lets go of the output of a job that has ended.
    pub(crate) async fn release_output(&self, id: &str) -> anyhow::Result<()> {
        let request = self.request(Method::DELETE, &["jobs", checked_id(id)?, "output"])?;
        self.send(request, Duration::ZERO).await?;
        Ok(())
    }

    /// A file of a job's verified output, or all of it as a CAR.
    pub(crate) async fn output(&self, id: &str, path: &[&str], part: Part) -> anyhow::Result<Response> {
        let mut segments = vec!["jobs", checked_id(id)?, "output"];
        segments.extend(path);
        self.bytes(&segments, part).await
    }

    /// Stores a CAR, and pins it if it is to be kept.
    pub(crate) async fn add(
        &self,
        car: impl Stream<Item = io::Result<bytes::Bytes>> + Send + 'static,
        pin: bool,
    ) -> anyhow::Result<Stored> {
        let request = self.request(Method::POST, &["content"])?.query(&[("pin", pin)]);
        let request = request.header("content-type", "application/vnd.ipld.car");
        // As long as blocks flow the daemon is not late; only the rest of the time-out counts after them.
        self.json(request.body(Body::wrap_stream(car)), Duration::from_secs(86_400)).await
    }

    /// Lets go of content that was added.
    pub(crate) async fn forget(&self, cid: &str) -> anyhow::Result<()> {
        let request = self.request(Method::DELETE, &["content", cid])?;
        self.send(request, Duration::ZERO).await?;
        Ok(())
    }

    /// Content by CID.
    pub(crate) async fn content(&self, cid: &str, path: &[&str], part: Part) -> anyhow::Result<Response> {
        let mut segments = vec!["content", cid];
        segments.extend(path);
        self.bytes(&segments, part).await
    }

    /// What a directory holds.
    pub(crate) async fn content_entries(&self, cid: &str, path: &[&str]) -> anyhow::Result<Vec<ContentEntry>> {
        let mut segments = vec!["content", cid];
        segments.extend(path);
        self.entries(&segments).await
    }

    /// Who announced where content is.
    pub(crate) async fn parties(&self) -> anyhow::Result<Vec<Party>> {
        self.json(self.request(Method::GET, &["parties"])?, Duration::ZERO).await
    }

    async fn bytes(&self, segments: &[&str], part: Part) -> anyhow::Result<Response> {
        let mut request = self.request(Method::GET, segments)?;
        if matches!(part, Part::Car) {
            request = request.query(&[("format", "car")]);
        }
        Ok(self.send(request, FETCH).await?)
    }

    async fn entries(&self, segments: &[&str]) -> anyhow::Result<Vec<ContentEntry>> {
        let mut entries: Vec<ContentEntry> = Vec::new();
        loop {
            let mut request = self.request(Method::GET, segments)?.query(&[("list", "true")]);
            if let Some(last) = entries.last() {
                request = request.query(&[("after", &last.name)]);
            }
            let page: Vec<ContentEntry> = self.json(request, FETCH).await?;
            let last = page.len() < FULL_PAGE;
            entries.extend(page);
            if last || entries.len() >= MAX_ENTRIES {
                return Ok(entries);
            }
        }
    }

    /// The body of a response, piece by piece.
    pub(crate) fn pieces(&self, response: Response) -> impl Stream<Item = anyhow::Result<bytes::Bytes>> + use<'_> {
        response.bytes_stream().map_err(|error| self.broken(error).into()).boxed()
    }
}

/// A job's id or the beginning of one, so that nothing else gets into the URL.
fn checked_id(id: &str) -> anyhow::Result<&str> {
    let digits = id.strip_prefix("0x").unwrap_or(id);
    if (4..=64).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(id);
    }
    Err(Usage(format!(
        "`{}` is not a job's id; give `0x` and 64 hex digits, or the first 4 or more of them (see `lota job list`)",
        crate::terminal::printable(id)
    ))
    .into())
}

#[cfg(test)]
mod tests {
    use super::checked_id;

    #[test]
    fn only_ids_and_their_beginnings_are_sent() {
        for id in ["0x12ab", "12AB", &format!("0x{}", "f".repeat(64))] {
            assert!(checked_id(id).is_ok(), "{id}");
        }
        for id in ["", "0x", "0x123", "../x", "0x12zz", &"f".repeat(65)] {
            assert!(checked_id(id).is_err(), "{id}");
        }
    }
}
