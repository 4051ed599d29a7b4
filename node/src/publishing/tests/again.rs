//! What is given up, what failed and what is kept, again and again.

use super::*;
use crate::publisher::curio::tests as curio;

fn given_up() -> Result<Progress, PublishError> {
    Err(PublishError::GivenUp("it failed".to_owned()))
}

fn refused() -> Result<Progress, PublishError> {
    Err(PublishError::Refused("no such account".to_owned()))
}

impl Place {
    /// What is noted of a job's output at its one publisher.
    async fn only(&self, number: u8) -> Publication {
        self.store.publications_of(id(number)).await.expect("read").remove(0)
    }

    async fn start(&self, publishing: &Publishing) -> CancellationToken {
        publishing.resume().await.expect("resumed");
        let stop = CancellationToken::new();
        tokio::spawn(publishing.clone().run(stop.clone()));
        stop
    }
}

#[tokio::test]
async fn deals_that_are_taken_and_then_fail_come_later_and_later_and_to_an_end() {
    let place = Place::new().await;
    let deals = Fake::new("deals", (0..60).flat_map(|_| [Ok(Progress::Pinning), given_up()]).collect());
    let mut publishing = place.idle(std::slice::from_ref(&deals));
    publishing.pauses = Pauses::default();
    publishing.publish(id(1), &place.cid).await.expect("noted");
    for failure in 1..=ATTEMPTS {
        publishing.advance(&*deals, place.only(1).await).await.expect("noted");
        let taken = place.only(1).await;
        let reason = if failure == 1 { None } else { Some("it failed") };
        assert_eq!((taken.state, taken.given_up), (PublicationState::Pinning, failure - 1));
        assert_eq!(taken.reason.as_deref(), reason, "it says why it was begun anew");
        let began = unix_time();
        publishing.advance(&*deals, taken).await.expect("noted");
        let failed = place.only(1).await;
        assert_eq!((&failed.receipt, failed.given_up), (&None, failure));
        assert!(failed.due >= began + publishing.pauses.after(failure - 1), "failure {failure}");
    }
    let failed = place.only(1).await;
    assert_eq!((failed.state, failed.reason.as_deref()), (PublicationState::Failed, Some("it failed")));
    assert_eq!(failed.due, NEVER, "not before somebody asks for it");
    assert_eq!(deals.asked.load(Ordering::SeqCst), 2 * ATTEMPTS);

    // Asked for, it begins anew; once it is there, all that is forgotten.
    assert!(publishing.again(id(1)).await.expect("noted"));
    let again = place.only(1).await;
    assert_eq!((again.state, again.given_up, again.due), (PublicationState::Queued, 0, 0));
    deals.answers.lock().expect("answers").clear();
    publishing.advance(&*deals, Publication { given_up: 7, ..again }).await.expect("noted");
    let pinned = place.only(1).await;
    assert_eq!((pinned.state, pinned.given_up, pinned.reason), (PublicationState::Pinned, 0, None));
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_counts_only_in_a_row() {
    let place = Place::new().await;
    let deals = Fake::new("deals", (0..100).flat_map(|_| [Ok(Progress::Pinning), temporary()]).collect());
    let publishing = place.idle(std::slice::from_ref(&deals));
    publishing.publish(id(1), &place.cid).await.expect("noted");
    for _ in 0..200 {
        publishing.advance(&*deals, place.only(1).await).await.expect("noted");
    }
    let underway = place.only(1).await;
    assert_eq!((underway.state, underway.receipt.as_deref()), (PublicationState::Queued, Some("deals-0")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_curio_that_fails_each_deal_is_sent_a_bounded_number() {
    let mut place = Place::new().await;
    place.record(id(1)).await;
    place.cid = import_bytes(&place.content, &[7; 3_000_000], &ImportOptions::default()).expect("imported").cid;
    let provider = curio::Place::default();
    provider.fails_all_deals();
    let publishing = place.idle_by(vec![Arc::new(provider.publisher().await)]);
    let _stop = place.start(&publishing).await;
    publishing.publish(id(1), &place.cid).await.expect("noted");
    let found = place.until(id(1), all(PublicationState::Failed)).await;
    assert_eq!(found[0].reason.as_deref(), Some("Curio failed to seal it: no room for it"));
    assert_eq!(provider.announcements(), ATTEMPTS as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_with_the_same_output_share_a_deal_until_the_last_is_forgotten() {
    let mut place = Place::new().await;
    place.cid = import_bytes(&place.content, &[7; 3_000_000], &ImportOptions::default()).expect("imported").cid;
    let provider = curio::Place::default();
    let deals = Arc::new(provider.publisher().await);
    let publishing = place.idle_by(vec![deals.clone()]);
    for number in [1, 2] {
        publishing.publish(id(number), &place.cid).await.expect("noted");
        // One is further than the other.
        for _ in 0..2 * number {
            publishing.advance(&*deals, place.only(number).await).await.expect("noted");
        }
    }
    assert_eq!(provider.announcements(), 1);
    assert_ne!(place.only(1).await.receipt, place.only(2).await.receipt);
    for (number, is_open) in [(1, true), (2, false)] {
        place.store.withdraw_publications(id(number)).await.expect("noted");
        publishing.advance(&*deals, place.only(number).await).await.expect("noted");
        assert!(place.store.publications_of(id(number)).await.expect("read").is_empty());
        assert_eq!(provider.is_open(1), is_open, "job {number} is forgotten");
    }
}

#[tokio::test]
async fn what_is_kept_is_looked_at_each_day_and_published_anew_when_it_is_gone() {
    let place = Place::new().await;
    let (day, soon) = (MUCH_LATER, Pauses::default().longest);
    let deals = Fake::new(
        "deals",
        vec![Ok(Progress::Pinned), Ok(Progress::Pinned), temporary(), refused(), given_up(), Ok(Progress::Pinning)],
    );
    let mut publishing = place.idle(std::slice::from_ref(&deals));
    publishing.pauses = Pauses::default();
    publishing.publish(id(1), &place.cid).await.expect("noted");
    for (state, reason, later) in [
        (PublicationState::Pinned, None, day),
        (PublicationState::Pinned, None, day),
        // Nobody said that it is gone.
        (PublicationState::Pinned, Some("away"), soon),
        (PublicationState::Pinned, Some("no such account"), day),
        (PublicationState::Queued, Some("it failed"), 2),
        (PublicationState::Pinning, Some("it failed"), 2),
        (PublicationState::Pinned, None, day),
    ] {
        let began = unix_time();
        publishing.advance(&*deals, place.only(1).await).await.expect("noted");
        let now = place.only(1).await;
        assert_eq!((now.state, now.reason.as_deref()), (state, reason));
        assert!((began + later..=unix_time() + later).contains(&now.due), "{now:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_again_is_taken_up_by_itself_unless_there_is_nothing_to_look_at() {
    let place = Place::new().await;
    place.record(id(1)).await;
    let (deals, kubo) = (Fake::new("deals", vec![]), Fake::with_one_pin("kubo"));
    deals.answers.lock().expect("answers").extend((0..ATTEMPTS + 3).map(|_| temporary()));
    let mut publishing = place.idle(&[deals.clone(), kubo.clone()]);
    publishing.pauses.much_later = 0;
    let _stop = place.start(&publishing).await;
    publishing.publish(id(1), &place.cid).await.expect("noted");
    // The cause passes long after it has failed.
    place.until(id(1), all(PublicationState::Pinned)).await;
    let looks = |most: u32| place.until(id(1), move |_| deals.asked.load(Ordering::SeqCst) > most);
    looks(ATTEMPTS + 10).await;
    assert_eq!(kubo.asked.load(Ordering::SeqCst), 1, "it would be sent again");
    assert!(publishing.again(id(1)).await.expect("noted"));
    assert_eq!(kubo.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_cause_that_may_pass_is_tried_again_a_day_later_and_others_when_asked_for() {
    let place = Place::new().await;
    let deals = Fake::new("deals", (0..ATTEMPTS).map(|_| temporary()).chain([temporary(), refused()]).collect());
    let publishing = place.idle(std::slice::from_ref(&deals));
    publishing.publish(id(1), &place.cid).await.expect("noted");
    let mut began = 0;
    for _ in 0..ATTEMPTS {
        began = unix_time();
        publishing.advance(&*deals, place.only(1).await).await.expect("noted");
    }
    for again in [true, true, false] {
        let failed = place.only(1).await;
        assert_eq!(failed.state, PublicationState::Failed);
        if again {
            assert!((began + MUCH_LATER..NEVER).contains(&failed.due), "{failed:?}");
            began = unix_time();
            publishing.advance(&*deals, failed).await.expect("noted");
        } else {
            assert_eq!(failed.due, NEVER);
        }
    }
    assert!(publishing.again(id(1)).await.expect("noted"));
    assert!(!publishing.again(id(2)).await.expect("noted"), "there is no such job");
    let queued = place.only(1).await;
    assert_eq!((queued.state, queued.attempts, queued.due), (PublicationState::Queued, 0, 0));
    place.store.withdraw_publications(id(1)).await.expect("noted");
    assert!(!publishing.again(id(1)).await.expect("noted"), "it is forgotten");
    assert_eq!(place.only(1).await.state, PublicationState::Withdrawing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deal_that_came_to_nothing_is_made_when_it_is_asked_for_again() {
    let mut place = Place::new().await;
    place.record(id(1)).await;
    place.cid = import_bytes(&place.content, &[7; 10_000], &ImportOptions::default()).expect("imported").cid;
    let storage = filecoin::Place::new();
    storage.inner().mining = filecoin::Mining::Reverting;
    let url = storage.serve().await;
    let publishing = place.idle_by(vec![Arc::new(filecoin::publisher(&storage, &url))]);
    let _stop = place.start(&publishing).await;
    publishing.publish(id(1), &place.cid).await.expect("noted");
    place.until(id(1), all(PublicationState::Failed)).await;
    storage.inner().mining = filecoin::Mining::Soon;
    assert!(publishing.again(id(1)).await.expect("noted"));
    place.until(id(1), all(PublicationState::Pinned)).await;

    // Its data set ends; the next look finds that, and it is stored in another.
    storage.terminate(1);
    assert!(publishing.again(id(1)).await.expect("noted"));
    let is_anew = |found: &[Publication]| {
        let told = found[0].receipt.as_deref().and_then(crate::publisher::filecoin::detail);
        found[0].state == PublicationState::Pinned
            && told.is_some_and(|told| told.starts_with("piece 0 of data set 2; "))
    };
    place.until(id(1), is_anew).await;
}
