//! An auction beside the market, from the sealed bids to the result: see [`auction_conformance!`](crate::auction_conformance).

use futures::StreamExt as _;
use lota_market::{
    AttoFil, Time,
    auction::{self, Command as Bid},
    model::{self, Command, Event, Status, Terms},
    money::FIL,
};

use super::{Harness, Party};
use crate::{Landed, SubmitError, Update};

/// Makes a test of each function of this module; the harness must have an auction beside its market, with a shortest reveal
/// period of at most 600 s.
#[macro_export]
macro_rules! auction_conformance {
    ($harness:expr) => {
        $crate::transport_conformance! { @ $harness;
            auction: the_lowest_of_three_sealed_bids_wins_at_the_second_price, the_auctions_refusals_are_typed,
                a_job_without_bids_is_cancelled;
        }
    };
}

const PHASE: u64 = 600;

async fn bidder(harness: &impl Harness, name: &str) -> Party {
    let party = Party::connect(harness, name).await;
    pay(&party, Bid::Fund, AttoFil(50 * FIL)).await;
    party
}

async fn pay(party: &Party, command: Bid, value: AttoFil) -> Landed {
    let key = party.fresh_key();
    loop {
        match party.transport.submit_to_auction(&key, &command, value).await {
            Ok(landed) => return landed,
            Err(SubmitError::Transport(error)) if error.is_temporary() => {}
            Err(error) => panic!("{command:?} was not taken: {error}"),
        }
    }
}

async fn send(party: &Party, command: Bid) -> Landed {
    pay(party, command, AttoFil::ZERO).await
}

/// A job for the auction: bids are sealed for 600 s, opened for 600 s, and awarded within 600 s.
async fn terms(client: &Party, salt: u64) -> Terms {
    let now = client.transport.head().await.expect("it is there").time;
    let auction = client.transport.auction().expect("there is an auction");
    Terms {
        min_price: AttoFil(FIL),
        max_price: AttoFil(5 * FIL),
        ramp_start: now.after(PHASE),
        ramp_period: PHASE,
        lock_by: now.after(3 * PHASE),
        matcher: auction.contract,
        ..client.terms(salt).await
    }
}

fn seal(party: &Party, terms: &Terms, price: u128) -> Bid {
    let sealed = party.transport.seal(party.transport.job_id(terms), AttoFil(price * FIL));
    Bid::Commit { terms: terms.clone(), commitment: sealed.expect("there is an auction").commitment }
}

fn reveal(party: &Party, terms: &Terms, price: u128) -> Bid {
    let sealed = party.transport.seal(party.transport.job_id(terms), AttoFil(price * FIL));
    let sealed = sealed.expect("there is an auction");
    Bid::Reveal { terms: terms.clone(), price: sealed.price, nonce: sealed.nonce }
}

/// What happened to jobs, from the beginning up to the head, market and auction in one order.
async fn log(party: &Party) -> Vec<String> {
    let (mut updates, mut names, mut last) = (party.transport.updates(None), Vec::new(), None);
    loop {
        let (cursor, said) = match updates.next().await.expect("it goes on") {
            Ok(Update::Event { cursor, event, .. }) => (cursor, format!("{event:?}")),
            Ok(Update::Auction { cursor, event, .. }) => (cursor, format!("{event:?}")),
            Ok(Update::Head { cursor, .. }) => {
                assert!(last.is_none_or(|last| last <= cursor.position()));
                return names;
            }
            Ok(Update::FilecoinPayDeals { event, .. }) => panic!("{event:?} of a contract that nobody asked for"),
            Ok(Update::Rewind { .. }) => panic!("nothing was undone"),
            Err(error) => {
                assert!(error.is_temporary(), "{error}");
                continue;
            }
        };
        assert!(last.is_none_or(|last| last < cursor.position()), "in order, each at a place of its own");
        last = Some(cursor.position());
        names.push(said.split([' ', '{']).next().unwrap_or_default().to_owned());
    }
}

/// Three seal their bids, two of them open them after the third did: the lowest gets the job, at the price of the next.
pub async fn the_lowest_of_three_sealed_bids_wins_at_the_second_price(harness: &impl Harness) {
    let client = Party::with_deposit(harness, "client").await;
    let (ann, bob, cid) = (bidder(harness, "ann").await, bidder(harness, "bob").await, bidder(harness, "cid").await);
    let terms = terms(&client, 0).await;
    let job = client.open(&terms).await;
    let mut order = 0;
    for (party, price) in [(&ann, 4), (&bob, 2), (&cid, 3)] {
        let landed = send(party, seal(party, &terms, price)).await;
        order += 1;
        assert!(landed.events.is_empty());
        let [auction::Event::BidCommitted { job: of, bidder, order: found, .. }] = landed.auction_events[..] else {
            panic!("a commit says {:?}", landed.auction_events);
        };
        assert_eq!((of, bidder, found), (job, party.address(), order));
        assert_eq!(client.transport.sealed_order(job, party.address()).await, Ok(order));
    }
    harness.advance(PHASE + 10).await;
    for (party, price) in [(&cid, 3), (&ann, 4), (&bob, 2)] {
        send(party, reveal(party, &terms, price)).await;
        assert_eq!(client.transport.sealed_order(job, party.address()).await, Ok(0));
    }
    let stored = client.transport.auction_of(job).await.expect("it is there");
    assert_eq!(stored.award(terms.max_price), Some((bob.address(), AttoFil(3 * FIL))));
    harness.advance(PHASE).await;
    let landed = send(&ann, Bid::Award { terms: terms.clone() }).await;
    let awarded = auction::Event::AuctionAwarded { job, winner: bob.address(), price: AttoFil(3 * FIL) };
    assert_eq!(landed.auction_events, [awarded]);
    let matcher = terms.matcher;
    let locked = Event::JobLocked { job, provider: bob.address(), payer: matcher, price: AttoFil(3 * FIL) };
    let deposited = Event::Deposited { account: matcher, payer: matcher, amount: terms.collateral };
    assert_eq!(landed.events, [deposited, locked]);
    assert_eq!(client.transport.deal(job).await.expect("it is there").status, Status::Locked);
    assert_eq!(client.transport.auction_of(job).await, Ok(auction::Auction::default()));
    let kept = AttoFil(50 * FIL);
    for (party, left) in [(&ann, kept), (&cid, kept), (&bob, kept.saturating_sub(terms.collateral))] {
        assert_eq!(client.transport.auction_balance(party.address()).await, Ok(left));
    }
    let out = Bid::Withdraw { to: ann.address(), amount: kept };
    send(&ann, out).await;
    assert_eq!(client.transport.auction_balance(ann.address()).await, Ok(AttoFil::ZERO));

    let wanted = [
        "Deposited",
        "Funded",
        "Funded",
        "Funded",
        "JobOpened",
        "BidCommitted",
        "BidCommitted",
        "BidCommitted",
        "BidRevealed",
        "BidRevealed",
        "BidRevealed",
        "AuctionAwarded",
        "Deposited",
        "JobLocked",
        "Defunded",
    ];
    assert_eq!(log(&client).await, wanted);
    // Nobody holds what is to be stopped.
    drop((client, ann, bob, cid));
    harness.restart().await;
    let client = Party::connect(harness, "client").await;
    assert_eq!(log(&client).await, wanted, "after a restart");
}

/// What the auction refuses, and what the market refuses it, comes with its fields.
pub async fn the_auctions_refusals_are_typed(harness: &impl Harness) {
    let client = Party::with_deposit(harness, "client").await;
    let ann = bidder(harness, "ann").await;
    let terms = terms(&client, 0).await;
    let job = client.open(&terms).await;
    let refused = async |party: &Party, command: Bid| {
        let key = party.fresh_key();
        match party.transport.submit_to_auction(&key, &command, AttoFil::ZERO).await {
            Err(SubmitError::RejectedByAuction { rejection, .. }) => rejection,
            other => panic!("{command:?} came to {other:?}"),
        }
    };
    let bidder = ann.address();
    let none = auction::Rejection::NoCommitment { job, bidder };
    assert_eq!(refused(&ann, reveal(&ann, &terms, 2)).await, none);
    assert_eq!(refused(&ann, Bid::Award { terms: terms.clone() }).await, auction::Rejection::NothingToAward(job));
    assert_eq!(refused(&client, seal(&client, &terms, 2)).await, auction::Rejection::InvalidBidder(client.address()));
    let short = Terms { lock_by: Time(terms.ramp_start.0 + PHASE), ..terms.clone() };
    let fault = auction::Rejection::BadAuction(auction::AuctionFault::TooLong);
    assert_eq!(refused(&ann, seal(&ann, &short, 2)).await, fault);
    let other = Terms { salt: terms.salt + lota_market::U256::from(1), ..terms.clone() };
    let unknown = model::Rejection::UnknownJob(ann.transport.job_id(&other));
    assert_eq!(refused(&ann, seal(&ann, &other, 2)).await, auction::Rejection::Market(unknown));
    let unknown = model::Rejection::UnknownJob(ann.transport.job_id(&other));
    assert_eq!(
        refused(&client, Bid::Cancel { terms: other }).await,
        auction::Rejection::Market(unknown),
        "the market's word"
    );
    send(&ann, seal(&ann, &terms, 2)).await;
    let twice = auction::Rejection::AlreadyCommitted { job, bidder };
    assert_eq!(refused(&ann, seal(&ann, &terms, 3)).await, twice);
    harness.advance(PHASE + 10).await;
    let wrong = auction::Rejection::WrongReveal { job, bidder };
    assert_eq!(refused(&ann, reveal(&ann, &terms, 3)).await, wrong);

    let value = AttoFil(1);
    let paid = ann.transport.submit_to_auction(&ann.fresh_key(), &Bid::Award { terms: terms.clone() }, value).await;
    assert_eq!(paid, Err(SubmitError::NotPayable { value }));
    // The same key lands once.
    let key = ann.fresh_key();
    let first = ann.transport.submit_to_auction(&key, &Bid::Fund, AttoFil(FIL)).await.expect("it lands");
    let again = ann.transport.submit_to_auction(&key, &Bid::Fund, AttoFil(FIL)).await.expect("it has landed");
    assert_eq!(first, again);
    let reused = ann.transport.submit(&key, &Command::Lock { terms }, AttoFil::ZERO).await;
    assert!(matches!(reused, Err(SubmitError::KeyReused { .. })), "{reused:?}");
}

/// The client cancels while nobody has bid; anyone once the reveals are over.
pub async fn a_job_without_bids_is_cancelled(harness: &impl Harness) {
    let client = Party::with_deposit(harness, "client").await;
    let ann = bidder(harness, "ann").await;
    let (own, others) = (terms(&client, 0).await, terms(&client, 1).await);
    for terms in [&own, &others] {
        client.open(terms).await;
    }
    let cancelled = send(&client, Bid::Cancel { terms: own.clone() }).await;
    let job = client.transport.job_id(&own);
    assert_eq!(cancelled.auction_events, [auction::Event::AuctionCancelled { job }]);
    assert_eq!(cancelled.events, [Event::JobCancelled { job, reason: model::Reason::Withdrawn }]);
    send(&ann, seal(&ann, &others, 2)).await;
    harness.advance(2 * PHASE + 10).await;
    send(&ann, Bid::Cancel { terms: others.clone() }).await;
    let job = client.transport.job_id(&others);
    let swept = send(&client, Bid::Sweep { terms: others, bidders: vec![ann.address()] }).await;
    assert_eq!(swept.auction_events, [auction::Event::CommitmentSwept { job, bidder: ann.address() }]);
    assert_eq!(client.balance().await, AttoFil(100 * FIL));
    let burned = AttoFil(4 * FIL);
    let left = AttoFil(50 * FIL).saturating_sub(burned);
    assert_eq!(ann.transport.auction_balance(ann.address()).await, Ok(left), "the deposit is burned");
}
