//! Logs whose checksums are right, and what they say is not.

use std::path::{Path, PathBuf};

use lota_bridge::{
    eip712::SignedCommand,
    encoding,
    memory::{Block, Chain, Entry, FileLedger, Ledger, LedgerError, ManualClock, Options, Origin, SyncPolicy, audit},
};
use lota_market::{
    AttoFil, B256, Time,
    agent::EffectKey,
    model::{Command, Event},
    world::ContractEvent,
};
use sha2::{Digest as _, Sha256};

use crate::harness::{BEGINNING, announce, genesis, open, options, signer};

fn ledger(path: &Path) -> FileLedger {
    FileLedger::open(path, SyncPolicy::OperatingSystem).expect("nobody else has it")
}

/// The entries of a log in which somebody is given money, deposits some, and says something; then it is taken back, and said again.
fn honest() -> Vec<Entry> {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = ManualClock::at(BEGINNING);
    let chain = open(dir.path(), options(&clock));
    let me = signer("ann").address();
    chain.fund(me, AttoFil(100)).expect("given");
    let send = |key: &str, command: &Command, value: AttoFil| {
        let bytes = encoding::encode(command, value).expect("within limits");
        let signed = SignedCommand::sign(&signer("ann"), &chain.market(), EffectKey::named(key), value, bytes);
        chain.execute(&signed.expect("signs")).expect("lands");
    };
    send("1", &Command::Deposit { account: me }, AttoFil(7));
    send("2", &announce("https://one.example"), AttoFil::ZERO);
    chain.rewind(1).expect("dropped");
    send("2", &announce("https://one.example"), AttoFil::ZERO);
    send("3", &announce("https://two.example"), AttoFil::ZERO);
    drop(chain);
    let mut entries = Vec::new();
    let taken = ledger(&dir.path().join("market.log")).load(0, &mut |_, entry| {
        entries.push(entry);
        Ok(())
    });
    taken.expect("it reads");
    entries
}

/// A log of these entries.
fn written(folder: &Path, entries: &[Entry]) -> PathBuf {
    let path = folder.join("market.log");
    for entry in entries {
        ledger(&path).append(std::slice::from_ref(entry)).expect("written");
    }
    path
}

/// What an audit says is wrong, and in which block.
fn found(entries: &[Entry]) -> (u64, String) {
    let dir = tempfile::tempdir().expect("a folder");
    match audit(&written(dir.path(), entries)) {
        Err(LedgerError::Inconsistent { block, problem }) => (block, problem),
        other => panic!("{other:?}"),
    }
}

/// The same with a block changed.
fn changed(entries: &[Entry], at: usize, change: impl FnOnce(&mut Block)) -> Vec<Entry> {
    let mut entries = entries.to_vec();
    let Some(Entry::Block(block)) = entries.get_mut(at) else { panic!("{at} is no block") };
    change(block);
    entries
}

/// The hash of a block that a forger gives to what he wants.
fn hash(number: u64, parent: B256, block: &Block) -> B256 {
    let Block { fork, time, transaction, origin, events, .. } = block;
    let answers = match origin {
        Origin::Command { answers, .. } => answers.clone(),
        Origin::Fund { .. } | Origin::Wait => Vec::new(),
    };
    let encoded = serde_ipld_dagcbor::to_vec(&(number, fork, parent, time, transaction, answers, events));
    B256::from_slice(&Sha256::digest(encoded.expect("encoded")))
}

fn block(entries: &[Entry], at: usize) -> &Block {
    let Some(Entry::Block(block)) = entries.get(at) else { panic!("{at} is no block") };
    block
}

/// An audit names the first block that does not follow, whatever was changed in it, and takes a log that is honest.
#[test]
fn an_audit_names_what_was_forged() {
    let honest = honest();
    let dir = tempfile::tempdir().expect("a folder");
    let audited = audit(&written(dir.path(), &honest)).expect("it adds up");
    assert_eq!((honest.len(), audited.record.len()), (7, 3), "{honest:?}");
    // 0: the beginning, 1: money, 2: a deposit, 3: words, 4: taken back, 5: the same words, 6: more.
    let me = signer("ann").address();
    let deposited = |amount| ContractEvent::from(Event::Deposited { account: me, payer: me, amount: AttoFil(amount) });
    for (forged, block, words) in [
        (Vec::from(&honest[1..]), 0, "does not start with the beginning"),
        ([&honest[..3], &honest[..1]].concat(), 3, "second beginning"),
        (changed(&honest, 2, |block| block.events[0] = deposited(8)), 2, "its events are not"),
        (changed(&honest, 2, |block| block.movements[0].amount = AttoFil(8)), 2, "its movements are not"),
        (changed(&honest, 2, |block| block.movements.clear()), 2, "its movements are not"),
        (changed(&honest, 2, |block| block.hash = B256::ZERO), 2, "comes out"),
        (changed(&honest, 2, |block| block.time = Time(0)), 2, "its time are not"),
        (changed(&honest, 2, |block| block.time = BEGINNING.after(9)), 2, "comes out"),
        (changed(&honest, 2, |block| block.transaction = B256::ZERO), 2, "its transaction are not"),
        (changed(&honest, 1, |block| block.origin = Origin::Wait), 1, "comes out"),
        (
            changed(&honest, 1, |block| block.origin = Origin::Fund { account: me, amount: AttoFil(u128::MAX) }),
            1,
            "comes out",
        ),
        ([&honest[..3], &honest[2..3]].concat(), 3, "each is taken once"),
        ([&honest[..2], &honest[3..4]].concat(), 2, "comes out"),
        (
            changed(&honest, 2, |block| {
                let Origin::Command { signed, .. } = &mut block.origin else { panic!("a command") };
                signed.sender = signer("bob").address();
            }),
            2,
            "is signed by",
        ),
    ] {
        let (at, problem) = found(&forged);
        assert!(problem.contains(words), "{words}: {problem}");
        assert_eq!(at, block, "{problem}");
    }
}

/// Reorganisations that make no sense are no way out of the audit, and break nothing; the market opens, too.
#[test]
fn reorganisations_without_sense_break_nothing() {
    let honest = honest();
    for to in [0, 1, 5, u64::MAX] {
        let dir = tempfile::tempdir().expect("a folder");
        let path = written(dir.path(), &[&honest[..], &[Entry::Rewind { to }, Entry::Rewind { to }]].concat());
        let audited = audit(&path).expect("what is left adds up");
        let chain = open(dir.path(), Options::default());
        assert_eq!(chain.snapshot(), audited.market, "{to}");
        chain.audit().expect("all money is where the movements say");
    }
    // A block that says that there were as many forks as there can be, with the hash that belongs to that.
    let parent = block(&honest, 2).hash;
    let forged = changed(&honest[..4], 3, |block| {
        block.fork = u64::MAX;
        block.hash = hash(3, parent, block);
    });
    assert_eq!(hash(3, parent, block(&honest, 3)), block(&honest, 3).hash, "this is how hashes are made");
    let dir = tempfile::tempdir().expect("a folder");
    let path = written(dir.path(), &[&forged[..], &[Entry::Rewind { to: 2 }]].concat());
    assert_eq!(audit(&path).expect("it follows").record.len(), 1);
    let chain = open(dir.path(), Options::default());
    assert_eq!(chain.head().block, 2);
    chain.fund(signer("ann").address(), AttoFil(1)).expect("it goes on");
}

/// A log that does not follow is not opened, and not changed.
#[test]
fn a_market_does_not_begin_with_what_does_not_follow() {
    let dir = tempfile::tempdir().expect("a folder");
    let forged = changed(&honest(), 2, |block| block.hash = B256::ZERO);
    let path = written(dir.path(), &forged);
    let before = std::fs::read(&path).expect("read");
    let error = Chain::open(genesis(), ledger(&path), Options::default()).expect_err("forged").to_string();
    assert!(error.contains("block 2"), "{error}");
    assert_eq!(std::fs::read(&path).expect("read"), before);
}
