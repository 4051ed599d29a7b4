//! What is kept of rails.

use lota_market::{
    agent::{Occurrence, RailBook},
    filecoin_pay_deals::Event,
};

use super::*;

const RAIL: u64 = 3;

fn number(rail: u64) -> U256 {
    U256::from(rail)
}

fn due(job: u64, rail: u64, price: u64) -> Event {
    Event::PriceDue { job: id(job), rail: number(rail), price: U256::from(price) }
}

fn paid(rail: u64, amount: u64) -> Event {
    Event::RailPaid { rail: number(rail), amount: U256::from(amount) }
}

/// The rail's events, at blocks of which each is a second.
async fn add(batch: &mut Batch<'_>, block: u64, index: u32, rail: u64, event: &Event) -> bool {
    batch.add_rail_event(&cursor(block, index), Time(block), number(rail), event).await.expect("added")
}

async fn books(store: &Store) -> Vec<(U256, RailBook)> {
    store.due_rails().await.expect("read").into_iter().map(|due| (due.rail, due.book)).collect()
}

#[tokio::test]
async fn what_is_due_on_the_partys_rails_is_kept_once_and_follows_reorganisations() {
    let (_folder, store) = store().await;
    let mut batch = store.begin().await.expect("begins");
    for (rail, mine) in [(RAIL, true), (4, false), (RAIL, false)] {
        batch.add_rail(&cursor(1, 1), number(rail), CLIENT, mine).await.expect("added");
    }
    assert!(add(&mut batch, 2, 1, RAIL, &due(1, RAIL, 300)).await);
    assert!(!add(&mut batch, 2, 1, RAIL, &due(1, RAIL, 300)).await, "once");
    assert!(!add(&mut batch, 2, 2, 4, &due(2, 4, 7)).await, "the party pays there");
    assert!(!add(&mut batch, 2, 3, 9, &due(3, 9, 7)).await, "that is nobody's here");
    batch.commit().await.expect("kept");
    let since = Some(Occurrence { block: 2, index: 1, time: Time(2) });
    let owed = |due: u64| RailBook { due: U256::from(due), since, ..RailBook::default() };
    assert_eq!(books(&store).await, [(number(RAIL), owed(300))]);
    assert_eq!(store.price_paid(id(1), number(RAIL)).await.expect("read"), Some(PricePaid::NotYet));

    let mut batch = store.begin().await.expect("begins");
    assert!(add(&mut batch, 3, 1, RAIL, &due(5, RAIL, 40)).await);
    assert!(add(&mut batch, 4, 1, RAIL, &paid(RAIL, 340)).await);
    assert!(add(&mut batch, 4, 2, RAIL, &due(6, RAIL, 5)).await);
    batch.commit().await.expect("kept");
    let told = async |job: u64| store.price_paid(id(job), number(RAIL)).await.expect("read");
    let at = Some(PricePaid::At(Some(Time(4))));
    assert_eq!([told(1).await, told(5).await, told(6).await], [at, at, Some(PricePaid::NotYet)]);
    assert_eq!(store.price_paid(id(1), number(9)).await.expect("read"), None, "nobody's here");

    let mut batch = store.begin().await.expect("begins");
    batch.rewind_rails(Some(cursor(3, 1))).await.expect("undone");
    batch.commit().await.expect("kept");
    assert_eq!(books(&store).await, [(number(RAIL), owed(340))]);
    assert_eq!(told(1).await, Some(PricePaid::NotYet));
    let mut batch = store.begin().await.expect("begins");
    batch.rewind_rails(Some(cursor(1, 0))).await.expect("undone");
    batch.add_rail(&cursor(2, 1), number(RAIL), Address::repeat_byte(8), false).await.expect("added");
    batch.commit().await.expect("kept");
    assert_eq!((books(&store).await, store.books_of_rails().await.expect("read").len()), (vec![], 0), "another pair's");
}

#[tokio::test]
async fn what_was_paid_long_ago_is_forgotten_and_still_counts() {
    let (_folder, store) = store().await;
    let mut batch = store.begin().await.expect("begins");
    batch.add_rail(&cursor(1, 1), number(RAIL), CLIENT, true).await.expect("added");
    for (block, event) in [(2, due(1, RAIL, 300)), (3, paid(RAIL, 300)), (4, due(2, RAIL, 50))] {
        add(&mut batch, block, 1, RAIL, &event).await;
    }
    batch.prune_rails(Time(3), 9, 10).await.expect("pruned");
    batch.prune_rails(Time(9), 2, 10).await.expect("pruned");
    batch.commit().await.expect("kept");
    let told = async |job: u64| store.price_paid(id(job), number(RAIL)).await.expect("read");
    assert_eq!(told(1).await, Some(PricePaid::At(Some(Time(3)))), "it is not old enough, or not final");
    let before = books(&store).await;
    let mut batch = store.begin().await.expect("begins");
    batch.prune_rails(Time(9), 9, 10).await.expect("pruned");
    batch.rewind_rails(Some(cursor(3, 1))).await.expect("undone");
    assert!(add(&mut batch, 4, 1, RAIL, &due(2, RAIL, 50)).await);
    batch.commit().await.expect("kept");
    assert_eq!(books(&store).await, before);
    assert_eq!((before[0].1.paid, before[0].1.fees), (U256::from(300), U256::from(2)));
    assert_eq!([told(1).await, told(2).await], [Some(PricePaid::At(None)), Some(PricePaid::NotYet)]);
}
