//! Fetching from gateways that are honest, broken and hostile, over real sockets.

mod files;
mod parallel;

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use axum::response::{IntoResponse as _, Redirect, Response};
use futures::stream::{self, StreamExt as _};
use tower::ServiceExt as _;

use super::*;
use crate::car::{CarError, encode_header, encode_section};
use crate::digest::{cid_of_block, codec};
use crate::gateway::{CAR_TYPE, GatewayOptions, router};
use crate::import::{ImportOptions, Imported, import_path};
use crate::read::read_to_vec;
use crate::resolve::resolve;
use crate::store::{StoreOptions, SyncPolicy};
use crate::testing::{block_on, noise};
use crate::unixfs::CHUNK_SIZE;

struct Place {
    dir: tempfile::TempDir,
    store: Store,
}

impl Place {
    fn new() -> Self {
        Self::with_capacity(1 << 30)
    }

    fn with_capacity(capacity: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions { capacity, sync: SyncPolicy::Never };
        let store = Store::open(dir.path().join("store"), options).unwrap();
        Self { dir, store }
    }

    /// A tree with a file of 400 chunks, and its content.
    fn import_tree(&self) -> (Imported, Vec<u8>) {
        let content = noise(CHUNK_SIZE * 20 + 5);
        let root = self.dir.path().join("tree");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(root.join("large"), &content).unwrap();
        for index in 0..30 {
            std::fs::write(root.join(format!("sub/{index}")), format!("file {index}")).unwrap();
        }
        let imported = import_path(&self.store, root, &ImportOptions::default()).unwrap();
        (imported, content)
    }
}

/// Serves requests with `answer` and returns the URL.
async fn serve<F, Fut>(answer: F) -> Url
where
    F: Fn(Request) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url.parse().unwrap()
}

async fn honest(store: &Store) -> Url {
    let routes = router(store.clone(), patient());
    serve(move |request| {
        let routes = routes.clone();
        async move { routes.oneshot(request).await.unwrap() }
    })
    .await
}

fn wants_car(request: &Request) -> bool {
    request.uri().query().is_some_and(|query| query.contains("format=car"))
}

/// Serves a store's blocks, and CARs as `change` leaves them.
async fn tampering<F>(store: &Store, change: F) -> Url
where
    F: Fn(Vec<u8>) -> Response + Clone + Send + Sync + 'static,
{
    let routes = router(store.clone(), patient());
    serve(move |request: Request| {
        let (routes, change) = (routes.clone(), change.clone());
        async move {
            let car = wants_car(&request);
            let answer = routes.oneshot(request).await.unwrap();
            if !car {
                return answer;
            }
            let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await;
            change(body.unwrap().to_vec())
        }
    })
    .await
}

fn car_response(body: impl Into<Body>) -> Response {
    ([(header::CONTENT_TYPE, CAR_TYPE)], body.into()).into_response()
}

/// A body that sends some bytes and then nothing more, for ever.
fn stalling(bytes: Vec<u8>) -> Body {
    let first = stream::once(async move { Ok::<_, std::io::Error>(Bytes::from(bytes)) });
    Body::from_stream(first.chain(stream::pending()))
}

/// A body that sends some bytes and then breaks the connection.
fn breaking(bytes: Vec<u8>) -> Body {
    let end = stream::once(async { Err(std::io::Error::other("broken")) });
    let first = stream::once(async move { Ok(Bytes::from(bytes)) });
    Body::from_stream(first.chain(end))
}

/// With so much patience that a busy machine does not matter.
fn options() -> FetchOptions {
    let hours = Duration::from_secs(36_000);
    FetchOptions {
        allow_private_addresses: true,
        connect_timeout: hours,
        idle_timeout: hours,
        total_timeout: hours,
        patience: hours,
        // one after the other, and each once
        gateways_at_once: 1,
        resumes: 0,
        ..FetchOptions::default()
    }
}

fn patient() -> GatewayOptions {
    GatewayOptions { idle_timeout: Duration::from_secs(36_000), ..GatewayOptions::default() }
}

fn fetcher() -> Fetcher {
    Fetcher::new(options()).unwrap()
}

async fn fetch(place: &Place, cid: &Cid, sources: &[Url]) -> Result<Fetched, FetchError> {
    fetcher().fetch_dag(&place.store, cid, sources, &FetchLimits::default()).await
}

/// The reason of the only gateway that was asked.
fn only_failure(outcome: Result<Fetched, FetchError>) -> Failure {
    match outcome {
        Err(FetchError::Failed { mut failures, .. }) if failures.len() == 1 => failures.remove(0).failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dag_is_fetched_pinned_and_not_fetched_twice() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let (tree, content) = there.import_tree();
        let url = honest(&there.store).await;
        let progress = Arc::new(AtomicU64::new(0));
        let limits = FetchLimits {
            pin: Some("tree".to_owned()),
            progress: Some(Arc::new({
                let progress = progress.clone();
                move |bytes| {
                    progress.fetch_max(bytes, Ordering::Relaxed);
                }
            })),
            ..FetchLimits::default()
        };
        let sources = [url];
        let fetched = fetcher().fetch_dag(&here.store, &tree.cid, &sources, &limits).await.unwrap();
        assert_eq!(fetched.fetched_blocks, tree.blocks);
        assert_eq!((fetched.blocks, fetched.bytes), (tree.blocks, tree.dag_size));
        assert_eq!(progress.load(Ordering::Relaxed), tree.dag_size);
        assert_eq!(here.store.gc().unwrap().removed_blocks, 0);
        let file = resolve(&here.store, &tree.cid, "large").await.unwrap();
        assert!(read_to_vec(&here.store, &file.cid, u64::MAX).await.unwrap() == content);

        // nobody needs to be asked again
        let again = fetch(&here, &tree.cid, &[]).await.unwrap();
        assert_eq!((again.fetched_blocks, again.blocks), (0, tree.blocks));
    });
}

#[test]
fn a_gateway_without_cars_is_asked_for_blocks() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let (tree, _) = there.import_tree();
        for status in [400, 404, 501, 200] {
            let url = tampering(&there.store, move |_| {
                let status = axum::http::StatusCode::from_u16(status).unwrap();
                (status, "<html>what is a CAR?</html>").into_response()
            })
            .await;
            let fetched = fetch(&here, &tree.cid, &[url]).await.unwrap();
            assert_eq!(fetched.fetched_blocks, tree.blocks);
            here.store.gc().unwrap();
        }
    });
}

#[test]
fn what_one_gateway_began_the_next_one_finishes() {
    block_on(async {
        let there = Place::new();
        let (tree, _) = there.import_tree();
        let cut = |length: usize| {
            let store = there.store.clone();
            async move {
                let stopping = tampering(&store, move |car| car_response(car[..length.min(car.len())].to_vec()));
                let breaking =
                    tampering(&store, move |car| car_response(breaking(car[..length.min(car.len())].to_vec())));
                [stopping.await, breaking.await]
            }
        };
        let asked = Arc::new(Mutex::new(Vec::new()));
        let routes = router(there.store.clone(), patient());
        let counting = serve({
            let asked = asked.clone();
            move |request: Request| {
                asked.lock().unwrap().push(request.uri().to_string());
                let routes = routes.clone();
                async move { routes.oneshot(request).await.unwrap() }
            }
        })
        .await;
        for length in [3, 70, 3_000, 300_000, 2_000_000] {
            for first in cut(length).await {
                let here = Place::new();
                let fetched = fetch(&here, &tree.cid, &[first, counting.clone()]).await.unwrap();
                assert_eq!(fetched.fetched_blocks, tree.blocks);
                assert_eq!(fetched.failures.len(), 1);
                assert!(matches!(
                    fetched.failures[0].failure,
                    Failure::Car(CarError::Truncated { .. }) | Failure::Connection { .. }
                ));
                let asked = std::mem::take(&mut *asked.lock().unwrap());
                if length <= 70 {
                    assert_eq!(asked.len(), 1, "one CAR brings all");
                } else if matches!(fetched.failures[0].failure, Failure::Car(_)) {
                    // a connection that breaks may lose what was under way
                    let root = asked.iter().filter(|url| url.contains(&tree.cid.to_string()));
                    assert_eq!(root.count(), 0, "the root was there");
                }
            }
        }
    });
}

#[test]
fn a_lie_is_not_stored_and_the_liar_is_left() {
    block_on(async {
        let there = Place::new();
        let (tree, _) = there.import_tree();
        let flipping = |from_end: usize| {
            tampering(&there.store, move |mut car| {
                let at = car.len() - from_end;
                car[at] ^= 0x40;
                car_response(car)
            })
        };
        let good = honest(&there.store).await;
        for from_end in [1, 1_000_000] {
            let here = Place::new();
            let sources = [flipping(from_end).await, good.clone()];
            let fetched = fetch(&here, &tree.cid, &sources).await.unwrap();
            assert!(matches!(
                fetched.failures[0].failure,
                Failure::Wrong { .. } | Failure::Car(_) | Failure::Status { .. }
            ));
            assert_eq!(here.store.check(false).unwrap().corrupt_blocks, 0);
            assert_eq!(here.store.usage().blocks, tree.blocks);
        }
        // the same with single blocks
        let liar = serve(|_| async { "something else".into_response() }).await;
        let here = Place::new();
        assert!(matches!(only_failure(fetch(&here, &tree.cid, &[liar]).await), Failure::Wrong { .. }));
        assert_eq!(here.store.usage().blocks, 0);
    });
}

#[test]
fn a_gateway_that_stalls_is_left_and_what_it_sent_is_kept() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let (tree, _) = there.import_tree();
        let impatient = Fetcher::new(FetchOptions {
            connect_timeout: Duration::from_secs(2),
            idle_timeout: Duration::from_millis(300),
            ..options()
        })
        .unwrap();
        let limits = FetchLimits::default();
        // in the middle of a CAR, and before any answer
        let stalled = tampering(&there.store, |car| car_response(stalling(car[..300_000].to_vec())));
        let silent = serve(|_| std::future::pending());
        let quick_to_block = serve(|request: Request| async move {
            if wants_car(&request) {
                axum::http::StatusCode::NOT_FOUND.into_response()
            } else {
                Response::new(stalling(b"half a blo".to_vec()))
            }
        });
        for url in [stalled.await, silent.await, quick_to_block.await] {
            let outcome = impatient.fetch_dag(&here.store, &tree.cid, &[url], &limits).await;
            let failure = only_failure(outcome);
            // a machine that is very busy may not even connect in time
            let expected = matches!(failure, Failure::Idle { .. } | Failure::Connection { .. });
            assert!(expected, "{failure}");
        }
        // how much came before depends on how busy the machine is; none of it is asked for again
        let kept = here.store.usage().blocks;
        let good = honest(&there.store).await;
        let fetched = fetch(&here, &tree.cid, &[good]).await.unwrap();
        assert_eq!(fetched.fetched_blocks, tree.blocks - kept);
        assert_eq!(fetched.blocks, tree.blocks);
    });
}

#[test]
fn a_gateway_that_drips_is_left() {
    block_on(async {
        let cid = cid_of_block(codec::RAW, &[0; 100_000]);
        let dripping = serve(|_| async {
            let drops = stream::repeat(()).then(|()| async {
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok::<_, std::io::Error>(Bytes::from_static(&[0]))
            });
            Response::new(Body::from_stream(drops))
        })
        .await;
        let outcome = |options: FetchOptions| {
            let (fetcher, url) = (Fetcher::new(options).unwrap(), dripping.clone());
            async move { fetcher.fetch_block(&cid, &[url]).await }
        };
        let slow =
            outcome(FetchOptions { idle_timeout: Duration::from_millis(500), min_rate: 1 << 20, ..options() }).await;
        let late = outcome(FetchOptions { total_timeout: Duration::from_millis(500), ..options() }).await;
        for (outcome, expected) in [(slow, "least"), (late, "within")] {
            let text = outcome.unwrap_err().to_string();
            // on a machine that is very busy the drops themselves may come too late
            assert!(text.contains(expected) || text.contains("sent nothing"), "{text}");
        }
    });
}

#[test]
fn endless_answers_end() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let (tree, _) = there.import_tree();
        let endless = |bytes: Vec<u8>| {
            let piece = Bytes::from(bytes);
            Body::from_stream(stream::repeat(piece).map(Ok::<_, std::io::Error>))
        };
        // one block without end
        let block = serve(move |_| async move { Response::new(endless(vec![0; 65_536])) }).await;
        assert!(matches!(only_failure(fetch(&here, &tree.cid, &[block]).await), Failure::TooLong { .. }));
        // a CAR of junk without end: single blocks are asked for instead
        let junk = vec![7; 100_000];
        let section = [encode_section(&cid_of_block(codec::RAW, &junk), junk.len()), junk].concat();
        let header = encode_header(&[tree.cid]);
        let routes = router(there.store.clone(), patient());
        let flood = serve(move |request: Request| {
            let (routes, section, header) = (routes.clone(), section.clone(), header.clone());
            async move {
                if !wants_car(&request) {
                    return routes.oneshot(request).await.unwrap();
                }
                let header = stream::once(async { Ok::<_, std::io::Error>(Bytes::from(header)) });
                let sections = stream::repeat(Bytes::from(section)).map(Ok);
                car_response(Body::from_stream(header.chain(sections)))
            }
        })
        .await;
        let fetched = fetch(&here, &tree.cid, &[flood]).await.unwrap();
        assert_eq!(fetched.fetched_blocks, tree.blocks);
        assert_eq!(here.store.usage().blocks, tree.blocks, "no junk is stored");
    });
}

#[test]
fn a_car_without_what_was_asked_for_is_a_failure() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let (tree, _) = there.import_tree();
        let empty = tampering(&there.store, |_| car_response(encode_header(&[])));
        assert!(matches!(only_failure(fetch(&here, &tree.cid, &[empty.await]).await), Failure::Withheld { .. }));
        // only the root at a time: slow, but whole in the end
        let stingy = tampering(&there.store, |car| {
            let mut decoder = crate::car::CarDecoder::new();
            decoder.push(&car);
            decoder.next_item().unwrap();
            let Ok(Some(crate::car::CarItem::Block(cid, data))) = decoder.next_item() else { panic!("no block") };
            let first = [encode_header(&[]), encode_section(&cid, data.len()), data.to_vec()];
            car_response(first.concat())
        });
        let fetched = fetch(&here, &tree.cid, &[stingy.await]).await.unwrap();
        assert_eq!(fetched.fetched_blocks, tree.blocks);
    });
}

#[test]
fn redirects_are_followed_only_to_where_one_may_go() {
    fn first_loopback_only(address: IpAddr) -> bool {
        address == IpAddr::from([127, 0, 0, 1])
    }
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let (tree, _) = there.import_tree();
        let good = honest(&there.store).await;
        let careful = Fetcher::with_addresses(options(), first_loopback_only).unwrap();
        let through = |target: String| {
            let careful = careful.clone();
            let (store, cid) = (here.store.clone(), tree.cid);
            async move {
                let redirecting = serve(move |request: Request| {
                    let path = request.uri().path_and_query().unwrap().to_string();
                    let to = Redirect::temporary(&format!("{target}{path}"));
                    async move { to.into_response() }
                })
                .await;
                careful.fetch_dag(&store, &cid, &[redirecting], &FetchLimits::default()).await
            }
        };
        let port = good.port().unwrap();
        for (target, part) in [
            (format!("http://127.0.0.2:{port}"), "127.0.0.2"),
            (format!("http://[::1]:{port}"), "not public"),
            ("http://169.254.169.254".to_owned(), "169.254.169.254"),
            ("http://user:secret@127.0.0.1".to_owned(), "password"),
            // each answer redirects again
            (String::new(), "more than 5 times"),
        ] {
            match only_failure(through(target.clone()).await) {
                Failure::Url(refusal) => {
                    assert!(refusal.to_string().contains(part), "{target}: {refusal}");
                }
                other => panic!("{target}: {other}"),
            }
        }
        assert!(through("file:///etc/passwd#".to_owned()).await.is_err());
        assert_eq!(here.store.usage().blocks, 0);
        let fetched = through(good.to_string().trim_end_matches('/').to_owned()).await;
        assert_eq!(fetched.unwrap().fetched_blocks, tree.blocks);
    });
}

#[test]
fn strangers_cannot_send_us_to_private_addresses_but_the_operator_can() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let (tree, _) = there.import_tree();
        let url = honest(&there.store).await;
        let mut by_name = url.clone();
        by_name.set_host(Some("localhost")).unwrap();
        let limits = FetchLimits::default();
        let public = Fetcher::new(FetchOptions::default()).unwrap();
        for url in [&url, &by_name] {
            let sources = [url.clone()];
            let outcome = public.fetch_dag(&here.store, &tree.cid, &sources, &limits);
            assert!(matches!(only_failure(outcome.await), Failure::Url(UrlRefusal::Private { .. })));
        }
        let own =
            Fetcher::new(FetchOptions { gateways: vec![url.clone()], allow_private_addresses: false, ..options() })
                .unwrap();
        let fetched = own.fetch_dag(&here.store, &tree.cid, &[url], &limits).await;
        assert_eq!(fetched.unwrap().fetched_blocks, tree.blocks);
    });
}

#[test]
fn limits_end_the_fetch_whoever_is_asked() {
    block_on(async {
        let there = Place::new();
        let (tree, _) = there.import_tree();
        let sources = [honest(&there.store).await];
        let with = |max_bytes, max_blocks| {
            let sources = &sources;
            async move {
                let here = Place::new();
                let limits =
                    FetchLimits { max_bytes, max_blocks, pin: Some("tree".to_owned()), ..FetchLimits::default() };
                let outcome = fetcher().fetch_dag(&here.store, &tree.cid, sources, &limits).await;
                assert_eq!(here.store.pins().len(), usize::from(outcome.is_ok()));
                assert!(here.store.usage().bytes <= max_bytes);
                outcome
            }
        };
        let blocks = tree.blocks as usize;
        with(tree.dag_size, blocks).await.unwrap();
        assert!(matches!(with(tree.dag_size - 1, blocks).await, Err(FetchError::TooManyBytes { .. })));
        assert!(matches!(with(tree.dag_size, blocks - 1).await, Err(FetchError::TooManyBlocks { .. })));
        // what is in the store already counts
        let limits = FetchLimits { max_bytes: tree.dag_size - 1, ..FetchLimits::default() };
        let fetcher = fetcher();
        let outcome = fetcher.fetch_dag(&there.store, &tree.cid, &[], &limits);
        assert!(matches!(outcome.await, Err(FetchError::TooManyBytes { .. })));
        // a store that is too small
        let small = Place::with_capacity(1 << 20);
        assert!(matches!(
            fetch(&small, &tree.cid, &sources).await,
            Err(FetchError::Store(StoreError::StoreFull { .. }))
        ));
    });
}

#[test]
fn an_error_lists_every_gateway_with_its_reason() {
    block_on(async {
        let here = Place::new();
        let cid = cid_of_block(codec::RAW, b"wanted");
        assert!(matches!(fetch(&here, &cid, &[]).await, Err(FetchError::NoSources { .. })));
        let empty = honest(&here.store).await;
        let closed: Url = "http://127.0.0.1:1".parse().unwrap();
        let ftp: Url = "ftp://example.org".parse().unwrap();
        let sources = [empty.clone(), closed.clone(), ftp.clone(), empty.clone()];
        for error in
            [fetch(&here, &cid, &sources).await.unwrap_err(), fetcher().fetch_block(&cid, &sources).await.unwrap_err()]
        {
            let text = error.to_string();
            assert!(text.contains(&format!("{empty}: answered 404 for {cid};")), "{text}");
            assert!(text.contains(&format!("{closed}: no answer: ")), "{text}");
            assert!(text.contains(&format!("{ftp}: refused, for its scheme")), "{text}");
            let FetchError::Failed { failures, .. } = error else { panic!("{text}") };
            assert_eq!(failures.len(), 3, "no gateway is asked twice");
        }
        let other = Cid::new_v1(codec::RAW, multihash::Multihash::wrap(0xb220, &[1; 32]).unwrap());
        assert!(matches!(
            fetch(&here, &other, &[empty]).await,
            Err(FetchError::Cid(CidError::UnsupportedHash { code: 0xb220, .. }))
        ));
    });
}

#[test]
fn a_corrupt_block_in_the_store_is_fetched_anew() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let (tree, _) = there.import_tree();
        let sources = [honest(&there.store).await];
        fetch(&here, &tree.cid, &sources).await.unwrap();
        // the root's file is the only one whose block has the root's length
        let size = here.store.size(&tree.cid).unwrap().unwrap();
        let file = files(&here.store.dir().join("blocks"))
            .into_iter()
            .find(|path| {
                let data = std::fs::read(path).unwrap();
                data.len() as u64 == size && crate::digest::verify(&tree.cid, &data).is_ok()
            })
            .unwrap();
        std::fs::write(&file, vec![0; size as usize]).unwrap();
        let fetched = fetch(&here, &tree.cid, &sources).await.unwrap();
        assert!(fetched.fetched_blocks >= 1);
        assert_eq!(here.store.check(false).unwrap().corrupt_blocks, 0);
    });
}

#[test]
fn corrupt_leaves_are_fetched_anew_by_a_fetch_that_verifies() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let (tree, _) = there.import_tree();
        let sources = [honest(&there.store).await];
        let blocks = fetch(&here, &tree.cid, &sources).await.unwrap().blocks;
        let mut damaged = 0;
        for file in files(&here.store.dir().join("blocks")) {
            let mut data = std::fs::read(&file).unwrap();
            if file.extension().is_some_and(|extension| extension == "data") && damaged < 5 {
                data[0] ^= 1;
                std::fs::write(&file, data).unwrap();
                damaged += 1;
            }
        }
        let limits = FetchLimits { verify: true, ..FetchLimits::default() };
        let fetched = fetcher().fetch_dag(&here.store, &tree.cid, &sources, &limits).await.unwrap();
        assert_eq!((fetched.blocks, fetched.fetched_blocks), (blocks, damaged));
        assert_eq!(here.store.check(false).unwrap().corrupt_blocks, 0);
        // without a gateway it says so
        let file = files(&here.store.dir().join("blocks")).into_iter().find(|file| file.extension().is_some()).unwrap();
        let length = std::fs::metadata(&file).unwrap().len();
        std::fs::write(&file, vec![0; length as usize + 1]).unwrap();
        let refused = fetcher().fetch_dag(&here.store, &tree.cid, &[], &limits).await.unwrap_err();
        assert!(matches!(refused, FetchError::NoSources { .. }), "{refused}");
    });
}

fn files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn one_file_of_a_large_dag_is_read_without_the_rest() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let (tree, _) = there.import_tree();
        let sources = [honest(&there.store).await];
        let source = FetchingSource::new(&here.store, fetcher(), &sources);
        let entry = resolve(&source, &tree.cid, "sub/7").await.unwrap();
        let content = read_to_vec(source.clone(), &entry.cid, 100).await.unwrap();
        assert_eq!(content, b"file 7");
        assert_eq!(here.store.usage().blocks, 3);
        assert_eq!(here.store.gc().unwrap().removed_blocks, 0);
        drop(source);
        assert_eq!(here.store.gc().unwrap().removed_blocks, 3);
        let alone = FetchingSource::new(&here.store, fetcher(), &[]);
        assert!(resolve(&alone, &tree.cid, "").await.is_err());
    });
}

#[test]
fn a_fetch_that_is_dropped_goes_on_where_it_was() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let (tree, _) = there.import_tree();
        let stalled = tampering(&there.store, |car| car_response(stalling(car[..3_000_000].to_vec()))).await;
        {
            let sources = [stalled];
            let fetching = fetch(&here, &tree.cid, &sources);
            tokio::select! {
                outcome = fetching => panic!("{outcome:?}"),
                () = async {
                    while here.store.usage().blocks < 5 {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                } => {}
            }
        }
        let fetched = fetch(&here, &tree.cid, &[honest(&there.store).await]).await.unwrap();
        assert!(fetched.fetched_blocks < tree.blocks);
        assert_eq!(fetched.blocks, tree.blocks);
    });
}

#[test]
fn a_busy_gateway_is_asked_again() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let (tree, _) = there.import_tree();
        let requests = Arc::new(AtomicU64::new(0));
        let routes = router(there.store.clone(), patient());
        let busy = serve(move |request: Request| {
            let turn = requests.fetch_add(1, Ordering::Relaxed);
            let routes = routes.clone();
            async move {
                if turn.is_multiple_of(2) {
                    let status = axum::http::StatusCode::SERVICE_UNAVAILABLE;
                    return (status, [(header::RETRY_AFTER, "0")]).into_response();
                }
                routes.oneshot(request).await.unwrap()
            }
        })
        .await;
        let fetched = fetch(&here, &tree.cid, &[busy]).await.unwrap();
        assert_eq!(fetched.fetched_blocks, tree.blocks);
    });
}
