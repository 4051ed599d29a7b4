//! Where the money is, and where the transition table of docs/protocol.md says that it goes.

use std::collections::BTreeMap;

use lota_market::model::Command;
use lota_market::{
    Address, AttoFil,
    model::{Event, Market, Reason, Status},
    world::{Call, ContractCommand, Log, World},
};

use crate::scene::{AUCTION, EVERYBODY, MARKET, Scene};

/// Whether all money is where the books say, to the last attoFIL, and as much as there was at the beginning.
#[must_use]
pub fn is_conserved(scene: &Scene, world: &World, minted: AttoFil) -> bool {
    let (Some(market), Some(auction)) = (world.market(MARKET), world.auction(AUCTION)) else { return false };
    let owned: u128 = world.wallets().map(|(_, amount)| amount.0).sum();
    if owned != minted.0 || world.minted() != minted {
        return false;
    }
    let (mut escrowed, mut collateral, mut staked) = (0, 0, 0);
    for (index, terms) in scene.jobs.iter().enumerate() {
        let deal = market.deal(Scene::job(index));
        let price = match deal.status {
            Status::Open => terms.max_price,
            Status::Locked => deal.price,
            Status::Submitted | Status::Disputed => deal.receipt.map_or(AttoFil::ZERO, |receipt| receipt.price),
            _ => AttoFil::ZERO,
        };
        escrowed += price.0;
        if matches!(deal.status, Status::Locked | Status::Submitted | Status::Disputed) {
            collateral += terms.collateral.0;
        }
        let running = auction.auction(Scene::job(index));
        staked += terms.collateral.0 * [running.best, running.second].iter().flatten().count() as u128;
    }
    let free =
        |balances: &mut dyn Iterator<Item = (Address, AttoFil)>| balances.map(|(_, amount)| amount.0).sum::<u128>();
    let at_market = free(&mut market.balances()) + escrowed + collateral + market.burned().0;
    let at_auction = free(&mut auction.balances()) + staked + auction.burned().0;
    (escrowed, collateral, staked) == (market.escrowed().0, market.collateral().0, auction.staked().0)
        && at_market == market.held().0
        && market.held() == world.wallet(MARKET)
        && at_auction == auction.held().0
        && auction.held() == world.wallet(AUCTION)
}

/// Whether free balances at the market changed as the transition table says for what the events tell; the amounts of a slash are
/// the table's, too.
#[must_use]
pub fn follows_the_table(scene: &Scene, before: &Market, after: &Market, log: &[Log]) -> bool {
    let mut expected: BTreeMap<Address, i128> = BTreeMap::new();
    let mut burned = 0;
    let mut add = |account: Address, amount: i128| *expected.entry(account).or_default() += amount;
    for event in log.iter().filter_map(|log| log.event.of_market()) {
        let terms = event.job().and_then(|job| scene.index_of(job)).and_then(|index| scene.jobs.get(index));
        let signed = |amount: AttoFil| i128::try_from(amount.0).unwrap_or(i128::MAX);
        match (event, terms) {
            (Event::Deposited { account, amount, .. }, _) => add(*account, signed(*amount)),
            (Event::Withdrawn { account, amount, .. }, _) => add(*account, -signed(*amount)),
            (Event::JobOpened { .. }, Some(terms)) => add(terms.client, -signed(terms.max_price)),
            (Event::JobLocked { payer, price, .. }, Some(terms)) => {
                add(terms.client, signed(terms.max_price) - signed(*price));
                add(*payer, -signed(terms.collateral));
            }
            (Event::JobSettled { provider, price, .. }, Some(terms)) => {
                add(*provider, signed(*price) + signed(terms.collateral));
            }
            (Event::JobCancelled { .. }, Some(terms)) => add(terms.client, signed(terms.max_price)),
            (Event::JobSlashed { job, to_client, to_arbiter, to_burn, reason, .. }, Some(terms)) => {
                let deal = before.deal(*job);
                let price = deal.receipt.map_or(deal.price, |receipt| receipt.price);
                let half = terms.collateral.0 / 2;
                let rest = terms.collateral.0 - half;
                let (arbiter, burn) = if *reason == Reason::Overturned { (rest, 0) } else { (0, rest) };
                if (to_client.0, to_arbiter.0, to_burn.0) != (price.0 + half, arbiter, burn) {
                    return false;
                }
                add(terms.client, signed(*to_client));
                add(terms.arbiter, signed(*to_arbiter));
                burned += to_burn.0;
            }
            (Event::JobVoided { provider, price, .. }, Some(terms)) => {
                add(terms.client, signed(*price));
                add(*provider, signed(terms.collateral));
            }
            (Event::BatchSettled { client, provider, price, .. }, _) => {
                add(*client, -signed(*price));
                add(*provider, signed(*price));
            }
            _ => {}
        }
    }
    let accounts = EVERYBODY.into_iter().chain([AUCTION, MARKET]);
    let changed = |account: Address| after.balance(account).0 as i128 - before.balance(account).0 as i128;
    accounts.into_iter().all(|account| changed(account) == expected.remove(&account).unwrap_or_default())
        && expected.values().all(|amount| *amount == 0)
        && after.burned().0 - before.burned().0 == burned
}

/// Whether somebody has less of his own afterwards, at the market, at the auction or in his wallet, though he neither sent the
/// call nor signed what it carries.
#[must_use]
pub fn robs_somebody(before: &World, after: &World, call: &Call) -> bool {
    let own = |world: &World, account| {
        [
            world.market(MARKET).map_or(AttoFil::ZERO, |market| market.balance(account)),
            world.auction(AUCTION).map_or(AttoFil::ZERO, |auction| auction.balance(account)),
            world.wallet(account),
        ]
    };
    EVERYBODY.into_iter().filter(|account| *account != call.sender).any(|account| {
        let fell = own(before, account).iter().zip(own(after, account)).any(|(before, after)| after < *before);
        fell && !is_signed_by(&call.command, account)
    })
}

/// Whether a command carries something that an account signed.
fn is_signed_by(command: &ContractCommand, account: Address) -> bool {
    fn in_command(command: &Command, account: Address) -> bool {
        match command {
            Command::OpenSigned { terms, .. } | Command::OpenSignedAndLock { terms, .. } => terms.client == account,
            Command::SettleBatch { entries } => entries.iter().any(|entry| entry.terms.client == account),
            Command::Multicall { calls } => calls.iter().any(|call| in_command(call, account)),
            _ => false,
        }
    }
    match command {
        ContractCommand::Market(command) => in_command(command, account),
        ContractCommand::Auction(_)
        | ContractCommand::Blessing(_)
        | ContractCommand::Granter(_)
        | ContractCommand::FilecoinPay(_)
        | ContractCommand::FilecoinPayDeals(_) => false,
    }
}
