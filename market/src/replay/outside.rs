//! What a replay is told from outside.

use alloy_primitives::{Address, B256, Bytes};

use crate::{
    Time,
    auction::Bid,
    model::{JobId, Signed, Terms},
    world::{Env, ExternalCall, Occasion, Script},
};

/// Hashes, which are not computed here.
pub trait Oracle {
    /// The EIP-712 digest of terms in the domain of the market.
    fn job_id(&self, market: Address, terms: &Terms) -> JobId;
    /// sha2-256 of a spec's bytes.
    fn spec_digest(&self, spec: &Bytes) -> B256;
}

/// The environment of a command that was found for an event.
pub(super) struct Outside<'a, O> {
    pub(super) oracle: &'a O,
    pub(super) now: Time,
    /// Whether callbacks succeed.
    pub(super) callbacks: bool,
    /// Terms that were made up for a settlement in a batch, which tells their id alone.
    pub(super) batch: Option<(Terms, JobId)>,
}

impl<O: Oracle> Env for Outside<'_, O> {
    fn now(&self) -> Time {
        self.now
    }

    fn job_id(&self, market: Address, terms: &Terms) -> JobId {
        match &self.batch {
            Some((made_up, job)) if made_up == terms => *job,
            _ => self.oracle.job_id(market, terms),
        }
    }

    fn spec_digest(&self, spec: &Bytes) -> B256 {
        self.oracle.spec_digest(spec)
    }

    /// Events do not carry signatures.
    fn signature_valid(&self, _: Address, _: Address, _: &Signed<'_>, _: &Bytes) -> bool {
        true
    }

    /// Every client is called: what is heard of it decides.
    fn has_code(&self, _: Address) -> bool {
        true
    }

    fn script(&mut self, call: &ExternalCall<'_>) -> Script {
        let is_payout = matches!(call.occasion, Occasion::Payout { .. });
        Script::accepting(is_payout || self.callbacks)
    }

    /// Events do not carry what opens a commitment.
    fn seals(&self, _: Address, _: B256, _: &Bid) -> bool {
        true
    }
}
