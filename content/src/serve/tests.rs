//! Attacks over real sockets, and requests that are answered meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::Extension;
use axum::routing::get;
use futures::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;

use super::*;
use crate::testing::block_on;

const HOURS: Duration = Duration::from_secs(36_000);
const SHORT: Duration = Duration::from_millis(150);
const LOCAL: [u8; 4] = [127, 0, 0, 1];
/// More than the system keeps of a response for a client that does not read.
const LARGE: usize = 64 << 20;

/// Limits that cut nobody off by themselves.
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
    address: std::net::SocketAddr,
    /// Lets answers of `/held` go.
    gate: Arc<Semaphore>,
    /// How many requests for `/held` have come.
    came: Arc<AtomicUsize>,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<()>,
}

impl Site {
    async fn start(limits: ServeLimits) -> Self {
        let gate = Arc::new(Semaphore::new(0));
        let came = Arc::new(AtomicUsize::new(0));
        let (held, coming) = (Arc::clone(&gate), Arc::clone(&came));
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/who", get(|Extension(who): Extension<Arc<Connection>>| async move { who.address().to_string() }))
            .route("/large", get(|| async { vec![b'x'; LARGE] }))
            .route(
                "/held",
                get(|| async move {
                    coming.fetch_add(1, Ordering::Relaxed);
                    held.acquire().await.unwrap().forget();
                    "let go"
                }),
            )
            .route(
                "/slow",
                get(|| async {
                    tokio::time::sleep(SHORT * 3).await;
                    "at last"
                }),
            );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, router, limits, stop.clone()));
        Self { address, gate, came, stop, server }
    }

    /// Asks for `/held` and waits until the server has read it.
    async fn hold(&self, stream: &mut TcpStream) {
        let before = self.came.load(Ordering::Relaxed);
        request(stream, "/held").await;
        while self.came.load(Ordering::Relaxed) == before {
            tokio::time::sleep(SHORT / 10).await;
        }
    }

    async fn connect(&self, from: [u8; 4]) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.bind((from, 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// Asks on a connection of its own, which it gives back open.
    async fn ask(&self, path: &str) -> (String, TcpStream) {
        let mut stream = self.connect(LOCAL).await;
        request(&mut stream, path).await;
        (answer(&mut stream).await, stream)
    }
}

async fn request(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
}

/// Reads a response; its body.
async fn answer(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let head = loop {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "the connection ends in the head");
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break String::from_utf8(bytes.drain(..end + 4).collect()).unwrap();
        }
    };
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    while bytes.len() < length {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "it ends after {} of {length} bytes", bytes.len());
    }
    String::from_utf8(bytes).unwrap()
}

/// Waits until the server has ended a connection.
async fn ended(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // a reset is an end, too
    let _ = stream.read_to_end(&mut rest).await;
}

#[test]
fn silent_connections_make_room_for_requests() {
    block_on(async {
        let site = Site::start(ServeLimits { max_connections: 20, max_per_address: 20, ..generous() }).await;
        let mut silent = join_all((0..100).map(|_| site.connect(LOCAL))).await;
        for _ in 0..20 {
            silent.push(site.connect(LOCAL).await);
            assert_eq!(site.ask("/").await.0, "hello");
        }
        // a request that is being answered is left alone
        let mut held = site.connect(LOCAL).await;
        site.hold(&mut held).await;
        silent.extend(join_all((0..100).map(|_| site.connect(LOCAL))).await);
        assert_eq!(site.ask("/").await.0, "hello");
        site.gate.add_permits(1);
        assert_eq!(answer(&mut held).await, "let go");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn one_address_has_only_a_part_of_the_connections() {
    block_on(async {
        let site = Site::start(ServeLimits { max_connections: 20, max_per_address: 10, ..generous() }).await;
        let (_, mut kept) = site.ask("/").await;
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(site.connect([127, 0, 0, 2]).await);
        }
        // the others' flood has not touched it
        request(&mut kept, "/who").await;
        assert_eq!(answer(&mut kept).await, kept.local_addr().unwrap().to_string());
        for mut gone in silent.drain(..90) {
            ended(&mut gone).await;
        }
    });
}

#[test]
fn who_makes_no_request_or_never_ends_it_is_cut_off() {
    block_on(async {
        let site = Site::start(ServeLimits { header_timeout: SHORT, ..generous() }).await;
        let (mut silent, mut trickling) = (site.connect(LOCAL).await, site.connect(LOCAL).await);
        let (_, mut second) = site.ask("/").await;
        second.write_all(b"GET /").await.unwrap();
        ended(&mut silent).await;
        ended(&mut second).await;
        trickling.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        while trickling.write_all(b"x: y\r\n").await.is_ok() {
            tokio::time::sleep(SHORT / 10).await;
        }
        assert_eq!(site.ask("/slow").await.0, "at last", "an answer may take longer");
    });
}

#[test]
fn who_makes_no_further_request_is_cut_off() {
    block_on(async {
        let site = Site::start(ServeLimits { idle_timeout: SHORT, ..generous() }).await;
        let (_, mut stream) = site.ask("/slow").await;
        ended(&mut stream).await;
    });
}

#[test]
fn who_does_not_take_its_response_is_cut_off() {
    block_on(async {
        let window = Duration::from_secs(2);
        let site = Site::start(ServeLimits { rate_window: window, min_rate: 1, ..generous() }).await;
        let mut sleeping = site.connect(LOCAL).await;
        request(&mut sleeping, "/large").await;
        let (reading, large) = (site.ask("/large"), async {
            tokio::time::sleep(window * 3).await;
            let mut got = Vec::new();
            let _ = sleeping.read_to_end(&mut got).await;
            got.len()
        });
        let ((body, _), large) = tokio::join!(reading, large);
        assert_eq!(body.len(), LARGE, "who reads gets all");
        assert!(large < LARGE, "who does not is not waited for");
    });
}

#[test]
fn servers_share_descriptors() {
    block_on(async {
        let limits = ServeLimits { descriptors: Some(Descriptors::new(2)), ..generous() };
        let (one, other) = (Site::start(limits.clone()).await, Site::start(limits).await);
        let (_, mut first) = one.ask("/").await;
        let (_, mut second) = one.ask("/").await;
        // the one that has them all gives one
        let (hello, mut third) = other.ask("/").await;
        assert_eq!(hello, "hello");
        ended(&mut first).await;
        // and none that it needs
        one.hold(&mut second).await;
        other.hold(&mut third).await;
        let mut refused = one.connect(LOCAL).await;
        let mut text = String::new();
        refused.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 503"), "{text}");
        assert!(text.contains("\"code\":\"unavailable\""), "{text}");
        one.gate.add_permits(1);
        other.gate.add_permits(1);
        assert_eq!((answer(&mut second).await, answer(&mut third).await), ("let go".to_owned(), "let go".to_owned()));
    });
}

#[test]
fn the_end_waits_for_answers_and_not_for_ever() {
    block_on(async {
        let site = Site::start(ServeLimits { grace: HOURS, ..generous() }).await;
        let (_, mut idle) = site.ask("/").await;
        let mut held = site.connect(LOCAL).await;
        site.hold(&mut held).await;
        site.stop.cancel();
        ended(&mut idle).await;
        site.gate.add_permits(1);
        assert_eq!(answer(&mut held).await, "let go");
        site.server.await.unwrap();

        let site = Site::start(ServeLimits { grace: SHORT, ..generous() }).await;
        let mut sleeping = site.connect(LOCAL).await;
        request(&mut sleeping, "/large").await;
        tokio::time::sleep(SHORT).await;
        site.stop.cancel();
        site.server.await.unwrap();
    });
}
