//! Whether somebody else sends with this key.

use lota_market::B256;

use super::{EvmTransport, outstanding::unreadable};
use crate::{
    journal::{MAX_PAGE, Sending},
    transport::{Transport as _, TransportError},
};

impl EvmTransport {
    pub(super) async fn find_elsewhere(&self, transaction: B256) -> Result<Option<u64>, TransportError> {
        let (account, page) = (self.account_id(), MAX_PAGE as u64);
        let is_it = |sending: &Sending| sending.attempts.iter().any(|attempt| attempt.hash == transaction);
        // What happens now was sent not long ago: then the chain need not be asked.
        let newest = self.journal.next_nonce(account).await.map_err(unreadable)?.unwrap_or_default();
        let recent = self.journal.since(account, newest.saturating_sub(page)).await.map_err(unreadable)?;
        if recent.iter().any(is_it) {
            return Ok(None);
        }
        let Some((sender, nonce)) = self.market.chain.sender_of(transaction).await? else { return Ok(None) };
        // What was on its way before this process sent anything, or is in a block again after a reorganisation, may be an earlier process's,
        // whose store was lost or replaced by a backup.
        if sender != self.party() || self.account.first_nonce().is_none_or(|first| nonce < first) {
            return Ok(None);
        }
        let before = self.journal.since(account, nonce).await.map_err(unreadable)?;
        Ok((!before.first().is_some_and(is_it)).then_some(nonce))
    }
}
