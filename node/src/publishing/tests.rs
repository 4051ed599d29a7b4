//! Publishing in the background, with publishers that fail, hang and come back.

mod again;

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use lota_content::{ImportOptions, StoreOptions, import_bytes};
use lota_market::{
    B256, Bytes, Time,
    agent::{Change, Job, JobView},
    model::Status,
};
use tempfile::TempDir;

use super::*;
use crate::{
    publisher::{Filecoin, Published, filecoin::tests as filecoin},
    store::tests::terms,
};

/// A publisher that does what it is told.
struct Fake {
    name: &'static str,
    /// What it answers, the next one last; then it is pinned.
    answers: Mutex<Vec<Result<Progress, PublishError>>>,
    asked: AtomicU32,
    withdrawn: Mutex<Vec<Option<String>>>,
    /// What it answers when something is withdrawn, the next one last; then it does so.
    withdrawals: Mutex<Vec<PublishError>>,
    hangs: bool,
    /// Like Kubo, which has one pin of the same content, and no receipt.
    one_pin: bool,
}

impl Fake {
    fn new(name: &'static str, mut answers: Vec<Result<Progress, PublishError>>) -> Arc<Self> {
        answers.reverse();
        let (answers, withdrawn) = (Mutex::new(answers), Mutex::default());
        let withdrawals = Mutex::default();
        Arc::new(Self { name, answers, asked: AtomicU32::new(0), withdrawn, withdrawals, hangs: false, one_pin: false })
    }

    fn with_one_pin(name: &'static str) -> Arc<Self> {
        Arc::new(Self { one_pin: true, ..Arc::into_inner(Self::new(name, vec![])).expect("the only one") })
    }

    fn hanging(name: &'static str) -> Arc<Self> {
        Arc::new(Self { hangs: true, ..Arc::into_inner(Self::new(name, vec![])).expect("the only one") })
    }
}

#[async_trait]
impl Publisher for Fake {
    fn name(&self) -> &str {
        self.name
    }

    async fn publish(&self, _: &Content, receipt: Option<&str>) -> Result<Published, PublishError> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let answer = self.answers.lock().expect("answers").pop().unwrap_or(Ok(Progress::Pinned));
        let receipt = receipt.map_or_else(|| format!("{}-{asked}", self.name), str::to_owned);
        answer.map(|progress| Published { progress, receipt: (!self.one_pin).then_some(receipt) })
    }

    async fn withdraw(&self, _: &Cid, receipt: Option<&str>) -> Result<(), PublishError> {
        self.withdrawn.lock().expect("withdrawn").push(receipt.map(str::to_owned));
        self.withdrawals.lock().expect("withdrawals").pop().map_or(Ok(()), Err)
    }
}

struct Place {
    _folder: TempDir,
    store: Store,
    content: lota_content::Store,
    cid: Cid,
}

fn id(number: u8) -> JobId {
    JobId(B256::repeat_byte(number))
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("node.db")).await.expect("a database");
        let content =
            lota_content::Store::open(folder.path().join("blocks"), StoreOptions::default()).expect("a store");
        let cid = import_bytes(&content, b"output", &ImportOptions::default()).expect("imported").cid;
        Self { _folder: folder, store, content, cid }
    }

    /// The record of a job, without which its publications are taken back at the next start.
    async fn record(&self, job: JobId) {
        let job = Job::new(JobView::new(job, terms(1), Bytes::new(), Status::Settled, Time(1)));
        let mut batch = self.store.begin().await.expect("begins");
        batch.save(&Change { job, live: false }, true, Time(1)).await.expect("saved");
        batch.commit().await.expect("committed");
    }

    async fn publishing(&self, publishers: &[Arc<Fake>]) -> (Publishing, CancellationToken) {
        let (publishing, stop) = (self.idle(publishers), CancellationToken::new());
        publishing.resume().await.expect("resumed");
        tokio::spawn(publishing.clone().run(stop.clone()));
        (publishing, stop)
    }

    /// The same, which does nothing by itself.
    fn idle(&self, publishers: &[Arc<Fake>]) -> Publishing {
        self.idle_by(publishers.iter().map(|fake| Arc::clone(fake) as Arc<dyn Publisher>).collect())
    }

    fn idle_by(&self, publishers: Vec<Arc<dyn Publisher>>) -> Publishing {
        let mut publishing =
            Publishing::new("test", publishers, self.store.clone(), self.content.clone(), "http://192.0.2.7:4001");
        publishing.pauses = Pauses { first: 0, longest: 0, much_later: MUCH_LATER };
        publishing
    }

    /// Waits until a job's publications are such.
    async fn until(&self, job: JobId, wanted: impl Fn(&[Publication]) -> bool) -> Vec<Publication> {
        let looked = async {
            loop {
                let found = self.store.publications_of(job).await.expect("read");
                if wanted(&found) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(60), looked).await {
            Ok(found) => found,
            Err(_) => panic!("{:?}", self.store.publications_of(job).await),
        }
    }
}

fn all(state: PublicationState) -> impl Fn(&[Publication]) -> bool {
    move |found| !found.is_empty() && found.iter().all(|publication| publication.state == state)
}

fn temporary() -> Result<Progress, PublishError> {
    Err(PublishError::Temporary("away".to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_is_tried_again_and_followed_until_it_is_there() {
    let place = Place::new().await;
    let steady = Fake::new("steady", vec![]);
    let shaky = Fake::new(
        "shaky",
        vec![temporary(), Ok(Progress::Queued), temporary(), Ok(Progress::Pinning), Ok(Progress::Pinned)],
    );
    let (publishing, _stop) = place.publishing(&[steady.clone(), shaky.clone()]).await;
    publishing.publish(id(1), &place.cid).await.expect("noted");
    let found = place.until(id(1), all(PublicationState::Pinned)).await;
    assert_eq!((steady.asked.load(Ordering::SeqCst), shaky.asked.load(Ordering::SeqCst)), (1, 5));
    let [shaky, _] = &found[..] else { panic!("{found:?}") };
    assert_eq!((shaky.receipt.as_deref(), &shaky.reason), (Some("shaky-1"), &None), "one receipt all along");
    // The step is done again after a crash: nobody is asked for what is there.
    publishing.publish(id(1), &place.cid).await.expect("noted");
    assert_eq!(place.store.publications_of(id(1)).await.expect("read"), found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_hangs_keeps_nobody_waiting() {
    let place = Place::new().await;
    let (hanging, steady) = (Fake::hanging("hanging"), Fake::new("steady", vec![]));
    let (publishing, _stop) = place.publishing(&[hanging.clone(), steady.clone()]).await;
    for number in 1..=20 {
        publishing.publish(id(number), &place.cid).await.expect("noted");
    }
    for number in 1..=20 {
        place.until(id(number), |found| found[1].state == PublicationState::Pinned).await;
    }
    assert!(hanging.asked.load(Ordering::SeqCst) <= AT_ONCE as u32);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_fails_with_its_reason_until_the_next_start() {
    let place = Place::new().await;
    place.record(id(1)).await;
    let refused = || Err(PublishError::Refused("no such account".to_owned()));
    let service = Fake::new("service", vec![refused(), Ok(Progress::Pinned)]);
    let (publishing, stop) = place.publishing(std::slice::from_ref(&service)).await;
    publishing.publish(id(1), &place.cid).await.expect("noted");
    let found = place.until(id(1), all(PublicationState::Failed)).await;
    assert_eq!(found[0].reason.as_deref(), Some("no such account"));
    stop.cancel();
    let (_publishing, _stop) = place.publishing(std::slice::from_ref(&service)).await;
    let found = place.until(id(1), all(PublicationState::Pinned)).await;
    assert_eq!((&found[0].reason, service.asked.load(Ordering::SeqCst)), (&None, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_always_fails_is_given_up_in_the_end() {
    let place = Place::new().await;
    let service = Fake::new("service", (0..100).map(|_| temporary()).collect());
    let (publishing, _stop) = place.publishing(std::slice::from_ref(&service)).await;
    publishing.publish(id(1), &place.cid).await.expect("noted");
    place.until(id(1), all(PublicationState::Failed)).await;
    assert_eq!(service.asked.load(Ordering::SeqCst), ATTEMPTS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_no_publication() {
    let place = Place::new().await;
    place.record(id(1)).await;
    place.record(id(2)).await;
    // Asked, with a receipt, and killed: and one that was only noted.
    let first = Fake::new("service", vec![Ok(Progress::Queued)]);
    let publishing = place.idle(std::slice::from_ref(&first));
    publishing.publish(id(1), &place.cid).await.expect("noted");
    let before = place.store.publications_of(id(1)).await.expect("read").remove(0);
    publishing.advance(&*first, before).await.expect("noted");
    publishing.publish(id(2), &place.cid).await.expect("noted");
    let second = Fake::new("service", vec![]);
    let (_publishing, _stop) = place.publishing(std::slice::from_ref(&second)).await;
    let found = place.until(id(1), all(PublicationState::Pinned)).await;
    assert_eq!(found[0].receipt.as_deref(), Some("service-0"), "the receipt of the process that was killed");
    place.until(id(2), all(PublicationState::Pinned)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forgotten_is_withdrawn_once_no_other_job_needs_it() {
    let place = Place::new().await;
    let service = Fake::with_one_pin("service");
    let (publishing, stop) = place.publishing(std::slice::from_ref(&service)).await;
    for number in [1, 2] {
        place.record(id(number)).await;
        publishing.publish(id(number), &place.cid).await.expect("noted");
        place.until(id(number), all(PublicationState::Pinned)).await;
    }
    publishing.withdraw(id(1));
    place.until(id(1), <[_]>::is_empty).await;
    assert!(service.withdrawn.lock().expect("withdrawn").is_empty(), "job 2 has the same output");
    stop.cancel();
    // Its record went, and the process before it could note it.

    let mut batch = place.store.begin().await.expect("begins");
    batch.prune(Time(9), 9).await.expect("pruned");
    batch.commit().await.expect("committed");
    let (_publishing, _stop) = place.publishing(std::slice::from_ref(&service)).await;
    place.until(id(2), <[_]>::is_empty).await;
    assert_eq!(service.withdrawn.lock().expect("withdrawn").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_request_is_withdrawn_also_of_the_same_content() {
    let place = Place::new().await;
    let service = Fake::new("service", vec![]);
    let (publishing, _stop) = place.publishing(std::slice::from_ref(&service)).await;
    for number in [1, 2] {
        publishing.publish(id(number), &place.cid).await.expect("noted");
        place.until(id(number), all(PublicationState::Pinned)).await;
    }
    for (number, receipt) in [(1, "service-0"), (2, "service-1")] {
        publishing.withdraw(id(number));
        place.until(id(number), <[_]>::is_empty).await;
        let withdrawn = service.withdrawn.lock().expect("withdrawn").pop();
        assert_eq!(withdrawn, Some(Some(receipt.to_owned())));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawal_that_is_refused_is_tried_again() {
    let place = Place::new().await;
    let service = Fake::new("service", vec![]);
    let refused = || PublishError::Refused("the token is out of date".to_owned());
    service.withdrawals.lock().expect("withdrawals").push(refused());
    let (publishing, stop) = place.publishing(std::slice::from_ref(&service)).await;
    publishing.publish(id(1), &place.cid).await.expect("noted");
    place.until(id(1), all(PublicationState::Pinned)).await;
    publishing.withdraw(id(1));
    let found = place.until(id(1), |found| found.is_empty() || found[0].reason.is_some()).await;
    let [kept] = &found[..] else { panic!("nobody would withdraw it any more") };
    assert_eq!(kept.receipt.as_deref(), Some("service-0"));
    assert!(kept.due > unix_time(), "not at once");
    stop.cancel();
    // The next start tries it at once.
    let (_publishing, stop) = place.publishing(std::slice::from_ref(&service)).await;
    place.until(id(1), <[_]>::is_empty).await;
    assert_eq!(service.withdrawn.lock().expect("withdrawn").len(), 2);
    stop.cancel();
    // In the end it is given up.
    service.withdrawals.lock().expect("withdrawals").extend((0..100).map(|_| refused()));
    let mut publishing = place.idle(std::slice::from_ref(&service));
    publishing.pauses.much_later = 0;
    publishing.resume().await.expect("resumed");
    let stop = CancellationToken::new();
    tokio::spawn(publishing.clone().run(stop.clone()));
    publishing.publish(id(2), &place.cid).await.expect("noted");
    place.until(id(2), all(PublicationState::Pinned)).await;
    publishing.withdraw(id(2));
    place.until(id(2), <[_]>::is_empty).await;
    assert_eq!(service.withdrawn.lock().expect("withdrawn").len(), 2 + ATTEMPTS as usize + 1);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_is_no_longer_configured_is_no_longer_told_of() {
    let place = Place::new().await;
    place.record(id(1)).await;
    place.store.add_publications(id(1), &place.cid, &["kubo".to_owned(), "service".to_owned()]).await.expect("noted");
    let (_publishing, _stop) = place.publishing(&[Fake::new("service", vec![])]).await;
    let found = place.until(id(1), all(PublicationState::Pinned)).await;
    assert_eq!(found.len(), 1);
}

#[test]
fn pauses_grow_and_end() {
    let pauses = Pauses::default();
    assert_eq!([0, 1, 5, 9, 40].map(|attempts| pauses.after(attempts)), [2, 4, 64, 600, 600]);
    let all: u64 = (0..ATTEMPTS).map(|attempts| pauses.after(attempts)).sum();
    assert!((3 * 3_600..6 * 3_600).contains(&all), "{all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deal_that_fails_is_tried_again_then_told_and_the_output_stays_on_ipfs() {
    let mut place = Place::new().await;
    place.record(id(1)).await;
    place.cid = import_bytes(&place.content, &[7; 10_000], &ImportOptions::default()).expect("imported").cid;
    let storage = filecoin::Place::new();
    storage.inner().mining = filecoin::Mining::Reverting;
    let url = storage.serve().await;
    let start = async |deals: Filecoin| {
        let publishing = place.idle_by(vec![Fake::new("ipfs", vec![]), Arc::new(deals)]);
        publishing.resume().await.expect("resumed");
        let stop = CancellationToken::new();
        tokio::spawn(publishing.clone().run(stop.clone()));
        (publishing, stop)
    };
    let (publishing, stop) = start(filecoin::publisher(&storage, &url)).await;
    publishing.publish(id(1), &place.cid).await.expect("noted");
    let failed = |found: &[Publication]| found[0].state == PublicationState::Failed;
    let found = place.until(id(1), |found| failed(found) && found[1].state == PublicationState::Pinned).await;
    let told = found[0].receipt.as_deref().and_then(crate::publisher::filecoin::detail).expect("a detail");
    assert!(told.contains("try 5"), "{told}");
    let reason = found[0].reason.as_deref().expect("a reason");
    assert!(reason.contains("came to nothing 5 times") && reason.contains("was rejected by the chain"), "{reason}");
    stop.cancel();

    // The next start tries again.
    storage.inner().mining = filecoin::Mining::Soon;
    let (_publishing, _stop) = start(filecoin::restarted(filecoin::publisher(&storage, &url))).await;
    let found = place.until(id(1), all(PublicationState::Pinned)).await;
    let told = found[0].receipt.as_deref().and_then(crate::publisher::filecoin::detail).expect("a detail");
    assert!(told.starts_with("piece 0 of data set 1; bafkzcib"), "{told}");
    assert_eq!(storage.pieces().len(), 1);
}
