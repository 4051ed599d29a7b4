//! Files of outputs, handed out piece by piece: few at once, and not for ever to who takes them slowly.

use std::{io, time::Duration};

use axum::body::{Body, Bytes};
use futures::{Stream, StreamExt as _, stream::BoxStream};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

/// How many pieces wait for a reader.
const AHEAD: usize = 2;
/// Who takes fewer bytes than this in a second, in the mean, is left without the rest; but not before this.
const LEAST: u64 = 32 * 1024;
const AT_FIRST: Duration = Duration::from_secs(15);

type Pieces = BoxStream<'static, io::Result<Bytes>>;

/// The body of an answer. `held` is dropped when all of it was taken, or its reader is gone, or is too slow.
pub(crate) fn body(pieces: Pieces, held: impl Send + 'static) -> Body {
    Body::from_stream(stream(pieces, held, AT_FIRST))
}

fn stream(
    pieces: Pieces,
    held: impl Send + 'static,
    at_first: Duration,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let (to, from) = mpsc::channel(AHEAD);
    // Of its own: nobody asks a body for more whose reader does not read.
    tokio::spawn(async move {
        let _held = held;
        send(pieces, &to, at_first).await;
    });
    futures::stream::unfold(from, |mut from| async move { Some((from.recv().await?, from)) }).fuse()
}

async fn send(mut pieces: Pieces, to: &mpsc::Sender<io::Result<Bytes>>, at_first: Duration) {
    let begun = Instant::now();
    let mut sent = 0_u64;
    loop {
        let until = begun + at_first + Duration::from_secs(sent / LEAST);
        let Ok(Some(piece)) = timeout_at(until, pieces.next()).await else { return };
        if let Err(error) = &piece {
            tracing::warn!(%error, "a file of an output that was there is not any more");
        }
        sent = sent.saturating_add(piece.as_ref().map_or(0, |piece| piece.len() as u64));
        let is_over = piece.is_err();
        if !matches!(timeout_at(until, to.send(piece)).await, Ok(Ok(()))) || is_over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn pieces(count: usize) -> Pieces {
        futures::stream::repeat_with(|| Ok(Bytes::from_static(&[7; 4_096]))).take(count).boxed()
    }

    #[tokio::test]
    async fn a_place_is_held_until_all_was_taken_or_nobody_takes_more() {
        let held = Arc::new(());
        let taken = stream(pieces(10), held.clone(), AT_FIRST).map(|piece| piece.expect("a piece").len());
        assert_eq!(taken.collect::<Vec<_>>().await, [4_096; 10]);
        assert_eq!(Arc::strong_count(&held), 1);

        let slow = stream(pieces(1_000), held.clone(), Duration::from_millis(20));
        assert_eq!(Arc::strong_count(&held), 2);
        // Who takes nothing holds nobody up.
        while Arc::strong_count(&held) > 1 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(slow.count().await < 10, "the rest does not come");
    }
}
