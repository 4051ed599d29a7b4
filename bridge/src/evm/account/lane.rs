//! The way of an account's transactions to the node: one after another, in the order in which they are handed over, which is that
//! of their nonces. Of two that are on their way at once the later one may come first, and Anvil forgets about one for good
//! whose predecessor it mines while it takes it in.

use lota_market::{B256, Bytes};
use tokio::sync::mpsc;

use crate::evm::chain::{Chain, RpcError};

/// A transaction's nonce, and what the node says to it; `None` when it was not asked, because an earlier one did not get there.
pub(super) type Answer = (u64, Option<Result<B256, RpcError>>);

/// Both ends of the way. What is on it is bounded by what is watched.
pub(super) struct Lane {
    queue: mpsc::UnboundedSender<(u64, Bytes)>,
    pub answers: mpsc::UnboundedReceiver<Answer>,
}

impl Lane {
    /// Starts the task that broadcasts; it ends when this value is dropped and everything was sent.
    pub(super) fn open(chain: Chain) -> Self {
        let (queue, mut next) = mpsc::unbounded_channel::<(u64, Bytes)>();
        let (answer, answers) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some((nonce, raw)) = next.recv().await {
                let sent = chain.send_raw(&raw).await;
                let is_lost = !matches!(sent, Ok(_) | Err(RpcError::Refused(_)));
                let mut is_heard = answer.send((nonce, Some(sent))).is_ok();
                // Those behind it would have to wait for it at the node: they are sent again together.
                while is_lost && let Ok((later, _)) = next.try_recv() {
                    is_heard &= answer.send((later, None)).is_ok();
                }
                if !is_heard {
                    return;
                }
            }
        });
        Self { queue, answers }
    }

    /// Hands a transaction over.
    pub(super) fn send(&self, nonce: u64, raw: Bytes) {
        // The task ends after this value.
        let _ = self.queue.send((nonce, raw));
    }
}
