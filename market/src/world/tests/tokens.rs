//! Markets that are paid in a token, and tokens that do something else than they should.

use alloy_primitives::U256;

use super::*;
use crate::model::{Callee, Rejection, tests::script::Nothing};

const TOKEN: Address = Address::repeat_byte(0x70);

/// A market for a token and, beside it, one for the chain's coin. Client and provider own 1000 of the token's gwei, of which the
/// market may take 700, and have 1000 in it.
fn bazaar() -> Town {
    let mut town = Town::new();
    let settings = Settings { asset: TOKEN, max_callback_gas: 1_000_000, ..Settings::COIN };
    town.world = World::new();
    town.world.deploy_token(TOKEN).expect("nothing is there");
    town.world.deploy(HERE, Contract::Market(Market::new(settings))).expect("nothing is there");
    town.world.deploy(THERE, Contract::Market(Market::new(Settings::COIN))).expect("nothing is there");
    for account in [CLIENT, PROVIDER] {
        town.world.mint_token(TOKEN, account, gwei(2_000)).expect("there is room");
        assert!(town.world.approve(TOKEN, account, HERE, gwei(1_700)));
        town.act(account, HERE, ZERO, deposit(account, 1_000)).expect("deposits");
        town.world.mint(account, gwei(100)).expect("there is room");
    }
    (town.env, town.log) = (Outside::default(), Vec::new());
    town
}

fn deposit(account: Address, amount: u64) -> Command {
    Command::DepositToken { account, amount: gwei(amount) }
}

fn permitted(account: Address, amount: u64) -> Command {
    let permit = Permit { deadline: U256::MAX, v: 27, r: B256::ZERO, s: B256::ZERO };
    Command::DepositTokenWithPermit { account, amount: gwei(amount), permit }
}

fn authorized(from: Address, amount: u64) -> Command {
    let (valid_after, valid_before) = (U256::ZERO, U256::MAX);
    let (nonce, r, s) = (B256::ZERO, B256::ZERO, B256::ZERO);
    let authorization = Authorization { valid_after, valid_before, nonce, v: 27, r, s };
    Command::DepositTokenWithAuthorization { from, amount: gwei(amount), authorization }
}

fn withdraw(to: Address, amount: u64) -> Command {
    Command::Withdraw { to, amount: gwei(amount) }
}

/// Wallet, allowance and balance of an account, in gwei.
fn of(town: &Town, account: Address) -> [u128; 3] {
    let amounts = [
        town.world.token_wallet(TOKEN, account),
        town.world.allowance(TOKEN, account, HERE),
        town.market(HERE).balance(account),
    ];
    amounts.map(|amount| amount.0 / 1_000_000_000)
}

fn rejected(rejection: Rejection) -> Result<(), CallError> {
    Err(CallError::Rejected(rejection))
}

/// Tries a call that is refused, and changes nothing.
fn refused(town: &mut Town, sender: Address, command: Command, rejection: Rejection) {
    let before = town.world.clone();
    assert_eq!(town.act(sender, HERE, ZERO, command.clone()), rejected(rejection), "{command:?}");
    assert_eq!(town.world, before, "{command:?}");
    assert_eq!(town.news(), [], "{command:?}");
}

#[test]
fn tokens_come_from_the_sender_who_approved_them() {
    let mut town = bazaar();
    town.act(CLIENT, HERE, ZERO, deposit(PROVIDER, 300)).expect("deposits");
    assert_eq!((of(&town, CLIENT), of(&town, PROVIDER)), ([700, 400, 1_000], [1_000, 700, 1_300]));
    let said = Event::Deposited { account: PROVIDER, payer: CLIENT, amount: gwei(300) };
    assert_eq!(town.log, [Log { contract: HERE, event: said.into() }]);
    assert_eq!((town.world.token_wallet(TOKEN, HERE), town.market(HERE).held()), (gwei(2_300), gwei(2_300)));
    assert_eq!(town.world.wallet(CLIENT), gwei(100), "no coin moves");
    town.news();
    let failed = || Rejection::TransferFailed(HERE);
    refused(&mut town, CLIENT, deposit(CLIENT, 401), failed());
    refused(&mut town, STRANGER, deposit(STRANGER, 1), failed());
    assert!(town.world.approve(TOKEN, CLIENT, HERE, AttoFil(u128::MAX)));
    refused(&mut town, CLIENT, deposit(CLIENT, 701), failed());
    town.act(CLIENT, HERE, ZERO, deposit(CLIENT, 700)).expect("deposits");
    assert_eq!(town.world.allowance(TOKEN, CLIENT, HERE), AttoFil(u128::MAX), "such an allowance does not shrink");
    town.act(CLIENT, HERE, ZERO, deposit(CLIENT, 0)).expect("nothing comes");
}

#[test]
fn a_permit_helps_and_one_that_fails_does_no_harm() {
    let mut town = bazaar();
    town.act(CLIENT, HERE, ZERO, permitted(CLIENT, 600)).expect("the allowance is enough");
    assert_eq!(of(&town, CLIENT), [400, 100, 1_600]);
    town.news();
    refused(&mut town, PROVIDER, permitted(PROVIDER, 701), Rejection::TransferFailed(HERE));
    town.env.signers = vec![CLIENT];
    town.act(CLIENT, HERE, ZERO, permitted(PROVIDER, 400)).expect("permitted");
    assert_eq!((of(&town, CLIENT), of(&town, PROVIDER)), ([0, 0, 1_600], [1_000, 700, 1_400]));
}

#[test]
fn an_authorization_credits_who_signed_it_whoever_brings_it() {
    let mut town = bazaar();
    refused(&mut town, STRANGER, authorized(CLIENT, 900), Rejection::TransferFailed(HERE));
    town.env.signers = vec![CLIENT];
    town.act(STRANGER, HERE, ZERO, authorized(CLIENT, 900)).expect("authorized");
    assert_eq!(of(&town, CLIENT), [100, 700, 1_900], "no allowance is used");
    let said = Event::Deposited { account: CLIENT, payer: CLIENT, amount: gwei(900) };
    assert_eq!(town.log.pop(), Some(Log { contract: HERE, event: said.into() }));
}

#[test]
fn the_other_asset_is_refused_before_anything_else() {
    let mut town = bazaar();
    for command in [deposit(Address::ZERO, 1), permitted(Address::ZERO, 1), authorized(Address::ZERO, 1)] {
        let outcome = town.act(CLIENT, THERE, ZERO, command.clone());
        assert_eq!(outcome, rejected(Rejection::WrongAsset(Address::ZERO)), "{command:?}");
        refused(&mut town, CLIENT, command, Rejection::InvalidRecipient);
    }
    let bad = Command::Open { terms: Terms { client: Address::ZERO, ..terms(0) }, spec: Bytes::new() };
    for (value, command) in [
        (ZERO, Command::Deposit { account: Address::ZERO }),
        (gwei(1), Command::Deposit { account: CLIENT }),
        (gwei(1), bad.clone()),
    ] {
        let outcome = town.act(CLIENT, HERE, value, command.clone());
        assert_eq!(outcome, rejected(Rejection::WrongAsset(TOKEN)), "{command:?}");
    }
    assert_eq!(town.world.wallet(CLIENT), gwei(100), "the coins are back");
    refused(&mut town, CLIENT, bad, Rejection::BadTerms(crate::model::TermsFault::ZeroClient));
    assert_eq!(
        Rejection::WrongAsset(Address::ZERO).to_string(),
        "this market's asset is the chain's coin, and this is for another"
    );
}

#[test]
fn jobs_are_paid_in_tokens() {
    let mut town = bazaar();
    let terms = Terms { arbiter: Address::ZERO, review_for: 0, rule_for: 0, callback_gas: 0, ..terms(0) };
    for (sender, command) in [
        (CLIENT, Command::Open { terms: terms.clone(), spec: Bytes::new() }),
        (PROVIDER, Command::Lock { terms: terms.clone() }),
        (PROVIDER, Command::SubmitResult { terms, result: result() }),
        (PROVIDER, withdraw(STRANGER, 1_100)),
    ] {
        town.act(sender, HERE, ZERO, command).expect("is accepted");
    }
    assert_eq!(of(&town, STRANGER)[0], 1_100);
    assert_eq!((town.world.token_wallet(TOKEN, HERE), town.market(HERE).held()), (gwei(900), gwei(900)));
    assert_eq!(town.env.called, [], "a payee of tokens is not called");
}

#[test]
fn what_a_token_says_is_believed_as_far_as_the_markets_own_wallet_bears_it_out() {
    let some = |amount| Some(gwei(amount));
    let honest = Conduct::default;
    let mismatch = |moved| Some(Rejection::TransferMismatch { asked: gwei(100), moved: gwei(moved) });
    let failed = |to| Some(Rejection::TransferFailed(to));
    // What becomes of a deposit of 100, and of a withdrawal of 100 to a stranger.
    for (what, conduct, deposited, withdrawn) in [
        ("honest", honest(), None, None),
        ("returns nothing", Conduct { answer: Answer::Nothing, ..honest() }, None, None),
        ("says no", Conduct { answer: Answer::NotTrue, ..honest() }, failed(HERE), failed(STRANGER)),
        ("reverts", Conduct { script: Script::ending(End::Revert), ..honest() }, failed(HERE), failed(STRANGER)),
        ("burns gas", Conduct { script: Script::ending(End::OutOfGas), ..honest() }, failed(HERE), failed(STRANGER)),
        // Who is paid less has chosen such a token; the market is not concerned.
        ("takes a fee", Conduct { given: some(99), ..honest() }, mismatch(99), None),
        ("takes a fee on top", Conduct { taken: some(101), ..honest() }, None, mismatch(101)),
        ("gives more", Conduct { given: some(105), ..honest() }, mismatch(105), None),
        ("moves nothing", Conduct { taken: some(0), given: some(0), ..honest() }, mismatch(0), mismatch(0)),
        ("moves more", Conduct { taken: some(200), given: some(200), ..honest() }, mismatch(200), mismatch(200)),
        ("takes what is not there", Conduct { taken: some(9_999), ..honest() }, failed(HERE), failed(STRANGER)),
    ] {
        for (command, wanted) in [(deposit(CLIENT, 100), deposited), (withdraw(STRANGER, 100), withdrawn)] {
            let mut town = bazaar();
            town.env.conduct = [conduct.clone()].into();
            match wanted {
                Some(rejection) => refused(&mut town, CLIENT, command, rejection),
                None => town.act(CLIENT, HERE, ZERO, command).unwrap_or_else(|error| panic!("{what}: {error}")),
            }
            assert_eq!(town.env.moved.len(), 1, "{what}");
            assert_eq!(town.world.token_wallet(TOKEN, HERE), town.market(HERE).held(), "{what}");
            let wallets: AttoFil = town.world.token_wallets(TOKEN).map(|(_, owned)| owned).sum();
            assert_eq!(wallets, town.world.token_minted(TOKEN), "{what}");
        }
    }
}

#[test]
fn paying_the_market_itself_moves_nothing() {
    let mut town = bazaar();
    let mismatch = Rejection::TransferMismatch { asked: gwei(5), moved: ZERO };
    refused(&mut town, CLIENT, withdraw(HERE, 5), mismatch);
}

#[test]
fn a_token_that_calls_back_finds_the_market_closed_and_others_open() {
    let inner = [
        deposit(CLIENT, 1),
        permitted(CLIENT, 1),
        authorized(CLIENT, 1),
        open(7),
        withdraw(CLIENT, 1),
        Command::Deposit { account: CLIENT },
        Command::Announce { url: "https://x.example".into() },
        Command::Multicall { calls: Vec::new() },
    ];
    for outer in [deposit(CLIENT, 100), permitted(CLIENT, 100), authorized(CLIENT, 100), withdraw(CLIENT, 100)] {
        for command in &inner {
            let mut town = bazaar();
            town.env.signers = vec![CLIENT];
            let callback = |sender, contract| Conduct {
                script: script([call(sender, contract, ZERO, command.clone())]),
                ..Conduct::default()
            };
            town.env.conduct = [callback(CLIENT, HERE)].into();
            let to = if matches!(outer, Command::Withdraw { .. }) { CLIENT } else { HERE };
            refused(&mut town, CLIENT, outer.clone(), Rejection::TransferFailed(to));
            // If the token does not mind, nothing but what was asked for has happened.
            let mut conduct = callback(TOKEN, HERE);
            conduct.script.calls[0].may_fail = true;
            town.env.conduct = [conduct].into();
            town.act(CLIENT, HERE, ZERO, outer.clone()).expect("the token minds its own business");
            assert_eq!(town.news().len(), 1, "{outer:?}, {command:?}");
        }
    }
    // The guard of one market is none for another.
    let mut town = bazaar();
    let elsewhere = call(CLIENT, THERE, gwei(3), Command::Deposit { account: CLIENT });
    town.env.conduct = [Conduct { script: script([elsewhere]), ..Conduct::default() }].into();
    town.act(CLIENT, HERE, ZERO, deposit(CLIENT, 100)).expect("deposits");
    assert_eq!(town.news(), [THERE, HERE].map(|market| (market, "Deposited".to_owned())));
}

#[test]
fn a_client_deposits_tokens_from_within_its_callback_and_the_token_finds_the_market_closed() {
    let mut town = bazaar();
    town.env.signers = vec![CLIENT];
    let done = town.submitted(HERE, 0);
    town.env.moved.clear();
    let reenter = || ScriptedCall { may_fail: true, ..call(CLIENT, HERE, ZERO, open(1)) };
    let hostile = || Conduct { script: script([reenter()]), ..Conduct::default() };
    town.env.conduct = [hostile(), hostile(), hostile()].into();
    let deposits = [deposit(CLIENT, 1), permitted(CLIENT, 1), authorized(CLIENT, 1)];
    let mut calls: Vec<ScriptedCall> = deposits.into_iter().map(|command| call(CLIENT, HERE, ZERO, command)).collect();
    // After them the market is open as it is in a callback: to open, and to nothing else.
    calls.push(call(CLIENT, HERE, ZERO, open(2)));
    calls.push(ScriptedCall { may_fail: true, ..call(CLIENT, HERE, ZERO, withdraw(CLIENT, 1)) });
    town.accept(HERE, &done, [script(calls)]);
    let names = ["JobSettled", "Deposited", "Deposited", "Deposited", "JobOpened", "CallbackDelivered"];
    assert_eq!(town.news(), names.map(|name| (HERE, name.to_owned())));
    assert_eq!(town.env.moved.len(), 3);
    let next = Terms { callback_gas: 100_000, ..terms(1) };
    assert_eq!(town.status(HERE, &next), Status::None, "the token could not open it");
}

#[test]
fn the_guard_stands_before_all_other_checks_of_token_deposits() {
    for asset in [TOKEN, Address::ZERO] {
        let mut market = Market::new(Settings { asset, ..Settings::COIN });
        for command in [deposit(Address::ZERO, 1), permitted(CLIENT, 1), authorized(CLIENT, 1)] {
            for (calling, closed) in [(Callee::Nobody, false), (Callee::Client, false), (Callee::Payee, true)] {
                market.calling = calling;
                let outcome = market.execute(CLIENT, ZERO, &command, &Nothing, &mut |_| ());
                assert_eq!(outcome.is_err_and(|error| error == Rejection::Reentered), closed, "{command:?}");
            }
        }
    }
}

#[test]
fn what_tokens_did_within_a_refused_multicall_has_not_happened() {
    let mut town = bazaar();
    town.env.signers = vec![CLIENT];
    let calls = vec![deposit(CLIENT, 100), permitted(CLIENT, 800), withdraw(STRANGER, 1_500), withdraw(CLIENT, 9_999)];
    let balance = gwei(400);
    let rejection = Rejection::InsufficientBalance { account: CLIENT, balance, needed: gwei(9_999) };
    refused(&mut town, CLIENT, Command::Multicall { calls }, rejection);
    assert_eq!(town.env.moved.len(), 3, "all three were made");
}

#[test]
fn a_token_is_no_client_and_takes_no_coins() {
    let mut town = bazaar();
    town.act(CLIENT, THERE, gwei(5), Command::Deposit { account: CLIENT }).expect("deposits");
    let outcome = town.act(CLIENT, THERE, ZERO, withdraw(TOKEN, 5));
    assert_eq!(outcome, rejected(Rejection::TransferFailed(TOKEN)));
}

#[test]
fn markets_are_deployed_with_sound_settings_only() {
    let mut town = bazaar();
    let market = |settings| Contract::Market(Market::new(settings));
    let bad = |fault| Err(DeployError::BadSettings(fault));
    let at = Address::repeat_byte(0xcc);
    let nobody = Settings { asset: STRANGER, ..Settings::COIN };
    assert_eq!(town.world.deploy(at, market(nobody)), bad(SettingsFault::Asset));
    let nothing = Settings { quantum: 0, ..Settings::COIN };
    assert_eq!(town.world.deploy(at, market(nothing)), bad(SettingsFault::Quantum));
    assert_eq!(town.world.deploy_token(HERE), Err(DeployError::Taken(HERE)));
    assert_eq!(town.world.deploy(TOKEN, market(Settings::COIN)), Err(DeployError::Taken(TOKEN)));
    assert_eq!(town.world.mint_token(STRANGER, CLIENT, gwei(1)), Err(MintError::NoToken(STRANGER)));
    assert!(!town.world.approve(STRANGER, CLIENT, HERE, gwei(1)));
    let most = AttoFil(u128::MAX);
    assert!(matches!(town.world.mint_token(TOKEN, CLIENT, most), Err(MintError::TooMuch(_))));
}
