//! Nodes that are wrong, absent, slow, stingy or behind.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use lota_bridge::{
    Cursor, Transport, TransportError, Update, UpdateStream,
    conformance::{Harness, Party},
    evm::{Config, EvmTransport, Finality, auction, bindings, filecoin_pay_deals},
    journal::MemoryJournal,
};
use lota_market::{
    Address, AttoFil,
    agent::EffectKey,
    model::{Command, Event},
};
use serde_json::json;

use crate::{
    anvil::{CHAIN_ID, number},
    harness::{OnChain, SETTINGS, Via, signer},
    lotus::{Fault, epoch_of},
};

async fn connect(config: Config, contract: Address) -> Result<EvmTransport, TransportError> {
    EvmTransport::connect(config, contract, 0, signer("party"), Arc::new(MemoryJournal::default())).await
}

fn announcements(count: usize) -> Command {
    Command::Multicall { calls: vec![Command::Announce { url: "https://one.example".into() }; count] }
}

/// The next update that is none of these errors; the errors before it.
async fn next(updates: &mut UpdateStream) -> (Update, Vec<TransportError>) {
    let mut errors = Vec::new();
    loop {
        match updates.next().await.expect("the stream goes on") {
            Ok(update) => return (update, errors),
            Err(error) => errors.push(error),
        }
    }
}

/// Reads that many events; nothing may be undone.
async fn read_events(updates: &mut UpdateStream, count: usize) -> Vec<TransportError> {
    let (mut found, mut all) = (0, Vec::new());
    while found < count {
        let (update, errors) = next(updates).await;
        all.extend(errors);
        match update {
            Update::Event { .. } => found += 1,
            Update::Head { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    all
}

#[tokio::test]
async fn connecting_to_something_else_says_what_was_found() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let config = chain.config();

    let mainnet = Config { chain_id: 314, ..config.clone() };
    assert_eq!(
        connect(mainnet, chain.market).await.err(),
        Some(TransportError::WrongChain { wanted: 314, found: CHAIN_ID })
    );

    let error = connect(config.clone(), Address::repeat_byte(0x77)).await.expect_err("there is nothing");
    assert!(matches!(error, TransportError::NoMarket { .. }) && error.to_string().contains("no contract"), "{error}");

    let other = chain.anvil.deploy(&[0x60, 0x01, 0x80, 0x5f, 0x53, 0x5f, 0xf3]).await;
    let error = connect(config.clone(), other).await.expect_err("it is no market");
    assert!(matches!(error, TransportError::NoMarket { .. }), "{error}");

    // Something else where the auction should be.
    let second = chain.anvil.deploy(&bindings::deployment(&SETTINGS)).await;
    let of_second = chain.anvil.deploy(&auction::deployment(second, 60)).await;
    for (contract, part) in [
        (Address::repeat_byte(0x77), "there is no contract".to_owned()),
        (other, "no auction for this market answers".to_owned()),
        (second, "no auction for this market answers".to_owned()),
        (of_second, format!("the jobs of another market, {second}")),
    ] {
        let transport = connect(config.clone(), chain.market).await.expect("the market is there");
        let error = transport.with_auction_at(contract).await.expect_err("it is no auction for this market");
        assert!(matches!(error, TransportError::NoAuctionAt { .. }) && error.to_string().contains(&part), "{error}");
    }
    let orders_of_second = filecoin_pay_deals::Deployment {
        market: second,
        callback_gas: 1,
        filecoin_pay: other,
        token: Address::ZERO,
        epoch_seconds: 1,
        grace: 0,
    };
    let orders_of_second = chain.anvil.deploy(&orders_of_second.code()).await;
    for (contract, part) in [
        (Address::repeat_byte(0x77), "there is no contract".to_owned()),
        (second, "no FilecoinPayDeals for this market answers".to_owned()),
        (of_second, "no FilecoinPayDeals for this market answers".to_owned()),
        (orders_of_second, format!("its jobs are of another market, {second}")),
    ] {
        let transport = connect(config.clone(), chain.market).await.expect("the market is there");
        let error = transport.with_filecoin_pay_deals_at(contract).await.expect_err("it is none for this market");
        let is_it = matches!(error, TransportError::NoFilecoinPayDealsAt { .. });
        assert!(is_it && error.to_string().contains(&part), "{error}");
    }

    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let closed = format!("http://{}", listener.local_addr().expect("it is bound"));
    drop(listener);
    for url in [closed.clone(), closed.replace("http", "ws")] {
        let error = connect(Config { url, ..config.clone() }, chain.market).await.expect_err("nobody listens");
        assert!(error.is_temporary(), "{error}");
    }
    let error = connect(Config { url: "no url".into(), ..config }, chain.market).await.expect_err("it is no URL");
    assert!(!error.is_temporary() && error.to_string().contains("`no url` is no URL"), "{error}");
}

#[tokio::test]
async fn a_node_that_becomes_another_chains_ends_the_stream() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, "party").await;
    let mut updates = party.transport.updates(None);
    next(&mut updates).await;
    chain.lotus.always("eth_chainId", Some(Fault::Instead(json!("0x13a"))));
    chain.lotus.next("eth_getLogs", [Fault::Down]);
    let mut errors = updates.filter_map(async |update| update.err()).collect::<Vec<_>>().await;
    assert_eq!(errors.pop(), Some(TransportError::WrongChain { wanted: CHAIN_ID, found: 314 }));
    assert!(errors.iter().all(TransportError::is_temporary), "{errors:?}");
}

#[tokio::test]
async fn ranges_are_halved_until_the_node_takes_them() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, "party").await;
    for _ in 0..4 {
        party.send(announcements(3)).await;
        chain.anvil.mine(40).await;
    }
    for (range, results) in [(5, 10_000), (2_880, 5), (0, 3)] {
        chain.lotus.limit(range, results);
        let mut updates = party.transport.updates(None);
        assert_eq!(read_events(&mut updates, 12).await, [], "range {range}, results {results}");
        let (update, _) = next(&mut updates).await;
        assert!(matches!(update, Update::Head { .. }));
    }
    // Three in one block, and the node gives two: no range is small enough.
    chain.lotus.limit(2_880, 2);
    let mut updates = party.transport.updates(None);
    let error = updates.next().await.expect("it goes on").expect_err("it cannot be read");
    assert!(error.is_temporary() && error.to_string().contains("too many results"), "{error}");
    chain.lotus.limit(2_880, 10_000);
    read_events(&mut updates, 12).await;
}

#[tokio::test]
async fn no_range_is_larger_than_filecoins_nodes_allow() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, "party").await;
    chain.anvil.mine(5_000).await;
    party.send(announcements(1)).await;
    let mut updates = party.transport.updates(None);
    assert_eq!(read_events(&mut updates, 1).await, []);
    assert!(chain.lotus.widest() < 2_880, "{}", chain.lotus.widest());
    assert!(chain.lotus.calls("eth_getLogs") < 20, "long ranges are used");
    assert_eq!(chain.lotus.calls("eth_newFilter"), 0);
}

#[tokio::test]
async fn a_node_that_is_away_busy_or_slow_is_asked_again() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, "party").await;
    let config = Config { timeout: Duration::from_millis(500), ..chain.config() };
    let reader = chain.connect_with("reader", config).await;
    let mut updates = reader.updates(None);
    next(&mut updates).await;
    for (fault, words) in [
        (Fault::Down, "HTTP 503"),
        (Fault::Page, "HTTP 502"),
        (Fault::Truncated, "makes no sense"),
        (Fault::Silent, "does not answer within"),
        (Fault::Error { code: 429, message: "compute units are used up".into() }, "asks for patience"),
        (Fault::TooMany { retry_after: Some(1) }, "too many requests"),
        (Fault::TooMany { retry_after: None }, "too many requests"),
        (Fault::Slow(Duration::from_secs(5)), "does not answer within"),
        (Fault::Error { code: -32_005, message: "daily request count exceeded".into() }, "daily request count"),
        (Fault::Error { code: 1, message: "something odd".into() }, "something odd"),
    ] {
        chain.lotus.next("eth_getLogs", [fault]);
        while chain.lotus.left("eth_getLogs") > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if let Some(Some(Err(error))) = futures::FutureExt::now_or_never(updates.next()) {
                assert!(error.to_string().contains(words), "{error}");
            }
        }
        party.send(announcements(1)).await;
        read_events(&mut updates, 1).await;
    }
}

#[tokio::test]
async fn a_node_that_is_behind_is_not_a_reorganisation() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, "party").await;
    chain.anvil.mine(40).await;
    party.send(announcements(1)).await;
    let mut updates = party.transport.updates(None);
    read_events(&mut updates, 1).await;
    next(&mut updates).await;
    chain.lotus.fall_behind(20);
    let error = updates.next().await.expect("it goes on").expect_err("the node is behind");
    assert!(error.is_temporary() && error.to_string().contains("the node is behind"), "{error}");
    chain.lotus.fall_behind(0);
    party.send(announcements(1)).await;
    read_events(&mut updates, 1).await;
}

#[tokio::test]
async fn logs_that_a_lagging_node_left_out_are_read_later() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, "party").await;
    let mut updates = party.transport.updates(None);
    next(&mut updates).await;
    chain.lotus.always("eth_getLogs", Some(Fault::Instead(json!([]))));
    let before = chain.anvil.height().await;
    let sending = tokio::spawn(async move { party.send(announcements(2)).await });
    while chain.anvil.height().await == before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The reader goes past the block, and is told of nothing in it.
    loop {
        match next(&mut updates).await.0 {
            Update::Head { cursor, .. } if cursor.block >= epoch_of(before + 1) => break,
            Update::Head { .. } => {}
            other => panic!("nobody can know of {other:?}"),
        }
    }
    chain.lotus.always("eth_getLogs", None);
    sending.await.expect("it lands");
    let mut found = 0;
    while found < 2 {
        match next(&mut updates).await.0 {
            Update::Event { .. } => found += 1,
            // Nothing was yielded that is undone: at most heads.
            Update::Auction { .. } | Update::FilecoinPayDeals { .. } | Update::Rewind { .. } | Update::Head { .. } => {}
        }
    }
}

/// What a reader knows.
#[derive(Debug, Default)]
struct Fold {
    events: Vec<(Cursor, Event)>,
    finalized: u64,
    rewinds: usize,
}

impl Fold {
    /// Takes updates until the chain's newest block is at least this.
    async fn read_to(&mut self, updates: &mut UpdateStream, block: u64) {
        loop {
            match next(updates).await.0 {
                Update::Event { cursor, event, .. } => self.events.push((cursor, event)),
                Update::Auction { event, .. } => panic!("{event:?} of no auction"),
                Update::FilecoinPayDeals { event, .. } => panic!("{event:?} of no orders"),
                Update::Rewind { to } => {
                    self.rewinds += 1;
                    let is_final = |(cursor, _): &&(Cursor, Event)| cursor.block <= self.finalized;
                    let before = self.events.iter().filter(is_final).count();
                    self.events.retain(|(cursor, _)| !cursor.is_above(to.as_ref()));
                    assert_eq!(self.events.iter().filter(is_final).count(), before, "what is final is not undone");
                }
                Update::Head { cursor, latest, finalized } => {
                    assert!(finalized >= self.finalized, "{finalized} after {}", self.finalized);
                    assert_eq!(cursor.block, latest.block, "everything up to the newest block was told");
                    self.finalized = finalized;
                    if latest.block >= block {
                        return;
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn reorganisations_of_several_blocks_are_followed_and_undo_nothing_that_is_final() {
    let depth = 8;
    let chain = OnChain::begin(Via::Lotus, depth).await;
    let party = Party::connect(&chain, "party").await;
    party.send(announcements(1)).await;
    chain.anvil.mine(20).await;
    let (mut updates, mut fold) = (party.transport.updates(None), Fold::default());
    let mut sent = 1;
    for round in 0..6 {
        let block = party.send(announcements(2)).await.cursor.block;
        sent += 2;
        fold.read_to(&mut updates, block).await;
        assert_eq!(fold.events.len(), sent, "they are told at once");
        assert!(fold.finalized < block);
        // Of the last four blocks one has the events; the sender brings them back.
        chain.anvil.mine(round % 3).await;
        chain.anvil.reorganise(4).await;
        chain.anvil.mine(3).await;
        let height = epoch_of(chain.anvil.height().await);
        fold.read_to(&mut updates, height).await;
        assert_eq!(fold.rewinds as u64, round + 1);
        while fold.events.len() < sent {
            chain.anvil.mine(1).await;
            let height = epoch_of(chain.anvil.height().await);
            fold.read_to(&mut updates, height).await;
        }
        assert_eq!(fold.finalized, epoch_of(chain.anvil.height().await) - depth);
    }
    let mut afresh = Vec::new();
    replay(&mut chain.connect_with("reader", chain.config()).await.updates(None), &mut afresh).await;
    assert_eq!(fold.events, afresh);
}

#[tokio::test]
async fn a_chain_that_executes_late_and_is_reorganised_every_few_blocks_is_followed() {
    let chain = OnChain::begin(Via::Lotus, 12).await;
    let party = Party::connect(&chain, "party").await;
    chain.anvil.mine(4).await;
    // No block comes while the chain is being reorganised.
    chain.anvil.automine(false).await;
    chain.lotus.execute_late();
    let mut updates = party.transport.updates(None);
    let sending = tokio::spawn(async move {
        for _ in 0..5 {
            party.send(announcements(2)).await;
        }
        party
    });
    let mut fold = Fold::default();
    let mut round = 0;
    while !sending.is_finished() || fold.events.len() < 10 {
        round += 1;
        chain.anvil.mine(1).await;
        if round % 5 == 0 {
            // The newest block was not executed yet, and the two before it were read.
            chain.anvil.reorganise(3).await;
            chain.anvil.mine(1).await;
        }
        let height = epoch_of(chain.anvil.height().await - 1);
        fold.read_to(&mut updates, height).await;
    }
    assert!(fold.rewinds > 0, "it was reorganised");
    drop(sending.await.expect("all landed"));
    // As many as were sent: each once.
    assert_eq!(fold.events.len(), 10);
    chain.anvil.mine(16).await;
    fold.read_to(&mut updates, epoch_of(chain.anvil.height().await - 1)).await;
    assert!(fold.events.iter().all(|(cursor, _)| cursor.block <= fold.finalized), "all is final");
}

#[tokio::test]
async fn a_reorganisation_below_the_final_blocks_is_followed_and_the_work_is_done_again() {
    let chain = OnChain::begin(Via::Lotus, 6).await;
    let party = Party::connect(&chain, "party").await;
    let kept = party.send(announcements(1)).await;
    let mut undone = Vec::new();
    for _ in 0..5 {
        chain.anvil.mine(20).await;
        undone.push(party.send(announcements(2)).await.cursor);
    }
    let mut updates = party.transport.updates(None);
    let mut events = Vec::new();
    replay(&mut updates, &mut events).await;
    assert_eq!(events.len(), 11);
    // More than a hundred blocks, of which but six are not final.
    chain.fork_after(kept.cursor).await;
    let rewound = loop {
        match next(&mut updates).await.0 {
            Update::Rewind { to } => break to,
            Update::Head { .. } => {}
            other => panic!("{other:?} came before the rewind"),
        }
    };
    assert!(rewound.is_some_and(|to| to.position() >= kept.cursor.position()), "{rewound:?}");
    assert!(undone.iter().all(|cursor| cursor.is_above(rewound.as_ref())));
    events.retain(|(cursor, _)| !cursor.is_above(rewound.as_ref()));
    assert_eq!(events.len(), 1);
    let again = party.send(announcements(3)).await;
    while events.last().is_none_or(|(cursor, _)| *cursor != again.cursor) {
        replay(&mut updates, &mut events).await;
    }
    let mut afresh = Vec::new();
    replay(&mut chain.connect_with("reader", chain.config()).await.updates(None), &mut afresh).await;
    assert_eq!(events, afresh);
    assert!(events.len() >= 4, "{}", events.len());
}

#[tokio::test]
async fn the_nodes_own_notions_of_finality_are_followed() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, "party").await;
    for finality in [Finality::Safe, Finality::Finalized] {
        let last = party.send(announcements(1)).await.cursor;
        let reader = chain.connect_with("reader", Config { finality, ..chain.config() }).await;
        let (mut updates, mut fold) = (reader.updates(None), Fold::default());
        fold.read_to(&mut updates, last.block).await;
        assert_eq!(fold.events.last().map(|(cursor, _)| *cursor), Some(last), "events do not wait for it");
        assert!(fold.finalized < last.block, "{finality:?}");
        chain.anvil.mine(100).await;
        let height = epoch_of(chain.anvil.height().await);
        fold.read_to(&mut updates, height).await;
        let tag = if finality == Finality::Safe { "safe" } else { "finalized" };
        let named = chain.anvil.call("eth_getBlockByNumber", json!([tag, false])).await;
        assert_eq!(fold.finalized, epoch_of(number(&named["number"])), "{finality:?}");
        assert!((last.block..height).contains(&fold.finalized));
    }
    // A node that does not say: the classic bound counts.
    chain.lotus.forget_tags();
    chain.anvil.mine(900).await;
    let last = party.send(announcements(1)).await.cursor;
    let config = Config { finality: Finality::Finalized, ..chain.config() };
    let reader = chain.connect_with("reader", config).await;
    let (mut updates, mut fold) = (reader.updates(None), Fold::default());
    fold.read_to(&mut updates, last.block).await;
    assert_eq!(fold.finalized, epoch_of(chain.anvil.height().await) - 900);
    assert_eq!(fold.events.len(), 3);
}

#[tokio::test]
async fn what_becomes_final_is_news_and_does_not_go_back() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, "party").await;
    chain.anvil.mine(10).await;
    let before = chain.anvil.height().await;
    chain.lotus.finalize(before - 4);
    let event = party.send(announcements(1)).await.cursor;
    let reader = chain.connect_with("reader", Config { finality: Finality::Finalized, ..chain.config() }).await;
    let (mut updates, mut fold) = (reader.updates(None), Fold::default());
    fold.read_to(&mut updates, event.block).await;
    assert_eq!((fold.events.len(), fold.finalized), (1, epoch_of(before - 4)));
    // No block comes, and nothing happens but that.
    chain.lotus.finalize(before + 1);
    let (update, _) = next(&mut updates).await;
    let Update::Head { cursor, latest, finalized } = update else { panic!("{update:?} is no head") };
    assert_eq!((cursor.block, latest.block, finalized), (event.block, event.block, event.block));
    // Another node behind the same URL is not as far.
    chain.lotus.finalize(before - 2);
    chain.anvil.mine(2).await;
    fold.read_to(&mut updates, epoch_of(before + 3)).await;
    assert_eq!(fold.finalized, event.block);
}

#[tokio::test]
async fn a_position_that_is_not_final_is_resumed_at_once() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, "party").await;
    let cursor = party.send(announcements(2)).await.cursor;
    let patient = Config { finality: Finality::Depth(8), ..chain.config() };
    let reader = chain.connect_with("reader", patient).await;
    let halfway = Cursor { index: cursor.index - 1, ..cursor };
    let mut updates = reader.updates(Some(halfway));
    assert_eq!(read_events(&mut updates, 1).await, [], "the second event of the block");
    let (update, _) = next(&mut updates).await;
    let Update::Head { finalized, .. } = update else { panic!("{update:?} is no head") };
    assert!(finalized < cursor.block);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_wakes_readers_and_senders_up() {
    let chain = OnChain::begin(Via::Websocket, 0).await;
    let config = chain.config();
    wakes_readers_and_senders_up(&chain, config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_beside_the_calls_wakes_readers_and_senders_up() {
    let chain = OnChain::begin(Via::Websocket, 0).await;
    let config = chain.config();
    let config = Config { hints: Some(config.url.clone()), url: chain.anvil.http_url(), ..config };
    wakes_readers_and_senders_up(&chain, config).await;
}

async fn wakes_readers_and_senders_up(chain: &OnChain, config: Config) {
    chain.fund("party").await;
    let rarely = Config { poll: Duration::from_secs(3_600), ..config };
    let party = Arc::new(chain.connect_with("party", rarely).await);
    let mut updates = party.updates(None);
    let submitting = tokio::spawn({
        let party = party.clone();
        async move { party.submit(&EffectKey::named("once"), &announcements(1), AttoFil::ZERO).await }
    });
    let mining = async {
        loop {
            chain.anvil.mine(1).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = mining => {}
        errors = read_events(&mut updates, 1) => assert_eq!(errors, []),
    }
    let mining = async {
        loop {
            chain.anvil.mine(1).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = mining => {}
        landed = submitting => drop(landed.expect("no panic").expect("it lands")),
    }
}

#[tokio::test]
async fn a_reorganisation_that_keeps_the_height_is_seen() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, "party").await;
    chain.anvil.mine(5).await;
    let mut updates = party.transport.updates(None);
    next(&mut updates).await;
    party.send(announcements(2)).await;
    read_events(&mut updates, 2).await;
    chain.anvil.reorganise(1).await;
    loop {
        if let (Update::Rewind { to }, _) = next(&mut updates).await {
            assert!(to.is_some());
            break;
        }
    }
    party.send(announcements(1)).await;
    read_events(&mut updates, 1).await;
}

/// Reads up to the next head; events that are undone are taken away again.
async fn replay(updates: &mut UpdateStream, events: &mut Vec<(Cursor, Event)>) {
    loop {
        match next(updates).await.0 {
            Update::Event { cursor, event, .. } => events.push((cursor, event)),
            Update::Auction { event, .. } => panic!("{event:?} of no auction"),
            Update::FilecoinPayDeals { event, .. } => panic!("{event:?} of no orders"),
            Update::Rewind { to } => events.retain(|(cursor, _)| !cursor.is_above(to.as_ref())),
            Update::Head { .. } => return,
        }
    }
}

#[tokio::test]
async fn what_was_asked_for_ahead_is_not_believed_after_a_reorganisation() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, "party").await;
    let mut sent = Vec::new();
    for _ in 0..10 {
        sent.push(party.send(announcements(3)).await.cursor);
        chain.anvil.mine(30).await;
    }
    for fork_after in [2, 7] {
        let mut updates = party.transport.updates(None);
        let mut events = Vec::new();
        // The first range is taken in, the second asked for.
        for _ in 0..4 {
            let Update::Event { cursor, event, .. } = next(&mut updates).await.0 else { panic!("there are 30") };
            events.push((cursor, event));
        }
        chain.fork_after(sent[fork_after]).await;
        sent.truncate(fork_after + 1);
        for _ in 0..9 - fork_after {
            sent.push(party.send(announcements(3)).await.cursor);
            chain.anvil.mine(30).await;
        }
        while events.last().is_none_or(|(cursor, _)| Some(cursor) != sent.last()) {
            replay(&mut updates, &mut events).await;
        }
        let mut afresh = Vec::new();
        replay(&mut chain.connect_with("reader", chain.config()).await.updates(None), &mut afresh).await;
        assert_eq!(events, afresh);
        // The sender may have brought back what was undone.
        assert!(events.len() >= 30);
    }
}

#[tokio::test]
async fn answers_that_are_too_long_for_the_way_are_asked_for_in_parts() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, "party").await;
    for _ in 0..10 {
        party.send(announcements(3)).await;
        chain.anvil.mine(3).await;
    }
    chain.lotus.lose_answers_above(4);
    let mut updates = party.transport.updates(None);
    let errors = read_events(&mut updates, 30).await;
    assert!(!errors.is_empty() && errors.iter().all(TransportError::is_temporary), "{errors:?}");
}
