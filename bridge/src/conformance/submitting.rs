//! Submissions: once per key, whatever happens.

use futures::future::join_all;
use lota_market::{
    AttoFil, B256,
    agent::EffectKey,
    model::{Command, Event},
    money::FIL,
};

use super::{Harness, Party, party::announcement};
use crate::{Landed, SubmitError};

const URL: &str = "https://once.example";

async fn counted(party: &Party, landed: &Landed) -> usize {
    let mut log = party.whole_log();
    log.read_to(landed.cursor).await;
    log.count(URL)
}

/// Several calls at once, and one more later: one block, one answer.
pub async fn the_same_key_lands_once(harness: &impl Harness) {
    let party = Party::connect(harness, "party").await;
    let key = EffectKey::named("once");
    let mut answers = join_all((0..5).map(|_| party.announce(&key, URL))).await;
    answers.push(party.announce(&key, URL).await);
    let first = answers[0].clone().expect("it lands");
    assert_eq!(first.events, [Event::Announced { party: party.address(), url: URL.into() }]);
    assert!(answers.iter().all(|answer| answer.as_ref() == Ok(&first)), "{answers:?}");
    assert_eq!(counted(&party, &first).await, 1);

    let other = Party::connect(harness, "other").await;
    let theirs = other.announce(&key, URL).await.expect("a key is a party's own");
    assert_ne!(theirs.transaction, first.transaction);
    assert_eq!(counted(&party, &theirs).await, 2);
}

/// The key is remembered beyond the process.
pub async fn the_same_key_lands_once_after_a_restart(harness: &impl Harness) {
    let party = Party::connect(harness, "party").await;
    let key = EffectKey::named("once");
    let before = party.announce(&key, URL).await.expect("it lands");
    drop(party);
    harness.restart().await;
    let party = Party::connect(harness, "party").await;
    assert_eq!(party.announce(&key, URL).await, Ok(before.clone()));
    let reused = party.announce(&key, "https://other.example").await;
    assert_eq!(reused, Err(SubmitError::KeyReused { party: party.address(), key }));
    let later = party.announce(&EffectKey::named("later"), "https://later.example").await.expect("it lands");
    assert_eq!(counted(&party, &later).await, 1);
}

/// The same key with another command, or another value, is a mistake of the caller and changes nothing.
pub async fn a_key_belongs_to_one_command(harness: &impl Harness) {
    let party = Party::connect(harness, "party").await;
    let key = EffectKey::named("deposit");
    let deposit = Command::Deposit { account: party.address() };
    let landed = party.transport.submit(&key, &deposit, AttoFil(FIL)).await.expect("it lands");
    let reused = Err(SubmitError::KeyReused { party: party.address(), key: key.clone() });
    assert_eq!(party.transport.submit(&key, &deposit, AttoFil(2 * FIL)).await, reused);
    assert_eq!(party.announce(&key, URL).await, reused);
    assert_eq!(party.transport.submit(&key, &deposit, AttoFil(FIL)).await, Ok(landed));
    assert_eq!(party.balance().await, AttoFil(FIL));
}

/// Submitting again what a fork undid brings it back, once.
pub async fn what_a_fork_undid_lands_again(harness: &impl Harness) {
    let party = Party::connect(harness, "party").await;
    let fork = party.send(announcement("https://kept.example")).await.cursor;
    let key = EffectKey::named("once");
    let before = party.announce(&key, URL).await.expect("it lands");
    harness.fork_after(fork).await;
    let after = party.announce(&key, URL).await.expect("it lands again");
    assert_ne!(after.cursor, before.cursor);
    assert_eq!(after.events, before.events);
    assert_eq!(counted(&party, &after).await, 1);
    assert_eq!(party.announce(&key, URL).await, Ok(after));
}

/// Many parties with many commands at once: all land, in one order for everybody.
pub async fn commands_of_many_parties_all_land(harness: &impl Harness) {
    let parties = join_all((0..4).map(|number| Party::connect(harness, ["a", "b", "c", "d"][number]))).await;
    let landed = join_all(parties.iter().flat_map(|party| {
        (0..8).map(move |number| party.send(announcement(&format!("https://{}.example/{number}", party.address()))))
    }))
    .await;
    let end = landed.iter().map(|landed| landed.cursor).max_by_key(|cursor| cursor.position()).expect("there are some");
    let mut log = parties[0].whole_log();
    log.read_to(end).await;
    assert_eq!(log.lines.len(), 32);
    for landed in landed {
        let line = log.lines.iter().find(|line| line.transaction == landed.transaction).expect("it is in the log");
        assert_eq!((line.cursor, line.time, vec![line.event.clone()]), (landed.cursor, landed.time, landed.events));
    }
    let mut other = parties[1].whole_log();
    other.read_to(end).await;
    assert_eq!(other.lines, log.lines);
}

/// Money that a command does not take, or that is not there, is an error before anything happens.
pub async fn value_goes_where_it_is_taken(harness: &impl Harness) {
    let party = Party::connect(harness, "party").await;
    let value = AttoFil(FIL);
    let deposit = Command::Deposit { account: party.address() };
    for command in [announcement(URL), Command::Multicall { calls: vec![deposit.clone()] }] {
        let refused = party.transport.submit(&party.fresh_key(), &command, value).await;
        assert_eq!(refused, Err(SubmitError::NotPayable { value }));
    }
    let key = EffectKey::named("too much");
    let refused = party.transport.submit(&key, &deposit, AttoFil(1_001 * FIL)).await;
    let Err(SubmitError::Unaffordable { account, wallet, needed }) = refused else { panic!("{refused:?}") };
    assert_eq!((account, wallet), (party.address(), AttoFil(1_000 * FIL)));
    assert!(needed >= AttoFil(1_001 * FIL), "{needed}");
    assert_eq!(party.wallet().await, AttoFil(1_000 * FIL));
    assert_eq!(party.balance().await, AttoFil::ZERO);
    let landed = party.transport.submit(&key, &deposit, value).await.expect("the key is still free");
    assert_ne!(landed.transaction, B256::ZERO);
}
