//! Money outside the contracts, and contracts side by side.

use super::*;

#[test]
fn two_markets_share_the_wallets_and_the_log_and_nothing_else() {
    let mut town = Town::new();
    assert_eq!((town.world.wallet(CLIENT), town.world.wallet(HERE)), (gwei(1_000), gwei(2_000)));
    for market in [HERE, THERE] {
        town.act(CLIENT, market, gwei(50), open(7)).expect("a salt is spent in one market only");
    }
    let opened = ["Deposited", "JobOpened"].map(str::to_owned);
    let [deposited, opened] = opened;
    let wanted = [(HERE, deposited.clone()), (HERE, opened.clone()), (THERE, deposited), (THERE, opened)];
    assert_eq!(town.news(), wanted);
    let terms = Terms { callback_gas: 100_000, ..terms(7) };
    assert_ne!(job_at(HERE, &terms), job_at(THERE, &terms));
    assert_eq!(town.world.wallet(CLIENT), gwei(900));
    town.act(CLIENT, HERE, ZERO, Command::Cancel { terms: terms.clone() }).expect("cancels");
    assert_eq!((town.status(HERE, &terms), town.status(THERE, &terms)), (Status::Cancelled, Status::Open));
    assert_eq!((town.market(HERE).held(), town.market(THERE).escrowed()), (gwei(2_050), gwei(200)));
    // Each has its own settings.
    let dear = Command::Open {
        terms: Terms { callback_gas: 500_000, salt: terms.salt + terms.salt, ..terms },
        spec: Bytes::new(),
    };
    town.act(CLIENT, HERE, ZERO, dear.clone()).expect("opens");
    assert!(matches!(town.act(CLIENT, THERE, ZERO, dear), Err(CallError::Rejected(_))));
    assert_eq!(town.world.contracts().map(|(address, _)| address).collect::<Vec<_>>(), [HERE, THERE]);
}

#[test]
fn a_call_that_cannot_be_made_says_why_and_changes_nothing() {
    let mut town = Town::new();
    let before = town.world.clone();
    let deposit = || Command::Deposit { account: CLIENT };
    for (sender, contract, value, command, error) in [
        (CLIENT, STRANGER, ZERO, deposit(), CallError::NoContract(STRANGER)),
        (THERE, HERE, gwei(1), deposit(), CallError::SenderIsContract(THERE)),
        (HERE, HERE, ZERO, deposit(), CallError::SenderIsContract(HERE)),
        (
            CLIENT,
            HERE,
            gwei(1_001),
            deposit(),
            CallError::Unaffordable { account: CLIENT, wallet: gwei(1_000), needed: gwei(1_001) },
        ),
        (CLIENT, HERE, AttoFil(1), Command::Announce { url: "x".into() }, CallError::NotPayable { value: AttoFil(1) }),
        (
            CLIENT,
            HERE,
            gwei(1_000),
            Command::Deposit { account: Address::ZERO },
            CallError::Rejected(crate::model::Rejection::InvalidRecipient),
        ),
    ] {
        assert_eq!(town.act(sender, contract, value, command), Err(error));
        assert_eq!(town.world, before);
        assert_eq!(town.news(), []);
    }
    let bad = CallError::Unaffordable { account: CLIENT, wallet: gwei(1), needed: gwei(2) };
    assert!(bad.to_string().ends_with("owns 0.000000001 FIL and cannot send 0.000000002 FIL along"), "{bad}");
}

#[test]
fn contracts_are_deployed_once_and_not_while_something_may_be_undone() {
    let mut town = Town::new();
    let market = || Contract::Market(Market::new(Settings::COIN));
    assert_eq!(town.world.deploy(HERE, market()), Err(DeployError::Taken(HERE)));
    let savepoint = town.world.savepoint();
    assert_eq!(town.world.deploy(STRANGER, market()), Err(DeployError::SavepointOpen));
    town.world.keep(savepoint);
    assert_eq!(town.world.deploy(STRANGER, market()), Ok(()));
}

#[test]
fn there_is_no_more_money_than_can_be_counted() {
    let mut world = World::new();
    world.mint(CLIENT, AttoFil(u128::MAX - 5)).expect("just so much");
    world.mint(PROVIDER, AttoFil(5)).expect("all there can be");
    let error = TooMuchMoney { amount: AttoFil(1), minted: AttoFil(u128::MAX) };
    assert_eq!(world.mint(STRANGER, AttoFil(1)), Err(error));
    assert_eq!((world.wallet(STRANGER), world.minted()), (ZERO, AttoFil(u128::MAX)));
}

#[test]
fn money_that_is_forced_on_a_market_is_nobodys() {
    let mut town = Town::new();
    town.world.mint(HERE, AttoFil(7)).expect("there is room");
    assert_eq!((town.world.wallet(HERE).0, town.market(HERE).held()), (gwei(2_000).0 + 7, gwei(2_000)));
    for account in [CLIENT, PROVIDER] {
        let amount = gwei(1_000);
        town.act(account, HERE, ZERO, Command::Withdraw { to: account, amount }).expect("withdraws");
    }
    assert_eq!((town.world.wallet(HERE), town.market(HERE).held()), (AttoFil(7), ZERO));
}

#[test]
fn a_market_takes_no_payouts_and_no_callbacks() {
    let mut town = Town::new();
    for to in [HERE, THERE] {
        let outcome = town.act(CLIENT, HERE, ZERO, Command::Withdraw { to, amount: gwei(1) });
        assert_eq!(outcome, Err(CallError::Rejected(crate::model::Rejection::TransferFailed(to))));
    }
    assert_eq!(town.env.called, [], "there is nobody to ask what the contracts of this world do");
    // A client whose address a market gets later.
    let client = Address::repeat_byte(0xcc);
    town.act(CLIENT, HERE, gwei(500), Command::Deposit { account: client }).expect("a deposit");
    let terms = Terms { client, callback_gas: 100_000, ..terms(0) };
    town.act(client, HERE, ZERO, Command::Open { terms: terms.clone(), spec: Bytes::new() }).expect("opens");
    let market = Market::new(Settings::COIN);
    town.world.deploy(client, Contract::Market(market)).expect("nothing is there");
    town.env.now = terms.lock_by.after(1);
    town.news();
    town.act(STRANGER, HERE, ZERO, Command::Expire { terms }).expect("ends");
    assert_eq!(town.news().last().expect("two events").1, "CallbackFailed");
}
