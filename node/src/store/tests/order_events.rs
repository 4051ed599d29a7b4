//! What is kept of orders that are paid over Filecoin Pay.

use lota_market::{
    agent::{At, OrderView},
    filecoin_pay_deals::Event,
};

use super::*;

fn opened(job: u64) -> Event {
    let (payer, provider) = (CLIENT, Address::ZERO);
    Event::OrderOpened { job: id(job), payer, provider, min_price: U256::from(1), max_price: U256::MAX }
}

fn taken(job: u64) -> Event {
    let (rail, price) = (U256::from(3), U256::from(7));
    Event::OrderTaken { job: id(job), payer: CLIENT, provider: Address::repeat_byte(9), rail, price }
}

#[tokio::test]
async fn an_orders_events_are_kept_once_and_those_of_a_fork_that_is_gone_are_not() {
    let (_folder, store) = store().await;
    let mut batch = store.begin().await.expect("begins");
    for (block, index, event) in [(1, 1, opened(1)), (1, 1, opened(1)), (2, 4, taken(1)), (2, 6, opened(2))] {
        batch.add_order_event(&cursor(block, index), Time(5), &event).await.expect("added");
    }
    let rail = Event::RailPaid { rail: U256::from(3), amount: U256::from(7) };
    batch.add_order_event(&cursor(2, 9), Time(5), &rail).await.expect("of no job");
    let at = |block| At { block, time: Time(5) };
    let of_first = batch.order_events_of(id(1)).await.expect("read");
    assert_eq!(of_first, [(at(1), opened(1)), (at(2), taken(1))]);
    let view = OrderView::fold(of_first.iter().map(|(at, event)| (*at, event))).expect("it was opened");
    assert!(view.is_taken_by(Address::repeat_byte(9)));

    assert_eq!(batch.rewind_orders(Some(cursor(2, 4))).await.expect("undone"), [id(2)], "up to there all holds");
    assert_eq!(batch.rewind_orders(Some(cursor(1, 9))).await.expect("undone"), [id(1)]);
    assert_eq!(batch.order_events_of(id(1)).await.expect("read"), [(at(1), opened(1))]);
    batch.add_order_event(&cursor(3, 1), Time(5), &opened(7)).await.expect("added");
    batch.add_order_event(&cursor(3, 2), Time(6), &opened(8)).await.expect("added");
    batch.save(&Change { live: false, ..record(1, 5) }, false, Time(5)).await.expect("saved");
    assert_eq!(batch.prune(Time(6), 10).await.expect("pruned"), [id(1)]);
    assert_eq!(batch.order_events_of(id(1)).await.expect("read"), [], "they go with their job");
    assert_eq!(batch.order_events_of(id(7)).await.expect("read"), [], "nobody kept its job");
    assert_eq!(batch.order_events_of(id(8)).await.expect("read").len(), 1, "its job may come yet");
}
