//! Having paid what was granted over rails of Filecoin Pay: a grant locks the money, and the payment is a call of anybody's.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
};

use futures::StreamExt as _;
use lota_bridge::evm::granters::rails::RailDue;
use lota_market::{Address, U256, agent::EffectKey, model::JobId};
use serde_json::json;

use super::{PAY, RETRY_AFTER, Service, ServiceError, TELL};
use crate::{
    alerts::{Alert, AlertKind},
    desk::{Change, Happened},
    payments::{Landed, Locked, PayError, Payer, Payment, PaymentState},
    store::{AuditNote, Batch, DuePayment},
};

/// The most rails that one transaction pays: on Ethereum some 73,000 gas each, and on Filecoin, where a block takes 10 G, up to 93 M.
const MAX_BATCH: usize = 32;
/// So many grants are looked at in one turn, and so many questions are under way at once.
const MAX_LOOKED_AT: u32 = 1_024;
const AT_ONCE: usize = 8;
/// What failed is tried again after so many seconds: twice as long each time, at most [`LONGEST`].
const FIRST: u64 = 30;
const LONGEST: u64 = 60 * 60;
/// So often, in seconds, a payment that is in a block is looked for before that is final.
const LOOK_AGAIN: u64 = 600;
/// So many rails that cannot be paid now are named.
const NAMED: usize = 3;

/// What the chain is asked about.
const RAILS: &str = "the rails of what was granted";

type By<'a> = &'a dyn Payer;

impl Service {
    /// Has paid, for ever.
    pub(super) async fn keep_paying(&self) -> Result<Infallible, ServiceError> {
        loop {
            let turn = self.pay_due().await;
            self.after_turn("payments", PAY, turn).await;
        }
    }

    /// Has paid what final grants left to be paid.
    pub(super) async fn pay_due(&self) -> Result<(), ServiceError> {
        let Some(payer) = self.parts.payer.as_deref() else { return Ok(()) };
        self.look_at_grants(payer).await?;
        // What was begun goes on first: it may have been sent before this process began.
        self.further_batches(payer).await?;
        let due = self.store.due_payments(MAX_LOOKED_AT).await?;
        for (granter, rails) in self.ripe(&due) {
            self.begin_batches(payer, granter, rails).await?;
        }
        self.further_batches(payer).await?;
        self.tell_what_is_stuck(&self.store.due_payments(MAX_LOOKED_AT).await?);
        Ok(())
    }

    /// Finds out which rails the final grants are due on.
    async fn look_at_grants(&self, payer: By<'_>) -> Result<(), ServiceError> {
        let unlooked = self.store.unlooked_payments(self.clock(), MAX_LOOKED_AT).await?;
        if unlooked.is_empty() {
            return Ok(());
        }
        let looks = unlooked.into_iter().map(|(job, granter)| self.look_at_grant(payer, job, granter));
        let looks: Vec<Result<Option<PayError>, ServiceError>> =
            futures::stream::iter(looks).buffer_unordered(AT_ONCE).collect().await;
        let failures = looks.into_iter().collect::<Result<Vec<_>, _>>()?;
        let failure = failures.into_iter().flatten().next();
        self.problem("what grants left to be paid", failure.map(|error| error.to_string()));
        Ok(())
    }

    async fn look_at_grant(
        &self,
        payer: By<'_>,
        job: JobId,
        granter: Address,
    ) -> Result<Option<PayError>, ServiceError> {
        let Some(granted) = self.store.final_course(job).await?.granted else { return Ok(None) };
        let locked = match payer.locked(granter, job, granted.transaction).await {
            Ok(locked) => locked,
            Err(error) => {
                // Those that cannot be looked at keep no others waiting.
                self.store.put_off(job, None, self.clock().after(RETRY_AFTER)).await?;
                return Ok(Some(error));
            }
        };
        self.store.keep_locked(job, locked, self.clock().after(self.parts.settings.pay_after)).await?;
        if locked.is_some() {
            self.changed(Change::Job(job));
        }
        Ok(None)
    }

    /// The rails of each granter that are to be paid now, with what is due on them; of those that failed the last time, each alone.
    fn ripe(&self, due: &[DuePayment]) -> BTreeMap<Address, Ripe> {
        let now = self.clock();
        let mut granters: BTreeMap<Address, Ripe> = BTreeMap::new();
        let mut is_due = BTreeSet::new();
        for payment in due {
            let (granter, rail) = (payment.granter, payment.locked.rail);
            let of = granters.entry(granter).or_default();
            if payment.failures == 0 {
                of.together.entry(rail).or_default().push((payment.job, payment.locked));
                if payment.try_at <= now {
                    is_due.insert(granter);
                }
            } else if payment.try_at <= now {
                of.alone.entry(rail).or_default().push((payment.job, payment.locked));
            }
        }
        for (granter, of) in &mut granters {
            if !is_due.contains(granter) && of.together.len() < MAX_BATCH {
                of.together.clear();
            }
            // Paying a rail pays all that is due there.
            of.together.retain(|rail, _| !of.alone.contains_key(rail));
        }
        granters
    }

    /// Looks at rails, and puts those that can be paid into batches.
    async fn begin_batches(&self, payer: By<'_>, granter: Address, ripe: Ripe) -> Result<(), ServiceError> {
        let mut payable = Vec::new();
        let rails = ripe.together.into_iter().map(|(rail, payments)| (rail, payments, false));
        let rails = rails.chain(ripe.alone.into_iter().map(|(rail, payments)| (rail, payments, true)));
        let mut looks = futures::stream::iter(rails.map(|(rail, payments, alone)| async move {
            (rail, payments, alone, payer.rail(granter, rail, None).await)
        }))
        .buffered(AT_ONCE);
        while let Some((rail, payments, alone, found)) = looks.next().await {
            if found.is_ok() {
                self.problem(RAILS, None);
            }
            match found {
                Ok(found) if found.due.is_zero() || !found.pays_in(self.next_block()) => {
                    self.end_or_put_off(payer, granter, (rail, &payments), found).await?;
                }
                Ok(_) => payable.push((rail, alone)),
                Err(error) => self.cannot_look(&payments, &error).await?,
            }
        }
        let together: Vec<U256> = payable.iter().filter(|(_, alone)| !alone).map(|(rail, _)| *rail).collect();
        for rails in together.chunks(MAX_BATCH) {
            self.store.begin_batch(granter, rails).await?;
        }
        for (rail, _) in payable.iter().filter(|(_, alone)| *alone) {
            self.store.begin_batch(granter, &[*rail]).await?;
        }
        Ok(())
    }

    fn next_block(&self) -> u64 {
        self.standing().latest.map_or(0, |latest| latest.block).saturating_add(1)
    }

    /// Nothing can be paid on a rail now: for good, if that is so at the newest final block, too.
    async fn end_or_put_off(
        &self,
        payer: By<'_>,
        granter: Address,
        (rail, payments): (U256, &[(JobId, Locked)]),
        now: RailDue,
    ) -> Result<(), ServiceError> {
        let finalized = self.standing().finalized;
        let before = match payer.rail(granter, rail, Some(finalized)).await {
            Ok(before) => before,
            Err(error) => return self.cannot_look(payments, &error).await,
        };
        if now.due.is_zero() {
            if !before.due.is_zero() {
                // Somebody's payment may still be undone.
                return self.put_off(payments, None).await;
            }
            return self.end(granter, payments, Ok(None)).await;
        }
        let why = match now.end {
            Some(end) => format!("rail {rail} pays no more: its payer terminated it, and it ended before block {end}"),
            None => format!("rail {rail} pays no more: its payer terminated it, and it was wound up"),
        };
        if before.pays_in(finalized) {
            return self.put_off(payments, Some(&why)).await;
        }
        let why = format!("{why}; what was due there went back to the payer");
        self.end(granter, payments, Err(&why)).await
    }

    /// The chain does not say how it stands with a rail: it is asked again.
    async fn cannot_look(&self, payments: &[(JobId, Locked)], error: &PayError) -> Result<(), ServiceError> {
        self.problem(RAILS, Some(error.to_string()));
        self.put_off(payments, None).await
    }

    async fn put_off(&self, payments: &[(JobId, Locked)], why: Option<&str>) -> Result<(), ServiceError> {
        for (job, _) in payments {
            self.store.put_off(*job, why, self.clock().after(RETRY_AFTER)).await?;
        }
        Ok(())
    }

    /// Sends what is in batches, and ends those that are final.
    async fn further_batches(&self, payer: By<'_>) -> Result<(), ServiceError> {
        let open = self.store.open_batches().await?;
        self.standing().landed.retain(|number, _| open.iter().any(|batch| batch.number == *number));
        let turns = futures::stream::iter(open.into_iter().map(|batch| self.further_batch(payer, batch)));
        let outcomes: Vec<Result<(), ServiceError>> = turns.buffer_unordered(AT_ONCE).collect().await;
        outcomes.into_iter().collect()
    }

    async fn further_batch(&self, payer: By<'_>, batch: Batch) -> Result<(), ServiceError> {
        let name = format!("payment {}", batch.number);
        let (landed, finalized) = {
            let standing = self.standing();
            (standing.landed.get(&batch.number).copied(), standing.finalized)
        };
        let is_final = landed.is_some_and(|landed| landed.block <= finalized);
        if !is_final && !self.may_try(&name) {
            return Ok(());
        }
        // The same again tells whether it is still there, and sends it again if a reorganisation undid it.
        let key = key_of(&batch);
        match payer.pay(&key, batch.granter, &batch.rails).await {
            Ok(landed) => {
                self.problem(&name, None);
                self.standing().landed.insert(batch.number, landed);
                if landed.block <= self.standing().finalized {
                    return self.end(batch.granter, &batch.payments, Ok(Some(landed))).await;
                }
                self.try_at(&name, self.clock().after(LOOK_AGAIN));
                self.store.batch_landed(batch.number, &landed).await?;
                batch.payments.iter().for_each(|(job, _)| self.changed(Change::Job(*job)));
                Ok(())
            }
            Err(PayError::Refused(why)) => {
                self.problem(&name, None);
                tracing::warn!("{name} of {} is refused: {why}", batch.granter);
                self.store.batch_refused(batch.number, &why, self.clock(), (FIRST, LONGEST)).await?;
                Ok(())
            }
            Err(PayError::Later(why)) => {
                self.problem(&name, Some(why));
                Ok(())
            }
        }
    }

    /// These were paid for good, in this transaction if that is known, or (`Err`) never will be.
    async fn end(
        &self,
        granter: Address,
        payments: &[(JobId, Locked)],
        outcome: Result<Option<Landed>, &str>,
    ) -> Result<(), ServiceError> {
        let (mut alerts, mut notes) = (Vec::new(), Vec::new());
        for (job, locked) in payments {
            let (alert, note) = self.told_of(granter, *job, locked, outcome);
            tracing::info!("{}", alert.text);
            alerts.push(alert);
            notes.push(note);
        }
        let jobs: Vec<JobId> = payments.iter().map(|(job, _)| *job).collect();
        self.store.end_payments(&jobs, outcome, (&alerts, &self.destinations, &notes)).await?;
        self.write_audit_log().await?;
        jobs.iter().for_each(|job| self.changed(Change::Job(*job)));
        self.wake(TELL);
        Ok(())
    }

    fn told_of(
        &self,
        granter: Address,
        job: JobId,
        &Locked { rail, amount }: &Locked,
        outcome: Result<Option<Landed>, &str>,
    ) -> (Alert, AuditNote) {
        let gross = self.amount(granter, amount);
        let (kind, action, text) = match outcome {
            Ok(landed) => {
                let by = landed.map_or_else(
                    || "by a call of somebody else's".to_owned(),
                    |landed| format!("in transaction {}", landed.transaction),
                );
                (AlertKind::Paid, "paid", format!("The grant of job {job}, {gross}, was paid over rail {rail} {by}."))
            }
            Err(why) => {
                (AlertKind::NotPaid, "not paid", format!("The grant of job {job}, {gross}, was not paid: {why}."))
            }
        };
        let transaction = outcome.ok().flatten().map(|landed| landed.transaction);
        let details = json!({
            "granter": granter, "rail": rail, "amount": amount, "transaction": transaction, "why": outcome.err(),
        });
        let alert = self.alert(format!("{job}/payment"), self.clock(), kind, Some(job), text, details.clone());
        (alert, self.note_of("service", action, job, details))
    }

    /// Says which rails cannot be paid now.
    fn tell_what_is_stuck(&self, due: &[DuePayment]) {
        let stuck: BTreeMap<(Address, U256), &str> = due
            .iter()
            .filter_map(|payment| Some(((payment.granter, payment.locked.rail), payment.why.as_deref()?)))
            .collect();
        let mut text: Vec<String> = stuck
            .iter()
            .take(NAMED)
            .map(|((granter, rail), why)| format!("rail {rail} of {}: {why}", self.name_of(*granter)))
            .collect();
        if stuck.len() > NAMED {
            text.push(format!("and {} rails more", stuck.len() - NAMED));
        }
        self.problem("payments that fail and are tried again", (!text.is_empty()).then(|| text.join("; ")));
    }

    fn name_of(&self, granter: Address) -> String {
        let named = self.parts.settings.granters.get(&granter);
        named.map_or_else(|| granter.to_string(), |named| named.name.clone())
    }

    /// The payment of a job's grant, and what happened to it.
    pub(super) async fn payment_of(&self, job: JobId) -> Result<(Option<Payment>, Option<Happened>), ServiceError> {
        let Some((payment, paid_at)) = self.store.payment(job).await? else { return Ok((None, None)) };
        let gross = self.amount(payment.granter, payment.amount);
        let (what, transaction, is_final) = match &payment.state {
            PaymentState::Due { .. } | PaymentState::Sent { transaction: None } => return Ok((Some(payment), None)),
            PaymentState::Sent { transaction } => ("paid", *transaction, false),
            PaymentState::Paid { transaction } => ("paid", *transaction, true),
            PaymentState::Lost { .. } => ("lost", None, true),
        };
        let what = format!("{what}: {gross}, less Filecoin Pay's fee of 0.5 %, over rail {}", payment.rail);
        let what = match &payment.state {
            PaymentState::Lost { why } => format!("not paid: {gross}: {why}"),
            PaymentState::Paid { transaction: None } => format!("{what}, by a call of somebody else's"),
            _ => what,
        };
        let at = paid_at.unwrap_or_default();
        Ok((Some(payment), Some(Happened { at, what, transaction, is_final })))
    }
}

/// Under which key a batch is sent. A journal may outlive the database: a number that comes again is not of the same jobs.
fn key_of(batch: &Batch) -> EffectKey {
    let jobs: Vec<u8> = batch.payments.iter().flat_map(|(job, _)| job.0).collect();
    let digest = hex::encode(&lota_content::sha2_256(&jobs)[..8]);
    EffectKey::named(&format!("payments/{}/{digest}", batch.number))
}

/// Rails with the jobs whose grants are due there.
#[derive(Debug, Default)]
struct Ripe {
    together: BTreeMap<U256, Vec<(JobId, Locked)>>,
    alone: BTreeMap<U256, Vec<(JobId, Locked)>>,
}
