//! From a market's log into the history.

use futures::{StreamExt as _, future::BoxFuture};
use lota_bridge::{Transport, TransportError, transport::Update};

use super::{History, HistoryError, Told};

/// How many updates are taken in with one transaction, at most.
const AT_ONCE: usize = 200;

/// Why a market is no longer followed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("the market can no longer be read")]
    Market(#[from] TransportError),
    /// The transport ended it.
    #[error("the market's log ended")]
    Ended,
}

/// Takes in what happens in a market, for ever: `make_room` is called before each step, and `news` after each that folded something.
///
/// # Errors
/// When the history cannot be kept, or the market is another one; what passes is waited for. Those of `make_room`.
pub async fn follow<'a, E: From<FollowError>>(
    market: &dyn Transport,
    history: &History,
    make_room: impl Fn() -> BoxFuture<'a, Result<(), E>>,
    mut news: impl FnMut(),
) -> Result<std::convert::Infallible, E> {
    let failed = |error: HistoryError| FollowError::from(error);
    let mut updates = market.updates(history.cursor().await.map_err(failed)?).ready_chunks(AT_ONCE);
    while let Some(chunk) = updates.next().await {
        let mut told = Vec::with_capacity(chunk.len());
        let mut last_final = None;
        for update in chunk {
            match update {
                Ok(Update::Event { cursor, time, event, .. }) => {
                    told.push(Told::Event { cursor, time, event: Box::new(event) });
                }
                // Bids move no money between parties that the market does not tell of, too.
                Ok(Update::Auction { .. } | Update::FilecoinPayDeals { .. }) => {}
                Ok(Update::Rewind { to }) => told.push(Told::Rewind { to }),
                Ok(Update::Head { cursor, finalized, .. }) => {
                    told.push(Told::Head { cursor });
                    last_final = Some(finalized);
                }
                Err(error) if error.is_temporary() => tracing::warn!("{error}"),
                Err(error) => return Err(FollowError::from(error).into()),
            }
        }
        make_room().await?;
        history.take(&told).await.map_err(failed)?;
        if let Some(finalized) = last_final
            && history.finalize(finalized).await.map_err(failed)?
        {
            news();
        }
    }
    Err(FollowError::Ended.into())
}
