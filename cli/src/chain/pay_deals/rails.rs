//! The rails on which an account pays or is paid, found by the contract's log.

use std::time::Duration;

use alloy::primitives::keccak256;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lota_bridge::evm::{
    RpcError,
    chain::{Filter, Log},
    filecoin_pay_deals::{self, Promised},
};
use lota_market::{Address, B256, U256, filecoin_pay_deals::Event};

use super::{AT_ONCE, ChainPayDeals};

/// Nodes may end an answer at so many logs.
const MAX_LOGS: usize = 1_000;
/// How often a node may fail to answer before that is told.
const TRIES: u32 = 5;

/// A rail on which the contract pays, as it and Filecoin Pay have it. Amounts in the token's smallest unit, gross.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RailState {
    pub(crate) rail: U256,
    pub(crate) payer: Address,
    pub(crate) payee: Address,
    pub(crate) promised: Promised,
    /// What is locked for it at Filecoin Pay; none: it was wound up.
    pub(crate) locked: Option<U256>,
    /// Before which block it still pays, once its payer has terminated it.
    pub(crate) end: Option<U256>,
}

impl RailState {
    /// Whether what is due can still be paid by a transaction that is sent when this is the newest block: it lands in the next one, or
    /// the one after that.
    pub(crate) fn pays(&self, block: u64) -> bool {
        self.locked.is_some() && self.end.is_none_or(|end| U256::from(block.saturating_add(2)) < end)
    }

    /// What is locked although nothing was promised for it.
    pub(crate) fn idle(&self) -> U256 {
        self.locked.unwrap_or_default().saturating_sub(self.promised.needed)
    }
}

/// How far a log was read, in blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadSoFar {
    pub(crate) block: u64,
    pub(crate) newest: u64,
}

/// The ranges in which blocks are read: as long as nodes answer.
#[derive(Debug)]
struct Ranges {
    from: u64,
    newest: u64,
    size: u64,
    most: u64,
}

impl Ranges {
    fn new(from: u64, newest: u64, most: u64) -> Self {
        Self { from, newest, size: most.max(1), most: most.max(1) }
    }

    /// The next one, both ends included.
    fn next(&self) -> Option<(u64, u64)> {
        (self.from <= self.newest).then(|| (self.from, self.newest.min(self.from.saturating_add(self.size - 1))))
    }

    /// The next one was read.
    fn read(&mut self) {
        if let Some((_, to)) = self.next() {
            self.from = to.saturating_add(1);
            self.size = self.size.saturating_mul(2).min(self.most);
        }
    }

    /// The next one is too long; false when it cannot be shorter.
    fn shorten(&mut self) -> bool {
        let length = self.next().map_or(1, |(from, to)| to - from + 1);
        self.size = (length / 2).max(1);
        length > 1
    }
}

/// An account as a topic has it.
fn topic(account: Address) -> B256 {
    account.into_word()
}

impl ChainPayDeals {
    /// All rails of the contract on which an account pays or is paid, in the order in which they were made. `told` is told how far it is
    /// read.
    ///
    /// # Errors
    /// When the node does not answer, or what a contract said cannot be understood.
    pub(crate) async fn rails_of(&self, account: Address, told: impl Fn(ReadSoFar)) -> anyhow::Result<Vec<RailState>> {
        let opened = self.opened_rails(account, told).await?;
        stream::iter(opened.into_iter().map(|(rail, payer, payee)| async move {
            let promised = self.view(&filecoin_pay_deals::promised(rail)).await?;
            let found = self.rail_at_filecoin_pay(rail).await?;
            let locked = found.map(|found| found.lockup_fixed);
            let end = found.map(|found| found.end_epoch).filter(|end| !end.is_zero());
            anyhow::Ok(RailState { rail, payer, payee, promised, locked, end })
        }))
        .buffered(AT_ONCE)
        .try_collect()
        .await
    }

    /// Numbers, payers and payees of the account's rails.
    async fn opened_rails(
        &self,
        account: Address,
        told: impl Fn(ReadSoFar),
    ) -> anyhow::Result<Vec<(U256, Address, Address)>> {
        let name = vec![keccak256("RailOpened(uint256,address,address)")];
        let with = |topics| Filter { addresses: vec![self.contract()], topics };
        let filters = [
            with(vec![name.clone(), Vec::new(), vec![topic(account)]]),
            with(vec![name, Vec::new(), Vec::new(), vec![topic(account)]]),
        ];
        let (newest, _) = self.head().await?;
        let most = self.endpoint().chain().config().max_range;
        let mut ranges = Ranges::new(self.first_block, newest, most);
        let (mut rails, mut failures) = (Vec::new(), 0);
        while let Some((from, to)) = ranges.next() {
            match self.logs_of(&filters, from, to).await {
                Ok(logs) if logs.len() >= MAX_LOGS && ranges.shorten() => {}
                Ok(logs) => {
                    for log in logs.iter().filter(|log| filters.iter().any(|filter| filter.matches(log))) {
                        if let Event::RailOpened { rail, payer, payee } =
                            filecoin_pay_deals::decode(&log.topics, &log.data)?
                        {
                            rails.push((rail, payer, payee));
                        }
                    }
                    failures = 0;
                    ranges.read();
                    told(ReadSoFar { block: to, newest });
                }
                Err(RpcError::Refused(_)) if ranges.shorten() => {}
                Err(error) if error.is_temporary() && failures < TRIES => {
                    failures += 1;
                    tracing::warn!(%error, "the log cannot be read now; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => return Err(self.endpoint().failed(error).into()),
            }
        }
        rails.sort_unstable();
        rails.dedup();
        Ok(rails)
    }

    async fn logs_of(&self, filters: &[Filter; 2], from: u64, to: u64) -> Result<Vec<Log>, RpcError> {
        let [payer, payee] = filters;
        let chain = self.endpoint().chain();
        let (mut logs, more) = tokio::try_join!(chain.logs(payer, from, to), chain.logs(payee, from, to))?;
        logs.extend(more);
        Ok(logs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rail_pays_until_its_end_and_what_is_idle_can_be_released() {
        let state = |needed: u64, locked: Option<u64>, end: Option<u64>| RailState {
            rail: U256::ONE,
            payer: Address::ZERO,
            payee: Address::ZERO,
            promised: Promised { needed: U256::from(needed), due: U256::ZERO },
            locked: locked.map(U256::from),
            end: end.map(U256::from),
        };
        assert!(state(1, Some(1), None).pays(u64::MAX));
        assert!(state(1, Some(1), Some(10)).pays(7) && !state(1, Some(1), Some(10)).pays(8));
        assert!(!state(1, None, None).pays(0), "it was wound up");
        assert_eq!([state(3, Some(5), None), state(3, None, None)].map(|rail| rail.idle()), [2, 0].map(U256::from));
    }

    #[test]
    fn every_block_is_read_once_in_ranges_that_nodes_answer() {
        let mut ranges = Ranges::new(5, 1_004, 400);
        let mut read = Vec::new();
        while let Some((from, to)) = ranges.next() {
            // This node answers for no more than 130 blocks.
            if to - from + 1 > 130 {
                assert!(ranges.shorten());
            } else {
                read.push((from, to));
                ranges.read();
            }
        }
        assert_eq!((read.first().map(|first| first.0), read.last().map(|last| last.1)), (Some(5), Some(1_004)));
        assert!(read.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{read:?}");
        let mut one = Ranges::new(7, 7, 400);
        assert!(!one.shorten(), "a block cannot be shortened");
        one.read();
        assert_eq!((one.next(), Ranges::new(8, 7, 400).next()), (None, None));
        let mut last = Ranges::new(u64::MAX, u64::MAX, 1);
        assert_eq!(last.next(), Some((u64::MAX, u64::MAX)));
        assert!(!last.shorten());
    }
}
