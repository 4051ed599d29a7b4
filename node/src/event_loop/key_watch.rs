//! Notices that somebody else sends with the node's key, as a second daemon does that was given a copy of it: both then use the same
//! nonces, and undo each other's transactions.
//!
//! What happens on the market in the party's name comes from its transactions. One that happens while this node runs, and that it did
//! not send, is somebody else's. What happened before is nobody's fault: the node may have moved to this machine, or its store may be
//! restored from a backup. What the key is used for elsewhere, such as a payment from a person's own wallet, is not looked at: it
//! takes a nonce, which the account copes with (and says in the log).

use std::sync::Arc;

use lota_bridge::Transport;
use lota_market::{Address, B256, auction, model::Event};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    health::SharedKey,
    inbox::{Inbox, Message},
};

/// How many transactions wait to be looked at; more are passed over.
const MAX_WAITING: usize = 256;

/// Has the transactions looked at that may be somebody else's.
pub(super) struct KeyWatch {
    me: Address,
    /// Blocks up to this one are from before the node was started; `None`: not known yet.
    above: Option<u64>,
    found: mpsc::Sender<B256>,
    last: Option<B256>,
}

impl KeyWatch {
    pub(super) fn new(transport: Arc<dyn Transport>, inbox: Inbox, stop: CancellationToken) -> Self {
        let me = transport.party();
        let (found, waiting) = mpsc::channel(MAX_WAITING);
        tokio::spawn(async move {
            tokio::select! {
                () = look(&*transport, waiting, &inbox) => {}
                () = stop.cancelled() => {}
            }
        });
        Self { me, above: None, found, last: None }
    }

    /// This is the newest block now.
    pub(super) fn begin_above(&mut self, block: u64) {
        self.above.get_or_insert(block);
    }

    /// An event of the market's.
    pub(super) fn take(&mut self, event: &Event, block: u64, transaction: B256) {
        let by = match event {
            Event::JobOpened { terms, .. } => terms.client,
            Event::JobLocked { provider, .. } | Event::ResultSubmitted { provider, .. } => *provider,
            Event::Withdrawn { account, .. } => *account,
            Event::Deposited { payer, .. } => *payer,
            Event::SaltsRevoked { client, .. } => *client,
            Event::Announced { party, .. } => *party,
            _ => return,
        };
        self.seen(by, block, transaction);
    }

    /// An event of the auction's.
    pub(super) fn take_of_auction(&mut self, event: &auction::Event, block: u64, transaction: B256) {
        let by = match event {
            auction::Event::Funded { payer, .. } => *payer,
            auction::Event::Defunded { account, .. } => *account,
            auction::Event::BidCommitted { bidder, .. } | auction::Event::BidRevealed { bidder, .. } => *bidder,
            _ => return,
        };
        self.seen(by, block, transaction);
    }

    fn seen(&mut self, by: Address, block: u64, transaction: B256) {
        // A transaction may have many events.
        let is_live = self.above.is_some_and(|above| block > above);
        if by == self.me && is_live && self.last.replace(transaction) != Some(transaction) {
            // Whoever uses the key sends more.
            let _ = self.found.try_send(transaction);
        }
    }
}

async fn look(transport: &dyn Transport, mut waiting: mpsc::Receiver<B256>, inbox: &Inbox) {
    while let Some(transaction) = waiting.recv().await {
        // While the chain's node does not answer, nothing is known of it; whoever uses the key sends more.
        if let Ok(Some(nonce)) = transport.sent_elsewhere(transaction).await {
            inbox.send(Message::KeyShared(SharedKey { account: transport.party(), nonce, transaction })).await;
        }
    }
}
