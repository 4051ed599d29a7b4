//! What an agent wants done.

use core::fmt;

use alloy_primitives::{Bytes, U256};
use serde::{Deserialize, Serialize};

use super::{Job, Step, StepKey, Subject};
use crate::{
    AttoFil,
    filecoin_pay_deals::Order,
    model::{Command, JobId, MAX_SPEC},
};

/// The deterministic name of an effect: performing an effect again under the same key is harmless. Printable ASCII, at most
/// [`EffectKey::MAX_LEN`] bytes, such as `0x5c…/lock`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectKey(String);

impl EffectKey {
    /// The longest key, in bytes.
    pub const MAX_LEN: usize = 128;

    /// The key of a step. It is the same in every round: a command that was sent before a reorganisation is not sent a
    /// second time after it, unless it was undone.
    #[must_use]
    pub fn of(key: &StepKey) -> Self {
        let StepKey { subject, step, attempt, .. } = key;
        match step {
            // A callback that failed is another transaction each time.
            Step::RetryCallback => Self::named(&format!("{subject}/{step}/{attempt}")),
            // So is one that moves money between a party and its account in the auction.
            Step::FundBid | Step::WithdrawBid if matches!(subject, Subject::Party(_)) => {
                Self::named(&format!("{subject}/{step}/{attempt}"))
            }
            _ => Self::named(&format!("{subject}/{step}")),
        }
    }

    /// A key by name; what is not printable ASCII becomes `-`, and the end is cut off after [`EffectKey::MAX_LEN`] bytes.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(name.chars().take(Self::MAX_LEN).map(|c| if c.is_ascii_graphic() { c } else { '-' }).collect())
    }

    /// The job and the step, if it is the key of one of the [steps that bind](Step::BINDING).
    #[must_use]
    pub fn binding(&self) -> Option<(JobId, Step)> {
        let (subject, name) = self.0.split_once('/')?;
        let step = Step::BINDING.into_iter().find(|step| step.name() == name)?;
        match subject.parse() {
            Ok(Subject::Job(job)) => Some((job, step)),
            _ => None,
        }
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that whoever owns the agent is to do. Doing it twice is harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Do this step now. Its outcome goes back to the agent as [`Input::Done`](super::Input::Done). What it needs is in its
    /// subject's record: of commands to the market, see [`Job::submission`]; of the party's own, see
    /// [`Agent::transfer`](super::Agent::transfer).
    Do(StepKey),
    /// The job is over for this party, and its end will not be undone: nothing of it needs to be kept ready any more.
    Retire { job: JobId },
    /// This provider was slashed for good, and stops locking jobs until its operator resumes ([`Input::Resume`](super::Input::Resume)).
    Suspend {
        /// The job that it was slashed for.
        job: JobId,
    },
    /// A callback failed at this party's cost: [`Agent::costly_clients`](super::Agent::costly_clients) is to be stored.
    RememberCostlyClients,
    /// A client cancelled an auction at this party's cost: [`Agent::fickle_clients`](super::Agent::fickle_clients) is to be stored.
    RememberFickleClients,
    /// Money moves between the party and its account in the auction: [`Agent::purse`](super::Agent::purse) is to be stored.
    RememberPurse,
    /// A payer had an order fail at this party's cost: [`Agent::costly_payers`](super::Agent::costly_payers) is to be stored.
    RememberCostlyPayers,
}

/// A command to the market, and money from outside it to send along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    pub command: Command,
    pub value: AttoFil,
}

impl Job {
    /// The command of a step, made from the record; `None` for steps that are none.
    #[must_use]
    pub fn submission(&self, step: Step) -> Option<Submission> {
        let view = &self.view;
        let terms = || view.terms.clone();
        let mut value = AttoFil::ZERO;
        let command = match step {
            Step::FetchSpec | Step::TryOrder | Step::FetchInputs | Step::Run | Step::Publish | Step::Verify => {
                return None;
            }
            // To the auction: see [`Job::auction_submission`] and, of the party's own, [`Agent::transfer`](super::Agent::transfer).
            Step::FundBid
            | Step::CommitBid
            | Step::RevealBid
            | Step::Award
            | Step::ReleaseAuction
            | Step::WithdrawBid => return None,
            Step::Open => {
                let spec = self.order.as_ref().map_or_else(Bytes::new, |order| {
                    value = order.value;
                    if order.spec.len() <= MAX_SPEC { order.spec.clone() } else { Bytes::new() }
                });
                Command::Open { terms: terms(), spec }
            }
            Step::Cancel => Command::Cancel { terms: terms() },
            Step::Expire => Command::Expire { terms: terms() },
            // To `FilecoinPayDeals`: see [`Job::order_to_take`].
            Step::Lock if view.filecoin_pay.is_some() => return None,
            Step::Lock if view.terms.matcher.is_zero() => Command::Lock { terms: terms() },
            // Directed to this provider: a fixed offer, of which it takes the highest price.
            Step::Lock => {
                let (provider, price) = (view.terms.matcher, view.terms.max_price);
                Command::Award { terms: terms(), provider, price }
            }
            Step::GiveUp => Command::GiveUp { terms: terms() },
            Step::SubmitResult => {
                let result = self.work.as_ref().and_then(|work| work.result.clone()).unwrap_or_default();
                Command::SubmitResult { terms: terms(), result }
            }
            Step::Accept => Command::Accept { terms: terms(), receipt: view.receipt() },
            Step::Settle => Command::Settle { terms: terms(), receipt: view.receipt() },
            Step::Lapse => Command::Lapse { terms: terms(), receipt: view.receipt() },
            Step::RetryCallback => Command::RetryCallback { terms: terms(), receipt: view.receipt() },
        };
        Some(Submission { command, value })
    }

    /// The order of a `FilecoinPayDeals` that a step takes there, which is the job's matcher.
    #[must_use]
    pub fn order_to_take(&self, step: Step) -> Option<Order> {
        let order = self.view.filecoin_pay.as_ref().filter(|_| step == Step::Lock)?;
        Some(order.order(&self.view.terms))
    }

    /// The order that a step tries, and the price that it would be taken at, as far as that is known.
    #[must_use]
    pub fn order_to_try(&self, step: Step) -> Option<(Order, U256)> {
        let order = self.view.filecoin_pay.as_ref().filter(|_| step == Step::TryOrder)?.order(&self.view.terms);
        let from = self.work.as_ref().and_then(|work| work.worth_from);
        let price = from.map_or(order.min_price, |from| order.price_at(from));
        Some((order, price))
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256};

    use super::*;

    #[test]
    fn keys_are_what_journals_hold_and_the_same_in_every_round() {
        let of = |subject, step, round, attempt| EffectKey::of(&StepKey { subject, step, round, attempt }).to_string();
        let key = |step, round, attempt| of(Subject::Job(JobId(B256::repeat_byte(0xab))), step, round, attempt);
        let job = format!("0x{}", "ab".repeat(32));
        assert_eq!(key(Step::Lock, 0, 1), format!("{job}/lock"));
        assert_eq!(key(Step::SubmitResult, 3, 7), format!("{job}/submit-result"));
        assert_eq!(key(Step::RetryCallback, 1, 2), format!("{job}/retry-callback/2"));
        let party = of(Subject::Party(Address::repeat_byte(0xcd)), Step::Settle, 2, 1);
        assert_eq!(party, format!("party/0x{}/settle", "cd".repeat(20)));
        // Each transfer is another command.
        let transfer = of(Subject::Party(Address::repeat_byte(0xcd)), Step::FundBid, 0, 7);
        assert_eq!(transfer, format!("party/0x{}/fund-bid/7", "cd".repeat(20)));
    }

    #[test]
    fn keys_of_steps_that_bind_say_so() {
        let job = JobId(B256::repeat_byte(7));
        for step in [Step::Lock, Step::CommitBid, Step::RevealBid, Step::Open] {
            let key = EffectKey::of(&StepKey { subject: Subject::Job(job), step, round: 3, attempt: 2 });
            assert_eq!(key.binding(), Step::BINDING.contains(&step).then_some((job, step)));
        }
        let party = StepKey { subject: Subject::Party(Address::ZERO), step: Step::Lock, round: 0, attempt: 1 };
        assert_eq!(EffectKey::of(&party).binding(), None);
        assert_eq!(EffectKey::named("gap/7").binding(), None);
    }
}
