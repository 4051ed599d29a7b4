use std::{collections::BTreeMap, time::Duration};

use lota_fil_plus::{
    answer::{Certainty, ClaimState},
    source::lotus::Parties,
};
use serde_json::{Value, json};

use crate::{
    chain::{Chain, Claim, Node, claim, piece},
    support::{DAY, PATIENT, ask, ask_at, at, certainty, claims, open, read},
};

fn two_providers() -> Chain {
    Chain {
        claims: BTreeMap::from([(1_000, vec![claim(1, 1_000), claim(2, 1_000)]), (1_001, vec![claim(3, 1_001)])]),
        ..Chain::default()
    }
}

#[tokio::test]
async fn claims_of_all_providers_verify_their_pieces() {
    let node = Node::start(two_providers()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![claims(&node, Parties::All, DAY, PATIENT)]).await;
    read(&registry).await;
    for id in [1, 2, 3] {
        let answer = ask(&registry, &piece(id).to_string()).await;
        assert_eq!(answer.certainty, Certainty::Verified, "{answer:?}");
        let claim = &answer.claims[0];
        assert_eq!((claim.id, claim.sector, claim.term_start, claim.as_of_epoch), (id, Some(17), Some(1), 10_000));
        assert_eq!(claim.over_at_time.expect("a time").as_second(), i64::try_from(at(5_000_001)).expect("small"));
    }
    assert_eq!(certainty(&registry, piece(4)).await, Certainty::Unknown);
    let states = registry.source_states(at(10_100)).await.expect("read");
    assert_eq!((states[0].epoch, states[0].complete_as_of_epoch, states[0].stale), (Some(10_000), Some(10_000), false));
    assert_eq!(states[0].age, Some(3_000));
    // Nothing is read again before it is due.
    node.chain().calls.clear();
    read(&registry).await;
    assert!(node.chain().calls.is_empty());
}

#[tokio::test]
async fn only_named_providers_are_read_and_nobody_says_that_all_were() {
    let node = Node::start(two_providers()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![claims(&node, Parties::These(vec![1_001]), DAY, PATIENT)]).await;
    read(&registry).await;
    assert_eq!(certainty(&registry, piece(3)).await, Certainty::Verified);
    let unknown = ask(&registry, &piece(1).to_string()).await;
    assert_eq!(unknown.certainty, Certainty::Unknown);
    assert!(unknown.reason.contains("not all claims were read"), "{}", unknown.reason);
}

#[tokio::test]
async fn a_claim_that_vanishes_or_whose_term_is_over_is_shown_as_such() {
    let node = Node::start(two_providers()).await;
    let folder = tempfile::tempdir().expect("a folder");
    // Due again at once.
    let registry = open(folder.path(), vec![claims(&node, Parties::All, Duration::ZERO, PATIENT)]).await;
    read(&registry).await;
    {
        let mut chain = node.chain();
        chain.head = 10_010;
        chain.claims.get_mut(&1_000).expect("a provider").retain(|claim| claim.id != 1);
    }
    read(&registry).await;
    let vanished = ask(&registry, &piece(1).to_string()).await;
    assert_eq!((vanished.certainty, vanished.claims[0].state), (Certainty::Ended, ClaimState::Vanished));
    assert_eq!(certainty(&registry, piece(2)).await, Certainty::Verified);
    let over = ask_at(&registry, &piece(2).to_string(), at(5_000_001)).await;
    assert_eq!((over.certainty, over.claims[0].state), (Certainty::Ended, ClaimState::Expired));
    assert!(over.caveats.iter().any(|caveat| caveat.contains("behind")), "{:?}", over.caveats);
}

#[tokio::test]
async fn what_is_no_claim_is_refused_and_the_others_are_kept() {
    let good = |change: fn(&mut Value)| {
        let mut value = json!({
            "Provider": 1_000, "Client": 2_000, "Data": { "/": piece(50).to_string() }, "Size": 1u64 << 35,
            "TermMin": 1, "TermMax": 2, "TermStart": 3, "Sector": 4,
        });
        change(&mut value);
        value
    };
    let lies: Vec<fn(&mut Value)> = vec![
        |claim| claim["Provider"] = json!(1_001),
        |claim| claim["Size"] = json!((1u64 << 35) - 1),
        |claim| claim["Size"] = json!(-128),
        |claim| claim["Size"] = json!("-128"),
        |claim| claim["Size"] = json!("+128"),
        |claim| claim["Size"] = json!("0128"),
        |claim| claim["Size"] = json!(128.5),
        |claim| claim["Size"] = json!(1e30),
        |claim| claim["Size"] = json!("36893488147419103232"),
        |claim| claim["TermMin"] = json!(-1),
        |claim| claim["TermStart"] = json!("-1"),
        |claim| claim["Data"] = json!({ "/": format!("{}a", piece(50)) }),
        |claim| claim["Data"] = json!({ "/": format!("x/ipfs/{}", piece(50)) }),
        |claim| claim["TermMin"] = json!(3),
        |claim| claim["TermMax"] = json!(u64::MAX),
        |claim| claim["TermStart"] = json!(10_001),
        |claim| claim["Data"] = json!({ "/": "bafybeieiy62xj7i62t57wzf2eusjj6ff3je5pihd2nbpu27fwtj4h4v2by" }),
        |claim| claim["Data"] = json!("x"),
        |claim| *claim = json!([]),
        |claim| *claim = Value::Null,
    ];
    let mut odd: Vec<(u64, String, Value)> =
        lies.iter().enumerate().map(|(index, lie)| (1_000, (100 + index).to_string(), good(*lie))).collect();
    for id in ["no number", "+7", "007", "-7", "", "99999999999999999999"] {
        odd.push((1_000, id.to_owned(), good(|_| {})));
    }
    let refused = odd.len() as u64;
    // Big numbers come as texts.
    odd.push((1_000, "90".to_owned(), good(|claim| claim["TermMax"] = json!("5000000"))));
    let node = Node::start(Chain { odd, ..two_providers() }).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![claims(&node, Parties::All, DAY, PATIENT)]).await;
    read(&registry).await;
    assert_eq!(certainty(&registry, piece(1)).await, Certainty::Verified);
    let answer = ask(&registry, &piece(50).to_string()).await;
    assert_eq!(answer.claims.iter().map(|claim| claim.id).collect::<Vec<_>>(), [90]);
    let state = &registry.source_states(at(10_000)).await.expect("read")[0];
    assert_eq!((state.refused, state.problem.clone()), (refused, None));
    assert!(state.refusal.as_ref().expect("an example").contains("claim"), "{:?}", state.refusal);
}

#[tokio::test]
async fn a_round_waits_for_a_node_that_is_behind() {
    let node = Node::start(two_providers()).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![claims(&node, Parties::All, DAY, PATIENT)]).await;
    registry.step(&registry.sources()[0], at(10_000)).await.expect("the first provider");
    node.chain().head = 9_000;
    for _ in 0..5 {
        let error = registry.step(&registry.sources()[0], at(10_000)).await.expect_err("it is behind").to_string();
        assert!(error.contains("is 9000, and was 10000 when this round began"), "{error}");
    }
    node.chain().head = 10_000;
    read(&registry).await;
    let state = &registry.source_states(at(10_000)).await.expect("read")[0];
    assert_eq!((state.complete_as_of_epoch, state.refused), (Some(10_000), 0), "nobody was left out");
}

#[tokio::test]
async fn an_allocation_is_shown_until_it_is_claimed() {
    let allocation = json!({
        "Provider": 1_000, "Client": 2_000, "Data": { "/": piece(60).to_string() }, "Size": 1u64 << 35,
        "TermMin": 1, "TermMax": 2, "Expiration": 20_000,
    });
    let chain = Chain { allocations: vec![(2_000, "60".to_owned(), allocation)], ..two_providers() };
    let node = Node::start(chain).await;
    let folder = tempfile::tempdir().expect("a folder");
    let registry = open(folder.path(), vec![claims(&node, Parties::All, Duration::ZERO, PATIENT)]).await;
    read(&registry).await;
    assert_eq!(certainty(&registry, piece(60)).await, Certainty::Allocated);
    {
        let mut chain = node.chain();
        chain.head = 10_020;
        chain.allocations.clear();
        chain.claims.get_mut(&1_000).expect("a provider").push(Claim { start: 10_001, ..claim(60, 1_000) });
    }
    read(&registry).await;
    let claimed = ask(&registry, &piece(60).to_string()).await;
    assert_eq!(claimed.certainty, Certainty::Verified);
    assert_eq!(claimed.claims[0].kind, "claim");
}

#[tokio::test]
async fn a_round_goes_on_where_it_was_broken_off() {
    let claims_of = (1_000..1_020).map(|provider| (provider, vec![claim(provider, provider)])).collect();
    let node = Node::start(Chain { claims: claims_of, ..Chain::default() }).await;
    let folder = tempfile::tempdir().expect("a folder");
    {
        let registry = open(folder.path(), vec![claims(&node, Parties::All, DAY, PATIENT)]).await;
        for _ in 0..7 {
            registry.step(&registry.sources()[0], at(10_000)).await.expect("a step");
        }
        registry.store().close().await;
    }
    node.chain().calls.clear();
    let registry = open(folder.path(), vec![claims(&node, Parties::All, DAY, PATIENT)]).await;
    read(&registry).await;
    let read_again = node.chain().calls.iter().filter(|(method, _)| method == "Filecoin.StateGetClaims").count();
    assert_eq!(read_again, 13);
    for provider in 1_000..1_020 {
        assert_eq!(certainty(&registry, piece(provider)).await, Certainty::Verified);
    }
}
