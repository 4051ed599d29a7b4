//! What the conformance suite does not see: the log, its replay, and a disk that fails.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::StreamExt;
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    agent::EffectKey,
    model::{Command, Event, Rejection, Settings, Terms},
    money::FIL,
    world::{Call, End, Script, ScriptedCall},
};

use super::*;
use crate::{
    Cursor, Landed, MarketRef, PrivateKeySigner, SubmitError, Transport, TransportError, Update, eip712::SignedCommand,
    encoding,
};

fn signer(seed: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(seed)).expect("a valid key")
}

fn genesis() -> Genesis {
    Genesis {
        market: MarketRef {
            chain_id: 1337,
            contract: Address::repeat_byte(0x10),
            settings: Settings { max_callback_gas: 1_000_000, ..Settings::COIN },
        },
        time: Time(1_000),
        funds: vec![(signer(1).address(), AttoFil(100 * FIL)), (signer(2).address(), AttoFil(100 * FIL))],
        auction: None,
    }
}

fn options(clock: &ManualClock) -> Options {
    Options { clock: Arc::new(clock.clone()), ..Options::default() }
}

fn key(name: &str) -> EffectKey {
    EffectKey::named(name)
}

fn announce(url: &str) -> Command {
    Command::Announce { url: url.into() }
}

fn terms(client: Address) -> Terms {
    Terms {
        client,
        salt: U256::ZERO,
        spec: B256::repeat_byte(3),
        spec_codec: 0x71,
        min_price: AttoFil::from_gwei(1),
        max_price: AttoFil::from_gwei(5),
        ramp_start: Time(1_000),
        ramp_period: 10,
        lock_by: Time(2_000),
        run_for: 60,
        review_for: 0,
        rule_for: 0,
        collateral: AttoFil::from_gwei(2),
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 1_000,
        keep_record: false,
    }
}

/// Opens a job with a callback and cancels it, pays money in and out.
async fn some_history(chain: &Chain) -> Vec<Landed> {
    let client = chain.connect(signer(1));
    let me = client.party();
    let mut landed = Vec::new();
    for (name, command, value) in [
        ("deposit", Command::Deposit { account: me }, AttoFil(7 * FIL)),
        ("open", Command::Open { terms: terms(me), spec: Bytes::new() }, AttoFil(FIL)),
        ("cancel", Command::Cancel { terms: terms(me) }, AttoFil::ZERO),
        ("withdraw", Command::Withdraw { to: me, amount: AttoFil(3 * FIL) }, AttoFil::ZERO),
    ] {
        landed.push(client.submit(&key(name), &command, value).await.expect(name));
    }
    landed
}

fn log(chain: &Chain) -> Vec<Update> {
    chain.read(None, 1_000).expect("the log is read")
}

#[tokio::test]
async fn a_restart_replays_the_file_to_the_same_state() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("market.log");
    let clock = ManualClock::at(Time(1_000));
    let script = Scripted::default();
    script.refuse(signer(1).address(), true);
    let options = Options { contracts: Arc::new(script.clone()), ..options(&clock) };
    let open = || FileLedger::open(&path, SyncPolicy::OperatingSystem).expect("it opens");

    let chain = Chain::open(genesis(), open(), options.clone()).expect("a new chain");
    let client = chain.connect(signer(1));
    let me = client.party();
    client.submit(&key("deposit"), &Command::Deposit { account: me }, AttoFil(7 * FIL)).await.expect("lands");
    client
        .submit(&key("open"), &Command::Open { terms: terms(me), spec: Bytes::new() }, AttoFil(FIL))
        .await
        .expect("lands");
    clock.advance(5);
    client.submit(&key("cancel"), &Command::Cancel { terms: terms(me) }, AttoFil::ZERO).await.expect("lands");
    chain.fund(signer(9).address(), AttoFil(FIL)).expect("the faucet gives");
    let withdraw = Command::Withdraw { to: me, amount: AttoFil(3 * FIL) };
    let refused = client.submit(&key("withdraw"), &withdraw, AttoFil::ZERO).await;
    let rejection = Rejection::TransferFailed(me);
    assert_eq!(refused, Err(SubmitError::Rejected { rejection, block: Some(chain.head().block) }));
    chain.rewind(1).expect("one block less");
    let before = (log(&chain), chain.snapshot(), chain.wallet(me), chain.wallet(signer(9).address()), chain.head());
    assert!(before.0.iter().any(|update| matches!(update, Update::Event { event: Event::CallbackFailed { .. }, .. })));
    drop((chain, client));

    // The contract would accept now: the log says what it did then.
    script.refuse(me, false);
    let chain = Chain::open(genesis(), open(), options).expect("it opens again");
    let after = (log(&chain), chain.snapshot(), chain.wallet(me), chain.wallet(signer(9).address()), chain.head());
    assert_eq!(before, after);
    assert_eq!(after.2, AttoFil(92 * FIL));
    assert_eq!(after.3, AttoFil::ZERO);
}

#[tokio::test]
async fn what_a_contract_did_in_its_callback_is_replayed() {
    let ledger = MemoryLedger::default();
    let clock = ManualClock::at(Time(1_000));
    let contracts = Scripted::default();
    let options = Options { contracts: Arc::new(contracts.clone()), ..options(&clock) };
    let chain = Chain::open(genesis(), ledger.clone(), options.clone()).expect("a new chain");
    let client = chain.connect(signer(1));
    let (me, market) = (client.party(), chain.market().contract);
    let next = Terms { salt: U256::from(1), ..terms(me) };
    let call = |value, command: Command| ScriptedCall {
        call: Call { sender: me, contract: market, value, command: command.into() },
        may_fail: false,
    };
    let calls = vec![
        call(AttoFil(2 * FIL), Command::Deposit { account: signer(2).address() }),
        call(AttoFil(FIL), Command::Open { terms: next.clone(), spec: Bytes::new() }),
    ];
    contracts.set(me, Script { calls, end: End::Return });
    let open = Command::Open { terms: terms(me), spec: Bytes::new() };
    client.submit(&key("open"), &open, AttoFil(FIL)).await.expect("lands");
    let landed = client.submit(&key("cancel"), &Command::Cancel { terms: terms(me) }, AttoFil::ZERO).await;
    let names = ["JobCancelled", "Deposited", "Deposited", "JobOpened", "CallbackDelivered"];
    let events = landed.expect("lands").events;
    assert!(events.iter().map(|event| format!("{event:?}")).zip(names).all(|(event, name)| event.starts_with(name)));
    assert_eq!(events.len(), names.len());
    assert_eq!(chain.deal(chain.connect(signer(2)).job_id(&next)).status, lota_market::model::Status::Open);
    assert_eq!((chain.wallet(me), chain.balance(signer(2).address())), (AttoFil(96 * FIL), AttoFil(2 * FIL)));

    let before = (log(&chain), chain.snapshot(), chain.wallet(me));
    drop((chain, client));
    contracts.refuse(me, true);
    let chain = Chain::open(genesis(), ledger, options).expect("it opens again");
    assert_eq!((log(&chain), chain.snapshot(), chain.wallet(me)), before);
}

#[test]
fn a_faucet_gives_no_more_than_there_can_be() {
    let clock = ManualClock::at(Time(1_000));
    let chain = Chain::in_memory(genesis(), options(&clock)).expect("a new chain");
    let error = chain.fund(signer(1).address(), AttoFil(u128::MAX)).expect_err("too much").to_string();
    assert!(error.contains("must stay below 2^128 attoFIL"), "{error}");
    assert_eq!(chain.head().block, 0);
    let funds = vec![(signer(1).address(), AttoFil(u128::MAX)), (signer(2).address(), AttoFil(1))];
    let error = Chain::in_memory(Genesis { funds, ..genesis() }, options(&clock)).expect_err("too much");
    assert!(matches!(error, ChainError::Funds(_)), "{error}");
}

#[tokio::test]
async fn money_goes_from_the_wallet_into_the_market_and_back() {
    let clock = ManualClock::at(Time(1_000));
    let chain = Chain::in_memory(genesis(), options(&clock)).expect("a new chain");
    some_history(&chain).await;
    let me = signer(1).address();
    assert_eq!(chain.wallet(me), AttoFil(95 * FIL));
    assert_eq!(chain.balance(me), AttoFil(5 * FIL));
    let client = chain.connect(signer(1));
    let too_much = AttoFil(96 * FIL);
    let refused = client.submit(&key("much"), &Command::Deposit { account: me }, too_much).await;
    let wallet = AttoFil(95 * FIL);
    assert_eq!(refused, Err(SubmitError::Unaffordable { account: me, wallet, needed: too_much }));
    assert_eq!(chain.wallet(me), wallet);
}

#[test]
fn settings_that_no_market_can_have_are_refused() {
    let clock = ManualClock::at(Time(1_000));
    for (change, words) in [
        (
            (|settings| settings.asset = Address::repeat_byte(7)) as fn(&mut Settings),
            "without a chain there are no tokens",
        ),
        (|settings| settings.quantum = 0, "the quantum is 0"),
        (|settings| settings.min_window = 0, "the shortest window"),
    ] {
        let mut other = genesis();
        change(&mut other.market.settings);
        let error = Chain::in_memory(other, options(&clock)).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_log_of_another_market_is_refused_with_what_differs() {
    let ledger = MemoryLedger::default();
    let clock = ManualClock::at(Time(1_000));
    Chain::open(genesis(), ledger.clone(), options(&clock)).expect("a new chain");
    for (change, words) in [
        ((|genesis| genesis.market.chain_id += 1) as fn(&mut Genesis), "chain id"),
        (|genesis| genesis.market.contract = Address::ZERO, "contract address"),
        (|genesis| genesis.market.settings.min_window += 1, "settings"),
        (|genesis| genesis.market.settings.quantum += 1, "settings"),
        (|genesis| genesis.funds.clear(), "funds"),
    ] {
        let mut other = genesis();
        change(&mut other);
        let error = Chain::open(other, ledger.clone(), options(&clock)).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    let later = Genesis { time: Time(5_000), ..genesis() };
    assert_eq!(
        Chain::open(later, ledger, options(&clock)).expect("the log's time counts").read(None, 1).expect("read").len(),
        1
    );
}

#[tokio::test]
async fn a_log_that_does_not_add_up_is_refused() {
    let clock = ManualClock::at(Time(1_000));
    let ledger = MemoryLedger::default();
    // The client has code: what it answers is in the log.
    let contracts = Scripted::default();
    contracts.refuse(signer(1).address(), false);
    let options = Options { contracts: Arc::new(contracts), ..options(&clock) };
    let chain = Chain::open(genesis(), ledger.clone(), options.clone()).expect("a new chain");
    some_history(&chain).await;
    let mut entries = Vec::new();
    ledger
        .clone()
        .load(0, &mut |_, entry| {
            entries.push(entry);
            Ok(())
        })
        .expect("it reads");
    for (damage, words) in [
        ((|entries| drop(entries.remove(0))) as fn(&mut Vec<Entry>), "does not start with the beginning"),
        (|entries| drop(entries.remove(2)), "no job"),
        (|entries| entries.push(entries[0].clone()), "second beginning"),
        (
            |entries| {
                if let Entry::Block(block) = &mut entries[2] {
                    block.hash.0[0] ^= 1;
                }
            },
            "another protocol",
        ),
        (
            |entries| {
                if let Entry::Block(Block { origin: Origin::Command { answers, .. }, .. }) = &mut entries[3] {
                    answers.clear();
                }
            },
            "another protocol",
        ),
    ] {
        let mut damaged = entries.clone();
        damage(&mut damaged);
        let mut ledger = MemoryLedger::default();
        ledger.append(&damaged).expect("memory");
        let error = Chain::open(genesis(), ledger, options.clone()).expect_err(words).to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

/// A disk that stops writing.
struct FailingDisk {
    works: Arc<AtomicBool>,
    ledger: MemoryLedger,
}

impl Ledger for FailingDisk {
    fn load(
        &mut self,
        from: u64,
        visit: &mut dyn FnMut(u64, Entry) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        self.ledger.load(from, visit)
    }

    fn reader(&self) -> Arc<dyn EntryReader> {
        self.ledger.reader()
    }

    fn append(&mut self, entries: &[Entry]) -> Result<Vec<u64>, LedgerError> {
        if self.works.load(Ordering::SeqCst) {
            return self.ledger.append(entries);
        }
        let source = std::io::Error::other("no space left on device");
        Err(LedgerError::Io { action: "writing", path: "market.log".into(), source })
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_that_is_not_in_the_log() {
    let clock = ManualClock::at(Time(1_000));
    let (works, ledger) = (Arc::new(AtomicBool::new(true)), MemoryLedger::default());
    let disk = FailingDisk { works: works.clone(), ledger: ledger.clone() };
    let chain = Chain::open(genesis(), disk, options(&clock)).expect("a new chain");
    let party = chain.connect(signer(1));
    party.submit(&key("1"), &announce("https://one.example"), AttoFil::ZERO).await.expect("lands");

    works.store(false, Ordering::SeqCst);
    let error = party.submit(&key("2"), &announce("https://two.example"), AttoFil::ZERO).await.expect_err("no disk");
    assert!(matches!(&error, SubmitError::Transport(TransportError::Storage(_))), "{error}");
    assert!(error.to_string().contains("no space left on device"), "{error}");
    assert_eq!(log(&chain).len(), 1, "nobody sees it either");
    works.store(true, Ordering::SeqCst);
    let third = party.submit(&key("3"), &announce("https://three.example"), AttoFil::ZERO).await.expect("it goes on");
    assert_eq!(third.cursor.block, 2, "upon what is in the log");
    party.submit(&key("2"), &announce("https://two.example"), AttoFil::ZERO).await.expect("lands now");
    let before = (log(&chain), chain.snapshot());
    assert_eq!(before.0.len(), 3);

    let chain = Chain::open(genesis(), ledger, options(&clock)).expect("a restart");
    assert_eq!((log(&chain), chain.snapshot()), before);
}

#[tokio::test]
async fn a_full_log_says_so() {
    let clock = ManualClock::at(Time(1_000));
    let chain = Chain::in_memory(genesis(), Options { max_blocks: 1, ..options(&clock) }).expect("a new chain");
    let party = chain.connect(signer(1));
    let first = party.submit(&key("1"), &announce("https://one.example"), AttoFil::ZERO).await.expect("lands");
    let error = party.submit(&key("2"), &announce("https://two.example"), AttoFil::ZERO).await.expect_err("full");
    assert!(error.to_string().contains("the log is full (1 blocks)"), "{error}");
    let again = party.submit(&key("1"), &announce("https://one.example"), AttoFil::ZERO).await;
    assert_eq!(again, Ok(first), "what landed stays landed");
}

#[tokio::test]
async fn a_command_is_the_senders_or_it_is_refused() {
    let clock = ManualClock::at(Time(1_000));
    let chain = Chain::in_memory(genesis(), options(&clock)).expect("a new chain");
    let bytes = encoding::encode(&announce("https://one.example"), AttoFil::ZERO).expect("within limits");
    let good = SignedCommand::sign(&signer(1), &chain.market(), key("1"), AttoFil::ZERO, bytes.clone()).expect("signs");
    let elsewhere = MarketRef { chain_id: 1, ..chain.market() };
    let foreign = SignedCommand::sign(&signer(1), &elsewhere, key("1"), AttoFil::ZERO, bytes).expect("signs");
    let forgeries = [
        SignedCommand { sender: signer(2).address(), ..good.clone() },
        SignedCommand { key: key("2"), ..good.clone() },
        SignedCommand { signature: Bytes::new(), ..good.clone() },
        SignedCommand {
            command: encoding::encode(&announce("https://evil.example"), AttoFil::ZERO).expect("within limits"),
            ..good.clone()
        },
        foreign,
    ];
    for forgery in forgeries {
        let refused = chain.execute(&forgery);
        assert!(matches!(refused, Err(SubmitError::WrongSigner { .. })), "{refused:?}");
    }
    let deposit = encoding::encode(&Command::Deposit { account: signer(2).address() }, AttoFil(1)).expect("fits");
    let paid = SignedCommand::sign(&signer(1), &chain.market(), key("3"), AttoFil(1), deposit).expect("signs");
    let more = SignedCommand { value: AttoFil(2), ..paid };
    assert!(matches!(chain.execute(&more), Err(SubmitError::WrongSigner { .. })));
    assert_eq!(log(&chain).len(), 1, "nothing but the head");
    chain.execute(&good).expect("the sender's own lands");
}

#[tokio::test]
async fn a_reader_on_a_dropped_fork_is_led_back_to_where_the_forks_part() {
    let clock = ManualClock::at(Time(1_000));
    let chain = Chain::in_memory(genesis(), options(&clock)).expect("a new chain");
    let landed = some_history(&chain).await;
    let party = chain.connect(signer(2));
    chain.rewind(2).expect("two blocks less");
    let other = party.submit(&key("other"), &announce("https://other.example"), AttoFil::ZERO).await.expect("lands");
    chain.rewind(1).expect("and one of the new ones");
    party.submit(&key("third"), &announce("https://third.example"), AttoFil::ZERO).await.expect("lands");

    for stranded in [&landed[2], &landed[3], &other] {
        let mut updates = party.updates(Some(stranded.cursor));
        let first = updates.next().await.expect("goes on").expect("no error");
        assert_eq!(first, Update::Rewind { to: Some(landed[1].cursor) });
        let next = updates.next().await.expect("goes on").expect("no error");
        assert!(
            matches!(&next, Update::Event { event: Event::Announced { url, .. }, .. } if url == "https://third.example")
        );
    }
    let nowhere = Cursor { block: 1, block_hash: B256::repeat_byte(9), index: 0 };
    let first = party.updates(Some(nowhere)).next().await.expect("goes on").expect("no error");
    assert_eq!(first, Update::Rewind { to: None });
}

#[tokio::test]
async fn a_lost_answer_is_found_again_under_the_same_key() {
    let clock = ManualClock::at(Time(1_000));
    let chain = Chain::in_memory(genesis(), options(&clock)).expect("a new chain");
    let party = chain.connect(signer(1));
    party.link().next_submission(Fault::LoseRequest);
    party.link().next_submission(Fault::LoseAnswer);
    let command = announce("https://one.example");
    for landed in [0, 1] {
        let error = party.submit(&key("1"), &command, AttoFil::ZERO).await.expect_err("the connection breaks");
        assert!(error.is_temporary(), "{error}");
        assert_eq!(chain.head().block, landed);
    }
    let landed = party.submit(&key("1"), &command, AttoFil::ZERO).await.expect("it is found");
    assert_eq!(landed.cursor.block, 1);
    assert_eq!(chain.head().block, 1);
}

#[tokio::test]
async fn heads_tick_with_the_wall_clock() {
    let chain = Chain::in_memory(genesis(), Options::default()).expect("a new chain");
    let mut updates = chain.connect(signer(1)).updates(None);
    let mut times = Vec::new();
    while times.len() < 3 {
        match updates.next().await.expect("goes on").expect("no error") {
            Update::Head { cursor, latest, .. } => {
                assert_eq!(cursor.block, 0, "time passes without blocks");
                times.push(latest.time);
            }
            other => panic!("nothing happened: {other:?}"),
        }
    }
    assert!(times.is_sorted_by(|earlier, later| earlier < later), "{times:?}");
}

#[tokio::test]
async fn a_delayed_submission_does_not_hold_up_the_next() {
    let clock = ManualClock::at(Time(1_000));
    let chain = Chain::in_memory(genesis(), options(&clock)).expect("a new chain");
    let party = chain.connect(signer(1));
    party.link().next_submission(Fault::Delay(std::time::Duration::from_secs(3_600)));
    let (slow_key, slow) = (key("slow"), announce("https://slow.example"));
    let mut delayed = party.submit(&slow_key, &slow, AttoFil::ZERO);
    assert!(futures::FutureExt::now_or_never(&mut delayed).is_none());
    let landed = party.submit(&key("quick"), &announce("https://quick.example"), AttoFil::ZERO).await;
    assert_eq!(landed.expect("lands").cursor.block, 1);
    drop(delayed);
    assert_eq!(chain.head().block, 1);
}

/// The log of some history, with one entry changed.
async fn audited(change: impl FnOnce(&mut Vec<Entry>)) -> Result<Audited, LedgerError> {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("market.log");
    let mut ledger = MemoryLedger::default();
    let chain = Chain::open(genesis(), ledger.clone(), options(&ManualClock::at(Time(1_000)))).expect("a new chain");
    some_history(&chain).await;
    let mut entries = Vec::new();
    ledger.load(0, &mut |_, entry| {
        entries.push(entry);
        Ok(())
    })?;
    change(&mut entries);
    let mut file = FileLedger::open(&path, SyncPolicy::OperatingSystem).expect("it opens");
    file.append(&entries)?;
    // The writer still has it.
    let (before, found) = (std::fs::read(&path).expect("it reads"), audit(&path));
    assert_eq!(std::fs::read(&path).expect("it reads"), before, "an audit changes nothing");
    found
}

#[tokio::test]
async fn an_audit_of_a_log_tells_what_was_said_and_what_it_came_to() {
    let found = audited(|_| {}).await.expect("the log is sound");
    let names: Vec<_> = found.record.iter().map(|event| (event.block, event.index)).collect();
    assert_eq!(names, [(1, 0), (2, 0), (2, 1), (3, 0), (4, 0)], "a deposit; money and a job; an end; a withdrawal");
    assert_eq!(found.market.held(), AttoFil(5 * FIL));
    let mut fold =
        lota_market::replay::Replay::new(found.header.deployment(), crate::recording::Hashes(found.header.market))
            .expect("it can be deployed");
    found.record.iter().try_for_each(|event| fold.apply(event)).expect("it replays");
    assert_eq!(fold.market(), &found.market);
}

#[tokio::test]
async fn an_audit_names_the_block_that_was_tampered_with() {
    fn block(entry: &mut Entry) -> &mut Block {
        match entry {
            Entry::Block(block) => block,
            _ => panic!("the entries after the first are blocks"),
        }
    }
    fn command(entry: &mut Entry) -> &mut SignedCommand {
        match &mut block(entry).origin {
            Origin::Command { signed, .. } => signed,
            _ => panic!("all blocks are of commands"),
        }
    }
    type Tamper = fn(&mut Vec<Entry>);
    let tampers: [(Tamper, &str); 9] = [
        (|entries| command(&mut entries[2]).value = AttoFil(2 * FIL), "block 2: its command is said to be of"),
        (|entries| command(&mut entries[1]).sender = signer(2).address(), "block 1: its command is said to be of"),
        (|entries| block(&mut entries[3]).hash = B256::ZERO, "block 3: the log says 0x0000"),
        (|entries| block(&mut entries[3]).time = Time(5_000), "block 3: the log says"),
        (|entries| block(&mut entries[2]).events.truncate(1), "block 2: its events are not what"),
        (|entries| block(&mut entries[4]).movements.clear(), "block 4: its movements are not what"),
        (|entries| drop(entries.remove(2)), "block 2: "),
        (|entries| entries.swap(1, 2), "block 1: "),
        (|entries| entries.insert(2, entries[1].clone()), "block 2: its command is that of block 1"),
    ];
    for (tamper, words) in tampers {
        let error = audited(tamper).await.expect_err(words).to_string();
        assert!(error.contains(words), "{error}: {words}");
    }
}

#[tokio::test]
async fn an_audit_leaves_out_a_torn_tail_and_does_not_cut_it_off() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("market.log");
    let ledger = FileLedger::open(&path, SyncPolicy::OperatingSystem).expect("it opens");
    let chain = Chain::open(genesis(), ledger, options(&ManualClock::at(Time(1_000)))).expect("a new chain");
    some_history(&chain).await;
    drop(chain);
    let whole = std::fs::read(&path).expect("it reads");
    let torn = &whole[..whole.len() - 5];
    std::fs::write(&path, torn).expect("it is written");
    let found = audit(&path).expect("what is whole is sound");
    assert_eq!(found.record.last().map(|event| event.block), Some(3), "the withdrawal was torn");
    assert_eq!(std::fs::read(&path).expect("it reads"), torn, "an audit changes nothing");
    let files: Vec<_> = std::fs::read_dir(dir.path()).expect("it is listed").collect();
    assert_eq!(files.len(), 1, "and writes nothing beside: {files:?}");
}

#[tokio::test]
async fn an_audit_follows_the_fork_that_the_log_ends_with() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("market.log");
    let ledger = FileLedger::open(&path, SyncPolicy::OperatingSystem).expect("it opens");
    let chain = Chain::open(genesis(), ledger, options(&ManualClock::at(Time(1_000)))).expect("a new chain");
    some_history(&chain).await;
    chain.rewind(2).expect("it rewinds");
    let client = chain.connect(signer(1));
    let withdraw = Command::Withdraw { to: client.party(), amount: AttoFil(FIL) };
    client.submit(&key("withdraw again"), &withdraw, AttoFil::ZERO).await.expect("it lands");
    let found = audit(&path).expect("the log is sound");
    let head = chain.head();
    assert_eq!(found.record.last().map(|event| event.block), Some(head.block));
    assert_eq!(found.market, chain.snapshot());
    let mut fold =
        lota_market::replay::Replay::new(found.header.deployment(), crate::recording::Hashes(found.header.market))
            .expect("it can be deployed");
    found.record.iter().try_for_each(|event| fold.apply(event)).expect("it replays");
    assert_eq!(fold.market(), &found.market);
}
