//! The contracts and their twins side by side.

use std::collections::BTreeMap;

use alloy::primitives::Log;
use lota_bridge::{
    StoredDeal,
    evm::{
        auction as contract,
        bindings::{self, Revert},
    },
};
use lota_market::{
    Address, AttoFil,
    auction::{Command, Event, Rejection, SealedBidAuction, deposit},
    model::{self, Terms},
    world::{Answer, Call, CallError, Conduct, ContractCommand, ContractEvent, End, Log as WorldLog},
};

use super::{AUCTION, AuctionMutant, MIN_REVEAL_PERIOD, RECENT, Step, contract_of};
use crate::{
    actors::ActorStep,
    beside::{Both, Difference, Stage, name_of, same},
    chain::{CHAIN_ID, CallOutcome, Currency},
    oracle::Oracle,
    party::{Behaviour, MARKET, Parties, Party},
    token::TOKEN,
};

pub(super) struct Comparison<'a> {
    pub(super) stage: Stage<'a>,
    pub(super) bidders: Vec<Address>,
    mutant: Option<AuctionMutant>,
    /// What a mutant thinks that accounts have more in the auction (or less), and at the market.
    amiss: BTreeMap<Address, i128>,
}

impl Both for Comparison<'_> {
    type Step = Step;

    fn perform(&mut self, step: &Step) -> Result<Vec<String>, Difference> {
        self.stage.begin(step.at, step.token.approval);
        let expected = self.expect(step);
        self.stage.learn(expected.as_deref().unwrap_or_default());
        self.stage.instruct(&step.script, &step.token);
        let (at, data) = match &step.command {
            ContractCommand::Market(command) => (MARKET, bindings::call_data(command)),
            ContractCommand::Auction(command) => (AUCTION, contract::call_data(command)),
            ContractCommand::Blessing(_)
            | ContractCommand::FilecoinPay(_)
            | ContractCommand::Granter(_)
            | ContractCommand::FilecoinPayDeals(_) => {
                return Err(Difference::new("which contract is asked: there is none such here", "", ""));
            }
        };
        let outcome = match self.stage.chain.execute_at(at, step.sender, step.value, data, step.at, CHAIN_ID) {
            CallOutcome::Done { logs, .. } => Ok(logs.iter().filter_map(read).collect::<Result<Vec<_>, _>>()?),
            CallOutcome::Reverted { data, changed } => {
                same("whether a refusal changes anything", &changed, &false)?;
                Err(refusal(at, &data))
            }
            CallOutcome::Halted(reason) => Err(reason),
        };
        same("the events, or the refusal", &outcome, &expected)?;
        self.compare()?;
        Ok(vec![match outcome {
            Ok(_) => name_of(&step.command),
            Err(refusal) => kind(&refusal),
        }])
    }
}

impl<'a> Comparison<'a> {
    #[expect(clippy::expect_used, clippy::panic, reason = "what cannot be deployed cannot be compared")]
    pub(super) fn new(cast: &'a Parties, currency: Currency, mutant: Option<AuctionMutant>) -> Self {
        let mut stage = Stage::new(cast, currency, false);
        if let Err(data) = stage.chain.deploy_at(AUCTION, contract::deployment(MARKET, MIN_REVEAL_PERIOD), |_| {}) {
            panic!("the auction cannot be deployed: {:?}", contract::revert(&data));
        }
        stage.world.deploy_auction(AUCTION, MARKET, MIN_REVEAL_PERIOD).expect("nobody is there");
        // Accounts, one with a masked id only among them, and contracts that take money.
        let can_bid = |party: &&Party| {
            matches!(party.behaviour, None | Some(Behaviour::Silent | Behaviour::Agreeable | Behaviour::Talkative))
        };
        let bidders = cast.parties.iter().filter(can_bid).map(|party| party.address).collect();
        Self { stage, bidders, mutant, amiss: BTreeMap::new() }
    }

    pub(super) fn auction(&self) -> &SealedBidAuction {
        #[expect(clippy::expect_used, reason = "`new` puts it there")]
        self.stage.world.auction(AUCTION).expect("is there from the beginning")
    }

    fn is(&self, mutant: AuctionMutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn expect(&mut self, step: &Step) -> Result<Vec<WorldLog>, String> {
        let conduct = self.conduct(step);
        let mut oracle = Oracle {
            cast: self.stage.cast,
            ids: &self.stage.ids,
            now: step.at,
            foreign_chain: None,
            script: &step.script,
            conduct: &conduct,
            mutant: None,
            pending: Default::default(),
            actors: &ActorStep::default(),
            recorded: Vec::new(),
        };
        let before = self.stage.world.auction(AUCTION).cloned();
        let mut log = Vec::new();
        let call = Call {
            sender: step.sender,
            contract: contract_of(&step.command),
            value: step.value,
            command: step.command.clone(),
        };
        let outcome = self.stage.world.execute(&call, &mut oracle, &mut log);
        if let Some(before) = before {
            self.misjudge(step, &before, &mut log);
        }
        match outcome {
            Ok(()) => Ok(log),
            Err(CallError::Rejected(rejection)) => Err(format!("{:?}", Rejection::Market(rejection))),
            Err(CallError::RejectedByAuction(rejection)) => {
                if self.is(AuctionMutant::LateCommit)
                    && let (
                        Rejection::Market(model::Rejection::TooLate { time, .. }),
                        ContractCommand::Auction(Command::Commit { terms, .. }),
                    ) = (&rejection, &step.command)
                    && *time == terms.ramp_start
                {
                    return Ok(Vec::new());
                }
                if self.is(AuctionMutant::CopiedCommitment) && matches!(rejection, Rejection::WrongReveal { .. }) {
                    return Ok(Vec::new());
                }
                Err(format!("{rejection:?}"))
            }
            Err(CallError::NotPayable { .. }) => Err(String::new()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// What the twin is told of the token.
    fn conduct(&self, step: &Step) -> Conduct {
        let mut conduct = step.token.conduct.clone();
        match self.mutant {
            Some(AuctionMutant::TokenBelieved) => (conduct.taken, conduct.given) = (None, None),
            Some(AuctionMutant::TokenUnheard) if conduct.answer == Answer::NotTrue => conduct.answer = Answer::True,
            _ => {}
        }
        conduct
    }

    /// Makes the mutant's mistake.
    fn misjudge(&mut self, step: &Step, before: &SealedBidAuction, log: &mut Vec<WorldLog>) {
        let Some(mutant) = self.mutant else { return };
        let ContractCommand::Auction(command) = &step.command else { return };
        let Some(terms) = command.terms() else { return };
        let stored = before.auction(self.stage.ids.of(terms));
        for WorldLog { event, .. } in log.iter_mut() {
            match (mutant, event) {
                (AuctionMutant::FirstPrice, ContractEvent::Auction(Event::AuctionAwarded { price, .. })) => {
                    *price = stored.best.map_or(*price, |best| best.price);
                }
                (AuctionMutant::KeptCollateral, ContractEvent::Auction(Event::AuctionAwarded { .. })) => {
                    if let Some(second) = stored.second {
                        *self.amiss.entry(second.bidder).or_default() -= terms.collateral.0 as i128;
                    }
                }
                (AuctionMutant::DepositToClient, ContractEvent::Auction(Event::CommitmentSwept { .. })) => {
                    *self.amiss.entry(terms.client).or_default() += deposit(terms).0 as i128;
                }
                (AuctionMutant::HopelessStake, ContractEvent::Auction(Event::BidRevealed { bidder, .. })) => {
                    let after =
                        self.stage.world.auction(AUCTION).map(|auction| auction.auction(self.stage.ids.of(terms)));
                    if after == Some(stored) {
                        *self.amiss.entry(*bidder).or_default() -= terms.collateral.0 as i128;
                    }
                }
                _ => {}
            }
        }
        if mutant == AuctionMutant::OpenGuard && matches!(command, Command::Cancel { .. }) && !log.is_empty() {
            // What the client with code tries in the auction would have been let in.
            let tried = step.script.calls.iter().filter(|scripted| scripted.call.contract == AUCTION).count();
            let called = terms.client == self.stage.cast.scripted().address && terms.callback_gas > 0;
            if tried > 0 && called && step.script.end == End::Return {
                log.pop();
            }
        }
    }

    fn compare(&mut self) -> Result<(), Difference> {
        let jobs: Vec<Terms> = self.stage.known.iter().rev().take(RECENT).cloned().collect();
        for terms in &jobs {
            let job = self.stage.ids.of(terms);
            let found = self.stage.chain.view_at(AUCTION, &contract::auction_of(job));
            let mut stored = self.auction().auction(job);
            if let (true, Some(best), Some(second)) = (self.is(AuctionMutant::LaterTie), stored.best, stored.second)
                && best.price == second.price
            {
                (stored.best, stored.second) = (Some(second), Some(best));
            }
            same("an auction", &found, &Ok(stored))?;
            let found = self.stage.chain.view_at(MARKET, &bindings::deal_of(job));
            same("a deal", &found, &Ok(StoredDeal::of(job, &self.stage.market().deal(job))))?;
            for bidder in self.bidders.clone() {
                let found = self.stage.chain.view_at(AUCTION, &contract::commitment_of(job, bidder));
                same("a sealed bid", &found, &Ok(self.auction().commitment(job, bidder)))?;
            }
        }
        let accounts: Vec<Address> = self.bidders.iter().copied().chain([self.stage.cast.scripted().address]).collect();
        for account in accounts {
            let found = self.stage.chain.view_at(AUCTION, &contract::balance_of(account));
            let amiss = self.amiss.get(&account).copied().unwrap_or_default();
            let balance = AttoFil(self.auction().balance(account).0.wrapping_add_signed(amiss));
            same(self.stage.cast.name(format_args!("the account of {account:?}")), &found, &Ok(balance))?;
            let found = self.stage.chain.view_at(MARKET, &bindings::balance_of(account));
            let name = self.stage.cast.name(format_args!("the balance of {account:?}"));
            same(name, &found, &Ok(self.stage.market().balance(account)))?;
        }
        let found = self.stage.chain.view_at(AUCTION, &contract::burned());
        same("what is burned", &found, &Ok(self.auction().burned()))?;
        let found = self.stage.chain.view_at(MARKET, &bindings::balance_of(AUCTION));
        same("what the auction has at the market", &found, &Ok(AttoFil::ZERO))?;
        let others = [self.stage.cast.scripted().address, AUCTION, MARKET, TOKEN];
        let outside: Vec<Address> = self.bidders.iter().copied().chain(others).collect();
        self.stage.compare_wallets(&outside, &[AUCTION, MARKET])?;
        let auction = self.auction();
        let free: u128 = auction.balances().map(|(_, balance)| balance.0).sum();
        same("the sum of all money", &auction.held().0, &(free + auction.staked().0 + auction.burned().0))?;
        let slots = auction.balances().count()
            + usize::from(auction.burned() != AttoFil::ZERO)
            + auction.auctions().map(|(_, stored)| 1 + usize::from(stored.second.is_some())).sum::<usize>()
            + auction.commitments().count();
        same("how many slots are used", &self.stage.chain.slots(AUCTION), &slots)
    }
}

/// A log of one of the two contracts.
fn read(log: &Log) -> Option<Result<WorldLog, Difference>> {
    let event = match log.address {
        MARKET => bindings::event(&log.data).map(ContractEvent::Market),
        AUCTION => contract::decode(log.data.topics(), &log.data.data).map(ContractEvent::Auction),
        _ => return None,
    };
    let unreadable = |error: bindings::Unreadable| Difference::new("a log", error.to_string(), "");
    Some(event.map(|event| WorldLog { contract: log.address, event }).map_err(unreadable))
}

/// What the contract at an address refuses, as the twin says it.
fn refusal(at: Address, data: &[u8]) -> String {
    if at == AUCTION {
        return match contract::revert(data) {
            Ok(rejection) => format!("{rejection:?}"),
            Err(_) if data.is_empty() => String::new(),
            Err(other) => format!("{other:?}"),
        };
    }
    match bindings::revert(data) {
        Revert::Rejected(rejection) => format!("{:?}", Rejection::Market(rejection)),
        _ if data.is_empty() => String::new(),
        other => format!("{other:?}"),
    }
}

/// The error's name.
fn kind(refusal: &str) -> String {
    if refusal.is_empty() {
        return "refused: not payable".into();
    }
    if refusal.starts_with("BadAuction") {
        return format!("refused: {refusal}");
    }
    if let Some(of_market) = refusal.strip_prefix("Market(") {
        let name = of_market.split(['(', ' ', ')']).next().unwrap_or_default();
        return format!("refused: Market({name}");
    }
    format!("refused: {}", refusal.split(['(', ' ', '{']).next().unwrap_or_default())
}
