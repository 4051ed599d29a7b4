//! Transactions that are dropped, stuck, replaced, reverted, refused, unaffordable, or whose answers are lost.

use std::{sync::Arc, time::Duration};

use lota_bridge::{
    Journal, Landed, Reserve, SubmitError, Transport,
    conformance::{Harness, Party},
    evm::{Config, EvmTransport, Fees},
    journal::{AccountId, Sending, TransactionOutcome},
};
use lota_market::{
    AttoFil, B256, Bytes,
    agent::EffectKey,
    model::{Command, Event, MAX_BATCH, Rejection, Status},
    money::FIL,
};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    anvil::{Anvil, CHAIN_ID, number},
    harness::{OnChain, Via, signer},
    lotus::Fault,
};

const NAME: &str = "sender";

fn announce(url: &str) -> Command {
    Command::Announce { url: url.into() }
}

fn key(name: &str) -> EffectKey {
    EffectKey::named(name)
}

fn account() -> AccountId {
    AccountId { chain_id: CHAIN_ID, address: signer(NAME).address() }
}

async fn chain() -> OnChain {
    let chain = OnChain::begin(Via::Lotus, 1).await;
    chain.fund(NAME).await;
    chain
}

async fn connect(chain: &OnChain, patience: Duration, repeat: Duration) -> Arc<EvmTransport> {
    let fees = Fees { max_fee: None, patience, repeat };
    Arc::new(chain.connect_with(NAME, Config { fees, ..chain.config() }).await)
}

const NEVER: Duration = Duration::from_secs(3_600);

/// Submits in the background.
fn submit(transport: &Arc<EvmTransport>, name: &str, command: &Command) -> JoinHandle<Result<Landed, SubmitError>> {
    let (transport, key, command) = (transport.clone(), key(name), command.clone());
    tokio::spawn(async move { transport.submit(&key, &command, AttoFil::ZERO).await })
}

async fn until<T>(mut found: impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = found().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the journal knows of a key.
async fn written(chain: &OnChain, name: &str) -> Option<Sending> {
    chain.journal(NAME).find(account(), &key(name)).await.expect("it reads")
}

/// Waits until a transaction is in the node's pool.
async fn pooled(chain: &OnChain, hash: B256) {
    until(async || {
        let found = chain.anvil.call("eth_getTransactionByHash", json!([hash])).await;
        (!found.is_null()).then_some(())
    })
    .await;
}

/// The hash of the first version, once it is in the pool.
async fn first_version(chain: &OnChain, name: &str) -> B256 {
    let sending = until(async || written(chain, name).await).await;
    pooled(chain, sending.attempts[0].hash).await;
    sending.attempts[0].hash
}

/// How often the account's announcements are on the chain.
async fn on_chain(chain: &OnChain, url: &str) -> usize {
    let filter = json!({ "address": chain.market, "fromBlock": "0x0", "toBlock": "latest" });
    let logs = chain.anvil.call("eth_getLogs", json!([filter])).await;
    let text = Bytes::copy_from_slice(url.as_bytes()).to_string();
    let is_it = |log: &&serde_json::Value| log["data"].as_str().is_some_and(|data| data.contains(&text[2..]));
    logs.as_array().expect("a list").iter().filter(is_it).count()
}

const URL: &str = "https://once.example";

#[tokio::test]
async fn a_dropped_transaction_is_broadcast_again() {
    let chain = chain().await;
    let transport = connect(&chain, NEVER, Duration::from_millis(200)).await;
    chain.anvil.automine(false).await;
    let landing = submit(&transport, "once", &announce(URL));
    let hash = first_version(&chain, "once").await;
    chain.anvil.call("anvil_dropTransaction", json!([hash])).await;
    pooled(&chain, hash).await;
    chain.anvil.mine(1).await;
    let landed = landing.await.expect("no panic").expect("it lands");
    assert_eq!(landed.transaction, hash);
    assert_eq!(on_chain(&chain, URL).await, 1);
}

#[tokio::test]
async fn what_the_node_dropped_is_missed_before_it_is_time_to_repeat() {
    let chain = chain().await;
    let transport = connect(&chain, NEVER, NEVER).await;
    chain.anvil.automine(false).await;
    let landing = submit(&transport, "once", &announce(URL));
    let hash = first_version(&chain, "once").await;
    chain.anvil.call("anvil_dropTransaction", json!([hash])).await;
    pooled(&chain, hash).await;
    chain.anvil.mine(1).await;
    let landed = landing.await.expect("no panic").expect("it lands");
    assert_eq!(landed.transaction, hash);
    assert_eq!(on_chain(&chain, URL).await, 1);
}

#[tokio::test]
async fn what_the_node_holds_back_for_ever_is_replaced() {
    let chain = chain().await;
    let sets_nonce = async |nonce: &str| {
        chain.anvil.call("anvil_setNonce", json!([signer(NAME).address(), nonce])).await;
    };
    sets_nonce("0x1").await;
    let transport = connect(&chain, NEVER, NEVER).await;
    chain.lotus.always("eth_sendRawTransaction", Some(Fault::Down));
    let landing = submit(&transport, "once", &announce(URL));
    until(async || written(&chain, "once").await).await;
    // It comes to the node while another one comes first, which then happens without the node's noticing: so Anvil does when it
    // mines the one while it takes in the other.
    sets_nonce("0x0").await;
    chain.lotus.always("eth_sendRawTransaction", None);
    let held_back = first_version(&chain, "once").await;
    sets_nonce("0x1").await;
    chain.anvil.mine(1).await;
    assert_eq!(on_chain(&chain, URL).await, 0, "it is held back");
    let landed = transport.submit(&key("once"), &announce(URL), AttoFil::ZERO).await.expect("it lands");
    // Whoever asked first may have been told that the node is away.
    drop(landing);
    assert_ne!(landed.transaction, held_back);
    let attempts = written(&chain, "once").await.map(|sending| sending.attempts.len());
    assert_eq!(attempts, Some(2), "replaced once");
    assert_eq!(on_chain(&chain, URL).await, 1);
}

#[tokio::test]
async fn many_reach_the_node_in_the_order_of_their_nonces() {
    let chain = chain().await;
    let transport = connect(&chain, NEVER, NEVER).await;
    chain.anvil.automine(false).await;
    // The answer to the first one is late, and the second one's is lost.
    chain.lotus.next("eth_sendRawTransaction", [Fault::Slow(Duration::from_millis(300)), Fault::LoseAnswer]);
    let urls: Vec<_> = (0..12).map(|number| format!("https://{number}.example")).collect();
    let landings: Vec<_> = urls.iter().map(|url| submit(&transport, url, &announce(url))).collect();
    let mut highest = 0;
    while highest < urls.len() {
        let status = chain.anvil.call("txpool_status", json!([])).await;
        assert_eq!(number(&status["queued"]), 0, "none came before the one that it waits for");
        highest = number(&status["pending"]) as usize;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    chain.anvil.automine(true).await;
    chain.anvil.mine(1).await;
    for landing in landings {
        landing.await.expect("no panic").expect("it lands");
    }
}

#[tokio::test]
async fn a_stuck_transaction_is_replaced_by_one_with_a_higher_fee() {
    let chain = chain().await;
    let transport = connect(&chain, Duration::from_millis(200), NEVER).await;
    chain.anvil.automine(false).await;
    let landing = submit(&transport, "once", &announce(URL));
    let second = submit(&transport, "second", &announce("https://second.example"));
    let sending = until(async || written(&chain, "once").await.filter(|sending| sending.attempts.len() >= 3)).await;
    for pair in sending.attempts.windows(2) {
        assert!(pair[1].max_fee * 4 > pair[0].max_fee * 5, "a quarter more");
        assert!(pair[1].max_tip * 4 > pair[0].max_tip * 5, "a quarter more");
    }
    until(async || written(&chain, "second").await).await;
    assert_eq!(written(&chain, "second").await.map(|sending| sending.attempts.len()), Some(1), "only the next in line");
    chain.anvil.automine(true).await;
    chain.anvil.mine(1).await;
    let landed = landing.await.expect("no panic").expect("it lands");
    second.await.expect("no panic").expect("it lands");
    let sending = written(&chain, "once").await.expect("it is remembered");
    assert!(sending.attempts.iter().any(|attempt| attempt.hash == landed.transaction));
    assert_eq!(on_chain(&chain, URL).await, 1);
}

/// A payment of nothing with a party's key, made by another program; the node's answer.
pub(crate) async fn try_elsewhere(
    anvil: &Anvil,
    chain_id: u64,
    name: &str,
    nonce: u64,
    max_fee: u128,
) -> serde_json::Value {
    use alloy::{
        consensus::{SignableTransaction, TxEip1559, TxEnvelope},
        eips::eip2718::Encodable2718,
        primitives::TxKind,
        signers::SignerSync,
    };
    let transaction = TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: max_fee,
        max_priority_fee_per_gas: max_fee,
        to: TxKind::Call(signer(name).address()),
        ..TxEip1559::default()
    };
    let signature = signer(name).sign_hash_sync(&transaction.signature_hash()).expect("the key signs");
    let raw = TxEnvelope::from(transaction.into_signed(signature)).encoded_2718();
    anvil.try_call("eth_sendRawTransaction", json!([Bytes::from(raw)])).await
}

/// The same, which the node must take; its hash.
pub(crate) async fn elsewhere(anvil: &Anvil, chain_id: u64, name: &str, nonce: u64, max_fee: u128) -> B256 {
    let answer = try_elsewhere(anvil, chain_id, name, nonce, max_fee).await;
    assert!(answer.get("error").is_none(), "{answer}");
    serde_json::from_value(answer["result"].clone()).expect("a hash")
}

#[tokio::test]
async fn an_effect_whose_nonce_was_used_elsewhere_is_begun_anew() {
    let chain = chain().await;
    let transport = connect(&chain, NEVER, NEVER).await;
    chain.anvil.automine(false).await;
    let landing = submit(&transport, "once", &announce(URL));
    let hash = first_version(&chain, "once").await;
    elsewhere(&chain.anvil, CHAIN_ID, NAME, 0, 1_000_000_000_000).await;
    chain.anvil.automine(true).await;
    chain.anvil.mine(3).await;
    let landed = landing.await.expect("no panic").expect("it lands");
    assert_ne!(landed.transaction, hash);
    assert_eq!(written(&chain, "once").await.map(|sending| sending.nonce), Some(1));
    assert_eq!(on_chain(&chain, URL).await, 1);
}

#[tokio::test]
async fn nonces_come_after_those_that_were_used_elsewhere() {
    let chain = chain().await;
    let transport = connect(&chain, NEVER, NEVER).await;
    chain.anvil.automine(false).await;
    elsewhere(&chain.anvil, CHAIN_ID, NAME, 0, 1_000_000_000_000).await;
    elsewhere(&chain.anvil, CHAIN_ID, NAME, 1, 1_000_000_000_000).await;
    let landing = submit(&transport, "once", &announce(URL));
    first_version(&chain, "once").await;
    chain.anvil.mine(1).await;
    landing.await.expect("no panic").expect("it lands");
    assert_eq!(written(&chain, "once").await.map(|sending| sending.nonce), Some(2));
}

#[tokio::test]
async fn a_gap_that_somebody_else_left_is_closed() {
    let chain = chain().await;
    let transport = connect(&chain, Duration::from_millis(200), Duration::from_millis(100)).await;
    chain.anvil.automine(false).await;
    elsewhere(&chain.anvil, CHAIN_ID, NAME, 0, 1_000_000_000_000).await;
    let landing = submit(&transport, "once", &announce(URL));
    let hash = first_version(&chain, "once").await;
    chain.anvil.call("anvil_dropAllTransactions", json!([])).await;
    chain.anvil.automine(true).await;
    let landed = landing.await.expect("no panic").expect("it lands");
    assert_eq!(landed.transaction, hash);
    assert_eq!(on_chain(&chain, URL).await, 1);
}

#[tokio::test]
async fn what_was_written_down_and_never_broadcast_is_sent_after_a_restart() {
    let chain = chain().await;
    let transport = connect(&chain, NEVER, NEVER).await;
    chain.lotus.always("eth_sendRawTransaction", Some(Fault::Down));
    let landing = submit(&transport, "once", &announce(URL));
    let sending = until(async || written(&chain, "once").await).await;
    landing.abort();
    let _ = landing.await;
    drop(transport);
    assert_eq!(on_chain(&chain, URL).await, 0);

    chain.lotus.always("eth_sendRawTransaction", None);
    let transport = connect(&chain, NEVER, NEVER).await;
    until(async || (on_chain(&chain, URL).await > 0).then_some(())).await;
    let landed = transport.submit(&key("once"), &announce(URL), AttoFil::ZERO).await.expect("it landed by itself");
    assert_eq!(landed.transaction, sending.attempts[0].hash, "the very bytes that were signed then");
    assert_eq!(on_chain(&chain, URL).await, 1);
}

/// How far the journal is with all that it ever began.
async fn outcomes(chain: &OnChain) -> Vec<TransactionOutcome> {
    let all = chain.journal(NAME).since(account(), 0).await.expect("it reads");
    all.iter().map(|sending| sending.outcome).collect()
}

#[tokio::test]
async fn what_was_used_for_good_while_no_process_looked_comes_to_an_end() {
    let chain = chain().await;
    let transport = connect(&chain, NEVER, NEVER).await;
    chain.lotus.always("eth_sendRawTransaction", Some(Fault::Down));
    // More than are taken up at once.
    let urls: Vec<_> = (0..70).map(|number| format!("https://{number}.example")).collect();
    let landings: Vec<_> = urls.iter().map(|url| submit(&transport, url, &announce(url))).collect();
    for url in &urls {
        until(async || written(&chain, url).await).await;
    }
    for landing in landings {
        landing.abort();
        let _ = landing.await;
    }
    drop(transport);
    chain.anvil.automine(false).await;
    let written = chain.journal(NAME).since(account(), 0).await.expect("it reads");
    let taken = [3, 69];
    for sending in &written {
        if taken.contains(&sending.nonce) {
            elsewhere(&chain.anvil, CHAIN_ID, NAME, sending.nonce, 1_000_000_000_000).await;
        } else {
            chain.anvil.call("eth_sendRawTransaction", json!([sending.attempts[0].raw])).await;
        }
    }
    // As many as there are, however few a block holds, and what makes them final.
    until(async || {
        chain.anvil.mine(1).await;
        let used = chain.anvil.call("eth_getTransactionCount", json!([signer(NAME).address(), "latest"])).await;
        (number(&used) == 70).then_some(())
    })
    .await;
    chain.anvil.mine(4).await;
    assert!(outcomes(&chain).await.iter().all(|outcome| *outcome == TransactionOutcome::Pending));

    // Nobody asks for any of them again.
    chain.lotus.always("eth_sendRawTransaction", None);
    let transport = connect(&chain, NEVER, NEVER).await;
    let all = until(async || {
        let all = outcomes(&chain).await;
        all.iter().all(|outcome| *outcome != TransactionOutcome::Pending).then_some(all)
    })
    .await;
    for (nonce, outcome) in (0..).zip(all) {
        let is_landed = matches!(outcome, TransactionOutcome::Landed { .. });
        assert_eq!(is_landed, !taken.contains(&nonce), "{nonce}: {outcome:?}");
    }
    drop(transport);
}

#[tokio::test]
async fn what_was_on_its_way_before_a_process_began_is_nobody_elses() {
    let chain = chain().await;
    let transport = connect(&chain, NEVER, NEVER).await;
    transport.submit(&key("first"), &announce("https://first.example"), AttoFil::ZERO).await.expect("it lands");
    chain.anvil.automine(false).await;
    let landing = submit(&transport, "late", &announce("https://late.example"));
    let late = first_version(&chain, "late").await;
    landing.abort();
    let _ = landing.await;
    drop(transport);

    // The store that the next process has is from before.
    chain.forget(NAME);
    let transport = connect(&chain, NEVER, NEVER).await;
    let landing = submit(&transport, "own", &announce("https://own.example"));
    let own = first_version(&chain, "own").await;
    assert_eq!(written(&chain, "own").await.map(|sending| sending.nonce), Some(2), "after what is on its way");
    chain.anvil.mine(1).await;
    landing.await.expect("no panic").expect("it lands");
    let sent_elsewhere = async |hash| transport.sent_elsewhere(hash).await.expect("it is known");
    assert_eq!((sent_elsewhere(late).await, sent_elsewhere(own).await), (None, None));
    chain.anvil.automine(true).await;
    let hash = elsewhere(&chain.anvil, CHAIN_ID, NAME, 3, 1_000_000_000_000).await;
    assert_eq!(sent_elsewhere(hash).await, Some(3), "it was sent while this process runs");
}

#[tokio::test]
async fn a_lost_answer_does_not_send_twice() {
    let chain = chain().await;
    let transport = connect(&chain, NEVER, Duration::from_millis(50)).await;
    chain.lotus.next("eth_sendRawTransaction", vec![Fault::LoseAnswer; 2]);
    let landed = transport.submit(&key("once"), &announce(URL), AttoFil::ZERO).await.expect("it lands");
    assert_eq!(transport.submit(&key("once"), &announce(URL), AttoFil::ZERO).await, Ok(landed));
    assert_eq!(on_chain(&chain, URL).await, 1);
}

#[tokio::test]
async fn a_node_that_goes_away_while_a_transaction_is_on_its_way_is_reported_and_survived() {
    let chain = chain().await;
    let transport = connect(&chain, NEVER, NEVER).await;
    chain.anvil.automine(false).await;
    let landing = submit(&transport, "once", &announce(URL));
    first_version(&chain, "once").await;
    chain.lotus.always("*", Some(Fault::Down));
    let error = landing.await.expect("no panic").expect_err("nobody knows");
    assert!(error.is_temporary(), "{error}");
    chain.anvil.mine(1).await;
    chain.lotus.always("*", None);
    let landed = transport.submit(&key("once"), &announce(URL), AttoFil::ZERO).await.expect("it is found");
    assert_eq!(landed.events, [Event::Announced { party: transport.party(), url: URL.into() }]);
    assert_eq!(on_chain(&chain, URL).await, 1);
}

#[tokio::test]
async fn too_little_gas_money_is_said_and_sending_resumes_with_more() {
    let chain = chain().await;
    let me = signer(NAME).address();
    chain.anvil.set_balance(me, 1_000).await;
    let transport = connect(&chain, NEVER, Duration::from_millis(50)).await;
    let error = transport.submit(&key("once"), &announce(URL), AttoFil::ZERO).await.expect_err("it cannot be paid");
    let SubmitError::Unaffordable { account, wallet, needed } = &error else { panic!("{error}") };
    assert_eq!((*account, *wallet), (me, AttoFil(1_000)));
    assert!(*needed > AttoFil(1_000) && error.is_temporary());
    assert_eq!(written(&chain, "once").await, None, "no nonce is used up");

    // The node notices it only when it is sent: the bytes are written down by then.
    chain.fund(NAME).await;
    let poor = Fault::Error { code: 2, message: "insufficient funds for gas * price + value".into() };
    chain.lotus.next("eth_sendRawTransaction", [poor]);
    let error = transport.submit(&key("once"), &announce(URL), AttoFil::ZERO).await.err();
    if let Some(error) = error {
        assert!(matches!(error, SubmitError::Unaffordable { .. }), "{error}");
    }
    let landed = transport.submit(&key("once"), &announce(URL), AttoFil::ZERO).await.expect("it lands");
    assert_eq!(Some(landed.transaction), written(&chain, "once").await.map(|sending| sending.attempts[0].hash));
    assert_eq!(on_chain(&chain, URL).await, 1);
}

#[tokio::test]
async fn a_transaction_that_the_node_never_takes_does_not_block_the_others() {
    let chain = chain().await;
    let transport = connect(&chain, NEVER, Duration::from_millis(50)).await;
    let refusal = Fault::Error { code: 1, message: "message will not be included in a block".into() };
    chain.lotus.next("eth_sendRawTransaction", vec![refusal; 9]);
    let error = transport.submit(&key("once"), &announce(URL), AttoFil::ZERO).await.expect_err("it is not taken");
    assert!(error.to_string().contains("will not be included"), "{error}");
    let landed = transport.submit(&key("next"), &announce("https://next.example"), AttoFil::ZERO).await;
    landed.expect("its nonce's turn came");
    until(async || written(&chain, "once").await.is_none().then_some(())).await;
    transport.submit(&key("once"), &announce(URL), AttoFil::ZERO).await.expect("the key is free");
    assert_eq!(on_chain(&chain, URL).await, 1);
}

#[tokio::test]
async fn who_loses_a_race_is_told_the_markets_reason() {
    let chain = chain().await;
    let client = Party::with_deposit(&chain, "client").await;
    let terms = client.terms(0).await;
    let job = client.open(&terms).await;
    let rivals = [Party::with_deposit(&chain, "first").await, Party::with_deposit(&chain, "second").await];
    chain.anvil.automine(false).await;
    let attempts = rivals.map(|rival| {
        let terms = terms.clone();
        tokio::spawn(async move {
            let lock = Command::Lock { terms };
            (rival.transport.submit(&key("lock"), &lock, AttoFil::ZERO).await, rival)
        })
    });
    until(async || {
        let status = chain.anvil.call("txpool_status", json!([])).await;
        (number(&status["pending"]) == 2).then_some(())
    })
    .await;
    chain.anvil.mine(1).await;
    let (mut outcomes, mut racers) = (Vec::new(), Vec::new());
    for attempt in attempts {
        let (outcome, rival) = attempt.await.expect("no panic");
        outcomes.push((rival.address(), outcome));
        let outstanding = rival.transport.outstanding(u64::MAX).await.expect("it is known").keys;
        assert_eq!(outstanding, [key("lock")], "also one that failed: in another block it may succeed");
        racers.push(rival);
    }
    let winners: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    let loser = outcomes.iter().find_map(|(_, outcome)| outcome.as_ref().err());
    let block = winners[0].1.as_ref().ok().map(|landed| landed.cursor.block);
    let taken = SubmitError::Rejected { rejection: Rejection::WrongState { job, found: Status::Locked }, block };
    assert_eq!(loser, Some(&taken), "both are in one block");
    chain.anvil.mine(1).await;
    for rival in racers {
        assert_eq!(rival.transport.outstanding(u64::MAX).await.expect("it is known").keys, [], "the block is final");
    }
}

#[tokio::test]
async fn gas_above_the_limit_that_was_set_is_not_paid() {
    let chain = chain().await;
    let fees = Fees { max_fee: Some(1), patience: NEVER, repeat: NEVER };
    let transport = chain.connect_with(NAME, Config { fees, ..chain.config() }).await;
    let error = transport.submit(&key("once"), &announce(URL), AttoFil::ZERO).await.expect_err("it is too dear");
    assert!(error.is_temporary() && error.to_string().contains("the limit is 1"), "{error}");
    assert_eq!(written(&chain, "once").await, None);
}

#[tokio::test]
async fn a_reorganisation_is_repaired_without_anybody_asking() {
    let chain = chain().await;
    // Deep enough that the transaction is still watched when it is undone.
    let chain_depth = Config { finality: lota_bridge::evm::Finality::Depth(20), ..chain.config() };
    let transport = chain.connect_with(NAME, chain_depth).await;
    let first =
        transport.submit(&key("first"), &announce("https://first.example"), AttoFil::ZERO).await.expect("lands");
    let deposit = Command::Deposit { account: transport.party() };
    let paid = transport.submit(&key("once"), &deposit, AttoFil(FIL)).await.expect("lands");
    chain.fork_after(first.cursor).await;
    until(async || {
        let balance = transport.balance(transport.party()).await.expect("it reads");
        (balance == AttoFil(FIL)).then_some(())
    })
    .await;
    let again = transport.submit(&key("once"), &deposit, AttoFil(FIL)).await.expect("it landed");
    assert_eq!(again.transaction, paid.transaction);
    assert_ne!(again.cursor, paid.cursor);
    let outcome = written(&chain, "once").await.map(|sending| sending.outcome);
    assert!(
        matches!(outcome, Some(TransactionOutcome::Landed { block_hash, .. }) if block_hash == again.cursor.block_hash)
    );
    assert_eq!(transport.balance(transport.party()).await, Ok(AttoFil(FIL)), "it was paid once");
}

#[tokio::test]
async fn of_many_that_are_begun_together_each_lands_or_fails_for_itself() {
    let chain = chain().await;
    let transport = connect(&chain, NEVER, NEVER).await;
    // Whoever is first keeps the others waiting, and they are taken together.
    chain.lotus.next("eth_estimateGas", [Fault::Slow(Duration::from_millis(300))]);
    let urls: Vec<_> = (0..20).map(|number| format!("https://{number}.example")).collect();
    let unknown = Command::Multicall { calls: vec![announce("https://more.example"); MAX_BATCH + 1] };
    let landings: Vec<_> = urls.iter().map(|url| submit(&transport, url, &announce(url))).collect();
    let refused = submit(&transport, "refused", &unknown);
    let twice: Vec<_> = (0..3).map(|_| submit(&transport, &urls[7], &announce(&urls[7]))).collect();
    for (landing, url) in landings.into_iter().zip(&urls) {
        let landed = landing.await.expect("no panic").expect("it lands");
        assert_eq!(landed.events, [Event::Announced { party: transport.party(), url: url.clone() }]);
    }
    let refused = refused.await.expect("no panic");
    let limit = MAX_BATCH as u64 + 1;
    assert!(
        matches!(refused, Err(SubmitError::Rejected { rejection: Rejection::TooMany(count), block: Some(_) }) if count == limit),
        "{refused:?}"
    );
    for landing in twice {
        landing.await.expect("no panic").expect("it landed");
    }
    for url in &urls {
        assert_eq!(on_chain(&chain, url).await, 1, "{url}");
    }
    let asked = chain.lotus.calls("eth_gasPrice") + chain.lotus.calls("eth_maxPriorityFeePerGas");
    assert!(asked < 10, "they share what is asked about the account: {asked}");
}

#[tokio::test]
async fn a_refusal_names_a_block_only_if_it_holds_there() {
    let chain = chain().await;
    let transport = connect(&chain, NEVER, NEVER).await;
    let deposit = Command::Deposit { account: transport.party() };
    let withdraw = Command::Withdraw { to: transport.party(), amount: AttoFil(FIL) };
    transport.submit(&key("in"), &deposit, AttoFil(FIL)).await.expect("it lands");
    chain.anvil.mine(3).await;
    let out = transport.submit(&key("out"), &withdraw, AttoFil::ZERO).await.expect("it lands").cursor.block;
    // The node that tries it out knows that the money is gone; the one that is asked for the newest block does not.
    chain.lotus.fall_behind(2);
    let refused = async |name| transport.submit(&key(name), &withdraw, AttoFil::ZERO).await.expect_err("it is gone");
    let told = refused("again").await;
    let SubmitError::Rejected { rejection: Rejection::InsufficientBalance { .. }, block } = told else {
        panic!("{told:?}")
    };
    assert_eq!(block, None, "the money was there in block {out} less two");
    chain.lotus.fall_behind(0);
    let told = refused("once more").await;
    assert!(matches!(told, SubmitError::Rejected { block: Some(block), .. } if block >= out), "{told:?}");
}

#[tokio::test]
async fn a_crash_after_many_were_written_down_sends_each_of_them_once() {
    let chain = chain().await;
    let transport = connect(&chain, NEVER, NEVER).await;
    chain.lotus.always("eth_sendRawTransaction", Some(Fault::Down));
    let urls: Vec<_> = (0..12).map(|number| format!("https://{number}.example")).collect();
    let landings: Vec<_> = urls.iter().map(|url| submit(&transport, url, &announce(url))).collect();
    let mut signed = Vec::new();
    for url in &urls {
        signed.push(until(async || written(&chain, url).await).await.attempts[0].hash);
    }
    landings.into_iter().for_each(|landing| landing.abort());
    drop(transport);

    chain.lotus.always("eth_sendRawTransaction", None);
    let transport = connect(&chain, NEVER, NEVER).await;
    let landings: Vec<_> = urls.iter().map(|url| submit(&transport, url, &announce(url))).collect();
    for ((landing, url), hash) in landings.into_iter().zip(&urls).zip(signed) {
        let landed = landing.await.expect("no panic").expect("it lands");
        assert_eq!(landed.transaction, hash, "the very bytes that were signed then");
        assert_eq!(on_chain(&chain, url).await, 1, "{url}");
    }
}

#[tokio::test]
async fn what_may_land_is_outstanding_until_it_is_final_and_was_taken_in() {
    let chain = chain().await;
    let config = Config { finality: lota_bridge::evm::Finality::Depth(2), ..chain.config() };
    let transport = Arc::new(chain.connect_with(NAME, config).await);
    let keys = async |seen| transport.outstanding(seen).await.expect("it is known").keys;
    assert_eq!(keys(u64::MAX).await, []);
    chain.anvil.automine(false).await;
    let landing = submit(&transport, "once", &announce(URL));
    first_version(&chain, "once").await;
    assert_eq!(keys(u64::MAX).await, [key("once")], "it waits for a block");
    chain.anvil.mine(1).await;
    let landed = landing.await.expect("no panic").expect("it lands");
    assert_eq!(keys(u64::MAX).await, [key("once")], "it may be undone");
    chain.anvil.mine(2).await;
    let known = transport.outstanding(u64::MAX).await.expect("it is known");
    assert_eq!((known.keys, known.final_time), (Vec::new(), landed.time));
    assert_eq!(keys(landed.cursor.block - 1).await, [key("once")], "its events were not taken in");

    // What is written down must do while the node does not answer.
    chain.lotus.always("*", Some(Fault::Down));
    assert_eq!((keys(landed.cursor.block).await, keys(landed.cursor.block - 1).await), (vec![], vec![key("once")]));
    chain.lotus.always("*", None);
}

#[tokio::test]
async fn money_in_the_auction_is_never_told_as_it_was_before_a_command_of_ones_own() {
    let chain = OnChain::with_auction(Via::Lotus, 1).await;
    chain.fund(NAME).await;
    let transport = connect(&chain, NEVER, NEVER).await;
    let told = async || transport.auction_balance(transport.party()).await;
    assert_eq!(told().await, Ok(AttoFil::ZERO));
    transport.fund_auction(&key("fund"), AttoFil(FIL), Reserve::default()).await.expect("it lands");
    chain.lotus.fall_behind(2);
    assert!(told().await.is_err(), "the node does not know it yet");
    chain.lotus.fall_behind(0);
    assert_eq!(told().await, Ok(AttoFil(FIL)));
}
