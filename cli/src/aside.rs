//! Work that may wait for a person.

use std::thread;

use anyhow::Context as _;
use tokio::sync::oneshot;

/// Does something that may wait for a person, on a thread that nobody waits for at the end.
///
/// # Errors
/// When there is no thread to be had, or it panics.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> anyhow::Result<T> {
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new()
        .spawn(move || {
            let _ = sender.send(work());
        })
        .context("cannot start a thread")?;
    receiver.await.context("a thread ended early")
}
