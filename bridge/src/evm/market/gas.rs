//! The gas that commands need besides what a node estimates.

use lota_market::{
    Address, auction,
    model::{Command, Settings, Terms},
};

use crate::{
    evm::{
        account,
        chain::{Chain, Network, RpcError},
    },
    transport,
};

/// The most clients of a batch that are looked up; of more, some are taken to be wallets.
const MAX_CLIENTS: usize = 16;

/// Two bids of two slots each that are written anew (20 k), and a balance that was empty (22 k), with a margin.
const RANKING: u64 = 60_000;

/// What must be left to pass on `gas` to a callee (EIP-150 passes on at most 63/64), and `reserve` beside it.
const fn to_pass_on(gas: u32, reserve: u32) -> u64 {
    gas as u64 + gas as u64 / 63 + 1 + reserve as u64
}

/// Terms whose client may be called back by a command.
fn ends_with_callback(command: &Command) -> Option<&Terms> {
    match command {
        Command::Cancel { terms }
        | Command::Expire { terms }
        | Command::GiveUp { terms }
        | Command::Accept { terms, .. }
        | Command::Settle { terms, .. }
        | Command::Rule { terms, .. }
        | Command::Lapse { terms, .. }
        | Command::RetryCallback { terms, .. } => (terms.callback_gas > 0).then_some(terms),
        // Without an arbiter it is settled at once.
        Command::SubmitResult { terms, .. } => (terms.callback_gas > 0 && terms.arbiter.is_zero()).then_some(terms),
        _ => None,
    }
}

/// Clients whose signatures a command carries.
fn signers(command: &Command) -> Vec<Address> {
    match command {
        Command::OpenSigned { terms, .. } | Command::OpenSignedAndLock { terms, .. } => vec![terms.client],
        Command::SettleBatch { entries } => entries.iter().map(|entry| entry.terms.client).collect(),
        _ => Vec::new(),
    }
}

/// A command and, if it is a multicall, those within it.
fn steps(command: &Command) -> Vec<&Command> {
    let mut steps = vec![command];
    let mut index = 0;
    while let Some(step) = steps.get(index) {
        if let Command::Multicall { calls } = step {
            steps.extend(calls);
        }
        index += 1;
    }
    steps
}

/// The most gas that a callback is retried with unless somebody says otherwise: twice what it may have been promised.
pub(super) const fn usual_retry(settings: &Settings) -> u64 {
    to_pass_on(settings.max_callback_gas, settings.callback_reserve).saturating_mul(2)
}

/// The gas that the market must have left to call others. Estimates contain what a callee used, not what it was promised, and
/// FEVM's do not search past a guard that reverts. The retry of a callback reverts when the callback fails, so that its estimate holds what
/// the callback needs, be it more than was promised: Ethereum's nodes search for it, FEVM's try it with all the gas of a block.
pub(super) async fn promised(chain: &Chain, settings: &Settings, command: &Command) -> Result<u64, RpcError> {
    let steps = steps(command);
    let callbacks = steps.iter().filter_map(|step| ends_with_callback(step));
    let mut promised = callbacks.map(|terms| to_pass_on(terms.callback_gas, settings.callback_reserve)).max();
    let mut clients: Vec<_> = steps.iter().flat_map(|step| signers(step)).collect();
    clients.sort_unstable();
    clients.dedup();
    let mut is_wallet = clients.len() > MAX_CLIENTS;
    for client in clients.into_iter().take(MAX_CLIENTS) {
        // Accounts sign by themselves; a wallet is asked, with gas.
        is_wallet = is_wallet || !chain.code(client).await?.is_empty();
    }
    if is_wallet {
        promised = promised.max(Some(to_pass_on(settings.signature_gas, settings.callback_reserve)));
    }
    Ok(promised.unwrap_or_default())
}

/// The same for a command to an auction, which calls the market with all that is left to it: a cancellation may call the client
/// back. What a reveal takes depends on those that land before it.
pub(super) async fn promised_through_auction(
    chain: &Chain,
    settings: &Settings,
    command: &auction::Command,
) -> Result<u64, RpcError> {
    match command {
        auction::Command::Reveal { .. } => Ok(ranking(Network::is_filecoin_id(chain.id()))),
        auction::Command::Cancel { terms } => {
            let at_market = promised(chain, settings, &Command::Cancel { terms: terms.clone() }).await?;
            Ok(at_market + at_market / 63 + 1)
        }
        _ => Ok(0),
    }
}

/// What a reveal may take more than when it was estimated: then it may have been the first, or hopeless, and now it moves the best bid
/// down, and gives a third bidder its collateral back, whose balance was empty. `is_filecoin`: there a call
/// takes some hundred times as much.
const fn ranking(is_filecoin: bool) -> u64 {
    if is_filecoin { RANKING * 100 } else { RANKING }
}

/// What an account must be able to pay for after a lock, so that what it reserves can be carried out. A result of the greatest size and a
/// settlement together take less than three locks (`contracts/snapshots`).
pub(super) fn reserved(settings: &Settings, reserve: transport::Reserve) -> account::Reserve {
    let transport::Reserve { commands, callback_gas } = reserve;
    if callback_gas == 0 {
        return account::Reserve { calls: commands, gas: 0 };
    }
    let callbacks = u128::from(callback_gas) * 64 / 63;
    let gas = callbacks.saturating_add(u128::from(commands) * (u128::from(settings.callback_reserve) + 1));
    account::Reserve { calls: commands, gas: gas.try_into().unwrap_or(u64::MAX) }
}

/// The same after a command of a bidder. One that brings money takes about half the gas of the others.
pub(super) fn reserved_beside_a_bid(
    settings: &Settings,
    command: &auction::Command,
    reserve: transport::Reserve,
) -> account::Reserve {
    let account::Reserve { calls, gas } = reserved(settings, reserve);
    let is_small = matches!(command, auction::Command::Fund | auction::Command::FundToken { .. });
    account::Reserve { calls: calls.saturating_mul(if is_small { 2 } else { 1 }), gas }
}

/// What a bid takes on Ethereum: `fund` of a new account, `commit`, `reveal` of the second-best and `award`
/// (`contracts/snapshots/auctions.json`), rounded up.
const BID_GAS: u64 = 280_000;
/// The same on Filecoin, where `fund` took 8.8 M, `commit` at most 18.1 M, `reveal` 12.9 M, `award` 46 M (docs/figures.md), rounded up.
const BID_GAS_ON_FILECOIN: u64 = 86_000_000;

/// The gas of all commands of a bid on a chain.
pub(super) fn of_a_bid(chain_id: u64) -> u64 {
    if Network::is_filecoin_id(chain_id) { BID_GAS_ON_FILECOIN } else { BID_GAS }
}

/// What an order takes beyond a lock on Ethereum: `take` of the first job of a pair, whose rail is made, and the first `pay` to a
/// provider, less `lock` (`contracts/snapshots`), rounded up.
const ORDER_GAS: u64 = 440_000;
/// The same on Filecoin with 2,000 deals under way: `take` on a rail that there is 162 M, making it 80 M, `pay` 57 M, and 8 M if that
/// is in coin (docs/granters.md).
const ORDER_GAS_ON_FILECOIN: u64 = 307_000_000;
/// Collateral in a token: the leave that the contract is given first, and what it does to bring the token into the market.
const TOKEN_GAS: u64 = 150_000;

/// The gas that an order takes on a chain beyond a lock at the market, whose amounts are in `asset`.
pub(super) fn of_an_order(chain_id: u64, asset: Address) -> u64 {
    let is_filecoin = Network::is_filecoin_id(chain_id);
    let of_token = match (asset.is_zero(), is_filecoin) {
        (true, _) => 0,
        (false, false) => TOKEN_GAS,
        (false, true) => TOKEN_GAS * 100,
    };
    of_token + if is_filecoin { ORDER_GAS_ON_FILECOIN } else { ORDER_GAS }
}

#[cfg(test)]
mod tests {
    use lota_market::AttoFil;

    use super::*;

    #[test]
    fn what_is_reserved_covers_results_settlements_and_callbacks() {
        let settings = Settings { callback_reserve: 20_000, signature_gas: 200_000, ..Settings::COIN };
        let reserved = |commands, callback_gas| reserved(&settings, transport::Reserve { commands, callback_gas });
        let in_all = |reserve: account::Reserve, lock: u64| u64::from(reserve.calls) * lock * 3 / 2 + reserve.gas;
        assert_eq!(in_all(reserved(0, 0), 50_000), 0);
        // Of docs/contracts.md: lock, submitResult with 1024 bytes, settle; with the margin that locks are sent with.
        let lock = 42_938 * 5 / 4;
        assert!(in_all(reserved(2, 0), lock) > 72_880 + 40_547);
        let called_back = in_all(reserved(4, 700_000), lock);
        assert!(called_back > 2 * (72_880 + 40_547) + to_pass_on(700_000, 20_000), "{called_back}");
        assert_eq!(reserved(u32::MAX, u64::MAX).gas, u64::MAX);
    }

    #[test]
    fn after_a_command_of_a_bidder_the_rest_of_the_bid_can_be_paid_for() {
        let bound = transport::Reserve { commands: 4, callback_gas: 0 };
        let reserved = |command: &auction::Command, gas: u64| {
            let reserve = reserved_beside_a_bid(&Settings::COIN, command, bound);
            u64::from(reserve.calls) * (gas * 5 / 4) * 3 / 2 + reserve.gas
        };
        // Of docs/contracts.md: commit, reveal, award, and a result of the greatest size.
        let rest = 83_175 + 67_047 + 78_320 + 73_080;
        assert!(reserved(&auction::Command::Fund, 28_614) > rest);
        let other = auction::Command::Withdraw { to: Address::ZERO, amount: AttoFil::ZERO };
        assert!(reserved(&other, 75_480) > rest);
    }

    fn measured(snapshot: &str, name: &str) -> u64 {
        let line = snapshot.lines().find(|line| line.contains(&format!("\"{name}\""))).expect("it was measured");
        line.rsplit('"').nth(1).expect("a value").parse().expect("a number")
    }

    #[test]
    fn an_order_takes_what_was_measured() {
        let granters = include_str!("../../../../contracts/snapshots/granters.json");
        let of = ["FilecoinPayDeals: take, the first of a pair", "FilecoinPay: pay, the first to a recipient"];
        let lock = measured(include_str!("../../../../contracts/snapshots/functions.json"), "lock");
        let beyond = of.map(|name| measured(granters, name)).iter().sum::<u64>() - lock;
        assert!((beyond..beyond * 11 / 10).contains(&ORDER_GAS), "{beyond}");
        let (coin, token) = (Address::ZERO, Address::repeat_byte(1));
        assert_eq!((of_an_order(31_337, coin), of_an_order(314, coin)), (ORDER_GAS, ORDER_GAS_ON_FILECOIN));
        assert_eq!(
            [31_337, 314].map(|id| of_an_order(id, token) - of_an_order(id, coin)),
            [TOKEN_GAS, 100 * TOKEN_GAS]
        );
    }

    #[test]
    fn a_bid_takes_what_was_measured() {
        let auctions = include_str!("../../../../contracts/snapshots/auctions.json");
        let of =
            ["fund", "auction of 2 bidders: commit, per bidder", "reveal, the second", "auction of 5 bidders: award"];
        // A new account takes a slot more.
        let all = of.map(|name| measured(auctions, name)).iter().sum::<u64>() + 17_100;
        assert!((all..all * 11 / 10).contains(&BID_GAS), "{all}");
        assert_eq!((of_a_bid(314), of_a_bid(31_337)), (BID_GAS_ON_FILECOIN, BID_GAS));
    }

    #[test]
    fn what_is_promised_is_what_63_of_64_parts_leave() {
        for gas in [0u32, 1, 63, 64, 900_000, u32::MAX] {
            let needed = to_pass_on(gas, 0);
            assert!(needed - needed / 64 >= u64::from(gas), "{gas}");
        }
    }
}
