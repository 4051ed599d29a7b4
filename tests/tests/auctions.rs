//! Jobs that are auctioned, by real nodes: sealed bids, the second price, and everybody's money.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::{path::Path, sync::Arc, time::Duration};

use futures::StreamExt as _;
use lota_api::{AuctionInfo, JobDetail, JobSummary};
use lota_bridge::{
    PrivateKeySigner, Transport, Update,
    memory::{Chain, ManualClock, MemoryTransport},
};
use lota_market::{
    Address, AttoFil, B256, U256,
    agent::EffectKey,
    auction::{Command, Event},
    model::{self, JobId, Reason, Status, Terms},
    money::FIL,
};
use lota_node::{Node, NodeConfig, Parts};
use lota_tests::{
    programs,
    world::{self, FUNDS, Party, asking, chain_with_auction, spec},
};
use serde_json::json;
use tempfile::TempDir;

const ASKS: [AttoFil; 3] = [AttoFil(FIL / 50), AttoFil(FIL / 100), AttoFil(FIL / 25)];
/// How long bids are opened, and how long all of it takes, in seconds.
const OPENING: u64 = 20;
const LOCK_FOR: u64 = 90;

fn bidder(home: &Path, number: u8, ask: AttoFil) -> NodeConfig {
    let config = world::config(&format!("provider-{number}"), home);
    NodeConfig { provider: Some(asking(ask)), keep_bid_money: 0, ..config }
}

async fn bidders(chain: &Chain, home: &Path) -> Vec<Party> {
    let mut bidders = Vec::new();
    for (number, ask) in (2..).zip(ASKS) {
        bidders.push(Party::start(chain, number, bidder(home, number, ask)).await);
    }
    bidders
}

async fn request(client: &Party) -> JobSummary {
    let spec = spec(&client.add(&programs::says("x", 0)).await);
    let terms =
        json!({ "auction": true, "max_price": "100000000000000000", "ramp_period": OPENING, "lock_for": LOCK_FOR });
    client.request(spec, terms).await.expect("the job is opened")
}

/// Waits until what a party says of the auction is so.
async fn until(party: &Party, job: JobId, is_so: impl Fn(&AuctionInfo) -> bool) -> AuctionInfo {
    for _ in 0..3_000 {
        if let Ok(detail) = party.get::<JobDetail>(&format!("/v1/jobs/{job}")).await {
            let auction = detail.auction.expect("it is auctioned");
            if is_so(&auction) {
                return auction;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the auction of job {job} does not get there");
}

fn opened(auction: &AuctionInfo) -> usize {
    auction.bids.iter().filter(|bid| bid.price.is_some()).count()
}

/// Waits until a party has this much in all.
async fn has(party: &Party, amount: AttoFil) {
    for _ in 0..3_000 {
        if party.money().await == amount {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(party.money().await, amount);
}

/// What everybody has after a job that the second of [`ASKS`] won.
async fn everybody_has_what_is_due(client: &Party, bidders: &[Party]) {
    has(client, FUNDS.saturating_sub(ASKS[0])).await;
    for (bidder, gain) in bidders.iter().zip([AttoFil::ZERO, ASKS[0], AttoFil::ZERO]) {
        has(bidder, AttoFil(FUNDS.0 + gain.0)).await;
    }
}

fn sealing() -> u64 {
    LOCK_FOR - OPENING - 30
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cheapest_of_three_wins_at_the_second_price_and_the_others_get_their_money_back() {
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let chain = chain_with_auction(&clock);
    let bidders = bidders(&chain, home.path()).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    client.knows(4).await;
    let job = request(&client).await;
    let sealed = until(&client, job.id, |auction| auction.bids.len() == 3).await;
    assert_eq!(opened(&sealed), 0, "nobody sees a price");
    clock.advance(sealing() + 1);
    let known = until(&client, job.id, |auction| opened(auction) == 3).await;
    let price = |party: &Party| known.bids.iter().find(|bid| bid.bidder == party.address).and_then(|bid| bid.price);
    assert_eq!(bidders.iter().map(price).collect::<Vec<_>>(), ASKS.map(Some), "they bid what the job costs them");
    clock.advance(OPENING);
    let detail = client.wait(&job).await;
    assert_eq!((detail.summary.status, detail.summary.reason), (Status::Settled, Reason::Unreviewed), "{detail:#?}");
    assert_eq!((detail.summary.provider, detail.summary.price), (Some(bidders[1].address), Some(ASKS[0])));
    let award = detail.auction.and_then(|auction| auction.awarded).expect("it was awarded");
    assert_eq!((award.winner, award.price), (bidders[1].address, ASKS[0]));
    everybody_has_what_is_due(&client, &bidders).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bidders_that_are_restarted_in_every_phase_bid_once_and_lose_nothing() {
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let chain = chain_with_auction(&clock);
    let mut parties = bidders(&chain, home.path()).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    client.knows(4).await;
    let job = request(&client).await;
    for (seconds, phase) in [(sealing() + 1, 0), (OPENING, 3)] {
        until(&client, job.id, |auction| auction.bids.len() == 3 && opened(auction) == phase).await;
        // They are away while the phase ends.
        for party in parties.drain(..) {
            party.node.shutdown().await;
        }
        clock.advance(seconds);
        parties = bidders(&chain, home.path()).await;
    }
    let detail = client.wait(&job).await;
    assert_eq!((detail.summary.provider, detail.summary.price), (Some(parties[1].address), Some(ASKS[0])));
    assert_eq!(detail.auction.expect("it is auctioned").bids.len(), 3);
    everybody_has_what_is_due(&client, &parties).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auction_is_refused_where_there_is_none_or_too_little_time() {
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let bare = world::chain_at(&clock);
    let refused = async |client: &Party, terms| {
        let spec = spec(&client.add(&programs::says("x", 0)).await);
        let (status, body) = client.request(spec, terms).await.expect_err("it is refused");
        (status, body["message"].as_str().expect("a message").to_owned())
    };
    let client = Party::start(&bare, 1, world::config("bare", home.path())).await;
    let (status, text) = refused(&client, json!({ "auction": true })).await;
    assert!(status == 422 && text.contains("has no auction"), "{status}: {text}");
    let client = Party::start(&chain_with_auction(&clock), 1, world::config("client", home.path())).await;
    let (status, text) = refused(&client, json!({ "auction": true, "ramp_period": 9 })).await;
    assert!(status == 422 && text.contains("9 s to open bids in is less than the 10 s"), "{status}: {text}");
    let (status, text) = refused(&client, json!({ "auction": true, "lock_for": 40 })).await;
    assert!(status == 422 && text.contains("40 s to take the job leaves too little"), "{status}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bidder_does_not_leave_its_money_behind_in_an_auction_that_it_is_started_without() {
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let chain = chain_with_auction(&clock);
    let bidder_at = |chain: &Chain| {
        let transport: Arc<dyn Transport> = Arc::new(chain.connect(world::key(2)));
        let parts = Parts::new(transport).with_executors(world::executors(1));
        Node::start(bidder(home.path(), 2, ASKS[0]), parts)
    };
    let node = bidder_at(&chain).await.expect("it starts");
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    client.knows(2).await;
    let job = request(&client).await;
    until(&client, job.id, |auction| auction.bids.len() == 1).await;
    node.shutdown().await;
    let bare = world::chain_at(&clock);
    let error = bidder_at(&bare).await.expect_err("its bid is not over").to_string();
    let auction = world::AUCTION.contract;
    assert!(error.starts_with(&format!("1 of this node's bids in the auction {auction} are not over")), "{error}");

    let node = bidder_at(&chain).await.expect("with the auction it starts");
    clock.advance(sealing() + 1);
    until(&client, job.id, |auction| opened(auction) == 1).await;
    clock.advance(OPENING);
    client.wait(&job).await;
    node.shutdown().await;
}

/// What happened so far, in the market and in the auction.
async fn log(chain: &Chain) -> Vec<Update> {
    let mut updates = chain.connect(world::key(1)).updates(None);
    let mut log = Vec::new();
    loop {
        match updates.next().await.expect("it goes on").expect("it is read") {
            Update::Head { .. } => return log,
            update => log.push(update),
        }
    }
}

/// How often somebody's money moved into its account in the auction, and out of it.
async fn transfers(chain: &Chain, party: Address) -> (usize, usize) {
    let mut count = (0, 0);
    for update in log(chain).await {
        match update {
            Update::Auction { event: Event::Funded { account, .. }, .. } if account == party => count.0 += 1,
            Update::Auction { event: Event::Defunded { account, .. }, .. } if account == party => count.1 += 1,
            _ => {}
        }
    }
    count
}

/// Waits until this much of a party's money is in the auction.
async fn has_in_auction(chain: &Chain, party: &Party, amount: AttoFil) {
    let transport = chain.connect(world::key(1));
    for _ in 0..3_000 {
        if transport.auction_balance(party.address).await == Ok(amount) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(transport.auction_balance(party.address).await, Ok(amount));
}

#[tokio::test(flavor = "multi_thread")]
async fn money_stays_in_the_auction_for_the_next_bid_across_restarts_and_comes_back_after_a_day() {
    const DAY: u64 = 86_400;
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let chain = chain_with_auction(&clock);
    let config = |number: u8, ask| NodeConfig { keep_bid_money: DAY, ..bidder(home.path(), number, ask) };
    let mut parties = Vec::new();
    for (number, ask) in (2..).zip(ASKS) {
        parties.push(Party::start(&chain, number, config(number, ask)).await);
    }
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    client.knows(4).await;
    for _ in 0..2 {
        let job = request(&client).await;
        until(&client, job.id, |auction| auction.bids.len() == 3).await;
        clock.advance(sealing() + 1);
        until(&client, job.id, |auction| opened(auction) == 3).await;
        clock.advance(OPENING);
        let detail = client.wait(&job).await;
        assert_eq!((detail.summary.provider, detail.summary.price), (Some(parties[1].address), Some(ASKS[0])));
        for party in parties.drain(..) {
            party.node.shutdown().await;
        }
        for (number, ask) in (2..).zip(ASKS) {
            parties.push(Party::start(&chain, number, config(number, ask)).await);
        }
    }
    for party in [&parties[0], &parties[2]] {
        assert_eq!(transfers(&chain, party.address).await, (1, 0), "once for both auctions");
    }
    assert_eq!(transfers(&chain, parties[1].address).await, (2, 0), "its collateral went to the market");
    clock.advance(DAY + 1);
    for party in &parties {
        has_in_auction(&chain, party, AttoFil::ZERO).await;
    }
    has(&client, FUNDS.saturating_sub(AttoFil(2 * ASKS[0].0))).await;
    for (bidder, gain) in parties.iter().zip([0, 2 * ASKS[0].0, 0]) {
        has(bidder, AttoFil(FUNDS.0 + gain)).await;
    }
}

/// Somebody who bids by hand.
struct Stranger(MemoryTransport);

impl Stranger {
    fn new(chain: &Chain, number: u64) -> Self {
        let key = B256::from(U256::from(1_000_000 + number));
        let stranger = Self(chain.connect(PrivateKeySigner::from_bytes(&key).expect("a valid key")));
        chain.fund(stranger.0.party(), AttoFil(FIL)).expect("there is room");
        stranger
    }

    async fn send(&self, name: &str, command: Command, value: AttoFil) {
        let sent = self.0.submit_to_auction(&EffectKey::named(name), &command, value).await;
        sent.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    async fn seal(&self, terms: &Terms, price: AttoFil) {
        let commitment = self.0.seal(self.0.job_id(terms), price).expect("there is an auction").commitment;
        self.send("fund", Command::Fund, AttoFil(FIL / 2)).await;
        self.send("commit", Command::Commit { terms: terms.clone(), commitment }, AttoFil::ZERO).await;
    }

    async fn open(&self, terms: &Terms, price: AttoFil) {
        let nonce = self.0.seal(self.0.job_id(terms), price).expect("there is an auction").nonce;
        self.send("reveal", Command::Reveal { terms: terms.clone(), price, nonce }, AttoFil::ZERO).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_bids_of_strangers_hide_nobodys_and_fill_no_database() {
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let chain = chain_with_auction(&clock);
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let job = request(&client).await;
    let terms = log(&chain).await.into_iter().find_map(|update| match update {
        Update::Event { event: model::Event::JobOpened { job: id, terms, .. }, .. } if id == job.id => Some(terms),
        _ => None,
    });
    let terms = terms.expect("it is open");
    let dear = terms.max_price;
    let strangers: Vec<_> = (0..500).map(|number| Stranger::new(&chain, number)).collect();
    for stranger in &strangers {
        stranger.seal(&terms, dear).await;
    }
    let bidders = bidders(&chain, home.path()).await;
    let own = |auction: &AuctionInfo, party: &Party| {
        auction.bids.iter().find(|bid| bid.bidder == party.address).and_then(|bid| bid.price)
    };
    for bidder in &bidders {
        until(bidder, job.id, |auction| auction.bids.iter().any(|bid| bid.bidder == bidder.address)).await;
    }
    clock.advance(sealing() + 1);
    for stranger in &strangers[..300] {
        stranger.open(&terms, dear).await;
    }
    let known = until(&client, job.id, |auction| bidders.iter().all(|bidder| own(auction, bidder).is_some())).await;
    assert_eq!(bidders.iter().map(|bidder| own(&known, bidder)).collect::<Vec<_>>(), ASKS.map(Some));
    assert!(known.more && known.bids.len() <= 403, "{} bids are told", known.bids.len());
    clock.advance(OPENING);
    let detail = client.wait(&job).await;
    assert_eq!((detail.summary.provider, detail.summary.price), (Some(bidders[1].address), Some(ASKS[0])));
    let auction = detail.auction.expect("it is auctioned");
    assert_eq!(auction.awarded.as_ref().map(|award| award.winner), Some(bidders[1].address));
    assert_eq!(own(&auction, &bidders[0]), Some(ASKS[0]), "why that price was paid is told");
}
