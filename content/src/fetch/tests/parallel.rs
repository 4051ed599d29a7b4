//! Several gateways at once, cuts, and limits that are known before.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Barrier;

use super::*;
use crate::import::import_bytes;

/// With the machinery that other tests go without.
fn several() -> FetchOptions {
    FetchOptions { gateways_at_once: 4, resumes: 3, ..options() }
}

async fn fetch_several(
    place: &Place,
    cid: &Cid,
    sources: &[Url],
    options: FetchOptions,
) -> Result<Fetched, FetchError> {
    let fetching = Fetcher::new(options).unwrap();
    let fetching = async move { fetching.fetch_dag(&place.store, cid, sources, &FetchLimits::default()).await };
    tokio::time::timeout(Duration::from_secs(120), fetching).await.expect("it comes to an end")
}

/// A file of 80 chunks, all different.
fn large(place: &Place) -> Imported {
    import_bytes(&place.store, &noise(CHUNK_SIZE * 80), &ImportOptions::default()).unwrap()
}

fn path_of(request: &Request) -> String {
    request.uri().path().to_owned()
}

#[test]
fn parts_of_one_file_come_from_several_gateways_at_once() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let file = large(&there);
        let asked: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
        // No gateway answers anything but the root before each has been asked for something.
        let barrier = Arc::new(Barrier::new(3));
        let mut sources = Vec::new();
        for _ in 0..3 {
            let (routes, asked, barrier) =
                (router(there.store.clone(), patient()), Arc::clone(&asked), Arc::clone(&barrier));
            let (root, first) = (format!("/ipfs/{}", file.cid), Arc::new(AtomicUsize::new(0)));
            let url = serve(move |request: Request| {
                let (routes, asked, barrier) = (routes.clone(), Arc::clone(&asked), Arc::clone(&barrier));
                let (path, first) = (path_of(&request), Arc::clone(&first));
                let is_root = path == root;
                async move {
                    *asked.lock().unwrap().entry(path).or_default() += 1;
                    if !is_root && first.fetch_add(1, Ordering::Relaxed) == 0 {
                        barrier.wait().await;
                    }
                    routes.oneshot(request).await.unwrap()
                }
            });
            sources.push(url.await);
        }
        let fetched = fetch_several(&here, &file.cid, &sources, several()).await.unwrap();
        assert_eq!((fetched.fetched_blocks, fetched.blocks), (file.blocks, file.blocks));
        assert!(fetched.failures.is_empty(), "{:?}", fetched.failures);
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len() as u64, file.blocks);
        assert!(asked.values().all(|times| *times == 1), "nothing is asked for twice: {asked:?}");
    });
}

#[test]
fn subtrees_come_in_cars_of_their_own() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let root = there.dir.path().join("many");
        for folder in 0..6 {
            std::fs::create_dir_all(root.join(folder.to_string())).unwrap();
            for file in 0..40 {
                std::fs::write(root.join(format!("{folder}/{file}")), format!("file {folder} {file}")).unwrap();
            }
        }
        std::fs::write(root.join("large"), noise(CHUNK_SIZE * 40)).unwrap();
        let tree = import_path(&there.store, root, &ImportOptions::default()).unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let mut sources = Vec::new();
        for _ in 0..2 {
            let (routes, requests) = (router(there.store.clone(), patient()), Arc::clone(&requests));
            let url = serve(move |request: Request| {
                requests.fetch_add(1, Ordering::Relaxed);
                let routes = routes.clone();
                async move { routes.oneshot(request).await.unwrap() }
            });
            sources.push(url.await);
        }
        let fetched = fetch_several(&here, &tree.cid, &sources, several()).await.unwrap();
        assert_eq!(fetched.fetched_blocks, tree.blocks);
        // The root, six folders, the large file's node and its chunks: not one for each of 240 small files.
        let requests = requests.load(Ordering::Relaxed);
        assert!(requests <= 1 + 6 + 1 + 40, "{requests} requests");
    });
}

#[test]
fn whoever_lies_stalls_or_has_nothing_is_left_for_others() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let file = large(&there);
        let root = format!("/ipfs/{}", file.cid);
        let routes = router(there.store.clone(), patient());
        // All know the root, and then: one lies, one says nothing, one has nothing.
        let asked = Arc::new(AtomicUsize::new(0));
        let bad = |after: fn() -> futures::future::BoxFuture<'static, Response>| {
            let (routes, root, asked) = (routes.clone(), root.clone(), Arc::clone(&asked));
            serve(move |request: Request| {
                let (routes, is_root) = (routes.clone(), path_of(&request) == root);
                if !is_root {
                    asked.fetch_add(1, Ordering::SeqCst);
                }
                async move { if is_root { routes.oneshot(request).await.unwrap() } else { after().await } }
            })
        };
        let liar = bad(|| Box::pin(async { "something else".into_response() })).await;
        let silent = bad(|| Box::pin(std::future::pending())).await;
        let empty = bad(|| Box::pin(async { axum::http::StatusCode::NOT_FOUND.into_response() })).await;
        let sources = [liar.clone(), silent.clone(), empty.clone(), honest(&there.store).await];
        // Time-outs of hours: only another gateway's help ends it.
        let options = FetchOptions { patience: Duration::from_millis(50), ..several() };
        let fetched = fetch_several(&here, &file.cid, &sources, options).await.unwrap();
        assert_eq!(fetched.blocks, file.blocks);
        assert_eq!(here.store.check(false).unwrap().corrupt_blocks, 0);
        let failure = |url: &Url| fetched.failures.iter().find(|left| left.source == *url).map(|left| &left.failure);
        // Whoever came too late to be asked has done nothing wrong.
        assert!(matches!(failure(&liar), None | Some(Failure::Wrong { .. } | Failure::Overtaken { .. })));
        assert!(matches!(failure(&silent), None | Some(Failure::Overtaken { .. })), "{:?}", failure(&silent));
        assert!(matches!(
            failure(&empty),
            None | Some(Failure::Status { status: 404, .. } | Failure::Overtaken { .. })
        ));
        assert!(failure(&sources[3]).is_none());
        // Alone with a good one, which waits until the other was asked, each of them is left for its own reason; unless the good one
        // happens to bring all of what the other was asked for, with what it was asked for itself.
        let hours = several().patience;
        for (url, patience, expected) in [
            (&liar, hours, "hash to"),
            (&silent, Duration::from_millis(50), "when others had"),
            (&empty, hours, "answered 404"),
        ] {
            let mut left = None;
            for _ in 0..20 {
                let here = Place::new();
                asked.store(0, Ordering::SeqCst);
                let (routes, root, asked) = (routes.clone(), root.clone(), Arc::clone(&asked));
                let good = serve(move |request: Request| {
                    let (routes, is_root, asked) = (routes.clone(), path_of(&request) == root, Arc::clone(&asked));
                    async move {
                        while !is_root && asked.load(Ordering::SeqCst) == 0 {
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                        routes.oneshot(request).await.unwrap()
                    }
                });
                let options = FetchOptions { patience, ..several() };
                let fetched = fetch_several(&here, &file.cid, &[url.clone(), good.await], options).await.unwrap();
                assert_eq!(fetched.blocks, file.blocks);
                assert!(fetched.failures.len() <= 1, "{expected}: {:?}", fetched.failures);
                left = fetched.failures.into_iter().next();
                if left.is_some() {
                    break;
                }
            }
            let left = left.expect("whoever brings nothing is left");
            assert!(left.source == *url && left.failure.to_string().contains(expected), "{}", left.failure);
        }
    });
}

#[test]
fn a_root_that_comes_twice_at_once_loses_no_child() {
    block_on(async {
        let there = Place::new();
        let root = there.dir.path().join("root");
        for folder in 0..400 {
            std::fs::create_dir_all(root.join(format!("stored/{folder}"))).unwrap();
            std::fs::write(root.join(format!("stored/{folder}/file")), format!("file {folder}")).unwrap();
        }
        for missing in 0..3 {
            // By its name before what is stored: whoever notes it first has a long way to go.
            std::fs::write(root.join("missing"), format!("missing {missing}")).unwrap();
            let tree = import_path(&there.store, &root, &ImportOptions::default()).unwrap();
            let child = resolve(&there.store, &tree.cid, "missing").await.unwrap().cid;
            let here = Place::new();
            import_path(&here.store, root.join("stored"), &ImportOptions::default()).unwrap();
            assert!(!here.store.has(&child).unwrap());
            let (routes, path) = (router(there.store.clone(), patient()), format!("/ipfs/{}", tree.cid));
            let both = Arc::new(Barrier::new(2));
            let answer = move |request: Request| {
                let (routes, both) = (routes.clone(), Arc::clone(&both));
                let is_root = path_of(&request) == path;
                async move {
                    if is_root {
                        both.wait().await;
                    }
                    routes.oneshot(request).await.unwrap()
                }
            };
            let sources = [serve(answer.clone()).await, serve(answer).await];
            let options = FetchOptions { patience: Duration::from_millis(20), ..several() };
            let fetched = fetch_several(&here, &tree.cid, &sources, options).await.unwrap();
            assert!(here.store.has(&child).unwrap(), "it was called whole without a child");
            assert_eq!(fetched.fetched_blocks, 2);
        }
    });
}

#[test]
fn after_a_cut_the_same_gateway_goes_on() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let (tree, _) = there.import_tree();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let routes = router(there.store.clone(), patient());
        let cutting = serve({
            let asked = Arc::clone(&asked);
            move |request: Request| {
                let (routes, asked) = (routes.clone(), Arc::clone(&asked));
                async move {
                    asked.lock().unwrap().push(path_of(&request));
                    let answer = routes.oneshot(request).await.unwrap();
                    let (parts, body) = answer.into_parts();
                    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                    // Half a megabyte, and the connection is gone.
                    if body.len() > 600_000 {
                        car_response(breaking(body[..600_000].to_vec()))
                    } else {
                        Response::from_parts(parts, Body::from(body))
                    }
                }
            }
        })
        .await;
        let fetched = fetch_several(&here, &tree.cid, &[cutting], several()).await.unwrap();
        assert_eq!((fetched.fetched_blocks, fetched.blocks), (tree.blocks, tree.blocks));
        assert!(fetched.failures.is_empty());
        let asked = asked.lock().unwrap();
        assert!(asked.len() > 3, "{asked:?}");
        let root = format!("/ipfs/{}", tree.cid);
        assert_eq!(asked.iter().filter(|path| **path == root).count(), 1, "what was verified is not asked for again");
    });
}

#[test]
fn what_says_that_it_is_too_large_is_not_fetched() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let file = large(&there);
        let requests = Arc::new(AtomicUsize::new(0));
        let routes = router(there.store.clone(), patient());
        let counting = serve({
            let requests = Arc::clone(&requests);
            move |request: Request| {
                requests.fetch_add(1, Ordering::Relaxed);
                let routes = routes.clone();
                async move { routes.oneshot(request).await.unwrap() }
            }
        })
        .await;
        let limits = FetchLimits { max_bytes: file.size / 2, ..FetchLimits::default() };
        let fetcher = Fetcher::new(several()).unwrap();
        let sources = [counting, "http://127.0.0.1:1".parse().unwrap()];
        let refused = fetcher.fetch_dag(&here.store, &file.cid, &sources, &limits).await.unwrap_err();
        assert!(matches!(refused, FetchError::TooManyBytes { declared: Some(_), .. }), "{refused}");
        assert!(refused.to_string().contains("it says that it has"), "{refused}");
        assert_eq!(
            (requests.load(Ordering::Relaxed), here.store.usage().blocks),
            (1, 0),
            "the root, and nothing is kept"
        );
        // A root that says it has little: it ends when it has brought too much.
        let chunks: Vec<Cid> = (0..8_u8).map(|n| there.store.put_new(codec::RAW, &vec![n; 100_000]).unwrap()).collect();
        let lying = crate::dagpb::encode(chunks.iter().map(|cid| (cid, "", 0)), &[]);
        let lying = there.store.put_new(codec::DAG_PB, &lying).unwrap();
        let limits = FetchLimits { max_bytes: 300_000, ..FetchLimits::default() };
        let refused = fetcher.fetch_dag(&here.store, &lying, &sources, &limits).await.unwrap_err();
        assert!(matches!(refused, FetchError::TooManyBytes { declared: None, .. }), "{refused}");
        assert!(here.store.usage().bytes <= 300_000);
    });
}

#[test]
fn endless_headers_end() {
    block_on(async {
        let (here, there) = (Place::new(), Place::new());
        let (tree, _) = there.import_tree();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        tokio::spawn({
            let sent = Arc::clone(&sent);
            async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    let sent = Arc::clone(&sent);
                    tokio::spawn(async move {
                        let mut request = [0; 4096];
                        let _ = stream.read(&mut request).await;
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
                        let line = [b"X-Y: ".as_slice(), &[b'a'; 1_000], b"\r\n"].concat();
                        while stream.write_all(&line).await.is_ok() {
                            sent.fetch_add(line.len(), Ordering::Relaxed);
                        }
                    });
                }
            }
        });
        let outcome = fetch_several(&here, &tree.cid, &[url], options()).await;
        assert!(matches!(only_failure(outcome), Failure::Connection { .. }));
        let sent = sent.load(Ordering::Relaxed);
        assert!(sent < 64 << 20, "{sent} bytes of headers were taken");
    });
}

#[test]
fn a_host_is_asked_so_many_things_at_once_whoever_asks() {
    block_on(async {
        let there = Place::new();
        let file = large(&there);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let routes = router(there.store.clone(), patient());
        let counting = serve({
            let most = Arc::clone(&most);
            move |request: Request| {
                let (routes, now, most) = (routes.clone(), Arc::clone(&now), Arc::clone(&most));
                async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    let answer = routes.oneshot(request).await.unwrap();
                    now.fetch_sub(1, Ordering::SeqCst);
                    answer
                }
            }
        })
        .await;
        let fetcher = Fetcher::new(FetchOptions { max_requests_per_host: 2, ..several() }).unwrap();
        let sources = [counting, "http://127.0.0.1:1".parse().unwrap()];
        let (one, other) = (Place::new(), Place::new());
        let limits = FetchLimits::default();
        let both = tokio::join!(
            fetcher.fetch_dag(&one.store, &file.cid, &sources, &limits),
            fetcher.fetch_dag(&other.store, &file.cid, &sources, &limits),
        );
        assert_eq!((both.0.unwrap().blocks, both.1.unwrap().blocks), (file.blocks, file.blocks));
        let most = most.load(Ordering::SeqCst);
        assert!((1..=2).contains(&most), "{most} at once");
    });
}
