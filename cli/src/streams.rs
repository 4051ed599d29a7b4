//! Somebody else's bytes, from the daemon to stdout and stderr.

use std::io::{self, IsTerminal, Write};

use anyhow::Context as _;
use futures::{StreamExt as _, pin_mut};
use reqwest::Response;

use crate::{
    api::Api,
    flags::Raw,
    terminal::{Escaper, STDOUT_FAILED},
};

/// Copies a response's body to stdout as it comes; on a terminal it is made readable, unless it is wanted raw.
///
/// # Errors
/// When the body breaks off or stdout cannot be written.
pub(crate) async fn copy_to_stdout(api: &Api, response: Response, raw: Raw) -> anyhow::Result<()> {
    copy(api, response, io::stdout(), raw, STDOUT_FAILED).await
}

/// Copies a response's body to stderr as it comes; on a terminal it is made readable, unless it is wanted raw.
///
/// # Errors
/// As [`copy_to_stdout`].
pub(crate) async fn copy_to_stderr(api: &Api, response: Response, raw: Raw) -> anyhow::Result<()> {
    copy(api, response, io::stderr(), raw, "cannot write to stderr").await
}

async fn copy(
    api: &Api,
    response: Response,
    mut out: impl Write + IsTerminal,
    raw: Raw,
    failed: &'static str,
) -> anyhow::Result<()> {
    let mut escaper = (out.is_terminal() && !raw.raw).then(Escaper::default);
    let pieces = api.pieces(response);
    pin_mut!(pieces);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        match &mut escaper {
            Some(escaper) => out.write_all(escaper.push(&piece).as_bytes()),
            None => out.write_all(&piece),
        }
        .context(failed)?;
    }
    let rest = escaper.as_mut().map(Escaper::finish).unwrap_or_default();
    out.write_all(rest.as_bytes()).and_then(|()| out.flush()).context(failed)
}
