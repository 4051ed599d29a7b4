//! Bytes from the daemon to stdout and stderr.

use std::io::{self, Write};

use anyhow::Context as _;
use futures::{StreamExt as _, pin_mut};
use reqwest::Response;

use super::STDOUT_FAILED;
use crate::api::Api;

/// Copies a response's body to stdout as it comes.
///
/// # Errors
/// When the body breaks off or stdout cannot be written.
pub(crate) async fn copy_to_stdout(api: &Api, response: Response) -> anyhow::Result<()> {
    copy(api, response, io::stdout(), STDOUT_FAILED).await
}

/// Copies a response's body to stderr as it comes.
///
/// # Errors
/// As [`copy_to_stdout`].
pub(crate) async fn copy_to_stderr(api: &Api, response: Response) -> anyhow::Result<()> {
    copy(api, response, io::stderr(), "cannot write to stderr").await
}

async fn copy(api: &Api, response: Response, mut out: impl Write, failed: &'static str) -> anyhow::Result<()> {
    let pieces = api.pieces(response);
    pin_mut!(pieces);
    while let Some(piece) = pieces.next().await {
        out.write_all(&piece?).context(failed)?;
    }
    out.flush().context(failed)
}
