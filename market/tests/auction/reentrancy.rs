//! Nobody gets in while the auction calls out.

use lota_market::{
    Address, AttoFil, Bytes,
    auction::Command,
    model::{Command as MarketCommand, Status, Terms},
    world::{Call, CallError, ContractCommand, End, Script, ScriptedCall},
};

use crate::town::*;

fn call(contract: Address, command: impl Into<ContractCommand>, may_fail: bool) -> ScriptedCall {
    let call = Call { sender: CLIENT, contract, value: AttoFil::ZERO, command: command.into() };
    ScriptedCall { call, may_fail }
}

/// All commands; those that would do something if they were let in, do.
fn commands(terms: &Terms) -> Vec<Command> {
    let terms = || terms.clone();
    vec![
        Command::Fund,
        Command::FundToken { amount: AttoFil::ZERO },
        Command::Withdraw { to: CLIENT, amount: AttoFil::ZERO },
        Command::Commit { terms: terms(), commitment: Default::default() },
        Command::Reveal { terms: terms(), price: gwei(1_500), nonce: Default::default() },
        Command::Award { terms: terms() },
        Command::Cancel { terms: terms() },
        Command::Release { terms: terms() },
        Command::Sweep { terms: terms(), bidders: Vec::new() },
    ]
}

#[test]
fn a_client_that_is_called_back_by_a_cancellation_does_nothing_in_the_auction_and_may_open() {
    let terms = Terms { callback_gas: 100_000, ..terms(0) };
    let next = Terms { callback_gas: 100_000, ..crate::town::terms(1) };
    for inner in commands(&next) {
        let mut town = Town::new(1);
        town.env.coded.push(CLIENT);
        town.open(&terms);
        let open = MarketCommand::Open { terms: next.clone(), spec: Bytes::new() };
        let calls = vec![call(MARKET, open, false), call(AUCTION, inner.clone(), true)];
        let funds = town.auction().balance(CLIENT);
        town.env.scripts = [Script { calls, end: End::Return }].into();
        town.log.clear();
        town.act(CLIENT, Command::Cancel { terms: terms.clone() }).expect("nobody has bid");
        assert_eq!(town.news(), ["AuctionCancelled", "JobCancelled", "JobOpened", "CallbackDelivered"], "{inner:?}");
        assert_eq!(town.auction().balance(CLIENT), funds);
        assert_eq!(town.market().deal(job_of(&next)).status, Status::Open);
        assert_eq!(town.market().deal(job_of(&terms)).status, Status::None);
        // The same call, when it must not fail, is what the callback fails by, and the cancellation stands.
        town.env.scripts = [Script { calls: vec![call(AUCTION, inner, false)], end: End::Return }].into();
        town.act(CLIENT, Command::Cancel { terms: next.clone() }).expect("nobody has bid");
        assert_eq!(town.news(), ["AuctionCancelled", "JobCancelled", "CallbackFailed"]);
        town.commit_after(&terms);
        town.money_is_accounted_for();
    }
}

impl Town {
    /// The guard is open again.
    fn commit_after(&mut self, before: &Terms) {
        let terms = Terms { salt: before.salt + lota_market::U256::from(9), ..before.clone() };
        self.open(&terms);
        self.commit(&terms, bidder(0), gwei(1_500));
    }
}

#[test]
fn a_payee_does_nothing_in_the_auction_meanwhile() {
    let (ann, fund) = (bidder(0), Command::Fund);
    let mut town = Town::new(1);
    let inner = ScriptedCall {
        call: Call { sender: ann, contract: AUCTION, value: gwei(1), command: fund.into() },
        may_fail: false,
    };
    town.env.scripts = [Script { calls: vec![inner], end: End::Return }].into();
    let before = town.world.clone();
    let paid = town.act(ann, Command::Withdraw { to: ann, amount: gwei(5) });
    assert!(matches!(paid, Err(CallError::RejectedByAuction(_))), "{paid:?}");
    assert_eq!(town.world, before);
    town.act(ann, Command::Withdraw { to: ann, amount: gwei(5) }).expect("the guard is open again");
    town.money_is_accounted_for();
}

#[test]
fn a_client_that_is_called_back_by_the_market_cannot_have_a_job_awarded_but_may_bid() {
    let mut town = Town::new(2);
    let (auctioned, own) = (terms(0), Terms { callback_gas: 100_000, matcher: Address::ZERO, ..terms(1) });
    town.env.coded.push(CLIENT);
    town.open(&auctioned);
    town.open(&own);
    town.commit(&auctioned, bidder(0), gwei(1_500));
    town.env.now = REVEAL_FROM;
    town.reveal(&auctioned, bidder(0), gwei(1_500));
    town.env.now = REVEAL_UNTIL.after(1);
    let award = Command::Award { terms: auctioned.clone() };
    let calls = vec![call(AUCTION, award, true), call(AUCTION, Command::Fund, false)];
    town.env.scripts = [Script { calls, end: End::Return }].into();
    town.log.clear();
    town.ask_market(CLIENT, AttoFil::ZERO, MarketCommand::Cancel { terms: own }).expect("it is open");
    assert_eq!(town.news(), ["JobCancelled", "Funded", "CallbackDelivered"]);
    assert!(town.auction().auction(job_of(&auctioned)).best.is_some(), "nothing of the award has happened");
    town.money_is_accounted_for();
    assert_eq!(town.award(&auctioned), Ok(()));
}
