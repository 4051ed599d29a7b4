//! How a person or a service manager ends a daemon.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// Ready once the process is told to end: Ctrl-C, SIGTERM, or the end of its terminal.
///
/// # Errors
/// When signals cannot be received.
pub(crate) async fn ended_by_user() -> anyhow::Result<()> {
    let listen = |kind| signal(kind).context("cannot wait for signals");
    let (mut interrupt, mut terminate, mut hangup) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, listen(SignalKind::hangup())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}
