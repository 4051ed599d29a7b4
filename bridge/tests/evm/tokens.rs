//! Money of a token, which contracts take by themselves with an account's leave.

use std::sync::Arc;

use lota_bridge::{
    Reserve, SubmitError, Transport as _,
    evm::{Account, Call, Chain, EvmTransport, auction, bindings, token},
    journal::MemoryJournal,
};
use lota_market::{
    Address, AttoFil,
    agent::EffectKey,
    auction::{Command, Event, Rejection},
    model::{self, Settings},
};
use serde_json::json;

use crate::harness::{OnChain, SETTINGS, Via, signer};

const DOLLAR: u128 = 1_000_000;

struct Dollars {
    chain: OnChain,
    dollar: Address,
    market: Address,
    auction: Address,
    journal: MemoryJournal,
}

fn key(name: &str) -> EffectKey {
    EffectKey::named(name)
}

impl Dollars {
    /// A market paid in a test dollar, an auction beside it, and a party with this much.
    async fn begin(amount: u128) -> Self {
        let chain = OnChain::begin(Via::Lotus, 0).await;
        let dollar = chain.anvil.deploy(&token::test_dollar()).await;
        let settings = Settings { asset: dollar, quantum: 1, ..SETTINGS };
        let market = chain.anvil.deploy(&bindings::deployment(&settings)).await;
        let auction = chain.anvil.deploy(&auction::deployment(market, 60)).await;
        chain.fund("party").await;
        let accounts = chain.anvil.call("eth_accounts", json!([])).await;
        let data = token::mint(signer("party").address(), AttoFil(amount));
        chain.anvil.call("eth_sendTransaction", json!([{ "from": accounts[0], "to": dollar, "data": data }])).await;
        chain.anvil.mine(1).await;
        Self { chain, dollar, market, auction, journal: MemoryJournal::default() }
    }

    /// The party, started anew.
    async fn party(&self) -> EvmTransport {
        let journal = Arc::new(self.journal.clone());
        let transport = EvmTransport::connect(self.chain.config(), self.market, 0, signer("party"), journal).await;
        transport.expect("the market is there").with_auction_at(self.auction).await.expect("the auction is there")
    }

    /// Lets the auction take so much under the key that the funding under `name` uses for that, and does nothing more.
    async fn allow(&self, name: &str, amount: u128) {
        let chain = Chain::connect(self.chain.config()).await.expect("it is there");
        let account = Account::open(&chain, signer("party"), Arc::new(self.journal.clone()));
        let call = Call::new(self.dollar, token::approve(self.auction, AttoFil(amount)));
        account.send(&key(&format!("{name}/approve")), call).await.expect("it lands");
    }

    /// How many transactions the party has sent.
    async fn sent(&self) -> u64 {
        let count =
            self.chain.anvil.call("eth_getTransactionCount", json!([signer("party").address(), "latest"])).await;
        crate::anvil::number(&count)
    }
}

#[tokio::test]
async fn two_bids_are_funded_at_once_and_each_once() {
    let world = Dollars::begin(10 * DOLLAR).await;
    let party = world.party().await;
    let me = party.party();
    let keys = [key("one"), key("other")];
    let (one, other) = tokio::join!(
        party.fund_auction(&keys[0], AttoFil(2 * DOLLAR), Reserve::default()),
        party.fund_auction(&keys[1], AttoFil(3 * DOLLAR), Reserve::default()),
    );
    let landed = one.expect("it lands");
    assert_eq!(
        landed.auction_events,
        [Event::Funded { account: me, payer: me, amount: AttoFil(2 * DOLLAR) }],
        "what it was paid with is the auction's own event"
    );
    other.expect("it lands");
    assert_eq!(party.auction_balance(me).await, Ok(AttoFil(5 * DOLLAR)));
    assert_eq!(party.funds(me).await, Ok(AttoFil(5 * DOLLAR)));
    let sent = world.sent().await;
    assert_eq!(sent, 4, "leave and funding, twice");
    // A process that is started again does nothing again, and gives no leave for what has happened.
    let again = world
        .party()
        .await
        .fund_auction(&key("one"), AttoFil(2 * DOLLAR), Reserve::default())
        .await
        .expect("it landed");
    assert_eq!((again.transaction, world.sent().await), (landed.transaction, sent));

    let back = Command::Withdraw { to: me, amount: AttoFil(5 * DOLLAR) };
    party.submit_to_auction(&key("back"), &back, AttoFil::ZERO).await.expect("it lands");
    assert_eq!(party.funds(me).await, Ok(AttoFil(10 * DOLLAR)), "it comes back in the token");
}

#[tokio::test]
async fn what_another_bid_has_used_up_is_allowed_again() {
    let world = Dollars::begin(10 * DOLLAR).await;
    // The process ended between leave and funding; then another bid overwrote the leave, and used it up.
    world.allow("one", 2 * DOLLAR).await;
    let party = world.party().await;
    party.fund_auction(&key("other"), AttoFil(3 * DOLLAR), Reserve::default()).await.expect("it lands");
    party
        .fund_auction(&key("one"), AttoFil(2 * DOLLAR), Reserve::default())
        .await
        .expect("the first leave is gone, and given again");
    assert_eq!(party.auction_balance(party.party()).await, Ok(AttoFil(5 * DOLLAR)));
    let spent = world.sent().await;
    assert_eq!(spent, 1 + 3 + 2, "a leave; one that was in the way taken back, and a bid; another leave, and a bid");
}

#[tokio::test]
async fn who_has_too_little_pays_for_no_leave() {
    let world = Dollars::begin(DOLLAR).await;
    let party = world.party().await;
    let refused =
        party.fund_auction(&key("one"), AttoFil(2 * DOLLAR), Reserve::default()).await.expect_err("it has one");
    let needed = (AttoFil(DOLLAR), AttoFil(2 * DOLLAR));
    match refused {
        SubmitError::RejectedByAuction {
            rejection: Rejection::Market(model::Rejection::InsufficientBalance { balance, needed: wanted, .. }),
            ..
        } => assert_eq!((balance, wanted), needed),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.sent().await, 0);
}
