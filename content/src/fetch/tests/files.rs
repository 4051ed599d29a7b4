//! Files at URLs.

use axum::http::{HeaderMap, StatusCode};

use super::*;
use crate::digest::sha2_256;
use crate::import::cid_of_bytes;

fn web() -> Fetcher {
    Fetcher::new(FetchOptions { allow_http: true, resumes: 3, ..options() }).unwrap()
}

fn limits(max_bytes: u64) -> FileLimits {
    FileLimits { max_bytes, pin: Some("file".to_owned()) }
}

/// Serves a file, in ranges too, and breaks each connection after so many bytes.
async fn serving(content: Vec<u8>, piece: usize, ranges: bool) -> (Url, Arc<Mutex<Vec<String>>>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let url = serve({
        let asked = Arc::clone(&asked);
        move |request: Request| {
            let (content, asked) = (content.clone(), Arc::clone(&asked));
            async move {
                let range =
                    request.headers().get(header::RANGE).and_then(|range| range.to_str().ok().map(str::to_owned));
                asked.lock().unwrap().push(range.clone().unwrap_or_default());
                let from: usize = range
                    .filter(|_| ranges)
                    .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok())
                    .unwrap_or(0);
                let rest = content[from..].to_vec();
                let mut headers = HeaderMap::new();
                headers.insert(header::ETAG, "\"one\"".parse().unwrap());
                let status = if from > 0 {
                    let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
                    headers.insert(header::CONTENT_RANGE, range.parse().unwrap());
                    StatusCode::PARTIAL_CONTENT
                } else {
                    StatusCode::OK
                };
                let body = if rest.len() > piece { breaking(rest[..piece].to_vec()) } else { Body::from(rest) };
                (status, headers, body).into_response()
            }
        }
    });
    (url.await, asked)
}

#[test]
fn a_file_with_the_right_digest_is_imported() {
    block_on(async {
        let here = Place::new();
        let content = noise(CHUNK_SIZE * 3 + 7);
        let (url, _) = serving(content.clone(), usize::MAX, true).await;
        let size = content.len() as u64;
        let imported = web().fetch_file(&here.store, &url, sha2_256(&content), &limits(size)).await.unwrap();
        assert_eq!(imported.cid, cid_of_bytes(&content, &ImportOptions::default()).unwrap().cid);
        assert_eq!(here.store.pinned("file"), Some(imported.cid));
        assert!(read_to_vec(&here.store, &imported.cid, size).await.unwrap() == content);
        let refused = web().fetch_file(&here.store, &url, [7; 32], &limits(size)).await.unwrap_err();
        assert!(matches!(refused, FileError::Digest { length, .. } if length == size), "{refused}");
        assert!(refused.to_string().contains(&"07".repeat(32)), "{refused}");
        let (empty, _) = serving(Vec::new(), usize::MAX, true).await;
        let imported = web().fetch_file(&here.store, &empty, sha2_256(b""), &limits(0)).await.unwrap();
        assert_eq!(imported.size, 0);
    });
}

#[test]
fn a_file_that_is_cut_goes_on_where_it_was() {
    block_on(async {
        let here = Place::new();
        let content = noise(2_000_000);
        let digest = sha2_256(&content);
        let (url, asked) = serving(content.clone(), 600_000, true).await;
        let imported = web().fetch_file(&here.store, &url, digest, &limits(1 << 30)).await.unwrap();
        assert_eq!(imported.size, 2_000_000);
        let asked = asked.lock().unwrap().clone();
        assert!(
            asked.len() >= 4 && asked[0].is_empty() && asked[1..].iter().all(|range| range.starts_with("bytes=")),
            "{asked:?}"
        );
        // Where it would begin anew, the pieces would not fit together.
        let (url, asked) = serving(content, 600_000, false).await;
        let refused = web().fetch_file(&here.store, &url, digest, &limits(1 << 30)).await.unwrap_err();
        assert!(matches!(refused, FileError::Url { failure: Failure::OtherPart, .. }), "{refused}");
        assert_eq!(asked.lock().unwrap().len(), 2);
    });
}

#[test]
fn a_server_that_cuts_each_connection_after_a_few_bytes_is_left() {
    block_on(async {
        let here = Place::new();
        let content = noise(20_000);
        let (url, asked) = serving(content.clone(), 1_000, true).await;
        let refused = web().fetch_file(&here.store, &url, sha2_256(&content), &limits(1 << 30)).await.unwrap_err();
        assert!(matches!(refused, FileError::Url { failure: Failure::Connection { .. }, .. }), "{refused}");
        let asked = asked.lock().unwrap().len();
        assert!(asked <= 1 + 3, "{asked} connections");
    });
}

#[test]
fn a_file_is_no_larger_than_it_may_be() {
    block_on(async {
        let here = Place::new();
        let (url, _) = serving(noise(2_000_000), usize::MAX, true).await;
        let refused = web().fetch_file(&here.store, &url, [0; 32], &limits(1_999_999)).await.unwrap_err();
        assert!(
            matches!(refused, FileError::TooLarge { declared: Some(2_000_000), limit: 1_999_999, .. }),
            "{refused}"
        );
        assert_eq!(here.store.usage().blocks, 0, "it is refused by what it says");
        let endless = serve(|_| async {
            let piece = Bytes::from(noise(65_536));
            Body::from_stream(stream::repeat(piece).map(Ok::<_, std::io::Error>)).into_response()
        })
        .await;
        let refused = web().fetch_file(&here.store, &endless, [0; 32], &limits(1_000_000)).await.unwrap_err();
        assert!(matches!(refused, FileError::TooLarge { declared: None, .. }), "{refused}");
        assert!(here.store.usage().bytes <= 1_100_000 && here.store.pins().is_empty());
        let gone = serve(|_| async { StatusCode::NOT_FOUND.into_response() }).await;
        let refused = web().fetch_file(&here.store, &gone, [0; 32], &limits(1)).await.unwrap_err();
        assert!(matches!(refused, FileError::Url { failure: Failure::Answer { status: 404 }, .. }), "{refused}");
    });
}

#[test]
fn a_url_leads_nowhere_that_strangers_may_not_send_us() {
    fn first_loopback_only(address: IpAddr) -> bool {
        address == IpAddr::from([127, 0, 0, 1])
    }
    block_on(async {
        let here = Place::new();
        let (good, _) = serving(b"good".to_vec(), usize::MAX, true).await;
        let refusal = |outcome: Result<Imported, FileError>| match outcome {
            Err(FileError::Url { failure: Failure::Url(refusal), .. }) => refusal,
            other => panic!("{other:?}"),
        };
        // Without TLS only where the operator allows it, also after a redirect.
        let https = Fetcher::new(options()).unwrap();
        let outcome = https.fetch_file(&here.store, &good, sha2_256(b"good"), &limits(10)).await;
        assert_eq!(refusal(outcome), UrlRefusal::Insecure);
        let redirecting = |to: String| {
            serve(move |_| {
                let to = Redirect::temporary(&to);
                async move { to.into_response() }
            })
        };
        let to_good = redirecting(good.to_string()).await;
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        let redirected = https.files.send(&to_good, HeaderMap::new(), deadline).await.map(drop);
        assert!(matches!(redirected, Err(Failure::Url(UrlRefusal::Insecure))), "{redirected:?}");
        // To private addresses never, unless the operator allows those.
        let careful =
            Fetcher::with_addresses(FetchOptions { allow_http: true, ..options() }, first_loopback_only).unwrap();
        let port = good.port().unwrap();
        for target in [
            format!("http://127.0.0.2:{port}/"),
            "http://169.254.169.254/latest/meta-data".to_owned(),
            format!("http://[::1]:{port}/"),
        ] {
            let url = redirecting(target.clone()).await;
            let outcome = careful.fetch_file(&here.store, &url, [0; 32], &limits(10)).await;
            assert!(matches!(refusal(outcome), UrlRefusal::Private { .. }), "{target}");
        }
        let public = Fetcher::new(FetchOptions { allow_http: true, ..FetchOptions::default() }).unwrap();
        let mut by_name = good.clone();
        by_name.set_host(Some("localhost")).unwrap();
        for url in [&good, &by_name] {
            let outcome = public.fetch_file(&here.store, url, sha2_256(b"good"), &limits(10)).await;
            assert!(matches!(refusal(outcome), UrlRefusal::Private { .. }), "{url}");
        }
        assert_eq!(here.store.usage().blocks, 0);
        let through = careful.fetch_file(&here.store, &to_good, sha2_256(b"good"), &limits(10)).await;
        assert_eq!(through.unwrap().size, 4);
    });
}
