//! Response bodies that give their place back when the client goes or sleeps.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use tokio::sync::mpsc;

use super::slots::Slot;

/// Pieces of a response that wait for the client; each is at most one block.
const QUEUE: usize = 2;

/// A body that is made while it is sent. The slot is held until it is made, the client is gone or
/// cut off for others, or the client has taken nothing for `idle`. A body that ends early ends in an error, so that the
/// client sees a broken response, never a short one.
pub(super) fn streaming<E>(
    pieces: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    slot: Slot,
    idle: Duration,
) -> Body
where
    E: std::error::Error + Send + Sync + 'static,
{
    // None says that the body is complete
    let (sender, receiver) = mpsc::channel::<Option<Bytes>>(QUEUE);
    tokio::spawn(async move {
        let make = async {
            let mut pieces = std::pin::pin!(pieces);
            loop {
                let piece = match pieces.next().await.transpose() {
                    Ok(piece) => piece,
                    Err(error) => {
                        tracing::warn!(%error, "a response was cut off");
                        return;
                    }
                };
                let last = piece.is_none();
                match tokio::time::timeout(idle, sender.send(piece)).await {
                    Ok(Ok(())) if !last => {}
                    Ok(_) => return,
                    Err(_) => return slot.give_up(),
                }
            }
        };
        tokio::select! {
            () = make => {}
            () = slot.cancelled() => {}
        }
    });
    let body = futures::stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Some(piece)) => Some((Ok(piece), Some(receiver))),
            Some(None) => None,
            None => {
                let error = std::io::Error::other("the response was cut off");
                Some((Err(error), None))
            }
        }
    });
    Body::from_stream(body)
}
