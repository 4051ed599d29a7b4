use std::{collections::BTreeMap, time::Duration};

use lota_fil_plus::{
    answer::Certainty,
    keeper::read_once,
    registry::Registry,
    source::{Limits, Source, lotus::Parties},
    step::{SourceError, Step},
    store::{MAX_SIZE, Store},
};

use crate::{
    chain::{Chain, FAULTS, Fault, Node, claim, piece},
    support::{DAY, PATIENT, QUICK, ask_at, at, certainty, claims, open, read},
};

fn chain() -> Chain {
    Chain { claims: BTreeMap::from([(1_000, vec![claim(1, 1_000)])]), ..Chain::default() }
}

/// What a registry says about its only source.
async fn problem(registry: &Registry) -> Option<String> {
    registry.source_states(at(10_000)).await.expect("read").remove(0).problem
}

#[tokio::test]
async fn a_broken_node_is_told_of_in_its_own_way_and_read_when_it_is_whole_again() {
    for fault in FAULTS {
        let node = Node::start(chain()).await;
        node.chain().fault = fault;
        let folder = tempfile::tempdir().expect("a folder");
        let registry = open(folder.path(), vec![claims(&node, Parties::All, DAY, QUICK)]).await;
        let failed = read_once(&registry, &|_, _| {}).await;
        assert_eq!(failed.len(), 1, "{fault:?}");
        let told = problem(&registry).await.expect("a problem");
        assert_eq!(told, failed[0].1.to_string());
        let wanted = match fault {
            Fault::None => unreachable!(),
            Fault::Html => "is this the right URL? It begins with: <!doctype html>",
            Fault::Truncated => "EOF while parsing",
            Fault::Endless => "answered more than 1048576 bytes",
            Fault::Silence | Fault::Stalls => "answered nothing for",
            Fault::Status500 => "HTTP 500: out of order",
            Fault::Redirects => "HTTP 307",
            Fault::OtherShape => "did not answer as documented (invalid type",
        };
        // A machine under load may cut an endless answer by its time.
        let is_late = fault == Fault::Endless && told.contains("answered nothing for");
        assert!(told.contains(wanted) || is_late, "{fault:?}: {told}");
        assert!(told.contains("127.0.0.1") && !told.contains('\u{1b}'), "{told}");
        assert_eq!(certainty(&registry, piece(1)).await, Certainty::Unknown);
        registry.store().close().await;

        node.chain().fault = Fault::None;
        let registry = open(folder.path(), vec![claims(&node, Parties::All, DAY, PATIENT)]).await;
        read(&registry).await;
        assert_eq!(problem(&registry).await, None);
        assert_eq!(certainty(&registry, piece(1)).await, Certainty::Verified);
    }
}

#[tokio::test]
async fn one_provider_that_cannot_be_read_ends_no_round() {
    for fault in [Fault::Endless, Fault::OtherShape, Fault::Truncated, Fault::Status500, Fault::Html] {
        let of = |provider: u64| (provider, vec![claim(provider, provider)]);
        let node = Node::start(Chain { claims: (1_000..1_004).map(of).collect(), ..Chain::default() }).await;
        node.chain().broken.insert(1_001, fault);
        let folder = tempfile::tempdir().expect("a folder");
        let limits = Limits { answer: 4 << 20, ..PATIENT };
        let registry = open(folder.path(), vec![claims(&node, Parties::All, Duration::ZERO, limits)]).await;
        // A node that is only out of order for a moment is asked again.
        let mut tries = 1;
        while let Some((_, error)) = read_once(&registry, &|_, _| {}).await.first() {
            assert!(fault == Fault::Status500 && error.to_string().contains("HTTP 500"), "{fault:?}: {error}");
            tries += 1;
            assert!(tries < 10, "it goes on in the end");
        }
        assert_eq!(tries, if fault == Fault::Status500 { 3 } else { 1 }, "{fault:?}");
        for provider in [1_000, 1_002, 1_003] {
            assert_eq!(certainty(&registry, piece(provider)).await, Certainty::Verified, "{fault:?}");
        }
        let unknown = ask_at(&registry, &piece(1_001).to_string(), at(10_000)).await;
        assert_eq!(unknown.certainty, Certainty::Unknown);
        assert!(unknown.reason.contains("not all claims were read"), "{}", unknown.reason);
        let state = registry.source_states(at(10_000)).await.expect("read").remove(0);
        assert_eq!((state.refused, state.complete_as_of_epoch), (1, None));
        assert!(state.refusal.as_ref().is_some_and(|why| why.contains("f01001")), "{:?}", state.refusal);

        // The next round has all of it.
        node.chain().broken.clear();
        read(&registry).await;
        assert_eq!(certainty(&registry, piece(1_001)).await, Certainty::Verified);
        let state = registry.source_states(at(10_000)).await.expect("read").remove(0);
        assert_eq!(state.complete_as_of_epoch, Some(10_000));
    }
}

/// When nobody can be read it is the node's fault: that is told, and waited for.
#[tokio::test]
async fn a_node_that_can_read_nobody_is_a_problem() {
    let node = Node::start(Chain { claims: (1_000..1_100).map(|id| (id, vec![])).collect(), ..Chain::default() }).await;
    node.chain().broken = (1_000..1_100).map(|id| (id, Fault::OtherShape)).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![claims(&node, Parties::All, DAY, PATIENT)]).await;
    assert_eq!(read_once(&registry, &|_, _| {}).await.len(), 1);
    assert!(problem(&registry).await.is_some());
    let state = registry.source_states(at(10_000)).await.expect("read").remove(0);
    assert_eq!(state.refused, 16);
}

/// All that came from a node is forgotten while a step of it is under way.
#[derive(Debug)]
struct Forgotten(Store, std::sync::atomic::AtomicBool);

#[async_trait::async_trait]
impl Source for Forgotten {
    fn name(&self) -> &str {
        "claims of x"
    }

    fn kind(&self) -> &'static str {
        "claims"
    }

    fn origin(&self) -> &str {
        "x"
    }

    fn stale_after(&self) -> u64 {
        60
    }

    async fn next(&self, _: Option<&str>, _: u64) -> Result<Option<Step>, SourceError> {
        if !self.1.swap(true, std::sync::atomic::Ordering::Relaxed) {
            let origin = self.0.origins().await.expect("read").remove(0).number;
            self.0.forget(origin).await.expect("forgotten");
            return Ok(Some(Step { complete: Some(1), ..Step::default() }));
        }
        Ok(Some(Step { complete: Some(2), rest: Some(DAY), ..Step::default() }))
    }
}

#[tokio::test]
async fn what_was_read_before_all_was_forgotten_is_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), MAX_SIZE).await.expect("opened");
    let source = Forgotten(store.clone(), false.into());
    let registry = Registry::open(store, vec![std::sync::Arc::new(source)]).await.expect("known");
    let attached = &registry.sources()[0];
    let complete = async || registry.source_states(at(1)).await.expect("read").remove(0).complete_as_of_epoch;
    registry.step(attached, at(1)).await.expect("a step");
    assert_eq!(complete().await, None);
    registry.step(attached, at(1)).await.expect("a step");
    assert_eq!(complete().await, Some(2));
}

#[tokio::test]
async fn what_was_read_while_the_clock_was_ahead_is_read_again() {
    let node = Node::start(chain()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![claims(&node, Parties::All, DAY, PATIENT)]).await;
    let attached = &registry.sources()[0];
    let round = async |now: u64| {
        node.chain().calls.clear();
        for _ in 0..10 {
            if registry.step(attached, now).await.expect("a step").expect("more").rest.is_some() {
                break;
            }
        }
        !node.chain().calls.is_empty()
    };
    let now = at(10_000);
    assert!(round(now + 365 * 86_400).await);
    assert!(round(now).await, "the clock was put right");
    assert!(!round(now + 60).await, "it rests");
    assert!(round(now + 86_400).await);
}

#[tokio::test]
async fn while_a_node_is_away_what_it_said_stays_and_is_called_old() {
    let node = Node::start(chain()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let sources = |limits| vec![claims(&node, Parties::All, std::time::Duration::ZERO, limits)];
    let registry = open(folder.path(), sources(PATIENT)).await;
    read(&registry).await;
    registry.store().close().await;
    node.chain().fault = Fault::Silence;
    let registry = open(folder.path(), sources(QUICK)).await;
    assert_eq!(read_once(&registry, &|_, _| {}).await.len(), 1);
    let fresh = ask_at(&registry, &piece(1).to_string(), at(10_010)).await;
    assert_eq!((fresh.certainty, fresh.caveats.len()), (Certainty::Verified, 0));
    let old = ask_at(&registry, &piece(1).to_string(), at(20_000)).await;
    assert_eq!(old.certainty, Certainty::Verified);
    assert!(old.caveats[0].contains("behind") && old.caveats[0].contains("answered nothing"), "{:?}", old.caveats);
}

#[tokio::test]
async fn one_node_that_hangs_keeps_no_other_from_being_read() {
    use std::sync::Arc;
    use tokio_util::sync::CancellationToken;

    let (good, hanging) = (Node::start(chain()).await, Node::start(chain()).await);
    hanging.chain().fault = Fault::Silence;
    let folder = tempfile::tempdir().expect("a folder");
    let sources = vec![claims(&hanging, Parties::All, DAY, PATIENT), claims(&good, Parties::All, DAY, PATIENT)];
    let registry = Arc::new(open(folder.path(), sources).await);
    let stop = CancellationToken::new();
    let metrics = lota_fil_plus::metrics::Metrics::default();
    let keeping =
        lota_fil_plus::keeper::keep(Arc::clone(&registry), metrics, stop.clone(), Arc::new(|_: &str, _: &str| {}));
    let keeping = tokio::spawn(keeping);
    while certainty(&registry, piece(1)).await != Certainty::Verified {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    keeping.await.expect("it ends");
}

#[tokio::test]
async fn two_nodes_that_disagree_are_both_shown() {
    let mut other = chain();
    other.claims.get_mut(&1_000).expect("a provider")[0].client = 6_666;
    let (one, two) = (Node::start(chain()).await, Node::start(other).await);
    let folder = tempfile::tempdir().expect("a folder");
    let sources = vec![claims(&one, Parties::All, DAY, PATIENT), claims(&two, Parties::All, DAY, PATIENT)];
    let registry = open(folder.path(), sources).await;
    read(&registry).await;
    let answer = crate::support::ask(&registry, &piece(1).to_string()).await;
    assert_eq!(answer.certainty, Certainty::Contradicted);
    assert!(answer.contradictions[0].contains("disagree"), "{:?}", answer.contradictions);
    registry.store().close().await;

    // The operator takes the second one away: its word counts no more.
    let registry = open(folder.path(), vec![claims(&one, Parties::All, DAY, PATIENT)]).await;
    assert_eq!(certainty(&registry, piece(1)).await, Certainty::Verified);
}
