//! A chain whose node takes its time, or never answers.

use super::*;

/// No node has answered that never will, however short one waits.
fn impatient() -> Settings {
    let patience = Duration::from_millis(1);
    Settings { chain_patience: ChainPatience { page: patience, decision: patience }, ..settings() }
}

#[tokio::test]
async fn a_node_that_never_answers_leaves_what_was_read_before_with_its_age() {
    let bench = Bench::new(impatient()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let before = bench.service.about().await.expect("read");
    assert_eq!(before.problems, Vec::<String>::new());
    bench.twin.answers(false);
    bench.twin.pass(70);
    bench.twin.settle();
    bench.hear().await;
    for _ in 0..2 {
        let about = bench.service.about().await.expect("what is known");
        assert_eq!((&about.notaries, about.block, about.now), (&before.notaries, before.block, before.now));
        let [problem] = &about.problems[..] else { panic!("{:?}", about.problems) };
        let said = ["did not answer within 0.001 s", "70 s ago", &format!("block {}", before.block)];
        assert!(said.iter().all(|part| problem.contains(part)), "{problem}");
    }
    assert!(bench.service.dossier(job).await.is_ok() && bench.service.queue(&all()).await.is_ok());

    // What must be asked now says that it cannot be.
    let paper = bench.sign(job, Choice::Approve, &notary(1)).await;
    assert!(matches!(&paper, Err(DeskError::Unavailable(why)) if why.contains("did not answer")), "{paper:?}");
    bench.twin.answers(true);
    bench.twin.stall(|_| true);
    let paper = bench.sign(job, Choice::Approve, &notary(1)).await;
    assert!(matches!(&paper, Err(DeskError::Unavailable(why)) if why.contains("did not answer")), "{paper:?}");

    // With the next block it is read again, even if the set of notaries changed meanwhile.
    bench.twin.answers(false);
    bench.twin.set_notaries(&[1, 2, 4]);
    bench.hear().await;
    assert_eq!(bench.service.about().await.expect("what is known").notaries, before.notaries);
    bench.twin.answers(true);
    bench.twin.settle();
    bench.hear().await;
    let after = bench.service.about().await.expect("read");
    assert!(after.notaries.contains(&notary(4).address()) && after.block > before.block);
    assert_eq!(after.problems, Vec::<String>::new());
}

#[tokio::test]
async fn a_node_that_never_answered_says_so() {
    let bench = Bench::new(impatient()).await;
    bench.twin.answers(false);
    bench.hear().await;
    let about = bench.service.about().await;
    assert!(matches!(&about, Err(DeskError::Unavailable(why)) if why.contains("did not answer")), "{about:?}");
}
