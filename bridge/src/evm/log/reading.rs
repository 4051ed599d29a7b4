//! Asking for logs: which range, what the node makes of it, and whether the answer is whole.

use std::{collections::BTreeMap, sync::Arc};

use lota_market::Time;

use super::{
    EventLog, LogError, incomplete,
    pages::{Ahead, Found, Page, fetch, group, is_ahead, is_too_much},
};
use crate::evm::chain::RpcError;

impl<T: Send + 'static> EventLog<T> {
    /// The next range, and some blocks before it.
    fn range_from(&self, next: u64, latest: u64) -> (u64, u64) {
        // Only nodes that are not as far as the chain leave something out, and only there.
        let is_near = next.saturating_add(self.range.size) > latest;
        let look_back = if is_near { self.chain.config().look_back.min(self.range.size / 2) } else { 0 };
        let from = next.saturating_sub(look_back).max(self.dense_from.min(next));
        (from, latest.min(next.saturating_add(self.range.size - look_back - 1)))
    }

    /// The logs of a range: those that were asked for before, or new ones.
    async fn fetched(&mut self, from: u64, to: u64) -> Result<Vec<Found<T>>, RpcError> {
        if let Some(ahead) = self.ahead.take()
            && let Some(answer) = ahead.take(from, to).await
        {
            return answer;
        }
        fetch(&self.chain, &self.sources, &self.decode, from, to).await
    }

    /// Asks for the range after this one, unless it reaches to the newest block: by then there may be more.
    fn look_ahead(&mut self, to: u64, latest: u64) {
        let (from, to) = self.range_from(self.next.max(to + 1), latest);
        if to < latest {
            self.ahead = Some(Ahead::ask(&self.chain, Arc::clone(&self.sources), &self.decode, from, to));
        }
    }

    /// Reads the logs of the next range, of some blocks before it, and groups them. `None` when the node asked for less.
    pub(super) async fn read(&mut self, latest: u64) -> Result<Option<(Page<T>, u64, u64)>, LogError> {
        let (from, to) = self.range_from(self.next, latest);
        if self.sources.is_empty() {
            return Ok(Some((BTreeMap::new(), from, latest)));
        }
        if from > to {
            return Ok(Some((BTreeMap::new(), from, to)));
        }
        match self.fetched(from, to).await {
            Ok(logs) => {
                self.range.accepted(to - from + 1, logs.len());
                self.look_ahead(to, latest);
                Ok(Some((group(logs)?, from, to)))
            }
            Err(RpcError::Refused(refusal)) if is_ahead(&refusal) => {
                Err(RpcError::unavailable(format!("the node is behind: {}", refusal.message)).into())
            }
            Err(RpcError::Refused(refusal)) if is_too_much(&refusal) => {
                if self.range.refused(to - from + 1, &refusal.message) {
                    Ok(None)
                } else {
                    Err(RpcError::Refused(refusal).into())
                }
            }
            Err(error) => {
                self.range.lost();
                Err(error.into())
            }
        }
    }

    /// Whether a block that was read in part has what was read of it; only nodes that are behind the newest block leave something out.
    pub(super) fn check_resumed(&self, page: &Page<T>, to: u64, latest: u64) -> Result<(), RpcError> {
        let Some(position) = self.position.filter(|at| (self.next..=to).contains(&at.block) && at.index > 0) else {
            return Ok(());
        };
        let is_near = position.block.saturating_add(self.chain.config().look_back) >= latest;
        match page.get(&position.block) {
            Some(found) if found.hash == position.block_hash && (!is_near || found.index() >= position.index) => Ok(()),
            None if !is_near => Ok(()),
            _ => Err(incomplete(position.block)),
        }
    }

    /// The timestamps of the blocks of a page that are new.
    pub(super) async fn times(&self, page: &Page<T>) -> Result<Vec<Time>, RpcError> {
        let mut times = Vec::new();
        for (_, logs) in page.range(self.next..) {
            let unknown = || RpcError::unavailable(format!("the node does not know block {} any more", logs.hash));
            times.push(logs.time(&self.chain).await?.ok_or_else(unknown)?);
        }
        Ok(times)
    }
}
