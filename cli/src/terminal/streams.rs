//! Bytes from the daemon to stdout and stderr.

use std::{
    io::{self, Write},
    path::Path,
};

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

/// Copies a response's body into a new file. What is there of it when the body breaks off is removed.
///
/// # Errors
/// When the body breaks off, the file exists, or it cannot be written.
pub(crate) async fn copy_to_file(api: &Api, response: Response, path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let context = || format!("cannot write {}", path.display());
    let file = tempfile::NamedTempFile::new_in(folder).with_context(context)?;
    copy(api, response, file.as_file(), "cannot write the file").await.with_context(context)?;
    file.persist_noclobber(path).map_err(|error| error.error).with_context(context)?;
    Ok(())
}

async fn copy(api: &Api, response: Response, mut out: impl Write, failed: &'static str) -> anyhow::Result<()> {
    let pieces = api.pieces(response);
    pin_mut!(pieces);
    while let Some(piece) = pieces.next().await {
        out.write_all(&piece?).context(failed)?;
    }
    out.flush().context(failed)
}
