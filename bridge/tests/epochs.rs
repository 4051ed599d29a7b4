//! The suite of all transports, for the one to a chain whose time passes in epochs: an epoch passes while somebody waits.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::FutureExt as _;
use lota_bridge::{
    Cursor, Landed, MarketRef, PrivateKeySigner, SubmitError, Transport, Update,
    conformance::Harness,
    evm::Network,
    memory::{EpochChain, EpochOptions, EpochTransport, Genesis, Weather},
};
use lota_market::{
    Address, AttoFil, Time,
    agent::EffectKey,
    model::{Command, Rejection, Settings},
    money::FIL,
};
use sha2::{Digest, Sha256};
use tokio::task::{JoinHandle, JoinSet};

const EPOCH: u64 = 30;
/// How many epochs lie above what is final.
const FINALITY: u64 = 20;
/// Everybody in the suite: the chain has no faucet.
const PARTIES: [&str; 14] = [
    "a", "arbiter", "b", "c", "client", "d", "first", "late", "other", "party", "poor", "provider", "second",
    "stranger",
];

fn signer(name: &str) -> PrivateKeySigner {
    PrivateKeySigner::from_slice(&Sha256::digest(name)).expect("a valid key")
}

struct Epochs {
    chain: EpochChain,
    transports: Mutex<HashMap<Address, EpochTransport>>,
    _miner: JoinSet<()>,
}

impl Epochs {
    async fn begin(weather: Weather) -> Self {
        let chain = chain(weather, 0);
        let mut miner = JoinSet::new();
        let mined = chain.clone();
        miner.spawn(async move {
            loop {
                if PARTIES.iter().any(|name| !mined.awaited(signer(name).address()).is_empty()) {
                    mined.pass();
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Self { chain, transports: Mutex::default(), _miner: miner }
    }
}

#[async_trait]
impl Harness for Epochs {
    async fn connect(&self, name: &str) -> Arc<dyn Transport> {
        assert!(PARTIES.contains(&name), "{name} has no money");
        let transport = self.chain.connect(signer(name));
        self.transports.lock().expect("no panic").insert(transport.party(), transport.clone());
        Arc::new(transport)
    }

    async fn advance(&self, seconds: u64) {
        for _ in 0..=seconds.div_ceil(EPOCH) {
            self.chain.pass();
        }
    }

    async fn confirm(&self) {
        for _ in 0..=FINALITY {
            self.chain.pass();
        }
    }

    async fn fork_after(&self, position: Cursor) {
        self.chain.fork_above(position.block);
    }

    async fn cut(&self) {
        self.transports.lock().expect("no panic").values().for_each(|transport| transport.link().cut());
    }

    /// The chain is not ours to restart, and its nodes remember what parties sent.
    async fn restart(&self) {}
}

lota_bridge::transport_conformance!(crate::Epochs::begin(lota_bridge::memory::Weather::CALM));

// What is this chain's own ------------------------------------------------------------------------------------------------------------

/// A chain whose time passes only when the test says so.
fn chain(weather: Weather, seed: u64) -> EpochChain {
    let genesis = Genesis {
        market: MarketRef {
            chain_id: Network::CALIBRATION.chain_id,
            contract: Address::repeat_byte(0x10),
            settings: Settings { max_callback_gas: 1_000_000, ..Settings::COIN },
        },
        auction: None,
        time: Time(1_800_000_000),
        funds: PARTIES.iter().map(|name| (signer(name).address(), AttoFil(1_000 * FIL))).collect(),
    };
    EpochChain::new(&genesis, EpochOptions { finality: FINALITY, weather, seed, ..EpochOptions::default() })
        .expect("little money")
}

fn announce(url: &str) -> Command {
    Command::Announce { url: url.to_owned() }
}

/// Sends an announcement, and goes on when it waits for a block.
async fn send(chain: &EpochChain, name: &str, url: &str) -> JoinHandle<Result<Landed, SubmitError>> {
    let (party, command) = (chain.connect(signer(name)), announce(url));
    let (key, address) = (EffectKey::named(url), party.party());
    let sent =
        tokio::spawn(
            async move { party.submit(&EffectKey::named(command_url(&command)), &command, AttoFil::ZERO).await },
        );
    while !chain.awaited(address).contains(&key) {
        tokio::task::yield_now().await;
    }
    sent
}

fn command_url(command: &Command) -> &str {
    match command {
        Command::Announce { url } => url,
        other => panic!("{other:?} is no announcement"),
    }
}

#[tokio::test]
async fn a_message_is_in_the_next_block_and_told_of_when_that_is_executed() {
    let chain = chain(Weather::CALM, 0);
    assert_eq!((chain.epoch(), chain.head().block), (1, 0));
    let sent = send(&chain, "party", "https://one.example").await;
    chain.pass();
    assert_eq!((chain.epoch(), chain.head().block, chain.events().len()), (2, 1, 1));
    assert_eq!(chain.awaited(signer("party").address()).len(), 1, "it is not executed");
    assert!(matches!(&*chain.read(None, 9), [Update::Head { cursor, .. }] if cursor.block == 1));
    chain.pass();
    assert!(chain.awaited(signer("party").address()).is_empty());
    let landed = sent.await.expect("no panic").expect("it lands");
    assert_eq!((landed.cursor.block, landed.time), (2, Time(1_800_000_000 + 2 * EPOCH)));
    assert!(matches!(&*chain.read(None, 9), [Update::Event { cursor, .. }] if *cursor == landed.cursor));
}

#[tokio::test]
async fn a_null_round_has_no_block_and_takes_its_time() {
    let chain = chain(Weather { null: 3, ..Weather::CALM }, 7);
    let mut blocks = BTreeSet::new();
    for _ in 0..60 {
        chain.pass();
        let head = chain.head();
        assert_eq!(head.time, Time(1_800_000_000 + head.block * EPOCH));
        blocks.insert(head.block);
    }
    assert!((30..=50).contains(&blocks.len()), "{blocks:?}");
}

#[tokio::test]
async fn blocks_are_undone_down_to_what_is_final_and_messages_come_back_or_are_dropped() {
    let chain = chain(Weather { drop: 2, ..Weather::CALM }, 1);
    let mut urls = Vec::new();
    for number in 0..10 {
        urls.push(format!("https://{number}.example"));
        let sent = send(&chain, "party", &urls[number]).await;
        chain.pass();
        chain.pass();
        sent.await.expect("no panic").expect("it lands");
    }
    let at = chain.read(None, 99);
    let Some(Update::Event { cursor, .. }) = at.last() else { panic!("{at:?}") };
    chain.fork_above(0);
    assert_eq!(chain.undone(), 19, "all that were executed but the first two");
    let Update::Rewind { to: Some(to) } = chain.read(Some(cursor), 9)[0] else { panic!("no rewind") };
    assert!(to.block <= 1);
    chain.pass();
    let left = chain.events().len();
    assert!((1..10).contains(&left), "{left} of 10 are left");
    assert_eq!(chain.messages().iter().filter(|message| message.epoch.is_none()).count(), 10 - left);

    // Whoever needs one that was dropped sends it again: the same message.
    for url in &urls {
        let party = chain.connect(signer("party"));
        let (key, command) = (EffectKey::named(url), announce(url));
        let mut submitted = party.submit(&key, &command, AttoFil::ZERO);
        while (&mut submitted).now_or_never().is_none() {
            chain.pass();
        }
    }
    assert_eq!((chain.events().len(), chain.messages().len()), (10, 10));

    for _ in 0..FINALITY + 9 {
        chain.pass();
    }
    let (events, undone) = (chain.events(), chain.undone());
    chain.fork_above(0);
    assert_eq!((chain.events(), chain.undone()), (events, undone + FINALITY), "what is final stays");
}

#[tokio::test]
async fn a_node_that_is_behind_does_not_know_the_newest_block() {
    let chain = chain(Weather { behind: 2, ..Weather::CALM }, 3);
    let party = chain.connect(signer("party"));
    let mut refused = 0;
    for number in 0..20_u128 {
        let (key, deposit) = (EffectKey::named(&format!("in/{number}")), Command::Deposit { account: party.party() });
        let mut deposited = party.submit(&key, &deposit, AttoFil(1));
        while (&mut deposited).now_or_never().is_none() {
            chain.pass();
        }
        // A node that has not executed the deposit's block says that there is nothing to withdraw.
        let withdraw = Command::Withdraw { to: party.party(), amount: AttoFil(1) };
        let key = EffectKey::named(&format!("out/{number}"));
        let mut withdrawn = party.submit(&key, &withdraw, AttoFil::ZERO);
        let result = loop {
            match (&mut withdrawn).now_or_never() {
                Some(result) => break result,
                None => chain.pass(),
            }
        };
        match result {
            Ok(_) => assert_eq!(chain.balance(party.party()), AttoFil::ZERO),
            Err(SubmitError::Rejected { rejection: Rejection::InsufficientBalance { .. }, .. }) => {
                refused += 1;
                while chain.balance(party.party()) > AttoFil::ZERO {
                    let _ = party.submit(&key, &withdraw, AttoFil::ZERO).now_or_never();
                    chain.pass();
                }
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!((3..=17).contains(&refused), "{refused} of 20");
}

#[tokio::test]
async fn chance_follows_from_the_seed() {
    let heads = |seed| {
        let chain = chain(Weather { null: 4, ..Weather::ROUGH }, seed);
        (0..50)
            .map(|_| {
                chain.pass();
                chain.head().block
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(heads(1), heads(1));
    assert_ne!(heads(1), heads(2));
}
