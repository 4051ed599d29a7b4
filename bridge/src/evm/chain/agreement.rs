//! Whether several nodes say the same: about how far the chain is, about a block that lies deep, and about receipts.
//!
//! Of three or more the majority is right. Two that disagree are both wrong until they agree: nothing is read and nothing signed.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use futures::future::join_all;
use lota_market::{Address, B256};
use tokio::time::Instant;

use super::{
    Chain, Header, Height, Receipt, RpcError, choice::Fault, endpoints::Endpoints, requests::height_of, types::quantity,
};

/// For so long a node is waited for that is only compared with.
const LONGEST_COMPARISON: Duration = Duration::from_secs(10);

/// What a node has at a number: a block, or never one.
type Found = Option<B256>;

impl Endpoints {
    pub(super) async fn newest_at(&self, index: usize) -> Result<Option<Header>, RpcError> {
        self.nodes[index].request("eth_getBlockByNumber", ("latest", false)).await
    }

    /// What a node has at a number; `None` when it is not that far.
    pub(super) async fn hash_at(&self, index: usize, number: u64) -> Result<Option<Found>, RpcError> {
        let answer = self.nodes[index].request("eth_getBlockByNumber", (quantity(number), false)).await;
        Ok(match height_of(number, answer)? {
            Height::Block(header) => Some(Some(header.hash)),
            Height::Empty => Some(None),
            Height::Beyond => None,
        })
    }

    /// Compares what the nodes say, now and then. False when the one that said `latest` is not believed any more.
    ///
    /// # Errors
    /// When they disagree and there is no majority.
    async fn compare(self: &Arc<Self>, latest: &Header) -> Result<bool, RpcError> {
        let now = Instant::now();
        let known = self.top.fetch_max(latest.number(), Ordering::Relaxed);
        let has_dispute = self.dispute().is_some();
        {
            let mut next = self.next_comparison.lock().unwrap_or_else(PoisonError::into_inner);
            if !has_dispute && latest.number() >= known && next.is_some_and(|next| now < next) {
                return Ok(true);
            }
            *next = Some(now + self.interval);
        }
        let usable = self.choice().usable();
        let Some((present, others)) = usable.split_first() else { return self.undisputed() };
        if others.is_empty() {
            // There is nobody who knows of more.
            self.top.store(latest.number(), Ordering::Relaxed);
            return self.undisputed();
        }
        let heads = others.iter().map(|index| async move {
            let asked = self.ask::<_, Option<Header>>(*index, "eth_getBlockByNumber", ("latest", false));
            let Ok(head) = tokio::time::timeout(LONGEST_COMPARISON, asked).await else {
                let seconds = LONGEST_COMPARISON.as_secs();
                self.leave_aside(*index, Fault::Trouble, &format!("it does not answer within {seconds} s"));
                return None;
            };
            Some((*index, head.ok()??.number()))
        });
        let mut heads: Vec<_> = join_all(heads).await.into_iter().flatten().collect();
        heads.push((*present, latest.number()));
        if heads.len() < 2 {
            return self.undisputed();
        }
        let deep = heads.iter().map(|(_, number)| *number).min().unwrap_or_default().saturating_sub(self.depth);
        let votes = heads.iter().map(|(index, _)| async move {
            let found = self.hash_at(*index, deep).await.ok()??;
            Some((*index, found))
        });
        let mut votes: Vec<_> = join_all(votes).await.into_iter().flatten().collect();
        if votes.iter().any(|(_, found)| votes.first().is_some_and(|(_, first)| first != found)) {
            // That they are nodes of one chain was true when they were asked.
            let served = votes.iter().map(|(index, _)| self.serves_chain(*index));
            let served = join_all(served).await;
            let mut served = served.into_iter();
            votes.retain(|_| served.next().unwrap_or_default());
            if self.choice().is_aside(*present) {
                return Ok(false);
            }
        }
        if !self.count(*present, deep, &votes)? {
            return Ok(false);
        }
        heads.retain(|(index, _)| !self.choice().is_aside(*index));
        let lagging = self.lagging(&heads, now);
        heads.retain(|(index, _)| !lagging.contains(index));
        let top = heads.iter().map(|(_, number)| *number).max();
        self.top.store(top.unwrap_or_else(|| latest.number()), Ordering::Relaxed);
        Ok(!lagging.contains(present))
    }

    /// Leaves those aside that are behind for long: of three or more, when most of them are ahead.
    fn lagging(&self, heads: &[(usize, u64)], now: Instant) -> Vec<usize> {
        let mut lagging = Vec::new();
        for (index, own) in heads {
            let ahead = heads.iter().map(|(_, number)| *number).filter(|number| number > own);
            let are_enough = if heads.len() > 2 { ahead.clone().count() * 2 > heads.len() } else { true };
            let others = ahead.min().filter(|_| are_enough);
            if self.choice().lags(*index, *own, others, now, self.long) {
                let others = others.unwrap_or(*own);
                self.leave_aside(
                    *index,
                    Fault::Trouble,
                    &format!("it is behind, at block {own}; others are at {others}"),
                );
                lagging.push(*index);
            }
        }
        lagging
    }

    /// Counts what nodes said about a block.
    fn count(&self, present: usize, block: u64, votes: &[(usize, Found)]) -> Result<bool, RpcError> {
        if votes.len() < 2 {
            return self.undisputed();
        }
        let mut groups: HashMap<Found, usize> = HashMap::new();
        votes.iter().for_each(|(_, found)| *groups.entry(*found).or_default() += 1);
        if groups.len() == 1 {
            self.set_dispute(None);
            return Ok(true);
        }
        let Some((right, _)) = groups.iter().find(|(_, count)| **count * 2 > votes.len()) else {
            let names: Vec<_> = votes
                .iter()
                .map(|(index, found)| {
                    let found = found.map_or_else(|| "none".to_owned(), |hash| hash.to_string());
                    format!("{} has {found}", self.name(*index))
                })
                .collect();
            self.set_dispute(Some(format!(
                "the chain's nodes disagree about block {block}: {}; nothing is signed until they agree (see which is right, and leave the other out of `node.rpc`)",
                names.join(", ")
            )));
            return self.undisputed();
        };
        for (index, found) in votes {
            if found != right {
                self.leave_aside(
                    *index,
                    Fault::Disagreement,
                    &format!("it disagrees with most others about block {block}"),
                );
            }
        }
        self.set_dispute(None);
        Ok(!self.choice().is_aside(present))
    }

    fn dispute(&self) -> Option<String> {
        self.dispute.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_dispute(&self, dispute: Option<String>) {
        *self.dispute.lock().unwrap_or_else(PoisonError::into_inner) = dispute;
    }

    /// What was disputed stays so until the nodes agree: that one of them is away proves nothing.
    fn undisputed(&self) -> Result<bool, RpcError> {
        self.dispute().map_or(Ok(true), |dispute| Err(RpcError::unavailable(dispute)))
    }

    /// A transaction's receipt, of which a second node says the same, if there is one that answers.
    pub(super) async fn receipt(self: &Arc<Self>, transaction: B256) -> Result<Option<Receipt>, RpcError> {
        let (asked, found) = self.request_from("eth_getTransactionReceipt", (transaction,)).await?;
        let Some(found): Option<Receipt> = found else { return Ok(None) };
        let mut unlike: Vec<(usize, Option<Receipt>)> = Vec::new();
        let others: Vec<_> = self.choice().usable().into_iter().filter(|index| *index != asked).collect();
        for index in others {
            match self.receipt_at(index, transaction).await {
                Ok(Some(other)) if other.is_like(&found) => {
                    self.choice().confirmed(asked);
                    for (index, other) in unlike {
                        // Of another block it may be a fork; of the same one it is false.
                        if other.is_some_and(|other| other.block_hash == found.block_hash) {
                            self.leave_aside(
                                index,
                                Fault::Lie,
                                &format!("it disagrees with others about transaction {transaction}"),
                            );
                        }
                    }
                    return Ok(Some(found));
                }
                Ok(other) => unlike.push((index, other)),
                // It was left aside.
                Err(_) => {}
            }
        }
        let Some((other, said)) = unlike.first() else { return Ok(Some(found)) };
        let alike = |one: &Option<Receipt>, two: &Option<Receipt>| match (one, two) {
            (Some(one), Some(two)) => one.is_like(two),
            (None, None) => true,
            _ => false,
        };
        let are_most = unlike.len() > 1 && unlike.iter().all(|(_, more)| alike(said, more));
        let is_same_block = said.as_ref().is_some_and(|said| said.block_hash == found.block_hash);
        if are_most && (is_same_block || self.choice().contradicted(asked, Instant::now(), self.patience)) {
            self.leave_aside(
                asked,
                Fault::Lie,
                &format!("most others deny what it says about transaction {transaction}"),
            );
        }
        if are_most && is_same_block {
            return Ok(said.clone());
        }
        if said.is_none() {
            // It may be behind: as long as nobody confirms it, nothing is known of the transaction.
            return Ok(None);
        }
        let (one, two) = (self.name(asked), self.name(*other));
        Err(RpcError::unavailable(format!(
            "the chain's nodes {one} and {two} disagree about what became of transaction {transaction}"
        )))
    }
}

impl Chain {
    /// The newest block, of a node that says what the others say.
    pub(super) async fn agreed(&self) -> Result<Header, RpcError> {
        let endpoints = &self.inner.endpoints;
        for _ in 0..=endpoints.nodes.len() {
            let latest = self.newest().await?;
            match endpoints.compare(&latest).await {
                Ok(true) => {
                    if endpoints.take_change() {
                        self.doubt();
                    }
                    return Ok(latest);
                }
                Ok(false) => self.doubt(),
                Err(error) => {
                    self.doubt();
                    return Err(error);
                }
            }
        }
        Err(RpcError::unavailable("none of the chain's nodes is as far as the others"))
    }

    /// Whether all nodes say that a nonce was used up to a block, and none of them knows what became of these
    /// transactions. Whoever gives a transaction up must know: done twice, it may be paid for twice.
    ///
    /// # Errors
    /// [`RpcError`].
    pub(in crate::evm) async fn is_used_elsewhere(
        &self,
        account: Address,
        nonce: u64,
        block: u64,
        transactions: &[B256],
    ) -> Result<bool, RpcError> {
        let endpoints = &self.inner.endpoints;
        if !endpoints.are_several() {
            return Ok(true);
        }
        let usable = endpoints.choice().usable();
        let block = self.at_or_below(block).await?.number();
        for (place, index) in usable.iter().enumerate() {
            for transaction in transactions {
                if matches!(endpoints.receipt_at(*index, *transaction).await, Ok(Some(_))) {
                    if place > 0 {
                        let name = endpoints.name(*index);
                        let why = format!("it does not know what became of transaction {transaction}, and {name} does");
                        endpoints.leave_aside(usable[0], Fault::Trouble, &why);
                    }
                    return Ok(false);
                }
            }
            match endpoints.count_at(*index, account, block).await {
                Ok(count) if count <= nonce => return Ok(false),
                Err(RpcError::Refused(_)) => return Ok(false),
                // Of those that do not answer, which were left aside, nothing is known.
                _ => {}
            }
        }
        Ok(true)
    }
}
