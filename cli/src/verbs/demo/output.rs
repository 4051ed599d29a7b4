//! The outputs, once more: fetched by the demo itself from the providers' gateways and read.

use std::path::Path;

use anyhow::{Context as _, bail};
use futures::TryStreamExt as _;
use serde::Serialize;

use super::plan::Job;
use crate::verbs::content::save;

/// The most bytes of a file that is read.
const MAX_FILE: u64 = 1 << 20;

/// What a provider's gateway gave.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Output {
    /// The provider's gateway.
    pub(super) gateway: String,
    /// The output's CID; every block was checked against its own.
    pub(super) cid: String,
    /// Bytes of files.
    pub(super) bytes: u64,
    /// What the program wrote to stdout.
    pub(super) stdout: String,
    /// What it wrote to `outputs/counts.tsv`.
    pub(super) counts: String,
    /// What its exit code is in the output.
    pub(super) exit_code: String,
}

/// Fetches a job's output; none if it has no result.
pub(super) async fn fetch(job: &Job, scratch: &Path) -> anyhow::Result<Option<Output>> {
    let Some(result) = &job.detail.result else { return Ok(None) };
    let Some(gateway) = &result.gateway else {
        bail!("the provider of job {} announced no gateway", job.detail.summary.id);
    };
    let cid = lota_content::parse_cid(&result.output)?;
    let url = format!("{}/ipfs/{cid}?format=car", gateway.trim_end_matches('/'));
    let client = lota_http::builder().no_proxy().build().context("cannot set up the HTTP client")?;
    let request = client.get(&url).header("accept", "application/vnd.ipld.car");
    let response = request
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .with_context(|| format!("cannot fetch {url}"))?;
    let destination = scratch.join(format!("output-{}", job.detail.summary.id));
    let saved =
        save::from_car(response.bytes_stream().map_err(std::io::Error::other), Some(&cid), &destination).await?;
    Ok(Some(Output {
        gateway: gateway.clone(),
        cid: result.output.clone(),
        bytes: saved.bytes,
        stdout: read(&destination.join("stdout"))?,
        counts: read(&destination.join("outputs/counts.tsv"))?,
        exit_code: read(&destination.join("exitCode"))?,
    }))
}

/// A text file of the output; empty if there is none.
fn read(path: &Path) -> anyhow::Result<String> {
    let context = || format!("cannot read {}", path.display());
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() && metadata.len() <= MAX_FILE => {
            Ok(String::from_utf8_lossy(&std::fs::read(path).with_context(context)?).into_owned())
        }
        _ => Ok(String::new()),
    }
}
