//! What a node says about transactions that are in blocks: asked for all of them at once.

use std::collections::{HashMap, HashSet};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use lota_market::B256;

use super::{Fee, Landed, MAX_CALLS, Watched};
use crate::{
    evm::chain::{Chain, Receipt, RpcError},
    journal::TransactionOutcome,
};

/// Receipts and blocks of transactions that are watched.
#[derive(Default)]
pub(super) struct Findings {
    /// By nonce.
    receipts: HashMap<u64, Receipt>,
    /// Blocks of transactions that landed, as far as they are still on the chain.
    canonical: HashSet<(u64, B256)>,
    /// What transactions came to, by their hashes.
    landed: HashMap<B256, Landed>,
}

impl Findings {
    /// Asks about transactions whose nonces are used.
    pub(super) async fn gather(
        chain: &Chain,
        watched: impl Iterator<Item = (&u64, &Watched)>,
    ) -> Result<Self, RpcError> {
        let mut findings = Self::default();
        let (mut blocks, mut searched) = (HashSet::new(), Vec::new());
        for (nonce, watched) in watched {
            match watched.sending.outcome {
                TransactionOutcome::Failed => {}
                TransactionOutcome::Landed { block, block_hash, .. } if watched.waiting.is_empty() => {
                    blocks.insert((block, block_hash));
                    searched.push((*nonce, watched, Some((block, block_hash))));
                }
                _ => searched.push((*nonce, watched, None)),
            }
        }
        let checked = blocks.into_iter().map(|(block, hash)| is_canonical(chain, block, hash).boxed());
        findings.canonical = all(checked.collect()).await?.into_iter().flatten().collect();
        searched.retain(|(_, _, block)| block.is_none_or(|block| !findings.canonical.contains(&block)));
        let receipts = searched.into_iter().map(|(nonce, watched, _)| receipt(chain, nonce, watched).boxed());
        findings.receipts = all(receipts.collect()).await?.into_iter().flatten().collect();
        let succeeded = findings.receipts.values().filter(|receipt| receipt.succeeded());
        let landed = all(succeeded.map(|receipt| landing(chain, receipt).boxed()).collect()).await?;
        findings.landed = landed.into_iter().flatten().map(|landed| (landed.transaction, landed)).collect();
        Ok(findings)
    }

    /// The receipt of the version of a nonce's transaction that is in a block.
    pub(super) fn receipt(&self, nonce: u64) -> Option<&Receipt> {
        self.receipts.get(&nonce)
    }

    /// What a transaction came to; `None` while the node does not know all of it.
    pub(super) fn landed(&self, transaction: B256) -> Option<&Landed> {
        self.landed.get(&transaction)
    }

    /// Whether a block that a transaction landed in is still on the chain.
    pub(super) fn is_canonical(&self, block: u64, hash: B256) -> bool {
        self.canonical.contains(&(block, hash))
    }
}

/// The results of calls that are made together, in any order.
async fn all<T, E>(calls: Vec<BoxFuture<'_, Result<T, E>>>) -> Result<Vec<T>, E> {
    stream::iter(calls).buffer_unordered(MAX_CALLS).try_collect().await
}

async fn is_canonical(chain: &Chain, block: u64, hash: B256) -> Result<Option<(u64, B256)>, RpcError> {
    Ok(chain.is_canonical(block, hash).await?.then_some((block, hash)))
}

/// The newest version first: it is the likeliest.
async fn receipt(chain: &Chain, nonce: u64, watched: &Watched) -> Result<Option<(u64, Receipt)>, RpcError> {
    for attempt in watched.sending.attempts.iter().rev() {
        if let Some(receipt) = chain.receipt(attempt.hash).await? {
            return Ok(Some((nonce, receipt)));
        }
    }
    Ok(None)
}

/// What a transaction came to; `None` while the node does not know all of it.
pub(super) async fn landing(chain: &Chain, receipt: &Receipt) -> Result<Option<Landed>, RpcError> {
    let time = match receipt.logs.first().and_then(|log| log.time()) {
        Some(time) => time,
        None => match chain.block_with_hash(receipt.block_hash).await? {
            Some(header) => header.time(),
            None => return Ok(None),
        },
    };
    Ok(Some(Landed {
        transaction: receipt.transaction_hash,
        block: receipt.block(),
        block_hash: receipt.block_hash,
        time,
        logs: receipt.logs.clone(),
        created: receipt.contract_address,
        fee: Some(Fee { gas_used: receipt.gas_used(), paid: receipt.fee() }),
    }))
}
