//! What inputs take of a job's limit.

use std::time::Duration;

use lota_content::{
    StoreOptions,
    fetch::{FetchOptions, Fetcher},
};
use lota_market::{
    Bytes, Time,
    agent::JobView,
    model::{JobId, Status},
};

use super::*;
use crate::{fetch::Fetchers, store::tests::terms};

#[tokio::test]
async fn what_an_earlier_attempt_brought_counts_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data");
    std::fs::create_dir(&path).expect("made");
    std::fs::write(path.join("file"), [1; 1_000]).expect("written");
    let store = crate::store::Store::open(&folder.path().join("node.db")).await.expect("a database");
    let content = Store::open(folder.path().join("blocks"), StoreOptions::default()).expect("a store");
    let fetcher = || Fetcher::new(FetchOptions::default()).expect("a client");
    let fetchers = Fetchers { strangers: fetcher(), own: fetcher(), patience: Duration::from_secs(3_600) };
    let downloader = Downloader::new("test".to_owned(), Address::ZERO, store, content.clone(), fetchers, 10_000);
    let inputs = Inputs {
        content,
        downloader: Arc::new(downloader),
        max_bytes: 10_000,
        directories: Arc::new(Directories::new([("data".to_owned(), path.clone())].into(), 10_000)),
    };
    let id = JobId(lota_market::B256::repeat_byte(1));
    let job = Job::new(JobView::new(id, terms(1), Bytes::new(), Status::Open, Time(1)));
    let source = Source::Directory("data".to_owned());
    let (root, bytes) = inputs.bring(&job, 1, &source, 10_000).await.expect("brought");
    assert_eq!(bytes, 1_000);
    // It stays what it was.
    std::fs::write(path.join("file"), [2; 2_000]).expect("written");
    assert_eq!(inputs.bring(&job, 1, &source, 1_000).await, Ok((root, 1_000)));
    let refused = inputs.bring(&job, 1, &source, 999).await;
    assert!(matches!(refused, Err(Failure::Permanent(_))), "{refused:?}");
}
