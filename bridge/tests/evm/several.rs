//! One account and one log for several contracts.

use std::{collections::BTreeMap, sync::Arc};

use futures::{StreamExt as _, future::join_all};
use lota_bridge::{
    Cursor, Journal, Transport, Update,
    conformance::Harness,
    evm::{Account, Call, Chain, Config, EventLog, EvmTransport, Finality, LogUpdate, Market, Source, bindings},
    journal::AccountId,
};
use lota_market::{Address, AttoFil, B256, Bytes, U256, agent::EffectKey, model::Command};
use serde_json::json;

use crate::{
    anvil::{CHAIN_ID, number},
    harness::{OnChain, SETTINGS, Via, signer},
    lotus::epoch_of,
};

const NAME: &str = "party";

fn key(name: &str) -> EffectKey {
    EffectKey::named(name)
}

/// Code of a contract that takes everything, and logs its call data under the money that came with it.
fn echo() -> Bytes {
    let code = [0x36, 0x5f, 0x5f, 0x37, 0x34, 0x36, 0x5f, 0xa1, 0x00];
    // Copies what follows these ten bytes into memory and returns it.
    let mut creation = vec![0x60, code.len() as u8, 0x80, 0x60, 0x0a, 0x5f, 0x39, 0x5f, 0xf3, 0x00];
    creation.extend(code);
    creation.into()
}

fn announcements(market: Address, count: usize, url: &str) -> Call {
    let calls = vec![Command::Announce { url: url.into() }; count];
    Call::new(market, bindings::call_data(&Command::Multicall { calls }))
}

fn echoed(contract: Address, value: u128, text: &str) -> Call {
    Call { value: AttoFil(value), ..Call::new(contract, Bytes::copy_from_slice(text.as_bytes())) }
}

/// A chain with two markets and an echo, all of them reached by one account.
struct Several {
    on: OnChain,
    chain: Chain,
    account: Account,
    /// The first market, the second one, and the echo.
    contracts: [Address; 3],
}

impl Several {
    async fn begin(depth: u64) -> Self {
        let on = OnChain::begin(Via::Lotus, depth).await;
        on.fund(NAME).await;
        let chain = Chain::connect(on.config()).await.expect("the node answers");
        let account = Account::open(&chain, signer(NAME), Arc::new(on.journal(NAME)));
        let second =
            account.send(&key("second"), Call::create(bindings::deployment(&SETTINGS))).await.expect("created");
        let echo = account.send(&key("echo"), Call::create(echo())).await.expect("created");
        let me = account.address();
        assert_eq!((second.created, echo.created), (Some(me.create(0)), Some(me.create(1))));
        assert!(second.fee.is_some_and(|fee| fee.gas_used > 1_000_000 && fee.paid > AttoFil::ZERO));
        let contracts = [on.market, me.create(0), me.create(1)];
        Self { on, chain, account, contracts }
    }

    fn log(&self, name: &str) -> EventLog {
        EventLog::open(&self.chain, Arc::new(self.on.journal(NAME)), name)
    }

    /// What the chain's node says of these contracts: data by position.
    async fn truth(&self, contracts: &[Address]) -> BTreeMap<(u64, u32), (Address, Bytes)> {
        let filter = json!({ "address": contracts, "fromBlock": "0x0", "toBlock": "latest" });
        let logs = self.on.anvil.call("eth_getLogs", json!([filter])).await;
        let logs = logs.as_array().expect("a list").iter().map(|log| {
            let at = (epoch_of(number(&log["blockNumber"])), number(&log["logIndex"]) as u32 + 1);
            let data = serde_json::from_value(log["data"].clone()).expect("bytes");
            (at, (serde_json::from_value(log["address"].clone()).expect("an address"), data))
        });
        logs.collect()
    }

    async fn head(&self) -> u64 {
        epoch_of(self.on.anvil.height().await)
    }
}

/// What a follower keeps.
#[derive(Debug, Default)]
struct Kept {
    logs: BTreeMap<(u64, u32), (Address, Bytes)>,
    caught_up: Vec<Address>,
    rewinds: usize,
    /// Position of the last log of each contract, and of the last head.
    of: BTreeMap<Address, Cursor>,
    head: Option<Cursor>,
}

impl Kept {
    /// Reads up to a head at this height at least, when so many sources have caught up.
    async fn read(&mut self, log: &mut EventLog, height: u64, caught_up: usize) {
        loop {
            match log.next().await.expect("it goes on") {
                Ok(LogUpdate::Log { cursor, log, .. }) => {
                    self.of.insert(log.address, cursor);
                    let before = self.logs.insert(cursor.position(), (log.address, log.data));
                    assert_eq!(before, None, "{cursor} was told twice");
                }
                Ok(LogUpdate::CaughtUp { address, .. }) => self.caught_up.push(address),
                Ok(LogUpdate::Rewind { to }) => {
                    self.rewinds += 1;
                    let end = to.map_or((0, 0), |to| to.position());
                    self.logs.retain(|at, _| *at <= end);
                }
                Ok(LogUpdate::Head { cursor, latest, .. }) => {
                    self.head = Some(cursor);
                    if latest.block >= height && self.caught_up.len() >= caught_up {
                        return;
                    }
                }
                Err(error) => assert!(error.is_temporary(), "{error}"),
            }
        }
    }
}

#[tokio::test]
async fn one_account_and_one_log_serve_several_contracts_across_a_reorganisation() {
    let several = Several::begin(30).await;
    let [first, second, echo] = several.contracts;
    let mut log = several.log("several");
    log.follow(Source::new(first, 0), None);
    let mut kept = Kept::default();
    let calls = |round: u32| {
        [
            announcements(first, 2, &format!("https://{round}.one.example")),
            announcements(second, 3, &format!("https://{round}.two.example")),
            echoed(echo, 5, &format!("five {round}")),
            echoed(echo, 6, &format!("six {round}")),
            announcements(first, 1, &format!("https://{round}.three.example")),
        ]
    };
    let mut sent = 2;
    for round in 0..4 {
        let sends = calls(round).into_iter().enumerate().map(|(number, call)| {
            let (account, name) = (several.account.clone(), format!("{round}/{number}"));
            async move { account.send(&key(&name), call).await.expect("it lands") }
        });
        let landed = join_all(sends).await;
        sent += landed.len() as u64;
        assert_eq!(landed.iter().map(|landed| landed.logs.len()).collect::<Vec<_>>(), [2, 3, 1, 1, 1]);
        several.on.anvil.mine(3).await;
    }
    kept.read(&mut log, several.head().await, 0).await;
    assert_eq!(kept.logs, several.truth(&[first]).await);
    let early: Vec<_> = kept.logs.keys().copied().collect();

    // Two more are followed later: of one of them only what came with five attoFIL.
    log.follow(Source::new(second, 1), None);
    let five = B256::from(U256::from(5));
    log.follow(Source { topics: vec![vec![five]], ..Source::new(echo, 1) }, None);
    kept.read(&mut log, several.head().await, 2).await;
    assert_eq!(kept.caught_up, [second, echo]);
    let wanted = async || {
        let mut truth = several.truth(&several.contracts).await;
        truth.retain(|_, (_, data)| !data.starts_with(b"six"));
        truth
    };
    assert_eq!(kept.logs, wanted().await);
    assert!(kept.rewinds == 0 && early.iter().all(|at| kept.logs.contains_key(at)), "the first one was not disturbed");

    // Two rounds are undone; the account brings them back without anybody asking, in the order of its nonces.
    let undone = several.on.anvil.height().await - 10;
    several.on.anvil.fork_above(undone).await;
    let nonce = async || {
        let count =
            several.on.anvil.call("eth_getTransactionCount", json!([several.account.address(), "latest"])).await;
        number(&count)
    };
    while nonce().await < sent {
        several.on.anvil.mine(1).await;
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    several.on.anvil.mine(1).await;
    kept.read(&mut log, several.head().await, 2).await;
    assert!(kept.rewinds > 0);
    assert_eq!(kept.logs, wanted().await);
    assert_eq!(kept.logs.len(), 4 * (2 + 3 + 1 + 1), "everything happened once");

    // One sequence of nonces, each call once.
    let id = AccountId { chain_id: CHAIN_ID, address: several.account.address() };
    let sendings = several.on.journal(NAME).since(id, 0).await.expect("it reads");
    assert_eq!(sendings.iter().map(|sending| sending.nonce).collect::<Vec<_>>(), (0..sent).collect::<Vec<_>>());
    let again = several.account.send(&key("0/1"), calls(0)[1].clone()).await.expect("it landed");
    assert_eq!(again.logs.len(), 3);
    assert_eq!(nonce().await, sent);
}

#[tokio::test]
async fn a_contract_that_is_added_at_a_restart_catches_up_alone() {
    let several = Several::begin(3).await;
    let [first, second, echo] = several.contracts;
    let mut kept = Kept::default();
    let send = async |name: &str, call: Call| several.account.send(&key(name), call).await.expect("it lands");
    let mut log = several.log("restarted");
    log.follow(Source::new(first, 0), None);
    log.follow(Source::new(second, 0), None);
    for round in 0..3 {
        send(&format!("a{round}"), announcements(first, 2, "https://a.example")).await;
        send(&format!("b{round}"), announcements(second, 2, "https://b.example")).await;
        send(&format!("e{round}"), echoed(echo, 1, &format!("{round}"))).await;
        several.on.anvil.mine(40).await;
    }
    kept.read(&mut log, several.head().await, 0).await;
    drop(log);
    let at = kept.head;
    // What was kept of the second one was lost down to its third log.
    let known: Vec<_> = kept.logs.iter().filter(|(_, (address, _))| *address == second).map(|(at, _)| *at).collect();
    kept.logs.retain(|at, (address, _)| *address != second || *at <= known[2]);
    let header = several.chain.block_at(known[2].0).await.expect("it answers").expect("there is a block");
    let third = Cursor { block: known[2].0, block_hash: header.hash, index: known[2].1 };

    send("a3", announcements(first, 2, "https://a.example")).await;
    send("e3", echoed(echo, 1, "3")).await;
    let mut log = several.log("restarted");
    log.follow(Source::new(first, 0), at);
    log.follow(Source::new(second, 0), Some(third));
    log.follow(Source::new(echo, 0), None);
    kept.read(&mut log, several.head().await, 2).await;
    assert_eq!(kept.logs, several.truth(&several.contracts).await);
    assert_eq!(kept.rewinds, 0);
    // And they are read together from here on.
    send("b4", announcements(second, 1, "https://b.example")).await;
    send("e4", echoed(echo, 1, "4")).await;
    kept.read(&mut log, several.head().await, 2).await;
    assert_eq!(kept.logs, several.truth(&several.contracts).await);
    assert_eq!(kept.logs.len(), 3 * 5 + 3 + 2);
}

#[tokio::test]
async fn a_markets_log_goes_on_from_every_position_in_a_block_that_others_log_in_too() {
    let several = Several::begin(0).await;
    let [market, _, echo] = several.contracts;
    several.on.anvil.automine(false).await;
    let calls = [
        announcements(market, 2, "https://one.example"),
        echoed(echo, 1, "between"),
        announcements(market, 2, "https://two.example"),
        echoed(echo, 1, "after"),
    ];
    let sends = calls.into_iter().enumerate().map(|(number, call)| {
        let account = several.account.clone();
        tokio::spawn(async move { account.send(&key(&number.to_string()), call).await.expect("it lands") })
    });
    let sends: Vec<_> = sends.collect();
    loop {
        let status = several.on.anvil.call("txpool_status", json!([])).await;
        if number(&status["pending"]) == 4 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    several.on.anvil.automine(true).await;
    several.on.anvil.mine(1).await;
    let landed = join_all(sends).await.into_iter().map(|sent| sent.expect("no panic")).collect::<Vec<_>>();
    let (block, block_hash) = (landed[0].block, landed[0].block_hash);
    assert!(landed.iter().all(|landed| landed.block == block), "all are in one block");

    let journal: Arc<dyn Journal> = Arc::new(several.on.journal("reader"));
    let config = Config { finality: Finality::Depth(2), ..several.on.config() };
    let chain = Chain::connect(config).await.expect("the node answers");
    let found = Market::find(&chain, market, 0).await.expect("it is there");
    let account = Account::open(&chain, signer("reader"), journal.clone());
    let transport = EvmTransport::new(found, account, signer("reader"), journal);
    let wanted: Vec<u32> =
        several.truth(&[market]).await.into_keys().filter(|at| at.0 == block).map(|(_, index)| index).collect();
    assert_eq!(wanted.len(), 4);
    assert!(wanted[3] > 4, "the echo's log lies between: {wanted:?}");
    let read = async |from: Cursor| {
        let (mut updates, mut indices) = (transport.updates(Some(from)), Vec::new());
        loop {
            match updates.next().await.expect("it goes on").expect("it reads") {
                Update::Event { cursor, .. } => indices.push(cursor.index),
                Update::Head { .. } => return indices,
                other => panic!("{other:?}"),
            }
        }
    };
    for count in 0..=4 {
        let rest = &wanted[count..];
        let index = count.checked_sub(1).map_or(0, |last| wanted[last]);
        assert_eq!(read(Cursor { block, block_hash, index }).await, rest, "after index {index}");
    }
    several.on.confirm().await;
}
