//! Changes that notaries decide on.

use lota_market::{
    Address, B256, Bytes, Time, U256,
    blessing::{Ballot, Command, Limits, Signed},
    world::ContractCommand,
};
use rand::Rng;

use super::{Comparison, REFERENCE, generator::Generator};
use crate::party::masked;

impl Generator {
    pub(super) fn change(&mut self, both: &Comparison<'_>, at: Time) -> (Address, ContractCommand) {
        let sender = self.pick(&both.accounts);
        if self.chance(60) {
            let granter = if self.chance(90) { self.granter(both) } else { both.accounts[1] };
            return (sender, self.admission(both, at, granter, None));
        }
        let mut pool = both.accounts.clone();
        let count = self.rng.random_range(1..5);
        let mut list: Vec<Address> =
            (0..count).map(|_| pool.swap_remove(self.rng.random_range(0..pool.len()))).collect();
        list.retain(|account| !lota_market::model::is_masked_id(*account) || self.chance(50));
        if self.chance(8) {
            list.push(self.pick(&[Address::ZERO, both.accounts[0], masked(3)]));
        }
        let quorum = if self.chance(90) { self.rng.random_range(1..3) } else { self.pick(&[0, 5]) };
        let until = self.until(at);
        let decision = both.blessing().notaries().decisions;
        let what = Signed::Notaries { notaries: &list, quorum, decision, until };
        let ballots = self.ballots(both, &what, None, sender);
        (sender, Command::SetNotaries { notaries: list.clone(), quorum, until, ballots }.into())
    }

    pub(super) fn admission(
        &mut self,
        both: &Comparison<'_>,
        at: Time,
        granter: Address,
        count: Option<usize>,
    ) -> ContractCommand {
        // Two of the largest grants to one provider are too much in a period, and so are two to two of them: else the limits of
        // periods would seldom be met.
        let most = self.most();
        let mut limits = [most, most * 3 / 2, most * 7 / 4].map(U256::from);
        if self.is_ours && (count.is_some() || self.chance(50)) {
            // Else those of the pool would seldom be.
            limits = [most, 100 * most, 200 * most].map(U256::from);
        }
        let mut until = self.until(at);
        if count.is_none() {
            match self.rng.random_range(0..10) {
                0 => limits = [U256::ZERO; 3],
                1 => limits.swap(0, 1),
                2 => limits.swap(1, 2),
                3 => limits = [U256::ZERO, U256::ZERO, U256::from(5)],
                _ => {}
            }
        } else {
            until = at.after(1);
        }
        let [per_job, per_provider, per_period] = limits;
        let limits = Limits { per_job, per_provider, per_period };
        let decision = both.blessing().notaries().decisions;
        let what = Signed::Granter { granter, limits: &limits, decision, until };
        let ballots = self.ballots(both, &what, count, Address::ZERO);
        Command::SetGranter { granter, limits, until, ballots }.into()
    }

    fn until(&mut self, at: Time) -> Time {
        if self.chance(6) { Time(at.0 - 1) } else { at.after(self.rng.random_range(0..5)) }
    }

    /// Of notaries, mostly as many as decide, and rightly signed.
    fn ballots(
        &mut self,
        both: &Comparison<'_>,
        what: &Signed<'_>,
        count: Option<usize>,
        sender: Address,
    ) -> Vec<Ballot> {
        let notaries = both.blessing().notaries();
        let digest = lota_bridge::blessing::signed_digest(&REFERENCE, what);
        let quorum = notaries.quorum as usize;
        let count = count.unwrap_or_else(|| if self.chance(85) { quorum } else { self.rng.random_range(0..4) });
        let first = self.rng.random_range(0..notaries.list.len());
        let ring = notaries.list.iter().cycle().skip(first);
        let mut ballots: Vec<Ballot> = ring
            .take(count)
            .map(|notary| Ballot { notary: *notary, signature: both.cast.sign(*notary, &digest) })
            .collect();
        if let Some(own) = ballots.iter_mut().find(|ballot| ballot.notary == sender) {
            own.signature = Bytes::new();
        }
        if self.begun > self.beginning_length(both) {
            if self.chance(6) {
                let notary = self.pick(&both.accounts);
                ballots.push(Ballot { notary, signature: both.cast.sign(notary, &digest) });
            }
            if self.chance(6)
                && let Some(ballot) = ballots.first_mut()
            {
                ballot.signature = both.cast.sign(ballot.notary, &B256::repeat_byte(1));
            }
        }
        ballots
    }
}
