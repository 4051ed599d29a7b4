//! A registry in a folder of its own.

use std::{path::Path, sync::Arc, time::Duration};

use lota_fil_plus::{
    answer::{Answer, Certainty, Checked},
    keeper::read_once,
    registry::{Manner, Registry},
    source::{Limits, Rpc, Source, events::LotusEvents, lotus::LotusState, lotus::Parties},
    store::{MAX_SIZE, Store},
};

use crate::chain::{GENESIS, Node};

/// Limits that a test need not wait long for.
pub const QUICK: Limits =
    Limits { answer: 4 << 20, silence: Duration::from_millis(300), whole: Duration::from_millis(1_500) };
/// Limits that a healthy server does not run into.
pub const PATIENT: Limits =
    Limits { answer: 64 << 20, silence: Duration::from_secs(120), whole: Duration::from_secs(300) };

pub const DAY: Duration = Duration::from_secs(86_400);

pub fn events(node: &Node, final_epochs: u64) -> Arc<dyn Source> {
    let rpc = Rpc::new(&node.url(), Some(final_epochs), PATIENT).expect("a URL");
    Arc::new(LotusEvents::new(rpc, Some(1)))
}

pub fn claims(node: &Node, providers: Parties, refresh: Duration, limits: Limits) -> Arc<dyn Source> {
    let rpc = Rpc::new(&node.url(), Some(0), limits).expect("a URL");
    Arc::new(LotusState::new(rpc, providers, Parties::These(vec![2_000]), refresh))
}

pub async fn open(folder: &Path, sources: Vec<Arc<dyn Source>>) -> Registry {
    let store = Store::open(folder, MAX_SIZE).await.expect("opened");
    Registry::open(store, sources).await.expect("sources are known")
}

/// Reads all sources as far as they are; none may fail.
pub async fn read(registry: &Registry) {
    let failed = read_once(registry, &|_, _| {}).await;
    assert!(failed.is_empty(), "{failed:?}");
}

/// Unix seconds at an epoch of the chain.
pub const fn at(epoch: u64) -> u64 {
    GENESIS + 30 * epoch
}

pub async fn ask_at(registry: &Registry, cid: &str, now: u64) -> Answer {
    let manner = Manner { ask: true, shown: 64 };
    match registry.check(&[cid.to_owned()], manner, now).await.expect("answered").remove(0) {
        Checked::Answer(answer) => *answer,
        Checked::Malformed { error, .. } => panic!("{error}"),
    }
}

pub async fn ask(registry: &Registry, cid: &str) -> Answer {
    ask_at(registry, cid, at(10_100)).await
}

pub async fn certainty(registry: &Registry, cid: impl ToString) -> Certainty {
    ask(registry, &cid.to_string()).await.certainty
}
