//! What a subscriber is sent: pulled from the log at his own pace, a page at a time.

use std::sync::Arc;

use futures::StreamExt;
use lota_market::Address;
use serde::Serialize;
use serde_json::json;
use tokio::sync::Semaphore;

use super::{
    handlers::Market,
    outbox::Outbox,
    protocol::{EndedBody, ErrorObject, MovementBody, Notification, UpdateBody, notification},
};
use crate::{memory::Chain, transport::Cursor};

/// How many movements are read at once.
const PAGE: usize = 64;

fn notice<T: Serialize>(method: &str, subscription: u64, what: T) -> String {
    json!({ "jsonrpc": "2.0", "method": method, "params": Notification { subscription, what } }).to_string()
}

async fn end(outbox: &Outbox, subscription: u64, error: ErrorObject) {
    let ended = notice(notification::ENDED, subscription, EndedBody { error });
    // Whoever is gone needs no news.
    let _ = outbox.send(ended).await;
}

/// Sends everything from a position on until the connection closes. All subscriptions of a connection share `pages`.
pub(super) async fn events(
    chain: Chain,
    from: Option<Cursor>,
    pages: Arc<Semaphore>,
    subscription: u64,
    outbox: Outbox,
) {
    let mut updates = chain.updates_sharing(from, pages);
    while let Some(update) = updates.next().await {
        match update {
            Ok(update) => {
                let update = notice(notification::UPDATE, subscription, UpdateBody { update });
                if outbox.send(update).await.is_err() {
                    return;
                }
            }
            Err(error) => return end(&outbox, subscription, error.into()).await,
        }
    }
}

/// Sends all movements from a place on until the connection closes.
pub(super) async fn movements(
    market: Arc<Market>,
    mut from: (u64, u32),
    account: Option<Address>,
    subscription: u64,
    outbox: Outbox,
) {
    let mut changes = market.chain.changes();
    loop {
        changes.mark_unchanged();
        let page = match market.movements(from, PAGE, account).await {
            Ok(page) => page,
            Err(error) => return end(&outbox, subscription, error).await,
        };
        from = page.next;
        for movement in page.movements {
            let movement = notice(notification::MOVEMENT, subscription, MovementBody { movement });
            if outbox.send(movement).await.is_err() {
                return;
            }
        }
        if !page.more {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = outbox.closed() => return,
            }
        }
    }
}
