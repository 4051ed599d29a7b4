//! Granters of the blessing's own world.

use std::hash::{DefaultHasher, Hash, Hasher};

use lota_market::{
    Address, AttoFil, Bytes, Time, U256,
    blessing::{self, Choice, Command, Limit, Limits, Nomination, RATE_UNIT},
    filecoin_address::FilecoinAddress,
    filecoin_pay::{self, rails},
    granter::{
        self, ActorAnswer, BonusPool, Bounds, DeploymentFault, Event, Kind, MIN_DATACAP, PoolSettings, Rejection,
    },
    model,
    world::{Call, CallError, ContractEvent, DeployError, End, Script, ScriptedCall, World},
};

use crate::town::{
    ALLOCATOR, AMOUNT, BLESSING, NOMINATOR, PROVIDER, START, STRANGER, TOKEN, Town, ballots, grant, gwei, request, unit,
};

const POOL: Address = Address::repeat_byte(0xd1);
const ASKING: Address = Address::repeat_byte(0xd2);
const REGISTRY: Address = Address::repeat_byte(0xd3);
const META: Address = Address::repeat_byte(0xd4);
const SPONSORED: Address = Address::repeat_byte(0xd5);
const FILECOIN_PAY: Address = Address::repeat_byte(0xf1);
const SPONSOR: Address = Address::repeat_byte(0x77);
const HEIR: Address = Address::repeat_byte(0x55);
const PAYEE: Address = Address::repeat_byte(0x66);

fn settings(asset: Address) -> PoolSettings {
    let limits = Limits { per_job: unit(AMOUNT), per_provider: unit(AMOUNT), per_period: unit(AMOUNT + 1) };
    let bounds = Bounds { limits, period: 1_000 };
    PoolSettings { asset, bounds, remainder_to: HEIR, open_until: START.after(10_000) }
}

fn pool(asset: Address) -> Kind {
    Kind::Bonus(Box::new(BonusPool::new(settings(asset))))
}

/// A town in whose world all granters are, admitted; the provider is registered for them as [`PAYEE`].
fn town(is_token: bool) -> Town {
    let mut town = Town::new(is_token);
    let asset = if is_token { TOKEN } else { Address::ZERO };
    let meta = Kind::MetaAllocator { allocator: ALLOCATOR };
    for (at, kind) in [(POOL, pool(asset)), (ASKING, Kind::RequestOnly), (REGISTRY, Kind::Verifreg), (META, meta)] {
        admit(&mut town, at, kind);
    }
    if is_token {
        town.world.mint_token(TOKEN, STRANGER, gwei(100_000)).expect("there is room");
        town.world.approve(TOKEN, STRANGER, POOL, AttoFil(u128::MAX));
    } else {
        town.world.mint(STRANGER, gwei(100_000)).expect("there is room");
    }
    town.log.clear();
    town
}

/// A granter in the town's world, admitted; the provider is registered for it as [`PAYEE`].
fn admit(town: &mut Town, at: Address, kind: Kind) {
    town.world.deploy_granter(at, BLESSING, kind).expect("nothing is there");
    let most = U256::from(u128::MAX);
    let (limits, until) = (Limits { per_job: most, per_provider: most, per_period: most }, Time(u64::MAX));
    let admission = Command::SetGranter { granter: at, limits, until, ballots: ballots(0..2) };
    town.act(STRANGER, admission).expect("a quorum signed");
    register(town, at, PAYEE.as_slice());
}

fn register(town: &mut Town, granter: Address, recipient: &[u8]) {
    let (recipient, share_rate) = (Bytes::copy_from_slice(recipient), U256::from(RATE_UNIT / 10));
    town.act(PROVIDER, Command::Register { granter, recipient, share_rate, max_share: gwei(1) }).expect("registers");
}

fn nominate(town: &mut Town, salt: u64, granter: Address, amount: U256) -> Result<Nomination, CallError> {
    let (terms, receipt) = town.settled(salt, PROVIDER);
    let request = blessing::Request { granter, amount, ..request(AMOUNT) };
    let (known, receipt) = (Box::new(terms.clone()), Box::new(receipt));
    town.act(NOMINATOR, Command::Nominate { terms: known, receipt, request })?;
    Ok(town.running(&terms))
}

/// A nomination that may be granted now.
fn blessed(town: &mut Town, salt: u64, granter: Address, amount: U256) -> Nomination {
    let nomination = nominate(town, salt, granter, amount).expect("it could be granted");
    for by in 0..2 {
        town.vote(&nomination, by, Choice::Approve);
    }
    town.env.now = town.env.now.after(51);
    town.log.clear();
    nomination
}

fn ask(town: &mut Town, sender: Address, granter: Address, command: granter::Command) -> Result<(), CallError> {
    let is_fund = command == granter::Command::Fund;
    let value = if is_fund { gwei(AMOUNT) } else { AttoFil::ZERO };
    let call = Call { sender, contract: granter, value, command: command.into() };
    let before = town.world.clone();
    let outcome = town.world.execute(&call, &mut town.env, &mut town.log);
    assert!(outcome.is_ok() || town.world == before, "a refused command changed something");
    outcome
}

fn fund(town: &mut Town) {
    let amount = gwei(AMOUNT);
    let command = if town.is_token { granter::Command::FundToken { amount } } else { granter::Command::Fund };
    ask(town, STRANGER, POOL, command).expect("it is the pool's asset");
    let funded = Event::Funded { payer: STRANGER, amount };
    assert_eq!(town.log.pop().map(|log| (log.contract, log.event)), Some((POOL, funded.into())));
}

fn owned(town: &Town, account: Address) -> AttoFil {
    if town.is_token { town.world.token_wallet(TOKEN, account) } else { town.world.wallet(account) }
}

/// What the blessing says when the granter fails.
fn failure(town: &mut Town, nomination: &Nomination) -> [u8; 4] {
    let before = town.world.clone();
    town.act(STRANGER, grant(nomination)).expect("the blessing succeeds whatever the granter does");
    assert_eq!(town.world, before, "a granter that fails has changed nothing");
    let said: Vec<_> = town.log.drain(..).map(|log| log.event).collect();
    let [ContractEvent::Blessing(blessing::Event::GrantFailed { why, .. })] = &said[..] else {
        panic!("it should have failed: {said:?}")
    };
    why.0
}

#[test]
fn a_pool_pays_blessed_providers_and_counts_it() {
    for is_token in [false, true] {
        let mut town = town(is_token);
        fund(&mut town);
        let nomination = blessed(&mut town, 1, POOL, unit(AMOUNT));
        town.act(STRANGER, grant(&nomination)).expect("granted");
        assert_eq!(town.news(), ["other", "JobGranted"]);
        assert_eq!((owned(&town, PAYEE), owned(&town, POOL)), (gwei(AMOUNT), AttoFil::ZERO));
        let found = town.world.granter(POOL).and_then(|granter| granter.pool()).expect("is a pool");
        assert_eq!(found.left_for(PROVIDER, town.env.now), (U256::ZERO, unit(1)));
        assert_eq!(found.left_for(STRANGER, town.env.now), (unit(AMOUNT), unit(1)));
        assert_eq!(found.sums(), 2);
        town.money_is_accounted_for();

        // More in this period is refused when it is nominated, and so is more than is there in the next.
        let over = Rejection::OverLimit { limit: Limit::PerProvider, left: U256::ZERO, amount: unit(1) };
        let why = over.selector().into();
        let refused = blessing::Rejection::GrantRefused { granter: POOL, why };
        assert_eq!(nominate(&mut town, 2, POOL, unit(1)), Err(CallError::RejectedByBlessing(refused)));
        town.env.now = town.env.now.after(1_000);
        let why = Rejection::PoolEmpty { held: U256::ZERO, amount: unit(1) }.selector().into();
        let refused = blessing::Rejection::GrantRefused { granter: POOL, why };
        assert_eq!(nominate(&mut town, 3, POOL, unit(1)), Err(CallError::RejectedByBlessing(refused)));
    }
}

#[test]
fn a_payee_cannot_come_back_in_and_one_that_takes_nothing_gets_nothing() {
    let mut town = town(false);
    fund(&mut town);
    fund(&mut town);
    let nomination = blessed(&mut town, 1, POOL, unit(AMOUNT));
    town.env.scripts = [Script::ending(End::Revert)].into();
    let selector = Rejection::Market(model::Rejection::TransferFailed(PAYEE)).selector();
    assert_eq!(failure(&mut town, &nomination), selector);
    let back = |command: granter::Command| {
        let call = Call { sender: PAYEE, contract: POOL, value: AttoFil::ZERO, command: command.into() };
        [Script { calls: vec![ScriptedCall { call, may_fail: false }], end: End::Return }].into()
    };
    for command in [granter::Command::Fund, granter::Command::Close, granter::Command::CloseTo { to: PAYEE }] {
        town.env.scripts = back(command);
        assert_eq!(failure(&mut town, &nomination), selector);
    }
    // What is in between it may do.
    town.act(STRANGER, grant(&nomination)).expect("granted");
    assert_eq!(owned(&town, PAYEE), gwei(AMOUNT));
    town.money_is_accounted_for();
}

#[test]
fn only_the_blessing_has_something_granted() {
    let mut town = town(false);
    fund(&mut town);
    let nomination = blessed(&mut town, 1, POOL, unit(AMOUNT));
    let asked = granter::Command::Grant(Box::new(nomination.grant(Default::default())));
    for granter in [POOL, ASKING, REGISTRY, META] {
        let refused = CallError::RejectedByGranter(Rejection::NotTheBlessing(STRANGER));
        assert_eq!(ask(&mut town, STRANGER, granter, asked.clone()), Err(refused));
    }
    for granter in [ASKING, REGISTRY, META] {
        let none = CallError::NoSuchFunction(granter);
        assert_eq!(ask(&mut town, STRANGER, granter, granter::Command::Close), Err(none));
    }
    assert_eq!(
        ask(&mut town, BLESSING, POOL, asked),
        Err(CallError::SenderIsContract(BLESSING)),
        "nobody calls in its name"
    );
}

#[test]
fn what_is_left_goes_to_the_heir_when_the_pool_has_closed() {
    for is_token in [false, true] {
        let mut town = town(is_token);
        fund(&mut town);
        let until = settings(TOKEN).open_until;
        let open = CallError::RejectedByGranter(Rejection::PoolOpen(until));
        assert_eq!(ask(&mut town, STRANGER, POOL, granter::Command::Close), Err(open));
        town.env.now = until.after(1);
        let closed = Rejection::PoolClosed(until).selector().into();
        let refused = blessing::Rejection::GrantRefused { granter: POOL, why: closed };
        assert_eq!(nominate(&mut town, 1, POOL, unit(1)), Err(CallError::RejectedByBlessing(refused)));
        let to_another = granter::Command::CloseTo { to: STRANGER };
        let refused = CallError::RejectedByGranter(Rejection::NotEntitled(STRANGER));
        assert_eq!(ask(&mut town, STRANGER, POOL, to_another), Err(refused));
        for to in [Address::ZERO, POOL] {
            let refused = CallError::RejectedByGranter(model::Rejection::InvalidRecipient.into());
            assert_eq!(ask(&mut town, HEIR, POOL, granter::Command::CloseTo { to }), Err(refused));
        }
        ask(&mut town, STRANGER, POOL, granter::Command::Close).expect("anybody may");
        fund(&mut town);
        ask(&mut town, HEIR, POOL, granter::Command::CloseTo { to: PAYEE }).expect("as often as something comes in");
        assert_eq!((owned(&town, HEIR), owned(&town, PAYEE)), (gwei(AMOUNT), gwei(AMOUNT)));
        let wrong = if is_token { granter::Command::Fund } else { granter::Command::FundToken { amount: gwei(1) } };
        let asset = if is_token { TOKEN } else { Address::ZERO };
        town.world.mint(STRANGER, gwei(AMOUNT)).expect("there is room");
        let refused = CallError::RejectedByGranter(model::Rejection::WrongAsset(asset).into());
        assert_eq!(ask(&mut town, STRANGER, POOL, wrong), Err(refused));
        town.money_is_accounted_for();
    }
}

#[test]
fn what_actors_answer_decides() {
    let mut town = town(false);
    let amount = U256::from(MIN_DATACAP);
    let nomination = blessed(&mut town, 1, REGISTRY, amount);
    for (exit_code, rejection) in [
        (16, Rejection::AmountRefused(amount)),
        (17, Rejection::NotAVerifier),
        (18, Rejection::FilPlusEnded),
        (19, Rejection::RegistryFailed(19)),
        (-5, Rejection::RegistryFailed(-5)),
    ] {
        town.env.answers = [ActorAnswer { exit_code, returned: Bytes::new() }].into();
        assert_eq!(failure(&mut town, &nomination), rejection.selector(), "{exit_code}");
    }
    assert_eq!(failure(&mut town, &nomination), Rejection::NoBuiltinActors.selector());
    town.env.answers = [ActorAnswer::default()].into();
    town.env.asked.clear();
    town.act(STRANGER, grant(&nomination)).expect("granted");
    assert_eq!(town.news(), ["other", "JobGranted"]);
    let client = FilecoinAddress::delegated(PAYEE);
    assert_eq!(town.env.asked, [("AddVerifiedClient".to_owned(), client, amount)]);
}

#[test]
fn a_meta_allocator_is_believed_as_far_as_the_clients_datacap_goes() {
    let mut town = town(false);
    let (amount, balance) = (U256::from(MIN_DATACAP), |bytes: u64| {
        let digits = (U256::from(bytes) * U256::from(10_u64.pow(18))).to_be_bytes_trimmed_vec();
        let head = 0x41 + digits.len() as u8;
        let returned = if bytes == 0 { vec![0x40] } else { [&[head, 0][..], &digits].concat() };
        ActorAnswer { exit_code: 0, returned: returned.into() }
    });
    for (allowance, selector) in [
        (Ok(amount - U256::from(1)), Rejection::AllowanceTooSmall { allowance: amount, amount }.selector()),
        (Err(Bytes::from_static(&[1, 2, 3, 4, 5])), [1, 2, 3, 4]),
    ] {
        town.env.allowance = allowance;
        let refused = blessing::Rejection::GrantRefused { granter: META, why: selector.into() };
        assert_eq!(nominate(&mut town, 9, META, amount), Err(CallError::RejectedByBlessing(refused)));
        town = self::town(false);
    }
    town.env.allowance = Ok(amount);
    let nomination = blessed(&mut town, 1, META, amount);
    let broken = ActorAnswer { exit_code: 0, returned: Bytes::from_static(&[1]) };
    let refusing = ActorAnswer { exit_code: 20, returned: Bytes::new() };
    for (answers, selector) in [
        (vec![], Rejection::NoBuiltinActors.selector()),
        (vec![broken], Rejection::BadReturn(Bytes::new()).selector()),
        (vec![refusing], Rejection::BalanceUnknown(20).selector()),
        (vec![balance(3), balance(3)], Rejection::NotGranted { granted: amount, amount }.selector()),
        (vec![balance(3), balance(2 + MIN_DATACAP)], Rejection::NotGranted { granted: amount, amount }.selector()),
    ] {
        town.env.answers = answers.into();
        assert_eq!(failure(&mut town, &nomination), selector);
    }
    town.env.answers = [balance(3)].into();
    town.env.scripts = [Script::ending(End::Revert)].into();
    assert_eq!(failure(&mut town, &nomination), Rejection::AllocatorRefused(Bytes::new()).selector());
    town.env.answers = [balance(0), balance(MIN_DATACAP)].into();
    town.act(STRANGER, grant(&nomination)).expect("granted");
    assert_eq!(town.news(), ["other", "JobGranted"]);
}

#[test]
fn another_notary_is_asked_with_all_that_was_voted_on() {
    let mut town = town(false);
    register(&mut town, ASKING, &[0, 0x80, 1]);
    let nomination = blessed(&mut town, 1, ASKING, unit(1));
    town.act(STRANGER, grant(&nomination)).expect("granted");
    let reasons = [9; 32].into();
    let (job, provider, grant) = (nomination.job, PROVIDER, Box::new(nomination.grant(reasons)));
    let said = town.log.first().map(|log| (log.contract, log.event.clone()));
    assert_eq!(said, Some((ASKING, Event::GrantRequested { job, provider, grant }.into())));
}

#[test]
fn a_recipient_is_an_address_of_the_granters_kind() {
    let mut town = town(false);
    town.env.allowance = Ok(U256::MAX);
    fund(&mut town);
    let masked = [&[0xff][..], &[0; 18], &[7]].concat();
    let zero = FilecoinAddress::delegated(Address::ZERO);
    let known = FilecoinAddress::delegated(PAYEE);
    for (recipient, is_filecoin, is_evm) in [
        (&[0, 5][..], true, false),
        (PAYEE.as_slice(), true, true),
        (&known, true, true),
        (&zero, false, false),
        (&masked, false, false),
        (&[0; 20], false, false),
        (b"f1recipient", false, false),
    ] {
        for (granter, is_fine) in [(POOL, is_evm), (ASKING, is_filecoin), (REGISTRY, is_filecoin), (META, is_filecoin)]
        {
            register(&mut town, granter, recipient);
            let mut at = town.clone();
            let outcome = nominate(&mut at, 1, granter, U256::from(MIN_DATACAP)).map(drop);
            let why = Rejection::BadRecipient(Bytes::new()).selector().into();
            let refused = blessing::Rejection::GrantRefused { granter, why };
            let wanted = if is_fine { Ok(()) } else { Err(CallError::RejectedByBlessing(refused)) };
            assert_eq!(outcome, wanted, "{granter}: {recipient:?}");
        }
    }
}

#[test]
fn deployments_that_the_constructors_refuse_are_refused() {
    let mut world = World::new();
    let good = settings(Address::ZERO);
    let bonus = |settings: PoolSettings| Kind::Bonus(Box::new(BonusPool::new(settings)));
    let masked = Address::new([&[0xff][..], &[0; 18], &[7]].concat().try_into().expect("20 bytes"));
    let mut unbounded = good;
    unbounded.bounds.period = 0;
    for (blessing, kind, fault) in [
        (Address::ZERO, Kind::RequestOnly, DeploymentFault::NoBlessing),
        (BLESSING, bonus(settings(TOKEN)), DeploymentFault::BadSettings),
        (BLESSING, bonus(unbounded), DeploymentFault::BadSettings),
        (BLESSING, bonus(PoolSettings { remainder_to: Address::ZERO, ..good }), DeploymentFault::BadSettings),
        (BLESSING, bonus(PoolSettings { remainder_to: masked, ..good }), DeploymentFault::BadSettings),
        (BLESSING, Kind::MetaAllocator { allocator: Address::ZERO }, DeploymentFault::NoAllocator(Address::ZERO)),
        (BLESSING, sponsored_by(SPONSOR), DeploymentFault::BadRailSettings),
    ] {
        assert_eq!(world.deploy_granter(POOL, blessing, kind), Err(DeployError::BadGranter(fault)));
    }
    assert_eq!(world.deploy_granter(POOL, BLESSING, bonus(good)), Ok(()));
    world.deploy_filecoin_pay(FILECOIN_PAY).expect("nothing is there");
    let fault = DeployError::BadGranter(DeploymentFault::NoSponsor);
    assert_eq!(world.deploy_granter(SPONSORED, BLESSING, sponsored_by(Address::ZERO)), Err(fault));
    assert_eq!(world.deploy_granter(SPONSORED, BLESSING, sponsored_by(SPONSOR)), Ok(()));
}

#[test]
fn a_world_with_granters_is_a_value() {
    let mut town = town(false);
    fund(&mut town);
    let nomination = blessed(&mut town, 1, POOL, unit(AMOUNT));
    let (before, hash) = (town.world.clone(), |world: &World| {
        let mut hasher = DefaultHasher::new();
        world.hash(&mut hasher);
        hasher.finish()
    });
    let savepoint = town.world.savepoint();
    town.act(STRANGER, grant(&nomination)).expect("granted");
    assert_ne!(hash(&town.world), hash(&before));
    let json = serde_json::to_string(&town.world).expect("it can be written");
    let again: World = serde_json::from_str(&json).expect("it can be read");
    assert_eq!(again.granter(POOL).and_then(|granter| granter.pool()).map(BonusPool::sums), Some(2));
    town.world.roll_back(savepoint);
    assert_eq!((&town.world, hash(&town.world)), (&before, hash(&before)));
}

fn sponsored_by(sponsor: Address) -> Kind {
    Kind::FilecoinPay { sponsor, rails: Box::new(rails::Rails::new(FILECOIN_PAY, Address::ZERO, 30, 600)) }
}

fn of_filecoin_pay(town: &mut Town, value: AttoFil, command: filecoin_pay::Command) {
    let call = Call { sender: SPONSOR, contract: FILECOIN_PAY, value, command: command.into() };
    town.world.execute(&call, &mut town.env, &mut town.log).expect("Filecoin Pay does it");
}

fn approve(town: &mut Town, approved: bool, lockup_allowance: U256) {
    let command = filecoin_pay::Command::SetOperatorApproval {
        token: Address::ZERO,
        operator: SPONSORED,
        approved,
        rate_allowance: U256::ZERO,
        lockup_allowance,
        max_lockup_period: U256::from(21),
    };
    of_filecoin_pay(town, AttoFil::ZERO, command);
}

/// A sponsor with an account, who lets the granter lock all of it.
fn sponsored() -> Town {
    let mut town = town(false);
    town.world.deploy_filecoin_pay(FILECOIN_PAY).expect("nothing is there");
    admit(&mut town, SPONSORED, sponsored_by(SPONSOR));
    let amount = gwei(2 * AMOUNT);
    town.world.mint(SPONSOR, amount).expect("there is room");
    let deposit = filecoin_pay::Command::Deposit { token: Address::ZERO, to: SPONSOR, amount: U256::from(amount.0) };
    of_filecoin_pay(&mut town, amount, deposit);
    approve(&mut town, true, unit(2 * AMOUNT));
    town.log.clear();
    town
}

/// What the granter has said since the last time.
fn said(town: &mut Town) -> Vec<Event> {
    town.log.drain(..).filter_map(|log| log.event.of_granter().cloned()).collect()
}

#[test]
fn a_sponsor_pays_over_filecoin_pay() {
    let mut town = sponsored();
    let (rail, amount) = (U256::from(1), unit(AMOUNT));
    let nomination = blessed(&mut town, 1, SPONSORED, amount);
    town.act(STRANGER, grant(&nomination)).expect("granted");
    let (job, provider, recipient) = (nomination.job, PROVIDER, nomination.recipient.clone());
    let granted = Event::Granted { job, round: 1, provider, recipient, amount, reasons: [9; 32].into() };
    let opened = rails::Event::RailOpened { rail, payer: SPONSOR, payee: PAYEE };
    assert_eq!(said(&mut town), [opened.into(), Event::GrantLocked { job, rail, amount }, granted]);
    let own = |town: &Town| town.world.granter(SPONSORED).and_then(|found| found.rails()).expect("has rails").clone();
    let promised = rails::Promised { needed: gwei(AMOUNT).0, due: gwei(AMOUNT).0 };
    assert_eq!((own(&town).rail_of(SPONSOR, PAYEE), own(&town).promised(rail)), (Some(rail), promised));

    ask(&mut town, STRANGER, SPONSORED, granter::Command::Pay { rails: vec![rail] }).expect("anybody may");
    assert_eq!(said(&mut town), [rails::Event::RailPaid { rail, amount }.into()]);
    let account = town.world.filecoin_pay(FILECOIN_PAY).expect("is there").account(Address::ZERO, PAYEE);
    assert_eq!(account.available(), amount - filecoin_pay::fee(amount));
    ask(&mut town, STRANGER, SPONSORED, granter::Command::Release { rail }).expect("there is nothing to release");

    let renew = granter::Command::RenewRail { payee: PAYEE };
    let runs = CallError::RejectedByGranter(rails::Rejection::RailRuns(rail).into());
    assert_eq!(ask(&mut town, SPONSOR, SPONSORED, renew.clone()), Err(runs));
    of_filecoin_pay(&mut town, AttoFil::ZERO, filecoin_pay::Command::TerminateRail { rail });
    let closing = said(&mut town);
    assert!(matches!(closing[..], [Event::Rails(rails::Event::RailClosing { .. })]), "{closing:?}");
    let why = rails::Rejection::RailTerminated(rail).selector().into();
    let refused = blessing::Rejection::GrantRefused { granter: SPONSORED, why };
    assert_eq!(nominate(&mut town, 2, SPONSORED, amount), Err(CallError::RejectedByBlessing(refused)));
    ask(&mut town, SPONSOR, SPONSORED, renew).expect("it was terminated");
    nominate(&mut town, 3, SPONSORED, amount).expect("on a new rail");
    town.money_is_accounted_for();
}

#[test]
fn a_sponsor_who_has_thought_better_of_it_pays_nothing() {
    let mut town = sponsored();
    let nomination = blessed(&mut town, 1, SPONSORED, unit(AMOUNT));
    approve(&mut town, true, unit(AMOUNT) - U256::from(1));
    town.log.clear();
    let (payer, amount) = (SPONSOR, unit(AMOUNT));
    let small = rails::Rejection::AllowanceTooSmall { payer, left: amount, needed: amount };
    assert_eq!(failure(&mut town, &nomination), small.selector());
    approve(&mut town, false, amount);
    town.log.clear();
    assert_eq!(failure(&mut town, &nomination), rails::Rejection::OperatorNotApproved(payer).selector());
    let why = rails::Rejection::OperatorNotApproved(payer).selector().into();
    let refused = blessing::Rejection::GrantRefused { granter: SPONSORED, why };
    assert_eq!(nominate(&mut town, 2, SPONSORED, amount), Err(CallError::RejectedByBlessing(refused)));
    let not_a_pool = CallError::NoSuchFunction(SPONSORED);
    assert_eq!(ask(&mut town, STRANGER, SPONSORED, granter::Command::Close), Err(not_a_pool));
    let no_rails = CallError::NoSuchFunction(POOL);
    assert_eq!(ask(&mut town, STRANGER, POOL, granter::Command::Pay { rails: vec![] }), Err(no_rails));
}
