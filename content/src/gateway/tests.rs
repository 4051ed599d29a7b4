//! The gateway over real sockets, asked by a plain HTTP client.

use futures::StreamExt as _;
use reqwest::Response as Answer;
use reqwest::redirect::Policy;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::car::{CarImportOptions, car_import};
use crate::digest::codec;
use crate::import::{DirBuilder, ImportOptions, Imported, import_bytes, import_path};
use crate::serve::{ServeLimits, serve};
use crate::store::StoreOptions;
use crate::testing::{block_on, noise};
use crate::unixfs::CHUNK_SIZE;

const HOURS: Duration = Duration::from_secs(36_000);

/// With so much patience that a busy machine does not matter.
fn patient() -> GatewayOptions {
    GatewayOptions { idle_timeout: HOURS, queue_timeout: HOURS, ..GatewayOptions::default() }
}

/// Of a server that cuts nobody off.
fn generous() -> ServeLimits {
    ServeLimits {
        header_timeout: HOURS,
        idle_timeout: HOURS,
        rate_window: HOURS,
        crowded_window: HOURS,
        ..ServeLimits::default()
    }
}

struct Site {
    _dir: tempfile::TempDir,
    store: Store,
    base: String,
    client: reqwest::Client,
}

impl Site {
    async fn start(options: GatewayOptions) -> Self {
        Self::start_with(options, generous()).await
    }

    async fn start_with(options: GatewayOptions, limits: ServeLimits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), StoreOptions::default()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let routes = router(store.clone(), options);
        tokio::spawn(serve(listener, routes, limits, CancellationToken::new()));
        let client = lota_http::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Self { _dir: dir, store, base, client }
    }

    /// Asks with headers given as `name: value`.
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[]).await
    }

    fn import(&self, content: &[u8]) -> Imported {
        import_bytes(&self.store, content, &ImportOptions::default()).unwrap()
    }

    /// A small site: index.html, a page without it, a large file and a file without an extension.
    fn import_tree(&self) -> (Imported, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        let large = noise(CHUNK_SIZE * 2 + 100);
        let write = |name: &str, content: &[u8]| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        write("site/index.html", b"<h1>hi</h1>");
        write("plain/large.bin", &large);
        write("plain/stdout", "grüße\n".as_bytes());
        write("plain/<b>&\"'.json", b"{}");
        write("plain/100% #1?.txt", b"odd");
        write("plain/data", &[0, 1, 2]);
        let tree = import_path(&self.store, dir.path(), &ImportOptions::default()).unwrap();
        (tree, large)
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn a_raw_block_is_served_with_the_headers_of_the_specification() {
    block_on(async {
        let site = Site::start(patient()).await;
        let cid = site.import(b"hello").cid;
        let by_query = format!("/ipfs/{cid}?format=raw");
        let accept = ("accept", "text/html, application/vnd.ipld.raw;q=0.9");
        for answer in [site.get(&by_query).await, site.ask("GET", &format!("/ipfs/{cid}"), &[accept]).await] {
            assert_eq!(answer.status(), 200);
            assert_eq!(header(&answer, "content-type"), "application/vnd.ipld.raw");
            assert_eq!(header(&answer, "etag"), format!("\"{cid}.raw\""));
            assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
            assert!(header(&answer, "cache-control").contains("immutable"));
            assert!(header(&answer, "content-disposition").starts_with("attachment"));
            assert_eq!(header(&answer, "x-ipfs-roots"), cid.to_string());
            assert_eq!(answer.bytes().await.unwrap(), "hello");
        }
        let head = site.ask("HEAD", &by_query, &[]).await;
        assert_eq!(head.status(), 200);
        assert_eq!(header(&head, "content-length"), "5");
        let part = site.ask("GET", &by_query, &[("range", "bytes=1-2")]).await;
        assert_eq!(part.status(), 206);
        assert_eq!(part.bytes().await.unwrap(), "el");
        // the probe of the specification
        let empty = site.get("/ipfs/bafkqaaa?format=raw").await;
        assert_eq!((empty.status().as_u16(), empty.bytes().await.unwrap().len()), (200, 0));
    });
}

#[test]
fn what_is_known_is_not_sent_again() {
    block_on(async {
        let site = Site::start(patient()).await;
        let (tree, _) = site.import_tree();
        for path in ["?format=raw", "?format=car", "/plain/", "/plain/large.bin", "/site/"] {
            let path = format!("/ipfs/{}{path}", tree.cid);
            let tag = header(&site.get(&path).await, "etag").to_owned();
            for known in [tag.clone(), format!("\"x\", {tag}"), "*".to_owned()] {
                let answer = site.ask("GET", &path, &[("if-none-match", &known)]).await;
                assert_eq!(answer.status(), 304, "{path} {known}");
            }
            let answer = site.ask("GET", &path, &[("if-none-match", "\"x\"")]).await;
            assert_eq!(answer.status(), 200);
        }
    });
}

#[test]
fn files_are_served_whole_and_in_ranges() {
    block_on(async {
        let site = Site::start(patient()).await;
        let (tree, large) = site.import_tree();
        let path = format!("/ipfs/{}/plain/large.bin", tree.cid);
        let whole = site.get(&path).await;
        assert_eq!(header(&whole, "content-length"), large.len().to_string());
        assert_eq!(header(&whole, "content-type"), "application/octet-stream");
        assert_eq!(header(&whole, "accept-ranges"), "bytes");
        assert!(whole.bytes().await.unwrap() == large);

        let size = large.len();
        let chunk = CHUNK_SIZE;
        for (range, from, to) in [
            ("bytes=0-0".to_owned(), 0, 1),
            (format!("bytes={}-{}", chunk - 2, chunk + 1), chunk - 2, chunk + 2),
            ("bytes=-50".to_owned(), size - 50, size),
            (format!("bytes={}-", size - 1), size - 1, size),
        ] {
            let part = site.ask("GET", &path, &[("range", &range)]).await;
            assert_eq!(part.status(), 206);
            let stated = format!("bytes {from}-{}/{size}", to - 1);
            assert_eq!(header(&part, "content-range"), stated);
            assert!(part.bytes().await.unwrap() == large[from..to], "{range}");
        }
        let beyond = site.ask("GET", &path, &[("range", &format!("bytes={size}-"))]).await;
        assert_eq!(beyond.status(), 416);
        assert_eq!(header(&beyond, "content-range"), format!("bytes */{size}"));
        let head = site.ask("HEAD", &path, &[("range", "bytes=0-9")]).await;
        assert_eq!((head.status().as_u16(), header(&head, "content-length")), (206, "10"));
        let other = [("range", "bytes=0-9"), ("if-range", "\"something else\"")];
        assert_eq!(site.ask("GET", &path, &other).await.status(), 200);
    });
}

#[test]
fn browsers_get_types_pages_and_listings_that_cannot_hurt() {
    block_on(async {
        let site = Site::start(patient()).await;
        let (tree, _) = site.import_tree();
        let root = format!("/ipfs/{}", tree.cid);
        let typed = |path: &'static str| {
            let (site, root) = (&site, &root);
            async move {
                let answer = site.get(&format!("{root}{path}")).await;
                assert_eq!(answer.status(), 200, "{path}");
                assert!(header(&answer, "content-security-policy").starts_with("sandbox"));
                assert!(!header(&answer, "content-security-policy").contains("same-origin"));
                assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
                header(&answer, "content-type").to_owned()
            }
        };
        assert_eq!(typed("/plain/stdout").await, "text/plain; charset=utf-8");
        assert_eq!(typed("/plain/data").await, "application/octet-stream");
        assert_eq!(typed("/plain/100%25%20%231%3F.txt").await, "text/plain; charset=utf-8");
        assert_eq!(typed("/site/").await, "text/html; charset=utf-8");
        assert_eq!(typed("/plain/").await, "text/html; charset=utf-8");

        let moved = site.get(&format!("{root}/plain?download=true")).await;
        assert_eq!(moved.status(), 301);
        assert_eq!(header(&moved, "location"), "./plain/?download=true");
        let index = site.get(&format!("{root}/site/")).await;
        assert_eq!(index.text().await.unwrap(), "<h1>hi</h1>");
        let listing = site.get(&format!("{root}/plain/")).await.text().await.unwrap();
        assert!(listing.contains("&lt;b&gt;&amp;&quot;&#39;.json"));
        assert!(!listing.contains("<b>"));
        assert!(listing.contains("href=\"./100%25%20%231%3F.txt\""));
        let saved = site.get(&format!("{root}/plain/stdout?download=true&filename=a%22b.txt")).await;
        assert_eq!(
            header(&saved, "content-disposition"),
            "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"
        );
    });
}

#[test]
fn large_directories_are_listed_in_pages() {
    block_on(async {
        let site = Site::start(GatewayOptions { listing_page: 2000, ..patient() }).await;
        let empty = site.import(b"").cid;
        let mut directory = DirBuilder::new();
        for index in 0..5000 {
            directory.insert(format!("entry {index}"), &empty, 0).unwrap();
        }
        let root = directory.build(&site.store.guard()).unwrap();
        let mut query = String::new();
        let mut seen = std::collections::BTreeSet::new();
        for page in [2000, 2000, 1000] {
            let html = site.get(&format!("/ipfs/{}/{query}", root.cid)).await.text().await.unwrap();
            let names: Vec<&str> = html.split("\">entry ").skip(1).filter_map(|rest| rest.split('<').next()).collect();
            assert_eq!(names.len(), page);
            seen.extend(names.iter().map(|name| (*name).to_owned()));
            let more = html.split("<a href=\"?after=").nth(1);
            query = more.map_or(String::new(), |rest| format!("?after={}", rest.split('"').next().unwrap()));
        }
        assert_eq!((seen.len(), query.as_str()), (5000, ""));
    });
}

#[test]
fn cars_hold_the_scope_that_was_asked_for() {
    block_on(async {
        let site = Site::start(patient()).await;
        let (tree, large) = site.import_tree();
        let root = format!("/ipfs/{}", tree.cid);
        let blocks = |query: &'static str| {
            let (site, root) = (&site, &root);
            async move {
                let answer = site.get(&format!("{root}{query}")).await;
                assert_eq!(answer.status(), 200, "{query}");
                assert_eq!(header(&answer, "content-type"), "application/vnd.ipld.car; version=1; order=dfs; dups=n");
                let dir = tempfile::tempdir().unwrap();
                let copy = Store::open(dir.path(), StoreOptions::default()).unwrap();
                let car = answer.bytes().await.unwrap();
                let options = CarImportOptions::default();
                let imported = car_import(&copy, &car[..], &options).await.unwrap();
                (imported.blocks, copy, dir)
            }
        };
        let (all, copy, _dir) = blocks("?format=car").await;
        assert_eq!(all, tree.blocks);
        let entry = crate::resolve::resolve(&copy, &tree.cid, "plain/large.bin").await.unwrap();
        let read = crate::read::read_to_vec(&copy, &entry.cid, u64::MAX).await.unwrap();
        assert!(read == large);
        assert_eq!(blocks("?format=car&dag-scope=block").await.0, 1);
        assert_eq!(blocks("?format=car&dag-scope=entity").await.0, 1);
        // two directories on the path, the file's root and three leaves
        assert_eq!(blocks("/plain/large.bin?format=car&dag-scope=entity").await.0, 6);
        assert_eq!(blocks("/plain/large.bin?format=car&entity-bytes=0:9").await.0, 4);
        assert_eq!(blocks("/plain/large.bin?format=car&entity-bytes=-9:*").await.0, 4);

        let accept = "application/vnd.ipld.car; version=1; order=dfs; dups=y";
        let answer = site.ask("GET", &root, &[("accept", accept)]).await;
        assert!(header(&answer, "content-type").contains("dups=n"));
        let accept = "application/vnd.ipld.car; version=2";
        assert_eq!(site.ask("GET", &root, &[("accept", accept)]).await.status(), 406);
    });
}

#[test]
fn refusals_are_one_line_of_text() {
    block_on(async {
        let site = Site::start(patient()).await;
        let (tree, _) = site.import_tree();
        let missing = crate::digest::cid_of_block(codec::RAW, b"missing");
        let deep = "/a".repeat(100);
        for (path, status) in [
            ("/ipfs/hello".to_owned(), 400),
            ("/ipfs/bafy%00".to_owned(), 400),
            (format!("/ipfs/{}/%ff", tree.cid), 400),
            (format!("/ipfs/{}{deep}", tree.cid), 400),
            (format!("/ipfs/{}?format=tar", tree.cid), 400),
            (format!("/ipfs/{}?format=car&dag-scope=some", tree.cid), 400),
            (format!("/ipfs/{}?format=car&entity-bytes=1", tree.cid), 400),
            (format!("/ipfs/{}?format=car&car-version=2", tree.cid), 406),
            (format!("/ipfs/{missing}"), 404),
            (format!("/ipfs/{missing}?format=car"), 404),
            (format!("/ipfs/{}/nothing", tree.cid), 404),
            (format!("/ipfs/{}/plain/stdout/x", tree.cid), 404),
            (format!("/ipfs/{}/../../etc/passwd", tree.cid), 404),
            ("/api".to_owned(), 404),
        ] {
            let answer = site.get(&path).await;
            assert_eq!(answer.status(), status, "{path}");
            let text = answer.text().await.unwrap();
            assert!(text.lines().count() <= 1, "{text}");
        }
        let only = [("cache-control", "only-if-cached")];
        let answer = site.ask("GET", &format!("/ipfs/{missing}"), &only).await;
        assert_eq!(answer.status(), 412);
        let answer = site.ask("POST", &format!("/ipfs/{}", tree.cid), &[]).await;
        assert_eq!(answer.status(), 405);
        // a dag-pb block that is no UnixFS can be had raw, and not be shown
        let odd = site.store.put_new(codec::DAG_PB, b"odd").unwrap();
        assert_eq!(site.get(&format!("/ipfs/{odd}")).await.status(), 422);
        assert_eq!(site.get(&format!("/ipfs/{odd}?format=raw")).await.status(), 200);
    });
}

#[test]
fn a_corrupt_block_is_an_error_without_our_file_names() {
    block_on(async {
        let site = Site::start(patient()).await;
        let cid = site.import(b"precious").cid;
        let shards = std::fs::read_dir(site.store.dir().join("blocks")).unwrap();
        let shard = shards.map(|entry| entry.unwrap().path()).find(|path| path.is_dir()).unwrap();
        let file = std::fs::read_dir(shard).unwrap().next().unwrap().unwrap().path();
        std::fs::write(file, b"preciouS").unwrap();
        let answer = site.get(&format!("/ipfs/{cid}?format=raw")).await;
        assert_eq!(answer.status(), 500);
        let text = answer.text().await.unwrap();
        assert!(!text.contains(site.store.dir().to_str().unwrap()), "{text}");
    });
}

#[test]
fn a_dag_with_a_hole_ends_in_an_error_and_not_in_a_short_answer() {
    block_on(async {
        let site = Site::start(patient()).await;
        let file = site.import(&noise(CHUNK_SIZE * 20));
        let (leaf, _) = site.store.blocks().map(Result::unwrap).find(|(_, size)| *size == CHUNK_SIZE as u64).unwrap();
        let guard = site.store.guard();
        for block in site.store.blocks().map(Result::unwrap) {
            if block.0 != leaf {
                guard.keep(&block.0).unwrap();
            }
        }
        site.store.gc().unwrap();
        for query in ["?format=car", "?download=true"] {
            let answer = site.get(&format!("/ipfs/{}{query}", file.cid)).await;
            assert_eq!(answer.status(), 200);
            assert!(answer.bytes().await.is_err(), "{query}");
        }
    });
}

#[test]
fn places_are_limited_and_come_back_when_a_client_leaves() {
    block_on(async {
        let short = Duration::from_millis(50);
        let site = Site::start(GatewayOptions { max_requests: 2, queue_timeout: short, ..patient() }).await;
        let content = noise(CHUNK_SIZE * 400);
        let file = site.import(&content);
        let path = format!("/ipfs/{}?download=true", file.cid);
        // two clients that read a little and then sleep
        let mut sleepers = Vec::new();
        for _ in 0..2 {
            let mut body = site.get(&path).await.bytes_stream();
            body.next().await.unwrap().unwrap();
            sleepers.push(body);
        }
        let busy = site.get(&path).await;
        assert_eq!(busy.status(), 503);
        assert_eq!(header(&busy, "retry-after"), "1");
        sleepers.pop();
        let whole = loop {
            let answer = site.get(&path).await;
            if answer.status() == 200 {
                break answer.bytes().await.unwrap();
            }
            tokio::task::yield_now().await;
        };
        assert!(whole == content);
    });
}

#[test]
fn a_client_that_sleeps_is_cut_off_and_sees_it() {
    block_on(async {
        let site =
            Site::start(GatewayOptions { max_requests: 1, idle_timeout: Duration::from_millis(100), ..patient() })
                .await;
        let file = site.import(&noise(CHUNK_SIZE * 400));
        let small = site.import(b"small");
        let sleeper = site.get(&format!("/ipfs/{}?format=car", file.cid)).await;
        assert_eq!(sleeper.status(), 200);
        while site.get(&format!("/ipfs/{}", small.cid)).await.status() == 503 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(sleeper.bytes().await.is_err());
    });
}

/// A client that asks and never reads.
async fn sleeper(site: &Site, path: &str, address: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.bind((address, 0).into()).unwrap();
    let gateway = site.base.strip_prefix("http://").unwrap().parse().unwrap();
    let mut stream = socket.connect(gateway).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    stream
}

/// Limits under which who does not read is found out soon.
fn strict() -> ServeLimits {
    ServeLimits { crowded_window: Duration::from_millis(200), ..generous() }
}

#[test]
fn clients_that_do_not_read_make_room_for_those_that_do() {
    block_on(async {
        let site = Site::start_with(GatewayOptions { max_requests: 8, ..patient() }, strict()).await;
        let content = noise(CHUNK_SIZE * 100);
        let file = site.import(&content);
        let path = format!("/ipfs/{}?download=true", file.cid);
        // as many as there are slots, from the same address, and more that wait for them
        let mut sleepers = Vec::new();
        for query in ["?download=true", "?format=car", "?format=raw"] {
            for _ in 0..8 {
                sleepers.push(sleeper(&site, &format!("/ipfs/{}{query}", file.cid), [127, 0, 0, 1]).await);
            }
        }
        for _ in 0..5 {
            let answer = site.get(&path).await;
            assert_eq!(answer.status(), 200);
            assert!(answer.bytes().await.unwrap() == content);
            sleepers.push(sleeper(&site, &path, [127, 0, 0, 1]).await);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn one_address_has_only_a_part_of_the_slots() {
    block_on(async {
        let options = GatewayOptions { max_requests: 4, max_requests_per_address: 3, ..patient() };
        let site = Site::start(options).await;
        let content = noise(CHUNK_SIZE * 100);
        let file = site.import(&content);
        let path = format!("/ipfs/{}?download=true", file.cid);
        let mut sleepers = Vec::new();
        for _ in 0..20 {
            sleepers.push(sleeper(&site, &path, [127, 0, 0, 2]).await);
        }
        // nobody is cut off here, and the others wait
        for _ in 0..5 {
            let answer = site.get(&path).await;
            assert_eq!(answer.status(), 200);
            assert!(answer.bytes().await.unwrap() == content);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn who_has_more_than_a_share_gives_of_it_to_who_has_none() {
    block_on(async {
        // who waits takes a share after a third of the time that it may wait
        let queue_timeout = Duration::from_secs(6);
        let options = GatewayOptions { max_requests: 4, max_requests_per_address: 4, queue_timeout, ..patient() };
        let site = Site::start(options).await;
        let content = noise(CHUNK_SIZE * 100);
        let file = site.import(&content);
        let path = format!("/ipfs/{}?download=true", file.cid);
        let mut sleepers = Vec::new();
        for _ in 0..4 {
            sleepers.push(sleeper(&site, &path, [127, 0, 0, 2]).await);
        }
        let answer = site.get(&path).await;
        assert_eq!(answer.status(), 200);
        assert!(answer.bytes().await.unwrap() == content);
    });
}

#[test]
fn requests_that_give_up_waiting_leave_nothing_behind() {
    block_on(async {
        let options = GatewayOptions { max_requests: 1, queue_timeout: HOURS, ..patient() };
        let slots = Slots::new(&options);
        let only = slots.take(None).await.unwrap();
        for _ in 0..3 {
            let waiting = slots.take(None);
            assert!(tokio::time::timeout(Duration::from_millis(20), waiting).await.is_err());
        }
        let mut waiting = std::pin::pin!(slots.take(None));
        assert!(tokio::time::timeout(Duration::from_millis(20), waiting.as_mut()).await.is_err());
        drop(only);
        assert!(waiting.await.is_some());
        assert!(slots.take(None).await.is_some(), "the slot came back");
    });
}
