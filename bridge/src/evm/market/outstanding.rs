//! Which of an account's transactions the chain may still execute or undo: those whose nonces are not used for good.

use lota_market::Time;

use super::EvmTransport;
use crate::{
    JournalError,
    evm::chain::{At, RpcError},
    journal::{AccountId, MAX_PAGE, TransactionOutcome},
    transport::{Outstanding, Transport as _, TransportError},
};

impl EvmTransport {
    pub(super) async fn read_outstanding(&self, seen: u64) -> Result<Outstanding, TransportError> {
        let (mut next, final_time) = match self.used_for_good(seen).await {
            Ok(known) => known,
            // What is written down says it, too, though not as exactly.
            Err(error) if error.is_temporary() => (self.written_as_used(seen).await?, Time::default()),
            Err(error) => return Err(error.into()),
        };
        let mut keys = Vec::new();
        loop {
            let page = self.journal.since(self.account_id(), next).await.map_err(unreadable)?;
            let is_last = page.len() < MAX_PAGE;
            for sending in page {
                next = sending.nonce + 1;
                keys.push(sending.key);
            }
            if is_last {
                return Ok(Outstanding { keys, final_time });
            }
        }
    }

    pub(super) fn account_id(&self) -> AccountId {
        AccountId { chain_id: self.market.chain.id(), address: self.party() }
    }

    /// How many nonces were used in blocks up to `seen` that are final, and the time of the newest of these blocks.
    async fn used_for_good(&self, seen: u64) -> Result<(u64, Time), RpcError> {
        let chain = &self.market.chain;
        let latest = chain.latest().await?;
        let finalized = chain.finalized(&latest, true).await?;
        let header = chain.at_or_below(finalized.min(seen)).await?;
        Ok((chain.count(self.party(), At::Block(header.number())).await?, header.time()))
    }

    /// One above the highest nonce that is known to be used in a block up to `seen`: all below it are, too.
    async fn written_as_used(&self, seen: u64) -> Result<u64, TransportError> {
        let account = self.account_id();
        let mut above = self.journal.next_nonce(account).await.map_err(unreadable)?.unwrap_or_default();
        while above > 0 {
            let from = above.saturating_sub(MAX_PAGE as u64);
            let page = self.journal.since(account, from).await.map_err(unreadable)?;
            let landed = page
                .iter()
                .rev()
                .find(|sending| matches!(sending.outcome, TransactionOutcome::Landed { block, .. } if block <= seen));
            if let Some(sending) = landed {
                return Ok(sending.nonce + 1);
            }
            above = from;
        }
        Ok(0)
    }
}

pub(super) fn unreadable(error: JournalError) -> TransportError {
    TransportError::Storage(error.to_string())
}
