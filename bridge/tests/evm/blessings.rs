//! A blessing on a chain: nominations from the market's receipt to the grant, and what a chain can do to them.

use std::sync::Arc;

use futures::StreamExt as _;
use lota_bridge::{
    Cursor, Transport as _, TransportError,
    blessing::{
        BlessingLanded, BlessingSubmitError, BlessingTransport, BlessingUpdate, BlessingUpdates, nomination_hash,
        signed_digest,
    },
    conformance::{Harness as _, Party},
    eip712,
    evm::{Account, Blessing, Chain, EvmBlessing, EvmTransport, Granter, Market, auction, bindings, blessing, token},
};
use lota_market::{
    Address, AttoFil, B256, Bytes, U256,
    agent::EffectKey,
    blessing::{
        Ballot, Choice, Command, Event, Limit, Limits, Nomination, Notaries, Phase, Rejection, Request, Settings,
        Signed,
    },
    model::{self, Receipt, Terms},
    money::FIL,
};
use serde_json::json;

use crate::harness::{OnChain, SETTINGS, Via, signer};

const BLESSING: Settings = Settings {
    deposit: AttoFil(FIL),
    vote_for: 1_000,
    revoke_for: 100,
    grant_for: 1_000,
    limit_period: 900,
    granter_gas: 300_000,
};
const NOTARIES: [&str; 3] = ["first notary", "second notary", "third notary"];
const AMOUNT: u64 = 32 << 30;

fn key(name: &str) -> EffectKey {
    EffectKey::named(name)
}

fn limits(most: u64) -> Limits {
    let most = U256::from(most);
    Limits { per_job: most, per_provider: most, per_period: most }
}

/// A market with a blessing beside it, three notaries of whom two decide, and a granter.
struct World {
    chain: OnChain,
    blessing: Address,
    granter: Address,
}

impl World {
    async fn begin(via: Via, depth: u64) -> Self {
        let chain = OnChain::begin(via, depth).await;
        let notaries = Notaries::first(NOTARIES.map(|name| signer(name).address()).to_vec(), 2);
        let blessing = chain.anvil.deploy(&blessing::deployment(chain.market, &BLESSING, &notaries)).await;
        let granter = chain.anvil.deploy(&Granter::RequestOnly.deployment(blessing)).await;
        for name in NOTARIES.into_iter().chain(["client", "provider", "anyone"]) {
            chain.fund(name).await;
        }
        Self { chain, blessing, granter }
    }

    /// A party's transport, started anew on what its journal holds.
    async fn connect(&self, name: &str) -> EvmBlessing {
        let journal = Arc::new(self.chain.journal(name));
        let config = self.chain.config();
        let found = EvmBlessing::connect(config, self.chain.market, self.blessing, 0, signer(name), journal).await;
        found.expect("the blessing is there")
    }

    /// Two of the notaries admit the granter.
    async fn admit(&self, by: &EvmBlessing, limits: Limits) -> BlessingLanded {
        let (granter, until) = (self.granter, lota_market::Time(u64::MAX));
        let decision = by.notaries().await.expect("it is told").decisions;
        let what = Signed::Granter { granter, limits: &limits, decision, until };
        let digest = signed_digest(&by.blessing(), &what);
        let mut ballots: Vec<_> = NOTARIES[..2]
            .iter()
            .map(|name| Ballot {
                notary: signer(name).address(),
                signature: eip712::sign(&signer(name), &digest).expect("it signs"),
            })
            .collect();
        ballots.sort_by_key(|ballot| ballot.notary);
        let command = Command::SetGranter { granter, limits, until, ballots };
        by.submit(&key(&format!("admit {decision}")), &command, AttoFil::ZERO).await.expect("it is admitted")
    }

    /// A job of the client's that the provider ran and was paid for.
    async fn settled_job(&self) -> (Terms, Receipt) {
        let client = Party::with_deposit(&self.chain, "client").await;
        let provider = Party::with_deposit(&self.chain, "provider").await;
        let terms = Terms { keep_record: true, ..client.terms(0).await };
        client.open(&terms).await;
        let receipt = provider.run(&terms).await;
        (terms, receipt)
    }

    fn request(&self) -> Request {
        Request {
            granter: self.granter,
            amount: U256::from(AMOUNT),
            piece: B256::repeat_byte(7),
            piece_size: 1 << 20,
            bounty: AttoFil(FIL / 2),
            min_share: AttoFil(FIL / 4),
        }
    }

    /// A job that is nominated, by anyone; the provider offers a share of 0.25 FIL.
    async fn nominated(&self) -> Nomination {
        let anyone = self.connect("anyone").await;
        self.admit(&anyone, limits(AMOUNT)).await;
        anyone.fund(&key("fund"), AttoFil(3 * FIL)).await.expect("it lands");
        let (terms, receipt) = self.settled_job().await;
        let provider = self.connect("provider").await;
        provider.fund(&key("pool"), AttoFil(FIL)).await.expect("it lands");
        let aside = Command::SetAside { amount: AttoFil(FIL) };
        provider.submit(&key("set aside"), &aside, AttoFil::ZERO).await.expect("it lands");
        let register = Command::Register {
            granter: self.granter,
            recipient: Bytes::from_static(&[0, 0xe8, 7]),
            share_rate: U256::from(10_u64).pow(U256::from(30)),
            max_share: AttoFil(FIL / 4),
        };
        provider.submit(&key("register"), &register, AttoFil::ZERO).await.expect("it lands");
        let nominate = Command::Nominate { terms: terms.into(), receipt: receipt.into(), request: self.request() };
        let landed = anyone.submit(&key("nominate"), &nominate, AttoFil::ZERO).await.expect("it lands");
        match landed.events.as_slice() {
            [Event::JobNominated { nomination, .. }] => (**nomination).clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn vote(nomination: &Nomination, choice: Choice) -> Command {
    Command::Vote { nomination: nomination.clone().into(), choice, reasons: B256::repeat_byte(9) }
}

async fn next(updates: &mut BlessingUpdates) -> BlessingUpdate {
    loop {
        match updates.next().await.expect("the stream goes on") {
            Ok(update) => return update,
            Err(error) => assert!(error.is_temporary(), "{error}"),
        }
    }
}

/// Reads up to a position; the events on the way, each with its position. Nothing may be undone.
async fn read_to(updates: &mut BlessingUpdates, target: Cursor) -> Vec<(Cursor, Event)> {
    let mut events = Vec::new();
    loop {
        let position = match next(updates).await {
            BlessingUpdate::Event { cursor, event, .. } => {
                events.push((cursor, *event));
                cursor
            }
            BlessingUpdate::Head { cursor, .. } => cursor,
            other => panic!("{other:?}"),
        };
        if position.position() >= target.position() {
            return events;
        }
    }
}

#[tokio::test]
async fn a_job_is_nominated_voted_on_both_ways_and_granted() {
    let world = World::begin(Via::Lotus, 0).await;
    let reader = world.connect("reader").await;
    assert_eq!((reader.settings(), reader.market()), (BLESSING, world.chain.market));
    let nomination = world.nominated().await;
    let job = nomination.job;
    assert_eq!((nomination.share, nomination.bounty), (AttoFil(FIL / 4), AttoFil(FIL / 2)));
    assert_eq!(reader.limits(world.granter).await, Ok(limits(AMOUNT)));
    let notaries = reader.notaries().await.expect("it is told");
    assert_eq!((notaries.list.len(), notaries.quorum, notaries.version, notaries.decisions), (3, 2, 1, 1));
    let record = reader.record(job).await.expect("it is told");
    assert_eq!((record.phase, record.round, record.approvals), (Phase::Nominated, 1, 0));
    assert_eq!(record.nomination, nomination_hash(&nomination), "what is hashed here is what the contract keeps");

    // One votes by a transaction, the other's signature is relayed by anyone.
    let first = world.connect(NOTARIES[0]).await;
    let landed = first.submit(&key("vote"), &vote(&nomination, Choice::Approve), AttoFil::ZERO).await;
    let landed = landed.expect("it lands");
    assert!(matches!(landed.events[..], [Event::VoteCast { choice: Choice::Approve, round: 1, .. }]), "{landed:?}");
    assert_eq!(first.has_voted(job, first.party()).await, Ok(true));
    let (anyone, second) = (world.connect("anyone").await, signer(NOTARIES[1]));
    let reasons = B256::repeat_byte(8);
    let what = Signed::Vote { nomination: &nomination, choice: Choice::Approve, reasons, version: notaries.version };
    let signature = eip712::sign(&second, &signed_digest(&anyone.blessing(), &what)).expect("it signs");
    let relayed = |reasons| Command::VoteSigned {
        nomination: nomination.clone().into(),
        choice: Choice::Approve,
        reasons,
        notary: second.address(),
        signature: signature.clone(),
    };
    let forged = anyone.try_out(anyone.party(), &relayed(B256::ZERO)).await;
    let bad = Rejection::Market(model::Rejection::BadSignature(second.address()));
    assert_eq!(forged, Err(BlessingSubmitError::Rejected(bad)), "it signed other reasons");
    let landed = anyone.submit(&key("relay"), &relayed(reasons), AttoFil::ZERO).await.expect("it lands");
    let Event::JobBlessed { revoke_until, .. } = landed.events[1] else { panic!("{landed:?}") };
    assert_eq!(revoke_until, landed.time.after(BLESSING.revoke_for.into()));
    let record = reader.record(job).await.expect("it is told");
    assert_eq!((record.phase, record.reasons, record.blessed_at), (Phase::Blessed, reasons, landed.time));

    let grant = Command::Grant { nomination: nomination.clone().into() };
    let early = anyone.submit(&key("grant"), &grant, AttoFil::ZERO).await;
    assert!(
        matches!(early, Err(BlessingSubmitError::Rejected(Rejection::Market(model::Rejection::TooEarly { .. })))),
        "{early:?}"
    );
    world.chain.advance(u64::from(BLESSING.revoke_for) + 1).await;
    assert_eq!(anyone.try_out(Address::repeat_byte(1), &grant).await, Ok(()), "anyone may");
    // The key was not used up by the refusal.
    let landed = anyone.submit(&key("grant"), &grant, AttoFil::ZERO).await.expect("it lands");
    let granted = Event::JobGranted {
        job,
        provider: nomination.provider,
        granter: world.granter,
        amount: U256::from(AMOUNT),
        to_client: AttoFil(FIL / 4 + FIL / 2),
    };
    assert_eq!(landed.events, [granted]);
    let (to_provider, in_all) = reader.granted(world.granter, nomination.provider).await.expect("it is told");
    assert_eq!((to_provider, in_all), (U256::from(AMOUNT), U256::from(AMOUNT)));
    assert_eq!(reader.balance(nomination.client).await, Ok(AttoFil(FIL / 4 + FIL / 2)));
    assert_eq!(reader.balance(anyone.party()).await, Ok(AttoFil(3 * FIL - FIL / 2)), "the deposit came back");
    assert_eq!(reader.pool(nomination.provider).await, Ok(AttoFil(FIL - FIL / 4)));

    // The log tells all of it, and from any position the rest.
    let whole = read_to(&mut reader.updates(None), landed.cursor).await;
    assert!(matches!(whole[0].1, Event::NotariesSet { version: 1, .. }), "{whole:?}");
    assert_eq!(whole.len(), 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 2 + 1, "{whole:?}");
    let (middle, _) = whole[5];
    assert_eq!(read_to(&mut reader.updates(Some(middle)), landed.cursor).await, whole[6..]);
}

#[tokio::test]
async fn the_same_key_lands_once_also_after_a_restart_and_beside_a_market() {
    let world = World::begin(Via::Lotus, 1).await;
    let fund = |key: EffectKey, by: Arc<EvmBlessing>| async move { by.fund(&key, AttoFil(FIL)).await };
    let first = Arc::new(world.connect("anyone").await);
    let (one, other) = tokio::join!(fund(key("fund"), first.clone()), fund(key("fund"), first.clone()));
    let landed = one.expect("it lands");
    assert_eq!(other.expect("it lands"), landed);
    drop(first);

    // One account for both contracts: their nonces do not meet.
    let chain = Chain::connect(world.chain.config()).await.expect("it is there");
    let journal = Arc::new(world.chain.journal("anyone"));
    let account = Account::open(&chain, signer("anyone"), journal.clone());
    let market = Market::find(&chain, world.chain.market, 0).await.expect("it is there");
    let found = Blessing::find(&market, world.blessing, 0).await.expect("it is there");
    let beside = EvmBlessing::new(found, account.clone(), journal.clone());
    let transport = EvmTransport::new(market, account, signer("anyone"), journal);
    let announce = model::Command::Announce { url: "https://anyone.example".into() };
    let announce_key = key("announce");
    let (again, announced, second_key) = (key("fund"), &announce, key("another"));
    let (again, announced, another) = tokio::join!(
        beside.fund(&again, AttoFil(FIL)),
        transport.submit(&announce_key, announced, AttoFil::ZERO),
        beside.fund(&second_key, AttoFil(FIL)),
    );
    assert_eq!(again.expect("it landed").transaction, landed.transaction, "nothing was sent again");
    assert_ne!(another.expect("it lands").transaction, announced.expect("it lands").transaction);
    assert_eq!(beside.balance(beside.party()).await, Ok(AttoFil(2 * FIL)));
    let reused = beside.fund(&key("fund"), AttoFil(2 * FIL)).await.expect_err("it is another effect");
    assert!(reused.to_string().contains("another call before"), "{reused}");
}

#[tokio::test]
async fn what_a_fork_undid_is_told_and_lands_again() {
    let world = World::begin(Via::Lotus, 3).await;
    let anyone = world.connect("anyone").await;
    let kept = anyone.fund(&key("kept"), AttoFil(FIL)).await.expect("it lands").cursor;
    let undone = anyone.fund(&key("undone"), AttoFil(2 * FIL)).await.expect("it lands");
    let mut updates = world.connect("reader").await.updates(None);
    let told = read_to(&mut updates, undone.cursor).await;
    assert_eq!(told.len(), 3, "{told:?}");

    world.chain.fork_after(kept).await;
    let rewound = loop {
        match next(&mut updates).await {
            BlessingUpdate::Head { .. } => {}
            BlessingUpdate::Rewind { to } => break to,
            other => panic!("{other:?}"),
        }
    };
    assert!(undone.cursor.is_above(rewound.as_ref()) && !kept.is_above(rewound.as_ref()), "{rewound:?}");
    let again = anyone.fund(&key("undone"), AttoFil(2 * FIL)).await.expect("it lands again");
    let me = anyone.party();
    let funded = Event::Funded { account: me, payer: me, amount: AttoFil(2 * FIL) };
    let told = read_to(&mut updates, again.cursor).await;
    assert_eq!(told.into_iter().map(|(_, event)| event).collect::<Vec<_>>(), [funded]);
    assert_eq!(anyone.balance(me).await, Ok(AttoFil(3 * FIL)), "once");
    // Nothing is final before three more blocks.
    world.chain.confirm().await;
    loop {
        if let BlessingUpdate::Head { finalized, .. } = next(&mut updates).await
            && finalized >= again.cursor.block
        {
            break;
        }
    }
}

#[tokio::test]
async fn refusals_are_the_contracts() {
    let world = World::begin(Via::Lotus, 0).await;
    let nomination = world.nominated().await;
    let job = nomination.job;
    let anyone = world.connect("anyone").await;
    let refused = async |by: &EvmBlessing, command: &Command| match by.submit(&key("no"), command, AttoFil::ZERO).await
    {
        Err(BlessingSubmitError::Rejected(rejection)) => {
            assert_eq!(by.try_out(by.party(), command).await, Err(BlessingSubmitError::Rejected(rejection.clone())));
            rejection
        }
        other => panic!("{other:?}"),
    };
    let me = anyone.party();
    assert_eq!(refused(&anyone, &vote(&nomination, Choice::Approve)).await, Rejection::NotNotary(me));
    let notary = world.connect(NOTARIES[0]).await;
    let wrong = Rejection::WrongPhase { job, found: Phase::Nominated };
    assert_eq!(refused(&notary, &vote(&nomination, Choice::Revoke)).await, wrong);
    let other = Nomination { amount: U256::from(1), ..nomination.clone() };
    assert_eq!(refused(&notary, &vote(&other, Choice::Approve)).await, Rejection::UnknownNomination(job));
    let poor = Command::Withdraw { to: me, amount: AttoFil(u128::MAX) };
    assert!(matches!(
        refused(&anyone, &poor).await,
        Rejection::Market(model::Rejection::InsufficientBalance { needed: AttoFil(u128::MAX), .. })
    ));
    // The limit that two notaries lowered says what it leaves.
    world.admit(&anyone, limits(1)).await;
    for (name, choice) in [(NOTARIES[1], Choice::Approve), (NOTARIES[2], Choice::Approve)] {
        let notary = world.connect(name).await;
        notary.submit(&key("vote"), &vote(&nomination, choice), AttoFil::ZERO).await.expect("it lands");
    }
    world.chain.advance(u64::from(BLESSING.revoke_for) + 1).await;
    let over = Rejection::OverLimit {
        granter: world.granter,
        limit: Limit::PerJob,
        amount: U256::from(AMOUNT),
        left: U256::from(1),
    };
    assert_eq!(refused(&anyone, &Command::Grant { nomination: nomination.into() }).await, over);
    // Money goes with nothing but fund.
    let astray = anyone.submit(&key("astray"), &poor, AttoFil(1)).await.expect_err("it takes none");
    assert!(astray.to_string().contains("takes no money"), "{astray}");
}

#[tokio::test]
async fn connecting_to_something_else_says_what_was_found() {
    let world = World::begin(Via::Lotus, 0).await;
    let chain = &world.chain;
    let other_market = chain.anvil.deploy(&bindings::deployment(&SETTINGS)).await;
    let auction = chain.anvil.deploy(&auction::deployment(chain.market, 60)).await;
    let node = Chain::connect(chain.config()).await.expect("it is there");
    let market = Market::find(&node, chain.market, 0).await.expect("it is there");
    let of_other = Market::find(&node, other_market, 0).await.expect("it is there");
    for (market, contract, part) in [
        (&market, Address::repeat_byte(0x77), "there is no contract".to_owned()),
        (&market, chain.market, "no blessing for this market".to_owned()),
        (&market, auction, "no blessing for this market".to_owned()),
        (&market, world.granter, "no blessing for this market".to_owned()),
        (&of_other, world.blessing, format!("the jobs of another market, {}", chain.market)),
    ] {
        let error = Blessing::find(market, contract, 0).await.expect_err("it is no blessing for this market");
        assert!(
            matches!(error, TransportError::NoBlessingAt { .. }) && error.to_string().contains(&part),
            "{contract}: {error}"
        );
    }
}

#[tokio::test]
async fn a_token_is_taken_with_leave_for_as_much_as_is_wanted() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let dollar = chain.anvil.deploy(&token::test_dollar()).await;
    let settings = model::Settings { asset: dollar, quantum: 1, ..SETTINGS };
    let market = chain.anvil.deploy(&bindings::deployment(&settings)).await;
    let notaries = Notaries::first(vec![signer(NOTARIES[0]).address()], 1);
    let contract = chain.anvil.deploy(&blessing::deployment(market, &BLESSING, &notaries)).await;
    chain.fund("anyone").await;
    let me = signer("anyone").address();
    let accounts = chain.anvil.call("eth_accounts", json!([])).await;
    let mint = token::mint(me, AttoFil(10));
    chain.anvil.call("eth_sendTransaction", json!([{ "from": accounts[0], "to": dollar, "data": mint }])).await;
    chain.anvil.mine(1).await;
    let connect = async || {
        let journal = Arc::new(chain.journal("anyone"));
        let found = EvmBlessing::connect(chain.config(), market, contract, 0, signer("anyone"), journal).await;
        found.expect("it is there")
    };
    let anyone = connect().await;
    assert_ne!(*anyone.asset(), lota_market::asset::Asset::coin());
    let (one, other) = (key("one"), key("other"));
    let (one, other) = tokio::join!(anyone.fund(&one, AttoFil(3)), anyone.fund(&other, AttoFil(4)));
    let landed = one.expect("it lands");
    assert_eq!(landed.events, [Event::Funded { account: me, payer: me, amount: AttoFil(3) }]);
    other.expect("it lands");
    let sent = async || crate::anvil::number(&chain.anvil.call("eth_getTransactionCount", json!([me, "latest"])).await);
    assert_eq!((anyone.balance(me).await, sent().await), (Ok(AttoFil(7)), 4), "leave and funding, twice");
    let again = connect().await.fund(&key("one"), AttoFil(3)).await.expect("it landed");
    assert_eq!((again.transaction, sent().await), (landed.transaction, 4), "nothing was sent again");
    let poor = anyone.fund(&key("poor"), AttoFil(4)).await;
    let expected = model::Rejection::InsufficientBalance { account: me, balance: AttoFil(3), needed: AttoFil(4) };
    assert_eq!(poor, Err(BlessingSubmitError::Rejected(Rejection::Market(expected))));
    let coin = anyone.submit(&key("coin"), &Command::Fund, AttoFil(1)).await;
    assert!(
        matches!(coin, Err(BlessingSubmitError::Rejected(Rejection::Market(model::Rejection::WrongAsset { .. })))),
        "{coin:?}"
    );
    assert_eq!(sent().await, 4, "who has too little pays for nothing");
}
