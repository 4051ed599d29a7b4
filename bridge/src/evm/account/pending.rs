//! What is on its way: found in a block, or missing.

use std::time::Instant;

use lota_market::{Address, AttoFil, agent::EffectKey};

use super::{
    LOOKS_ALIKE, Landed, MAX_FAILURES, MAX_LANDED, MAX_LEFT, MIN_MISSING, SendError, Sender, Watched, fees::Draft,
    findings::Findings,
};
use crate::{
    JournalError,
    evm::chain::{At, CallRequest, Config, Receipt, Refusal, RpcError, Sighting},
    journal::{MAX_PAGE, Sending, TransactionOutcome},
};

/// What is said of a transaction that failed in its block and would not fail after it.
const UNEXPLAINED: &str = "the state after it does not say why; it may be tried again";

/// What was found to have become of a transaction, and what those who wait for it are told.
type Finding = (u64, TransactionOutcome, Result<Landed, SendError>);

impl Sender {
    /// Counts a failure; those who wait are told when there were some.
    pub(super) fn failed(&mut self, error: &SendError) {
        self.chain.doubt();
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            tracing::info!(account = %self.account.address, %error, "transactions cannot be watched; trying again");
        } else {
            tracing::debug!(account = %self.account.address, %error, "transactions cannot be watched");
        }
        if self.failures >= MAX_FAILURES || !error.is_temporary() {
            self.watched.values_mut().for_each(|watched| watched.answer(&Err(error.clone())));
        }
    }

    /// Takes up what an earlier process left.
    pub(super) async fn adopt(&mut self) -> Result<(), SendError> {
        let latest = self.chain.latest().await?;
        let finalized = self.chain.finalized(&latest, true).await?;
        let taken = self.chain.pending_count(self.account.address).await?;
        self.used_before = self.used_at(finalized).await?;
        let ours = self.journal.next_nonce(self.account).await?;
        if let Some(ours) = ours.filter(|ours| *ours < self.used_before) {
            tracing::warn!(
                account = %self.account.address,
                "{} transactions were sent with this key that are not written down here: the node's folder is from a backup, \
                 or something else uses the key; new ones come after them",
                self.used_before - ours
            );
        }
        self.adopt_from(self.used_before).await?;
        self.take_up_left().await?;
        // Of nodes that count nothing that waits, at least what is in blocks for good.
        let _ = self.first_nonce.set(taken.max(self.used_before));
        self.adopted = true;
        Ok(())
    }

    /// Takes up some of those that landed for good while no process looked, or whose nonces went to something else: nobody may ever ask
    /// for them again, and each is to come to an end in the journal.
    async fn take_up_left(&mut self) -> Result<(), SendError> {
        let left = self.journal.pending_below(self.account, self.used_before).await?;
        self.has_left = left.len() > MAX_LEFT;
        for sending in left.into_iter().take(MAX_LEFT) {
            self.watched.entry(sending.nonce).or_insert_with(|| Watched::new(sending));
        }
        Ok(())
    }

    /// The transactions that may still be in no block: what an earlier process left and was used for good has taken its share already.
    pub(super) fn under_way(&self) -> impl Iterator<Item = &Watched> {
        self.watched.range(self.used_before..).map(|(_, watched)| watched)
    }

    pub(super) async fn adopt_from(&mut self, nonce: u64) -> Result<(), SendError> {
        let mut next = nonce;
        loop {
            let page = self.journal.since(self.account, next).await?;
            let is_last = page.len() < MAX_PAGE;
            for sending in page {
                next = sending.nonce + 1;
                self.watched.entry(sending.nonce).or_insert_with(|| Watched::new(sending));
            }
            if is_last {
                self.forget_oldest();
                return Ok(());
            }
        }
    }

    /// How many of the account's transactions are in blocks up to a number.
    async fn used_at(&self, block: u64) -> Result<u64, RpcError> {
        // Nodes may have nothing to say of an epoch without blocks.
        let header = self.chain.at_or_below(block).await?;
        self.chain.count(self.account.address, At::Block(header.number())).await
    }

    /// Lets go of the oldest transactions that landed, if too many wait to be final. One that a reorganisation undoes after all is
    /// sent again when it is submitted again.
    fn forget_oldest(&mut self) {
        let landed = self.watched.values().filter(|watched| watched.has_landed()).count();
        let oldest = self.watched.iter().filter(|(_, watched)| watched.has_landed()).map(|(nonce, _)| *nonce);
        let oldest: Vec<_> = oldest.take(landed.saturating_sub(MAX_LANDED)).collect();
        for nonce in oldest {
            self.let_go(nonce);
        }
    }

    /// Looks after everything that is on its way.
    pub(super) async fn look(&mut self) -> Result<(), SendError> {
        if !self.adopted {
            self.adopt().await?;
        }
        let mut left = self.watched.range(..self.used_before).map(|(_, watched)| watched.sending.outcome);
        if self.has_left && left.all(|outcome| outcome != TransactionOutcome::Pending) {
            self.take_up_left().await?;
        }
        if self.rests().await? {
            return Ok(());
        }
        let latest = self.chain.recent().await?;
        let finalized = self.chain.finalized(&latest, true).await?;
        let is_alike = self.seen.replace(latest.hash) == Some(latest.hash);
        self.alike = if is_alike { self.alike.saturating_add(1) } else { 0 };
        // Without a new block nothing can have landed, but the node may not have said all of the last one.
        let is_short = !self.alike.is_multiple_of(LOOKS_ALIKE)
            && self.watched.range(..self.used).all(|(_, watched)| watched.has_landed());
        if !is_short {
            self.used = self.chain.count(self.account.address, At::Latest).await?;
        }
        let used = self.used;
        // Unless the chain took back what was final.
        self.used_before = self.used_before.min(used);
        if self.is_gap(used) {
            // A reorganisation gave nonces back that were used for good: without them nothing later can land.
            self.adopt_from(used).await?;
        }
        self.close_gap(used).await?;
        let findings = Findings::gather(&self.chain, self.watched.range(..used)).await?;
        let mut found = Vec::new();
        for nonce in self.watched.range(..used).map(|(nonce, _)| *nonce).collect::<Vec<_>>() {
            found.extend(self.look_at_used(nonce, finalized, &findings).await?);
        }
        self.conclude(found, finalized).await?;
        for nonce in self.watched.range(used..).map(|(nonce, _)| *nonce).collect::<Vec<_>>() {
            self.look_at_unused(nonce, used, &latest, is_short).await?;
        }
        Ok(())
    }

    /// Whether everything landed in blocks of which it is known that they are on the chain; what is final is watched no more.
    async fn rests(&mut self) -> Result<bool, SendError> {
        let &Config { poll, block_time, .. } = self.chain.config();
        let known = self.chain.headers().within(block_time + 2 * poll);
        let Some(known) = known else { return Ok(false) };
        let mut landed = Vec::new();
        for (nonce, watched) in &self.watched {
            match watched.sending.outcome {
                TransactionOutcome::Landed { block, block_hash, .. }
                    if watched.has_landed() && self.chain.headers().holds(block, block_hash) == Some(true) =>
                {
                    landed.push((*nonce, block));
                }
                _ => return Ok(false),
            }
        }
        let finalized = self.chain.finalized(&known, true).await?;
        for (nonce, _) in landed.into_iter().filter(|(_, block)| *block <= finalized) {
            self.let_go(nonce);
        }
        Ok(true)
    }

    /// Takes up what the reader came across.
    pub(super) async fn take_sighted(&mut self) {
        if self.chain.has_several_nodes() {
            // One node's logs are a reason to look: what a transaction came to, two must say.
            let versions = self.watched.values().flat_map(|watched| &watched.sending.attempts);
            let sighted = versions.filter_map(|version| self.chain.sightings().take(version.hash)).count();
            if sighted > 0 {
                self.next_look = Instant::now();
            }
            return;
        }
        let mut found = Vec::new();
        for (nonce, watched) in &self.watched {
            let mut versions = watched.sending.attempts.iter().rev();
            let Some(sighting) = versions.find_map(|version| self.chain.sightings().take(version.hash)) else {
                continue;
            };
            let suffices = |from: Option<Address>| from.is_some_and(|from| sighting.complete.contains(&from));
            if !watched.waiting.iter().all(|request| suffices(request.call.result_from)) {
                // Somebody waits for all of its logs.
                self.next_look = Instant::now();
                continue;
            }
            let Sighting { transaction, block, block_hash, time, logs, .. } = sighting;
            let landed = Landed { transaction, block, block_hash, time, logs, created: None, fee: None };
            found.push((*nonce, TransactionOutcome::Landed { transaction, block, block_hash }, Ok(landed)));
        }
        if found.is_empty() {
            return;
        }
        let finalized = match self.chain.recent().await {
            Ok(latest) => self.chain.finalized(&latest, true).await.unwrap_or_default(),
            Err(_) => 0,
        };
        if let Err(error) = self.conclude(found, finalized).await {
            self.failed(&error);
        }
    }

    /// Writes down what was found, and tells those who wait.
    async fn conclude(&mut self, found: Vec<Finding>, finalized: u64) -> Result<(), SendError> {
        if found.is_empty() {
            return Ok(());
        }
        let outcomes: Vec<_> = found.iter().map(|(nonce, outcome, _)| (*nonce, *outcome)).collect();
        outcomes.iter().for_each(|(nonce, _)| self.pay(*nonce));
        match self.journal.settle_all(self.account, &outcomes).await {
            Ok(()) => outcomes.iter().for_each(|(nonce, outcome)| self.remember(*nonce, *outcome)),
            // One of them cannot be: the others can.
            Err(JournalError::KeyTaken(_)) => {
                for (nonce, outcome) in outcomes {
                    self.settle(nonce, outcome).await?;
                }
            }
            Err(error) => return Err(error.into()),
        }
        for (nonce, outcome, answer) in found {
            let Some(watched) = self.watched.get_mut(&nonce) else { continue };
            watched.answer(&answer);
            if let TransactionOutcome::Landed { block, .. } = outcome {
                (watched.missing, watched.missing_since) = (0, None);
                if watched.sending.outcome == outcome && block <= finalized {
                    self.let_go(nonce);
                }
            }
        }
        self.forget_oldest();
        Ok(())
    }

    /// Takes what a transaction cost at most out of what the account has at least.
    fn pay(&mut self, nonce: u64) {
        let newest = self.watched.get(&nonce).filter(|watched| watched.sending.outcome == TransactionOutcome::Pending);
        let cost = newest.and_then(|watched| watched.sending.attempts.last()).and_then(|newest| {
            let draft = Draft::of(newest)?;
            Some(draft.cost(newest.max_fee).0)
        });
        self.purse = self.purse.map(|purse| purse.saturating_sub(cost.unwrap_or_default()));
    }

    /// Watches a transaction no more.
    fn let_go(&mut self, nonce: u64) -> Option<Watched> {
        let watched = self.watched.remove(&nonce)?;
        watched.sending.attempts.iter().for_each(|version| self.chain.sightings().forget(version.hash));
        Some(watched)
    }

    fn remember(&mut self, nonce: u64, outcome: TransactionOutcome) {
        if let Some(watched) = self.watched.get_mut(&nonce) {
            watched.sending.outcome = outcome;
        }
    }

    /// Whether everything that is in no block waits for a nonce that is not watched.
    fn is_gap(&self, used: u64) -> bool {
        self.watched.range(used..).next().is_some_and(|(lowest, _)| used < *lowest)
    }

    /// Uses a nonce up that something else had taken and then dropped.
    async fn close_gap(&mut self, used: u64) -> Result<(), SendError> {
        if !self.is_gap(used) {
            self.gap = None;
            return Ok(());
        }
        let since = *self.gap.get_or_insert_with(Instant::now);
        if since.elapsed() < self.chain.config().fees.patience
            || self.chain.pending_count(self.account.address).await? > used
        {
            return Ok(());
        }
        self.chain.check_id().await?;
        tracing::warn!(nonce = used, account = %self.account.address, "nobody uses this nonce, and later ones wait for it; it is used for nothing");
        let (draft, price) = self.nothing(used).await?;
        let key = EffectKey::named(&format!("gap/{used}"));
        let attempts = vec![self.sign(&draft, price)?];
        let sending =
            Sending { key, content: Default::default(), nonce: used, attempts, outcome: TransactionOutcome::Pending };
        self.journal.begin(self.account, &sending).await?;
        self.watched.insert(used, Watched::new(sending));
        self.gap = None;
        Ok(())
    }

    pub(super) async fn settle(&mut self, nonce: u64, outcome: TransactionOutcome) -> Result<(), SendError> {
        match self.journal.settle(self.account, nonce, outcome).await {
            // A failed one that a reorganisation brought back, and whose effect was begun anew meanwhile.
            Err(JournalError::KeyTaken(_)) => return Ok(()),
            other => other?,
        }
        self.remember(nonce, outcome);
        Ok(())
    }

    /// A nonce that is in a block: by which version, or by what else?
    async fn look_at_used(
        &mut self,
        nonce: u64,
        finalized: u64,
        findings: &Findings,
    ) -> Result<Option<Finding>, SendError> {
        let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(None) };
        watched.unseen_since = None;
        if let TransactionOutcome::Landed { block, block_hash, .. } = watched.sending.outcome
            && watched.waiting.is_empty()
            && findings.is_canonical(block, block_hash)
        {
            if block <= finalized {
                self.let_go(nonce);
            }
            return Ok(None);
        }
        if watched.sending.outcome == TransactionOutcome::Failed {
            self.forget_if_final(nonce, finalized).await?;
            return Ok(None);
        }
        match findings.receipt(nonce) {
            Some(receipt) => Ok(self.found(nonce, receipt, findings).await),
            None => self.missing(nonce, finalized).await.map(|()| None),
        }
    }

    async fn forget_if_final(&mut self, nonce: u64, finalized: u64) -> Result<(), SendError> {
        if self.used_at(finalized).await? > nonce {
            self.let_go(nonce);
        }
        Ok(())
    }

    /// One version is in a block.
    async fn found(&self, nonce: u64, receipt: &Receipt, findings: &Findings) -> Option<Finding> {
        let watched = self.watched.get(&nonce)?;
        let transaction = receipt.transaction_hash;
        let version = watched.sending.attempts.iter().find(|attempt| attempt.hash == transaction);
        let draft = version.and_then(Draft::of)?;
        let is_filler = draft.content() != watched.sending.content;
        if receipt.succeeded() && !is_filler {
            // Not all of the node may know the block yet: then the next look does.
            let landed = findings.landed(transaction)?.clone();
            let (block, block_hash) = (receipt.block(), receipt.block_hash);
            return Some((nonce, TransactionOutcome::Landed { transaction, block, block_hash }, Ok(landed)));
        }
        let error = if is_filler {
            SendError::Failed("the node would not take it; its nonce was used for nothing".into())
        } else {
            self.why(&draft, receipt).await
        };
        Some((nonce, TransactionOutcome::Failed, Err(error)))
    }

    /// Why a transaction failed: what the same call says on the state after its block.
    async fn why(&self, draft: &Draft, receipt: &Receipt) -> SendError {
        let (to, value, data) = (draft.to, draft.value, draft.data.clone());
        let request = CallRequest { from: Some(self.account.address), to, value, data };
        match self.chain.call(&request, At::Block(receipt.block())).await {
            Err(RpcError::Refused(refusal)) => {
                let (transaction, block) = (receipt.transaction_hash, receipt.block());
                match self.refused(refusal, Some(block), AttoFil::ZERO, AttoFil::ZERO) {
                    SendError::Refused { refusal, .. } => SendError::Reverted { transaction, block, refusal },
                    other => other,
                }
            }
            Ok(_) => SendError::Reverted {
                transaction: receipt.transaction_hash,
                block: receipt.block(),
                refusal: Refusal { code: 0, message: UNEXPLAINED.to_owned(), data: None },
            },
            Err(_) => SendError::Failed(format!(
                "transaction {} was reverted in block {}: {UNEXPLAINED}",
                receipt.transaction_hash,
                receipt.block()
            )),
        }
    }

    /// The nonce is used, but by none of our versions, as far as the node knows.
    async fn missing(&mut self, nonce: u64, finalized: u64) -> Result<(), SendError> {
        let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(()) };
        watched.missing = watched.missing.saturating_add(1);
        if watched.missing < MIN_MISSING || self.used_at(finalized).await? <= nonce {
            return Ok(());
        }
        let patience = self.chain.config().fees.patience;
        let Some(watched) = self.watched.get_mut(&nonce) else { return Ok(()) };
        let since = *watched.missing_since.get_or_insert_with(Instant::now);
        let hashes: Vec<_> = watched.sending.attempts.iter().map(|attempt| attempt.hash).collect();
        for hash in hashes.iter().copied() {
            // Known, and its receipt is not there yet: sent again it could be done twice.
            if since.elapsed() < patience && self.chain.knows(hash).await? {
                return Ok(());
            }
        }
        self.chain.check_id().await?;
        if !self.chain.is_used_elsewhere(self.account.address, nonce, finalized, &hashes).await? {
            return Ok(());
        }
        tracing::warn!(nonce, account = %self.account.address, "a nonce was used by a transaction from elsewhere");
        self.settle(nonce, TransactionOutcome::Failed).await?;
        // Nobody knows what it cost, and what it did besides.
        (self.purse, self.counted) = (None, None);
        if let Some(watched) = self.let_go(nonce) {
            self.again.extend(watched.waiting);
        }
        Ok(())
    }
}
