use std::sync::Arc;

use lota_fil_plus::{
    answer::{Certainty, ClaimState, timestamp},
    registry::StepError,
    source::Source,
    step::SourceError,
};

use crate::{
    chain::{Chain, Claim, Node, claim, piece},
    support::{ask, at, certainty, events, open, read},
};

fn busy(head: u64) -> Chain {
    let events = (0..head / 100).map(|n| (n * 100 + 5, "claim", Claim { start: n * 100 + 5, ..claim(n + 1, 1_000) }));
    Chain { head, events: events.collect(), ..Chain::default() }
}

#[tokio::test]
async fn claims_come_are_extended_and_go_with_events() {
    let mut chain = busy(10_000);
    chain.events.push((5_000, "claim-updated", Claim { term_max: 5_200_000, start: 105, ..claim(2, 1_000) }));
    chain.events.push((5_100, "claim-removed", Claim { start: 5, ..claim(1, 1_000) }));
    let node = Node::start(chain).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![events(&node, 900)]).await;
    read(&registry).await;
    let ranges = node.asked_ranges();
    assert!(ranges.iter().all(|(from, to)| to - from < 2_880), "{ranges:?}");
    assert!(ranges.windows(2).all(|pair| pair[1].0 == pair[0].1 + 1), "{ranges:?}");
    assert_eq!((ranges[0].0, ranges[ranges.len() - 1].1), (1, 9_100));

    let removed = ask(&registry, &piece(1).to_string()).await;
    assert_eq!((removed.certainty, removed.claims[0].state), (Certainty::Ended, ClaimState::Removed));
    let extended = ask(&registry, &piece(2).to_string()).await;
    assert_eq!((extended.certainty, extended.claims[0].term_max), (Certainty::Verified, 5_200_000));
    assert_eq!(certainty(&registry, piece(91)).await, Certainty::Verified);
    assert_eq!(certainty(&registry, piece(92)).await, Certainty::Unknown, "epoch 9105 is not final");
    // More becomes final.
    node.chain().head = 10_200;
    read(&registry).await;
    assert_eq!(certainty(&registry, piece(92)).await, Certainty::Verified);
    assert_eq!(node.asked_ranges(), [(9_101, 9_300)]);
}

#[tokio::test]
async fn what_the_node_calls_final_is_taken_where_it_says_so() {
    use lota_fil_plus::source::{Rpc, events::LotusEvents};
    for (finalized, reached) in [(Some(9_990), 9_990), (None, 9_100)] {
        let node = Node::start(Chain { finalized, ..busy(10_000) }).await;
        let rpc = Rpc::new(&node.url(), None, crate::support::PATIENT).expect("a URL");
        let source: Arc<dyn Source> = Arc::new(LotusEvents::new(rpc, Some(1)));
        let folder = tempfile::tempdir().expect("a folder");
        let registry = open(folder.path(), vec![source]).await;
        read(&registry).await;
        let state = &registry.source_states(at(10_000)).await.expect("read")[0];
        assert_eq!(state.epoch, Some(reached));
    }
}

#[tokio::test]
async fn ranges_with_too_many_events_are_asked_for_in_parts() {
    for silent in [false, true] {
        let mut chain = busy(6_000);
        if silent {
            // An older node cuts its answer off at 10,000 without a word.
            let epoch = |n| 3_000 + n / 5_000;
            chain.events.extend((0..15_000).map(|n| (epoch(n), "claim", claim(1_000 + n, 1_000))));
            chain.max_results = usize::MAX;
        } else {
            chain.max_results = 5;
        }
        let node = Node::start(chain).await;
        let folder = tempfile::tempdir().expect("a folder");
        let registry = open(folder.path(), vec![events(&node, 0)]).await;
        read(&registry).await;
        for id in 1..=60 {
            assert_eq!(certainty(&registry, piece(id)).await, Certainty::Verified, "claim {id}");
        }
        if silent {
            assert_eq!(certainty(&registry, piece(15_999)).await, Certainty::Verified);
        }
    }
}

#[tokio::test]
async fn an_epoch_with_more_events_than_one_answer_holds_is_told() {
    let events_of_one = (0..20).map(|id| (500, "claim", claim(id, 1_000))).collect();
    let node = Node::start(Chain { events: events_of_one, max_results: 5, ..Chain::default() }).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![events(&node, 0)]).await;
    let failed = lota_fil_plus::keeper::read_once(&registry, &|_, _| {}).await;
    assert!(failed[0].1.to_string().contains("epoch 500 alone"), "{failed:?}");
    node.chain().max_results = 10_000;
    read(&registry).await;
    assert_eq!(certainty(&registry, piece(7)).await, Certainty::Verified);
}

#[tokio::test]
async fn a_reorganisation_above_what_is_final_is_never_seen() {
    let node = Node::start(busy(10_000)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![events(&node, 900)]).await;
    read(&registry).await;
    node.asked_ranges();
    {
        let mut chain = node.chain();
        chain.fork = (9_150, 1);
        chain.events.retain(|(epoch, ..)| *epoch < 9_150);
        chain.events.push((9_160, "claim", claim(777, 1_000)));
        chain.head = 10_200;
    }
    read(&registry).await;
    assert_eq!(node.asked_ranges(), [(9_101, 9_300)], "nothing is read anew");
    assert_eq!(certainty(&registry, piece(777)).await, Certainty::Verified);
    assert_eq!(certainty(&registry, piece(93)).await, Certainty::Unknown);
}

#[tokio::test]
async fn a_chain_that_rewrites_what_was_final_is_read_anew() {
    let node = Node::start(busy(10_000)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![events(&node, 100)]).await;
    read(&registry).await;
    assert_eq!(certainty(&registry, piece(98)).await, Certainty::Verified);
    {
        let mut chain = node.chain();
        chain.fork = (5_000, 1);
        chain.events.retain(|(epoch, ..)| *epoch < 5_000);
        chain.events.push((5_010, "claim", Claim { provider: 1_234, start: 5_010, ..claim(60, 1_000) }));
    }
    let failed = registry.step(&registry.sources()[0], at(10_000)).await.expect_err("it contradicts itself");
    assert!(matches!(&failed, StepError::Source(SourceError::Rewritten { epoch: 9_900, .. })), "{failed:?}");
    let state = &registry.source_states(at(10_000)).await.expect("read")[0];
    assert!(state.problem.as_ref().expect("told").contains("read anew") && state.stale);
    read(&registry).await;
    assert_eq!(certainty(&registry, piece(98)).await, Certainty::Unknown);
    let moved = ask(&registry, &piece(60).to_string()).await;
    assert_eq!((moved.certainty, moved.claims[0].provider.as_str()), (Certainty::Verified, "f01234"));
    assert_eq!(certainty(&registry, piece(3)).await, Certainty::Verified);
}

#[tokio::test]
async fn a_node_that_is_behind_has_rewritten_nothing() {
    let node = Node::start(busy(10_000)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![events(&node, 100)]).await;
    read(&registry).await;
    node.asked_ranges();
    let state = async || registry.source_states(at(10_000)).await.expect("read").remove(0);
    let before = state().await;
    node.chain().head = 9_001;
    let step = registry.step(&registry.sources()[0], at(10_000)).await.expect("no error").expect("a step");
    assert!(step.progress.contains("is 8901, and was 9900"), "{step:?}");
    assert_eq!((state().await, node.asked_ranges()), (before, vec![]), "its word stays as old as it is");
    assert_eq!(certainty(&registry, piece(98)).await, Certainty::Verified);
    node.chain().head = 10_100;
    read(&registry).await;
    assert_eq!(node.asked_ranges(), [(9_901, 10_000)]);
}

#[tokio::test]
async fn claims_that_events_told_of_are_as_young_as_the_newest_event() {
    let node = Node::start(busy(10_000)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![events(&node, 100)]).await;
    read(&registry).await;
    let answer = ask(&registry, &piece(3).to_string()).await;
    assert!(answer.claims[0].as_of_epoch < 1_000, "{:?}", answer.claims);
    // No event since then removed it; the question is of epoch 10,100.
    assert_eq!((answer.age, answer.as_of), (Some(200 * 30), Some(timestamp(at(9_900)))));
}

#[tokio::test]
async fn a_node_of_another_chain_is_refused_and_what_was_known_stays() {
    let node = Node::start(busy(10_000)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![events(&node, 0)]).await;
    read(&registry).await;
    {
        let mut chain = node.chain();
        (chain.genesis, chain.head) = ("another-genesis".to_owned(), 10_500);
    }
    // The process is another one, which has not asked for the genesis yet.
    registry.store().close().await;
    let registry = open(folder.path(), vec![events(&node, 0)]).await;
    let failed = lota_fil_plus::keeper::read_once(&registry, &|_, _| {}).await;
    assert!(failed[0].1.to_string().contains("another chain"), "{failed:?}");
    assert_eq!(certainty(&registry, piece(3)).await, Certainty::Verified);
}

#[tokio::test]
async fn a_source_that_is_interrupted_anywhere_goes_on_from_its_cursor() {
    let node = Node::start(busy(10_000)).await;
    let folder = tempfile::tempdir().expect("a folder");
    for moment in 0..12u64 {
        let registry = open(folder.path(), vec![events(&node, 900)]).await;
        // Broken off in the middle of a question or of a transaction.
        let steps = lota_fil_plus::keeper::read_once(&registry, &|_, _| {});
        let _ = tokio::time::timeout(std::time::Duration::from_micros(moment * moment * 400), steps).await;
        registry.store().close().await;
    }
    let registry = open(folder.path(), vec![events(&node, 900)]).await;
    read(&registry).await;
    for id in 1..=91 {
        let answer = ask(&registry, &piece(id).to_string()).await;
        assert_eq!((answer.certainty, answer.claims.len()), (Certainty::Verified, 1), "claim {id}");
    }
}
