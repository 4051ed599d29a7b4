//! Restarts: from snapshots, and after everything that can happen to the files.

use std::{fs, path::Path};

use futures::StreamExt;
use lota_bridge::{
    Update,
    eip712::SignedCommand,
    encoding,
    memory::{Chain, ManualClock, Options},
};
use lota_market::{
    AttoFil, B256, Bytes, Time, U256,
    agent::EffectKey,
    auction,
    model::{Command, JobResult, Receipt, Terms},
    money::FIL,
};

use crate::harness::{BEGINNING, announce, genesis, open, options, signer};

/// Sends a command as somebody; whether it is taken is up to the market.
fn send(chain: &Chain, who: &str, number: u64, command: &Command, value: AttoFil) -> bool {
    let bytes = encoding::encode(command, value).expect("within limits");
    let key = EffectKey::named(&format!("{who}/{number}"));
    let signed = SignedCommand::sign(&signer(who), &chain.market(), key, value, bytes).expect("signs");
    chain.execute(&signed).is_ok()
}

fn terms(client: &str, salt: u64, now: Time, matcher: bool) -> Terms {
    let auction = genesis().auction.expect("one").contract;
    Terms {
        client: signer(client).address(),
        salt: U256::from(salt),
        spec: B256::repeat_byte(3),
        spec_codec: 0x71,
        min_price: AttoFil(FIL),
        max_price: AttoFil(2 * FIL),
        ramp_start: now.after(if matcher { 100 } else { 0 }),
        ramp_period: 100,
        lock_by: now.after(1_000),
        run_for: 60,
        review_for: 0,
        rule_for: 0,
        collateral: AttoFil(FIL / 2),
        matcher: if matcher { auction } else { Default::default() },
        arbiter: Default::default(),
        callback_gas: 0,
        keep_record: salt.is_multiple_of(3),
    }
}

/// A dice that always falls the same way (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// Jobs in all states, bids, payments, time that passes; how many commands were taken.
fn some_history(chain: &Chain, clock: &ManualClock, seed: u64, steps: u64) -> u64 {
    let mut dice = Dice(seed);
    let (mut taken, first) = (0, chain.head().block);
    let (clients, providers) = (["ann", "bob"], ["carl", "dora", "emil"]);
    for who in clients.into_iter().chain(providers) {
        chain.fund(signer(who).address(), AttoFil(10_000 * FIL)).expect("given");
        let account = signer(who).address();
        assert!(send(chain, who, seed * 1_000_000 + first, &Command::Deposit { account }, AttoFil(1_000 * FIL)));
    }
    let mut jobs: Vec<(&str, Terms)> = Vec::new();
    for step in 0..steps {
        let number = seed * 1_000_000 + first + 1 + step;
        let client = clients[dice.roll(2) as usize];
        let provider = providers[dice.roll(3) as usize];
        let job = (!jobs.is_empty()).then(|| jobs[dice.roll(jobs.len() as u64) as usize].clone());
        let result = JobResult { output: B256::repeat_byte(6), ..JobResult::default() };
        let command = match (dice.roll(10), job) {
            (0 | 1, _) | (_, None) => {
                let account = signer(client).address();
                let salt = chain.next_salt(account, Default::default()).saturating_to::<u64>();
                let terms = terms(client, salt, chain.head().time, dice.roll(3) == 0);
                jobs.push((client, terms.clone()));
                taken +=
                    u64::from(send(chain, client, number, &Command::Open { terms, spec: Bytes::new() }, AttoFil::ZERO));
                continue;
            }
            (2 | 3, Some((_, terms))) => Command::Lock { terms },
            (4 | 5, Some((_, terms))) => Command::SubmitResult { terms, result },
            (6, Some((owner, terms))) => {
                taken += u64::from(send(chain, owner, number, &Command::Cancel { terms }, AttoFil::ZERO));
                continue;
            }
            (7, Some((_, terms))) => Command::Expire { terms },
            (8, Some((owner, terms))) => {
                let receipt = Receipt { provider: signer(provider).address(), price: terms.min_price, result };
                taken += u64::from(send(chain, owner, number, &Command::Accept { terms, receipt }, AttoFil::ZERO));
                continue;
            }
            (_, Some((_, terms))) => {
                let contract = genesis().auction.expect("one").contract;
                let command = match dice.roll(3) {
                    0 => auction::Command::Fund,
                    1 => auction::Command::Commit { terms, commitment: B256::repeat_byte(9) },
                    _ => auction::Command::Release { terms },
                };
                let value = if command == auction::Command::Fund { AttoFil(FIL * 5) } else { AttoFil::ZERO };
                let bytes = encoding::encode_for_auction(contract, &command, value).expect("within limits");
                let key = EffectKey::named(&format!("{provider}/{number}/auction"));
                let signed = SignedCommand::sign(&signer(provider), &chain.market(), key, value, bytes).expect("signs");
                taken += u64::from(chain.execute(&signed).is_ok());
                clock.advance(dice.roll(60));
                continue;
            }
        };
        taken += u64::from(send(chain, provider, number, &command, AttoFil::ZERO));
        clock.advance(dice.roll(30));
    }
    taken
}

/// Everything that can be seen of a chain.
fn seen(chain: &Chain) -> impl PartialEq + std::fmt::Debug + use<> {
    chain.audit().expect("all money is where the movements say");
    let movements = chain.movements((0, 0), usize::MAX, None).expect("read").movements;
    let accounts = chain.all_holdings(Default::default(), usize::MAX);
    let updates = chain.read(None, usize::MAX).expect("read");
    (chain.head(), chain.snapshot(), accounts, movements, updates)
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

/// A start from a snapshot and a replay of everything come to the same, on many histories, with and without what follows the snapshot.
#[test]
fn a_restart_from_a_snapshot_equals_a_full_replay() {
    for seed in 0..12 {
        let (dir, bare) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let clock = ManualClock::at(BEGINNING);
        let options = || Options { snapshot_every: 7 + seed * 5, ..options(&clock) };
        let chain = open(dir.path(), options());
        let taken = some_history(&chain, &clock, seed + 1, 160);
        assert!(taken > 15, "seed {seed}: only {taken} commands were taken");
        if seed % 4 == 3 {
            chain.rewind(10).expect("dropped");
            assert!(some_history(&chain, &clock, seed + 100, 40) > 2);
        }
        let before = seen(&chain);
        drop(chain);
        assert!(dir.path().join("market.snapshot").exists(), "seed {seed}");
        copy(dir.path(), bare.path());
        fs::remove_file(bare.path().join("market.snapshot")).expect("removed");
        let (quick, whole) = (open(dir.path(), options()), open(bare.path(), options()));
        assert_eq!(seen(&quick), before, "seed {seed}");
        assert_eq!(seen(&whole), before, "seed {seed}");
        // They also go on in the same way, and remember which keys were used.
        for chain in [&quick, &whole] {
            assert!(send(chain, "ann", 7, &announce("https://on.example"), AttoFil::ZERO));
        }
        assert_eq!(seen(&quick), seen(&whole), "seed {seed}");
        let key = EffectKey::named("ann/7");
        drop((quick, whole));
        assert!(open(dir.path(), options()).has_landed(signer("ann").address(), &key));
    }
}

/// What is damaged before the snapshot is found when it is read; what is damaged after it, at once. Both name the place.
#[test]
fn flipped_bits_are_refused_and_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::at(BEGINNING);
    let chain = open(dir.path(), options(&clock));
    some_history(&chain, &clock, 5, 40);
    chain.keep_snapshot().expect("kept");
    let log = dir.path().join("market.log");
    let snapshot = fs::metadata(&log).expect("there").len();
    assert!(send(&chain, "ann", 500, &announce("https://after.example"), AttoFil::ZERO));
    assert!(send(&chain, "ann", 501, &announce("https://last.example"), AttoFil::ZERO));
    drop(chain);
    let whole = fs::read(&log).expect("read");
    for at in [snapshot + 3, snapshot + 14, snapshot + 60] {
        let mut damaged = whole.clone();
        damaged[at as usize] ^= 4;
        fs::write(&log, damaged).expect("written");
        let error = lota_bridge::memory::FileLedger::open(&log, Default::default()).expect_err("damaged").to_string();
        assert!(error.contains("is damaged at byte") && error.contains("market.log"), "{error}");
    }
    let mut damaged = whole.clone();
    damaged[snapshot as usize / 2] ^= 4;
    fs::write(&log, damaged).expect("written");
    let chain = open(dir.path(), options(&clock));
    let error = chain.read(None, usize::MAX).expect_err("damaged").to_string();
    assert!(error.contains("is damaged at byte"), "{error}");
    assert!(send(&chain, "ann", 502, &announce("https://on.example"), AttoFil::ZERO), "what is whole goes on");
}

/// Wherever the last write was torn, what came before it is there, and it goes on.
#[test]
fn a_torn_batch_is_cut_off_at_every_byte() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::at(BEGINNING);
    let chain = open(dir.path(), options(&clock));
    some_history(&chain, &clock, 9, 4);
    let log = dir.path().join("market.log");
    let (before, kept) = (seen(&chain), fs::metadata(&log).expect("there").len() as usize);
    let commands = (0..3).map(|number| {
        let bytes = encoding::encode(&announce("https://torn.example"), AttoFil::ZERO).expect("within limits");
        let key = EffectKey::named(&format!("torn/{number}"));
        let signed = SignedCommand::sign(&signer("ann"), &chain.market(), key, AttoFil::ZERO, bytes).expect("signs");
        chain.check(signed).expect("signed")
    });
    let landed = chain.execute_all(commands.collect());
    assert!(landed.iter().all(Result::is_ok), "{landed:?}");
    drop(chain);
    let whole = fs::read(&log).expect("read");
    for length in kept..whole.len() {
        // What a file system added before it wrote the bytes, now and then.
        for zeros in if length % 16 == 0 { [0, 64].as_slice() } else { &[0] } {
            let mut torn = whole[..length].to_vec();
            torn.resize(length + *zeros, 0);
            fs::write(&log, torn).expect("written");
            let chain = open(dir.path(), options(&clock));
            assert_eq!(seen(&chain), before, "{length} bytes and {zeros} zeros");
        }
    }
    let chain = open(dir.path(), options(&clock));
    assert!(send(&chain, "ann", 900, &announce("https://on.example"), AttoFil::ZERO));
}

/// A reader of the chain is told the same before and after.
#[tokio::test]
async fn a_reader_goes_on_after_a_restart_from_a_snapshot() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::at(BEGINNING);
    let options = || Options { snapshot_every: 10, ..options(&clock) };
    let chain = open(dir.path(), options());
    some_history(&chain, &clock, 2, 40);
    let mut updates = chain.updates(None);
    let mut position = None;
    for _ in 0..12 {
        match updates.next().await.expect("goes on").expect("read") {
            Update::Event { cursor, .. }
            | Update::Auction { cursor, .. }
            | Update::FilecoinPayDeals { cursor, .. }
            | Update::Head { cursor, .. } => {
                position = Some(cursor);
            }
            Update::Rewind { .. } => panic!("nothing was undone"),
        }
    }
    let rest = chain.read(position.as_ref(), usize::MAX).expect("read");
    assert!(rest.len() > 10);
    drop((updates, chain));
    assert_eq!(open(dir.path(), options()).read(position.as_ref(), usize::MAX).expect("read"), rest);
}
