use std::collections::BTreeMap;

use lota_fil_plus::{answer::Certainty, keeper::read_once, registry::Registry, source::lotus::Parties};

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
            Fault::Endless => "answered more than 4194304 bytes",
            Fault::Silence | Fault::Stalls => "answered nothing for",
            Fault::Status500 => "HTTP 500: out of order",
            Fault::Redirects => "HTTP 307",
            Fault::OtherShape => "no tipset with Cids",
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
    use std::{sync::Arc, time::Duration};
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
