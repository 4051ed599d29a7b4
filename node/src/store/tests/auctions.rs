//! What is kept of auctions.

use lota_market::{agent::AuctionEnd, auction::Event};

use super::*;

const ME: Address = Address::repeat_byte(0xee);

fn bidder(number: u32) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

fn committed(bidder: Address, order: u32) -> Event {
    Event::BidCommitted { job: id(1), bidder, commitment: B256::ZERO, order }
}

fn revealed(bidder: Address, price: u128) -> Event {
    Event::BidRevealed { job: id(1), bidder, price: AttoFil(price) }
}

async fn add(batch: &mut Batch<'_>, index: u32, event: &Event) {
    batch.add_auction_event(&cursor(1, index), Time(5), event, ME).await.expect("added");
}

#[tokio::test]
async fn however_many_bid_for_a_job_so_many_bids_are_kept_and_the_cheapest_and_ones_own_among_them() {
    let (_folder, store) = store().await;
    let mut batch = store.begin().await.expect("begins");
    let crowd = 3 * KEPT_BIDS;
    let mut index = 0;
    let mut next = || {
        index += 1;
        index
    };
    for number in 1..=crowd {
        add(&mut batch, next(), &committed(bidder(number), number)).await;
    }
    add(&mut batch, next(), &committed(ME, crowd + 1)).await;
    // The dearest first, and last of all one's own, which is dearer still.
    for number in 1..=crowd {
        add(&mut batch, next(), &revealed(bidder(number), 10_000 - u128::from(number))).await;
        let swept = Event::CommitmentSwept { job: id(1), bidder: bidder(number) };
        add(&mut batch, next(), &swept).await;
    }
    add(&mut batch, next(), &revealed(ME, 20_000)).await;
    let winner = bidder(crowd);
    add(&mut batch, next(), &Event::AuctionAwarded { job: id(1), winner, price: AttoFil(1) }).await;
    let view = batch.fold_auction(id(1), ME).await.expect("folded").expect("there are events");
    assert_eq!((view.own_order, view.own_price), (Some(crowd + 1), Some(AttoFil(20_000))));
    assert_eq!(view.lowest, Some(AttoFil(10_000 - u128::from(crowd))));
    assert_eq!(view.end, Some(AuctionEnd::Awarded { winner, price: AttoFil(1) }));
    batch.commit().await.expect("committed");
    let events = store.auction_events_of(id(1)).await.expect("read");
    assert_eq!(events.len(), 2 * KEPT_BIDS as usize + 3);
    let has = |event: &Event| events.iter().any(|(_, kept)| kept == event);
    assert!(has(&committed(bidder(KEPT_BIDS), KEPT_BIDS)) && !has(&committed(bidder(KEPT_BIDS + 1), KEPT_BIDS + 1)));
    let dearest = crowd - KEPT_BIDS + 1;
    for (number, is_kept) in [(dearest, true), (dearest - 1, false)] {
        assert_eq!(has(&revealed(bidder(number), 10_000 - u128::from(number))), is_kept, "{number}");
    }
}

#[tokio::test]
async fn the_events_of_an_auction_go_with_their_job() {
    let (_folder, store) = store().await;
    let mut batch = store.begin().await.expect("begins");
    let change = Change { live: false, ..record(1, 5) };
    batch.save(&change, false, Time(5)).await.expect("saved");
    add(&mut batch, 1, &committed(ME, 1)).await;
    assert_eq!(batch.prune(Time(6), 10).await.expect("pruned"), [id(1)]);
    assert_eq!(batch.fold_auction(id(1), ME).await.expect("folded"), None);
}
