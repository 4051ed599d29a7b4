//! Which command causes an event.

use alloy_primitives::{Address, B256, Bytes};

use super::{Oracle, Problem, Recorded, Replay};
use crate::{
    AttoFil, Time, auction,
    auction::Event as Bidding,
    model::{BatchEntry, Command, Event, JobId, JobResult, Reason, Receipt, Terms, Verdict, is_masked_id},
    world::{Call, ContractCommand, ContractEvent, MintError},
};

/// A call that causes an event.
pub(super) struct Step {
    pub(super) call: Call,
    /// Terms that are made up, and their id.
    pub(super) batch: Option<(Terms, JobId)>,
}

impl<O: Oracle> Replay<O> {
    /// The command that causes an event; `None` for an event that changes nothing and follows from nothing.
    pub(super) fn command_for(&mut self, event: &Recorded) -> Result<Option<Step>, Problem> {
        match &event.log.event {
            ContractEvent::Market(told) => self.of_market(told, event.time),
            ContractEvent::Auction(told) => self.of_auction(told).map(Some),
            ContractEvent::Blessing(_)
            | ContractEvent::FilecoinPay(_)
            | ContractEvent::Granter(_)
            | ContractEvent::FilecoinPayDeals(_) => Err(Problem::Foreign(event.log.contract)),
        }
    }

    fn of_market(&mut self, told: &Event, now: Time) -> Result<Option<Step>, Problem> {
        let mut value = AttoFil::ZERO;
        let mut batch = None;
        let own = |replay: &Self, job: JobId| replay.terms(job).cloned();
        let (sender, command) = match told {
            Event::Deposited { account, payer, amount } => {
                let (account, amount) = (*account, *amount);
                let is_token = self.pay(*payer, self.deployment.market, amount)?;
                if is_token {
                    (*payer, Command::DepositToken { account, amount })
                } else {
                    value = amount;
                    (*payer, Command::Deposit { account })
                }
            }
            Event::Withdrawn { account, to, amount } => (*account, Command::Withdraw { to: *to, amount: *amount }),
            Event::JobOpened { terms, spec, .. } => {
                // Who brings terms may be a masked id; nobody else may bring such an id.
                let parties = [terms.client, terms.matcher, terms.arbiter];
                let sender = parties.into_iter().find(|party| is_masked_id(*party)).unwrap_or(terms.client);
                let (terms, spec) = (terms.clone(), spec.clone());
                (sender, Command::OpenSigned { terms, spec, signature: Bytes::new() })
            }
            Event::JobLocked { job, provider, payer, price } => {
                let terms = own(self, *job)?;
                let command = if terms.matcher.is_zero() {
                    Command::Lock { terms }
                } else {
                    Command::Award { terms, provider: *provider, price: *price }
                };
                (*payer, command)
            }
            Event::ResultSubmitted { job, provider, result } => {
                (*provider, Command::SubmitResult { terms: own(self, *job)?, result: result.clone() })
            }
            Event::JobDisputed { job } => {
                let terms = own(self, *job)?;
                (terms.arbiter, Command::Dispute { terms })
            }
            Event::JobSettled { job, reason, .. }
            | Event::JobCancelled { job, reason }
            | Event::JobSlashed { job, reason, .. }
            | Event::JobVoided { job, reason, .. } => self.ending(*job, *reason, now)?,
            Event::CallbackDelivered { job } => {
                (Address::ZERO, Command::RetryCallback { terms: own(self, *job)?, receipt: self.receipt(*job) })
            }
            // Taken care of where it is due.
            Event::CallbackFailed { job } => return Err(Problem::NoCallbackDue(*job)),
            Event::BatchSettled { job, client, provider, salt, price, output, exit_code } => {
                let terms = Terms { client: *client, salt: *salt, ..nobodys_terms(*price) };
                let result = JobResult { output: *output, exit_code: *exit_code, ..JobResult::default() };
                let receipt = Receipt { provider: *provider, price: *price, result };
                batch = Some((terms.clone(), *job));
                let sender = if is_masked_id(*client) { *client } else { *provider };
                let entry = BatchEntry { terms, receipt, until: Time(u64::MAX), signature: Bytes::new() };
                (sender, Command::SettleBatch { entries: vec![entry] })
            }
            // It says that nothing happened.
            Event::BatchSkipped { .. } => return Ok(None),
            Event::SaltsRevoked { client, lane, up_to } => (*client, Command::Revoke { lane: *lane, up_to: *up_to }),
            Event::SpecPublished { data, .. } => (Address::ZERO, Command::PublishSpec { spec: data.clone() }),
            Event::Announced { party, url } => (*party, Command::Announce { url: url.clone() }),
        };
        let call = Call { sender, contract: self.deployment.market, value, command: command.into() };
        Ok(Some(Step { call, batch }))
    }

    /// Who ends a job so, and how.
    fn ending(&self, job: JobId, reason: Reason, now: Time) -> Result<(Address, Command), Problem> {
        let terms = self.terms(job)?.clone();
        let receipt = || self.receipt(job);
        let rule = |verdict| Command::Rule { terms: terms.clone(), receipt: receipt(), verdict };
        let anybody = Address::ZERO;
        Ok(match reason {
            Reason::Accepted => (terms.client, Command::Accept { receipt: receipt(), terms }),
            Reason::Unchallenged => (anybody, Command::Settle { receipt: receipt(), terms }),
            Reason::Upheld => (terms.arbiter, rule(Verdict::Upheld)),
            Reason::Overturned => (terms.arbiter, rule(Verdict::Overturned)),
            Reason::Undecided => (terms.arbiter, rule(Verdict::Void)),
            Reason::NotRuled => (anybody, Command::Lapse { receipt: receipt(), terms }),
            Reason::Withdrawn => {
                let sender = if terms.matcher.is_zero() { terms.client } else { terms.matcher };
                (sender, Command::Cancel { terms })
            }
            Reason::NotLocked => (anybody, Command::Expire { terms }),
            Reason::NotSubmitted => {
                let deal = self.market().deal(job);
                if now > terms.run_by(deal.since) {
                    (anybody, Command::Expire { terms })
                } else {
                    (deal.provider, Command::GiveUp { terms })
                }
            }
            // The one comes with a submission, the other with no end.
            Reason::Unreviewed | Reason::None => return Err(Problem::WrongReason(reason)),
        })
    }

    fn of_auction(&mut self, told: &Bidding) -> Result<Step, Problem> {
        use auction::Command as Ask;
        let (contract, mut value) = (self.auction_address(), AttoFil::ZERO);
        let own = |replay: &Self, job: JobId| replay.terms(job).cloned();
        let (sender, command) = match told {
            Bidding::Funded { account, amount, .. } => {
                if self.pay(*account, contract, *amount)? {
                    (*account, Ask::FundToken { amount: *amount })
                } else {
                    value = *amount;
                    (*account, Ask::Fund)
                }
            }
            Bidding::Defunded { account, to, amount } => (*account, Ask::Withdraw { to: *to, amount: *amount }),
            Bidding::BidCommitted { job, bidder, commitment, .. } => {
                (*bidder, Ask::Commit { terms: own(self, *job)?, commitment: *commitment })
            }
            Bidding::BidRevealed { job, bidder, price } => {
                (*bidder, Ask::Reveal { terms: own(self, *job)?, price: *price, nonce: B256::ZERO })
            }
            Bidding::AuctionAwarded { job, .. } => (Address::ZERO, Ask::Award { terms: own(self, *job)? }),
            Bidding::AuctionCancelled { job } => {
                let terms = own(self, *job)?;
                // Where others may, he may.
                (terms.client, Ask::Cancel { terms })
            }
            Bidding::AuctionReleased { job } => (Address::ZERO, Ask::Release { terms: own(self, *job)? }),
            Bidding::CommitmentSwept { job, bidder } => {
                (Address::ZERO, Ask::Sweep { terms: own(self, *job)?, bidders: vec![*bidder] })
            }
        };
        Ok(Step { call: Call { sender, contract, value, command: ContractCommand::Auction(command) }, batch: None })
    }

    /// Gives somebody what he lacks of the money that he brings to a contract, which nothing else tells of; says whether it is a
    /// token's.
    fn pay(&mut self, payer: Address, contract: Address, amount: AttoFil) -> Result<bool, Problem> {
        let asset = self.deployment.settings.asset;
        if asset.is_zero() {
            self.world.mint(payer, amount.saturating_sub(self.world.wallet(payer)))?;
            return Ok(false);
        }
        let lacking = amount.saturating_sub(self.world.token_wallet(asset, payer));
        match self.world.mint_token(asset, payer, lacking) {
            Err(MintError::TooMuch(problem)) => return Err(problem.into()),
            // It was deployed with the market.
            Ok(()) | Err(MintError::NoToken(_)) => {}
        }
        self.world.approve(asset, payer, contract, amount);
        Ok(true)
    }
}

/// Terms of which nothing is told but the price.
const fn nobodys_terms(price: AttoFil) -> Terms {
    Terms {
        client: Address::ZERO,
        salt: alloy_primitives::U256::ZERO,
        spec: B256::ZERO,
        spec_codec: 0x71,
        min_price: price,
        max_price: price,
        ramp_start: Time(0),
        ramp_period: 1,
        lock_by: Time(0),
        run_for: 0,
        review_for: 0,
        rule_for: 0,
        collateral: AttoFil::ZERO,
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 0,
        keep_record: false,
    }
}
