//! What a record comes to, in numbers.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use serde::Serialize;

use crate::{
    AttoFil,
    auction::Event as Bidding,
    model::{Event, Reason},
    world::{ContractEvent, Log},
};

/// Money of one party, in attoFIL (or the token's smallest unit), at the market and the auction together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Party {
    /// What was credited for money that came in.
    pub paid_in: AttoFil,
    /// What left for a wallet.
    pub taken_out: AttoFil,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub events: u64,
    pub jobs: u64,
    /// Jobs by their ends; those settled in a batch are under [`Tally::in_batches`].
    pub ends: BTreeMap<Reason, u64>,
    pub in_batches: u64,
    pub parties: BTreeMap<Address, Party>,
}

impl Tally {
    /// Counts an event; the contracts' own accounts are no parties.
    pub(super) fn count(&mut self, log: &Log, contracts: [Address; 2]) {
        self.events += 1;
        match &log.event {
            ContractEvent::Market(
                Event::JobSettled { reason, .. }
                | Event::JobCancelled { reason, .. }
                | Event::JobSlashed { reason, .. }
                | Event::JobVoided { reason, .. },
            ) => *self.ends.entry(*reason).or_default() += 1,
            ContractEvent::Market(Event::JobOpened { .. }) => self.jobs += 1,
            ContractEvent::Market(Event::BatchSettled { .. }) => self.in_batches += 1,
            ContractEvent::Market(Event::Deposited { account, amount, .. })
            | ContractEvent::Auction(Bidding::Funded { account, amount, .. })
                if !contracts.contains(account) =>
            {
                let paid_in = &mut self.parties.entry(*account).or_default().paid_in;
                paid_in.0 = paid_in.0.saturating_add(amount.0);
            }
            ContractEvent::Market(Event::Withdrawn { account, amount, .. })
            | ContractEvent::Auction(Bidding::Defunded { account, amount, .. }) => {
                let taken_out = &mut self.parties.entry(*account).or_default().taken_out;
                taken_out.0 = taken_out.0.saturating_add(amount.0);
            }
            _ => {}
        }
    }
}
