//! Nodes that are not one node: balancers whose backends differ, lag, or belong to another chain; and accounts with little money.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use lota_bridge::{
    Journal, Reserve, SubmitError, Transport, TransportError, Update,
    conformance::Party,
    evm::{Config, EvmTransport, Fees, bindings},
    journal::AccountId,
};
use lota_market::{AttoFil, agent::EffectKey, model::Command, money::FIL};
use serde_json::json;

use crate::{
    anvil::{Anvil, CHAIN_ID, number},
    harness::{OnChain, SETTINGS, Via, signer},
    lotus::Fault,
    sending::{elsewhere, try_elsewhere},
};

const NAME: &str = "party";

fn key(name: &str) -> EffectKey {
    EffectKey::named(name)
}

/// Waits until the proxy got that many more calls of a method.
async fn calls(chain: &OnChain, method: &str, more: u64) {
    let before = chain.lotus.calls(method);
    while chain.lotus.calls(method) < before + more {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn journal_length(chain: &OnChain) -> usize {
    let account = AccountId { chain_id: CHAIN_ID, address: signer(NAME).address() };
    chain.journal(NAME).since(account, 0).await.expect("it reads").len()
}

async fn deposit(transport: &EvmTransport, name: &str) -> Result<lota_bridge::Landed, SubmitError> {
    let command = Command::Deposit { account: transport.party() };
    transport.submit(&key(name), &command, AttoFil(FIL)).await
}

#[tokio::test]
async fn a_node_that_asks_to_be_left_alone_is_left_alone_by_everybody() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    chain.fund(NAME).await;
    let transport = chain.connect_with(NAME, chain.config()).await;
    transport.head().await.expect("the node answers");
    chain.lotus.next("eth_getBlockByNumber", [Fault::TooMany { retry_after: Some(500) }]);
    transport.head().await.expect_err("it is too busy");
    let before = chain.lotus.calls("eth_getBalance");
    for error in [
        transport.wallet(transport.party()).await.expect_err("nobody asks"),
        transport.head().await.expect_err("nobody asks"),
    ] {
        assert!(error.is_temporary() && error.to_string().contains("left alone for 49"), "{error}");
    }
    let error = deposit(&transport, "once").await.expect_err("nobody asks");
    assert!(error.is_temporary(), "{error}");
    assert_eq!(chain.lotus.calls("eth_getBalance"), before);
    assert_eq!(journal_length(&chain).await, 0);
}

#[tokio::test]
async fn another_chain_behind_the_same_url_is_neither_read_nor_signed_for() {
    let chain = OnChain::begin(Via::Lotus, 1).await;
    let client = Party::connect(&chain, "client").await;
    client.send(Command::Announce { url: "https://here.example".into() }).await;
    chain.anvil.mine(9).await;
    // The other chain has a market at the same address, with other events, and the same account has sent more there.
    let other = Anvil::spawn_with(314).await;
    assert_eq!(other.deploy(&bindings::deployment(&SETTINGS)).await, chain.market);
    other.set_balance(signer(NAME).address(), 1_000 * FIL).await;
    for nonce in 0..5 {
        elsewhere(&other, 314, NAME, nonce, 1_000_000_000_000).await;
    }
    other.mine(40).await;

    chain.fund(NAME).await;
    let fees = Fees { max_fee: None, patience: Duration::from_millis(1), repeat: Duration::from_millis(1) };
    let transport = Arc::new(chain.connect_with(NAME, Config { fees, ..chain.config() }).await);
    let mut updates = transport.updates(None);
    while !matches!(updates.next().await, Some(Ok(Update::Head { .. }))) {}
    chain.anvil.automine(false).await;
    let paying = tokio::spawn({
        let transport = transport.clone();
        async move { deposit(&transport, "once").await }
    });
    while journal_length(&chain).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    chain.lotus.redirect(other.http_url());
    let wrong = TransportError::WrongChain { wanted: CHAIN_ID, found: 314 };
    loop {
        match updates.next().await {
            Some(Err(error)) if error == wrong => break,
            Some(Ok(Update::Event { .. } | Update::Rewind { .. })) => {
                panic!("something of the other chain is believed")
            }
            Some(_) => {}
            None => panic!("the stream ends without a reason"),
        }
    }
    assert!(updates.next().await.is_none());
    let error = deposit(&transport, "other").await.expect_err("it is another chain");
    assert_eq!(error, SubmitError::Transport(wrong.clone()));
    calls(&chain, "eth_chainId", 6).await;
    assert_eq!(journal_length(&chain).await, 1, "nothing is signed with what the other chain says");
    assert_eq!(paying.await.expect("no panic"), Err(SubmitError::Transport(wrong)));

    chain.lotus.redirect(chain.anvil.http_url());
    chain.anvil.automine(true).await;
    chain.anvil.mine(1).await;
    deposit(&transport, "once").await.expect("it landed, or lands now");
    assert_eq!(transport.balance(transport.party()).await, Ok(AttoFil(FIL)), "it was paid once");
    assert_eq!(journal_length(&chain).await, 1);
}

/// A chain with the same market at the same address, where the same account has money.
async fn another_chain(chain: &OnChain) -> Anvil {
    let other = Anvil::spawn_with(314).await;
    assert_eq!(other.deploy(&bindings::deployment(&SETTINGS)).await, chain.market);
    other.set_balance(signer(NAME).address(), 1_000 * FIL).await;
    other
}

#[tokio::test]
async fn what_another_chain_says_of_gas_is_not_signed() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    chain.fund(NAME).await;
    let other = another_chain(&chain).await;
    let transport = chain.connect_with(NAME, chain.config()).await;
    deposit(&transport, "first").await.expect("it lands");
    // Everything about the account was asked for just now, and on the other chain the command would do as well. Nobody else asks
    // which chain it is: the first one landed for good.
    let wrong = Err(SubmitError::Transport(TransportError::WrongChain { wanted: CHAIN_ID, found: 314 }));
    chain.lotus.redirect(other.http_url());
    assert_eq!(deposit(&transport, "second").await, wrong);
    // A block that is as high as those that are known does not help.
    other.mine(chain.anvil.height().await + 1 - other.height().await).await;
    assert_eq!(deposit(&transport, "second").await, wrong);
    assert_eq!(journal_length(&chain).await, 1, "nothing was signed");
    chain.lotus.redirect(chain.anvil.http_url());
    deposit(&transport, "second").await.expect("it lands");
    assert_eq!(journal_length(&chain).await, 2);
}

#[tokio::test]
async fn another_chain_whose_id_is_asked_for_in_vain_is_not_signed_for() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    chain.fund(NAME).await;
    let other = another_chain(&chain).await;
    let transport = chain.connect_with(NAME, chain.config()).await;
    deposit(&transport, "first").await.expect("it lands");
    chain.lotus.redirect(other.http_url());
    chain.lotus.always("eth_chainId", Some(Fault::Down));
    let error = deposit(&transport, "second").await.expect_err("nobody knows which chain it is");
    assert!(error.is_temporary(), "{error}");
    assert_eq!(journal_length(&chain).await, 1, "nothing was signed");
}

#[tokio::test]
async fn backends_that_are_not_equally_far_are_no_reorganisation() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    chain.fund(NAME).await;
    let fees = Fees { max_fee: None, patience: Duration::from_secs(3_600), repeat: Duration::from_secs(3_600) };
    let transport = Arc::new(chain.connect_with(NAME, Config { fees, ..chain.config() }).await);
    chain.anvil.mine(20).await;
    let mut updates = transport.updates(None);
    chain.lotus.waver([0, 2, 0, 0, 5, 1, 0]);
    let sending = tokio::spawn({
        let (transport, until) = (transport.clone(), tokio::time::Instant::now() + Duration::from_secs(240));
        async move {
            for number in 0..4 {
                while let Err(error) = deposit(&transport, &number.to_string()).await {
                    assert!(error.is_temporary() && tokio::time::Instant::now() < until, "{number}: {error}");
                }
            }
        }
    });
    let mining = async {
        loop {
            chain.anvil.mine(1).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let reading = async {
        let mut found = 0;
        while found < 4 {
            match updates.next().await.expect("the stream goes on") {
                Ok(Update::Event { .. }) => found += 1,
                Ok(Update::Head { .. }) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => assert!(error.is_temporary(), "{error}"),
            }
        }
    };
    tokio::select! {
        () = mining => {}
        () = reading => {}
    }
    let mining = async {
        loop {
            chain.anvil.mine(1).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = mining => {}
        sent = sending => sent.expect("all four landed"),
    }
    chain.lotus.waver([]);
    assert_eq!(transport.balance(transport.party()).await, Ok(AttoFil(4 * FIL)));
    assert_eq!(journal_length(&chain).await, 4);
}

#[tokio::test]
async fn a_receipt_that_comes_late_is_waited_for() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    chain.fund(NAME).await;
    let transport = Arc::new(chain.connect_with(NAME, chain.config()).await);
    chain.lotus.always("eth_getTransactionReceipt", Some(Fault::Instead(json!(null))));
    let paying = tokio::spawn({
        let transport = transport.clone();
        async move { deposit(&transport, "once").await }
    });
    calls(&chain, "eth_getTransactionReceipt", 8).await;
    chain.lotus.always("eth_getTransactionReceipt", None);
    paying.await.expect("no panic").expect("it landed");
    assert_eq!(transport.balance(transport.party()).await, Ok(AttoFil(FIL)), "it was paid once");
    assert_eq!(journal_length(&chain).await, 1);
}

#[tokio::test]
async fn a_node_without_the_end_of_a_range_is_behind_and_no_reason_for_small_ranges() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, NAME).await;
    chain.anvil.mine(900).await;
    let mut updates = party.transport.updates(None);
    chain.lotus.next(
        "eth_getLogs",
        vec![Fault::Error { code: -32_000, message: "block range extends beyond current head block".into() }; 4],
    );
    let mut errors = 0;
    loop {
        match updates.next().await.expect("the stream goes on") {
            Ok(Update::Head { .. }) => break,
            Ok(other) => panic!("there is no {other:?}"),
            Err(error) => {
                assert!(error.to_string().contains("the node is behind"), "{error}");
                errors += 1;
            }
        }
    }
    // 64, 128, 256, 512 epochs, and the rest.
    assert_eq!((errors, chain.lotus.calls("eth_getLogs")), (4, 4 + 5), "the ranges grow all the same");
}

#[tokio::test]
async fn a_chain_that_went_back_and_does_not_grow_is_believed_after_a_while() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let party = Party::connect(&chain, NAME).await;
    let first = party.send(Command::Announce { url: "https://first.example".into() }).await;
    chain.anvil.mine(3).await;
    party.send(Command::Announce { url: "https://second.example".into() }).await;
    let fees = Fees { max_fee: None, patience: Duration::from_millis(200), repeat: Duration::from_secs(3_600) };
    let reader = chain.connect_with("reader", Config { fees, ..chain.config() }).await;
    let mut updates = reader.updates(None);
    let mut found = 0;
    while found < 2 {
        if let Some(Ok(Update::Event { .. })) = updates.next().await {
            found += 1;
        }
    }
    drop(party);
    // As a node that is killed and begins with an older state.
    chain.anvil.call("anvil_rollback", json!([2])).await;
    loop {
        match updates.next().await.expect("the stream goes on") {
            Ok(Update::Rewind { to }) => {
                assert!(to.is_some_and(|to| to.position() >= first.cursor.position()), "{to:?}");
                break;
            }
            Ok(Update::Head { .. }) => {}
            Ok(other) => panic!("{other:?} did not happen"),
            Err(error) => assert!(error.to_string().contains("the node is behind"), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_key_that_another_program_uses_at_the_same_time_sends_everything_once() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    chain.fund(NAME).await;
    let fees = Fees { max_fee: None, patience: Duration::from_millis(400), repeat: Duration::from_millis(200) };
    let transport = Arc::new(chain.connect_with(NAME, Config { fees, ..chain.config() }).await);
    chain.anvil.automine(false).await;
    let paying: Vec<_> = (0..6)
        .map(|number| {
            let transport = transport.clone();
            tokio::spawn(async move {
                loop {
                    match deposit(&transport, &number.to_string()).await {
                        Ok(landed) => return landed,
                        Err(error) => assert!(error.is_temporary(), "{error}"),
                    }
                }
            })
        })
        .collect();
    // The other program takes nonces before, between and in place of ours, at a price that ours are replaced by.
    let me = signer(NAME).address();
    for round in 0..8 {
        let which = if round % 2 == 0 { "pending" } else { "latest" };
        let nonce = number(&chain.anvil.call("eth_getTransactionCount", json!([me, which])).await);
        try_elsewhere(&chain.anvil, CHAIN_ID, NAME, nonce, 900_000_000_000).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        chain.anvil.mine(1).await;
    }
    let mining = async {
        loop {
            chain.anvil.mine(1).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let landing = async {
        let mut transactions = Vec::new();
        for paying in paying {
            transactions.push(paying.await.expect("no panic").transaction);
        }
        transactions
    };
    let mut transactions = tokio::select! {
        () = mining => Vec::new(),
        transactions = landing => transactions,
    };
    transactions.sort_unstable();
    transactions.dedup();
    assert_eq!(transactions.len(), 6);
    assert_eq!(transport.balance(me).await, Ok(AttoFil(6 * FIL)), "each was paid once");
}

#[tokio::test]
async fn a_lock_waits_until_the_account_can_pay_for_what_follows_it() {
    let chain = OnChain::begin(Via::Lotus, 0).await;
    let client = Party::with_deposit(&chain, "client").await;
    let provider = Party::with_deposit(&chain, "provider").await;
    let terms = client.terms(0).await;
    client.open(&terms).await;
    let lock = Command::Lock { terms };
    let me = provider.address();
    // Enough for a lock and its margin, and too little for the result.
    chain.anvil.set_balance(me, 60_000 * 4_000_000_000).await;
    let reserve = Reserve { commands: 2, callback_gas: 0 };
    let submit = |reserve| {
        let (transport, lock) = (provider.transport.clone(), lock.clone());
        async move { transport.submit_with_reserve(&key("lock"), &lock, AttoFil::ZERO, reserve).await }
    };
    let error = submit(reserve).await.expect_err("the result could not be paid for");
    let SubmitError::Unaffordable { account, wallet, needed } = &error else { panic!("{error}") };
    assert_eq!((*account, *wallet), (me, AttoFil(60_000 * 4_000_000_000)));
    let more = submit(Reserve { commands: 2, callback_gas: 500_000 }).await.expect_err("the callback neither");
    let SubmitError::Unaffordable { needed: with_callback, .. } = &more else { panic!("{more}") };
    assert!(with_callback > needed, "{more}");
    chain.anvil.set_balance(me, needed.0 * 2).await;
    let landed = submit(reserve).await.expect("there is enough");
    // What was sent is not held up.
    chain.anvil.set_balance(me, 0).await;
    assert_eq!(submit(reserve).await, Ok(landed));
}
