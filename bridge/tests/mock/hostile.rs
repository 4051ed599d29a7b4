//! What strangers send: garbage, forgeries, replays, too much of everything.

use std::time::Duration;

use futures::{SinkExt, StreamExt, future::join_all};
use lota_bridge::{
    SubmitError, Transport,
    eip712::SignedCommand,
    encoding,
    mock::{Limits, protocol::MAX_REQUEST},
};
use lota_market::{AttoFil, agent::EffectKey, money::FIL};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use crate::harness::{BEGINNING, Running, announce, say, signer};

/// Longer than this nothing takes that goes on at all: a watchdog.
const HANGS: Duration = Duration::from_secs(120);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn raw(running: &Running) -> Socket {
    connect_async(running.server.url()).await.expect("it takes connections").0
}

/// The next text; none when the connection is closed.
async fn text(socket: &mut Socket) -> Option<Value> {
    loop {
        match tokio::time::timeout(HANGS, socket.next()).await.expect("it goes on") {
            Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(text.as_str()).expect("JSON")),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            _ => return None,
        }
    }
}

async fn ask(socket: &mut Socket, message: &str) -> Value {
    socket.send(Message::text(message)).await.expect("sent");
    text(socket).await.expect("an answer")
}

async fn running(limits: Limits) -> (tempfile::TempDir, Running) {
    let dir = tempfile::tempdir().expect("a folder");
    let running = Running::start(dir.path(), limits).await;
    (dir, running)
}

/// Each is answered with an error that says what is wrong; the connection goes on, and so does everybody else's.
#[tokio::test]
async fn garbage_is_answered_with_what_is_wrong() {
    let (_dir, running) = running(Limits::default()).await;
    let mut socket = raw(&running).await;
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    let deep_params = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"market.deal\",\"params\":{0}1{1}}}",
        "[".repeat(9_999),
        "]".repeat(9_999)
    );
    let long_id = format!("{{\"jsonrpc\":\"2.0\",\"id\":\"{}\",\"method\":\"market.info\"}}", "x".repeat(100_000));
    let long_field = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"market.info\",\"params\":{{\"{}\":1}}}}",
        "x".repeat(100_000)
    );
    let long_method = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{}\"}}", "x".repeat(100_000));
    for (message, code, words) in [
        ("hello", -32_700, "JSON-RPC"),
        (deep.as_str(), -32_700, "JSON-RPC"),
        (deep_params.as_str(), -32_602, "params"),
        (long_id.as_str(), -32_600, "256 bytes"),
        (long_field.as_str(), -32_602, "unknown field"),
        (long_method.as_str(), -32_601, "xxx"),
        ("{}", -32_600, "jsonrpc"),
        ("[]", -32_600, "no batches"),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"market.info"}]"#, -32_600, "no batches"),
        (r#" ["2.0",1,"market.info",{}]"#, -32_600, "no batches"),
        (r#""market.info""#, -32_600, "JSON-RPC"),
        (r#"{"jsonrpc":"2.0","id":-1,"method":"market.info"}"#, -32_600, "`id` is a whole number"),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"market.info"}"#, -32_600, "`id` is a whole number"),
        (r#"{"jsonrpc":"2.0","id":{"a":[]},"method":"market.info"}"#, -32_600, "`id` is a whole number"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"market.info"}"#, -32_600, "`id`"),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"market.info"}"#, -32_600, "duplicate field"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"time.advance","params":{"seconds":-60}}"#, -32_602, "params"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"time.advance","params":{"seconds":1e3}}"#, -32_602, "params"),
        (r#"{"jsonrpc":"2.0","method":"market.info"}"#, -32_600, "`id`"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"market.info"}"#, -32_600, "2.0"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"market.rob"}"#, -32_601, "market.rob"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"market.balance"}"#, -32_602, "account"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"market.balance","params":{"account":"0x12"}}"#, -32_602, "params"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"market.info","params":{"x":1}}"#, -32_602, "unknown field"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"events.subscribe","params":{"from":7}}"#, -32_602, "params"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"unsubscribe","params":{"subscription":-1}}"#, -32_602, "params"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"time.advance","params":{"seconds":18446744073709551615}}"#,
            -32_602,
            "too many",
        ),
    ] {
        let answer = ask(&mut socket, message).await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
        let message = answer["error"]["message"].as_str().expect("words");
        assert!(message.contains(words), "{words}: {answer}");
        assert!(message.len() < 1_000, "what was sent comes back: {} bytes", message.len());
    }
    let answer = ask(&mut socket, r#"{"jsonrpc":"2.0","id":"a","method":"market.info"}"#).await;
    assert_eq!((answer["id"].as_str(), answer["result"]["protocol"].as_u64()), (Some("a"), Some(1)), "{answer}");
}

/// What closes the connection, and nothing else.
#[tokio::test]
async fn what_is_no_text_or_too_large_closes_the_connection() {
    let (_dir, running) = running(Limits::default()).await;
    let honest = running.party("honest").await;
    let mut binary = raw(&running).await;
    binary.send(Message::binary(vec![1, 2, 3])).await.expect("sent");
    assert_eq!(text(&mut binary).await, None);
    let mut large = raw(&running).await;
    // The other side may close while it is being sent.
    let _ = large.send(Message::text("x".repeat(MAX_REQUEST + 1))).await;
    assert_eq!(text(&mut large).await, None);
    for bytes in
        [b"\x00\xff\xfe garbage \r\n\r\n".as_slice(), b"GET / HTTP/1.1\r\n\r\n", b"POST /x HTTP/1.1\r\nHost: x\r\n\r\n"]
    {
        let mut stream = TcpStream::connect(running.server.address()).await.expect("connects");
        stream.write_all(bytes).await.expect("written");
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(HANGS, stream.read_to_end(&mut answer)).await.expect("it is closed");
    }
    say(&honest, "still", "https://here.example").await.expect("everybody else goes on");
}

/// A page of a website, in a browser on the same machine, is kept out.
#[tokio::test]
async fn websites_may_not_connect() {
    let (_dir, running) = running(Limits::default()).await;
    let mut request = running.server.url().into_client_request().expect("a URL");
    request.headers_mut().insert("Origin", HeaderValue::from_static("https://evil.example"));
    let error = connect_async(request).await.expect_err("refused").to_string();
    assert!(error.contains("403"), "{error}");
}

/// What is not signed by its sender, for this market, with this key, value and command, is not taken; what was taken is not taken twice.
#[tokio::test]
async fn forgeries_are_refused_and_replays_land_once() {
    let (_dir, running) = running(Limits::default()).await;
    let party = running.party("party").await;
    let market = party.market();
    let bytes = encoding::encode(&announce("https://one.example"), AttoFil::ZERO).expect("within limits");
    let sign = |key: &str, market: &_| {
        SignedCommand::sign(&signer("party"), market, EffectKey::named(key), AttoFil::ZERO, bytes.clone())
            .expect("signs")
    };
    let good = sign("1", &market);
    let other = encoding::encode(&announce("https://evil.example"), AttoFil::ZERO).expect("within limits");
    for forgery in [
        SignedCommand { signature: Default::default(), ..good.clone() },
        SignedCommand { signature: vec![0; 65].into(), ..good.clone() },
        SignedCommand { sender: signer("victim").address(), ..good.clone() },
        SignedCommand { key: EffectKey::named("2"), ..good.clone() },
        SignedCommand { command: other, ..good.clone() },
        sign("1", &lota_bridge::MarketRef { chain_id: 1, ..market }),
    ] {
        let refused = party.client().send(&forgery).await;
        assert!(matches!(refused, Err(SubmitError::WrongSigner { .. })), "{refused:?}");
    }
    assert_eq!(party.head().await.expect("read").block, 1, "only the faucet's");
    let landed = party.client().send(&good).await.expect("the sender's own lands");
    // Somebody who listened sends it again, from elsewhere, many times at once.
    let replays = join_all((0..20).map(|_| async { running.client().await.send(&good).await })).await;
    assert!(replays.iter().all(|replay| replay.as_ref() == Ok(&landed)), "{replays:?}");
    assert_eq!(party.head().await.expect("read").block, 2);
    let json = json!({ "jsonrpc": "2.0", "id": 1, "method": "market.submit", "params": {
        "sender": good.sender, "key": "", "value": "0", "command": "0xff", "signature": "0x" } });
    let answer = ask(&mut raw(&running).await, &json.to_string()).await;
    assert_eq!(answer["error"]["data"]["kind"], "failed", "{answer}");
}

/// Who is over a limit is closed or waits; who was there before goes on.
#[tokio::test]
async fn connections_and_subscriptions_are_bounded() {
    let limits = Limits { connections_per_address: 4, subscriptions: 2, ..Limits::default() };
    let (_dir, running) = running(limits).await;
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(raw(&running).await);
    }
    assert!(connect_async(running.server.url()).await.is_err(), "the fifth is closed");
    let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"accounts.subscribe"}"#;
    for _ in 0..2 {
        assert!(ask(&mut sockets[0], subscribe).await["result"]["subscription"].is_u64());
    }
    let third = ask(&mut sockets[0], subscribe).await;
    assert_eq!(third["error"]["data"]["kind"], "too_many", "{third}");
    let gone =
        ask(&mut sockets[0], r#"{"jsonrpc":"2.0","id":2,"method":"unsubscribe","params":{"subscription":1}}"#).await;
    assert_eq!(gone["result"], true, "{gone}");
    let again = loop {
        let again = ask(&mut sockets[0], subscribe).await;
        if again["error"].is_null() {
            break again;
        }
    };
    assert!(again["result"]["subscription"].is_u64(), "{again}");
    drop(sockets.pop());
    // Its place is free as soon as the server has noticed.
    let again = tokio::time::timeout(HANGS, async {
        while connect_async(running.server.url()).await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    again.await.expect("a place is free again");
}

/// A position that there is not is told so, with where to go on; the same for movements. Nobody waits for it.
#[tokio::test]
async fn positions_from_elsewhere_are_answered() {
    let (_dir, running) = running(Limits::default()).await;
    let party = running.party("party").await;
    let landed = say(&party, "1", "https://one.example").await.expect("lands");
    let mut socket = raw(&running).await;
    let elsewhere = format!("0x{}", "ee".repeat(32));
    let begin = party.client().info().beginning;
    for from in [
        json!({ "block": u64::MAX, "block_hash": elsewhere, "index": u32::MAX }),
        json!({ "block": landed.cursor.block, "block_hash": elsewhere, "index": 0 }),
        json!({ "block": landed.cursor.block, "block_hash": landed.cursor.block_hash, "index": 2 }),
        json!({ "block": 0, "block_hash": elsewhere, "index": 0 }),
        json!({ "block": u64::MAX, "block_hash": begin, "index": 0 }),
    ] {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": { "from": from } });
        let number = ask(&mut socket, &request.to_string()).await["result"]["subscription"].clone();
        assert!(number.is_u64(), "{from}");
        let (mut rewinds, mut events) = (0, 0);
        loop {
            let message = text(&mut socket).await.expect("it goes on");
            let update = &message["params"]["update"];
            rewinds += usize::from(!update["rewind"].is_null());
            events += usize::from(!update["event"].is_null());
            if !update["head"].is_null() {
                break;
            }
        }
        // To an end of a block that is known, or to the beginning: then everything comes again.
        assert_eq!(rewinds, 1, "{from}");
        assert!(events <= 1, "{from}: {events}");
        let end = json!({ "jsonrpc": "2.0", "id": 2, "method": "unsubscribe", "params": { "subscription": number } });
        assert_eq!(ask(&mut socket, &end.to_string()).await["result"], true);
    }
    for from in [(u64::MAX, u32::MAX), (landed.cursor.block + 1, 0), (1, u32::MAX)] {
        let page = party.client().movements(from, None).await.expect("a page");
        assert!(page.movements.is_empty() && !page.more, "{from:?}: {page:?}");
    }
}

/// More subscriptions than there may be are refused one by one, and more bytes of requests than there may be wait for each other: the
/// connection goes on, and all are answered.
#[tokio::test]
async fn a_flood_on_one_connection_is_answered_to_the_end() {
    let limits = Limits { in_flight: 4, in_flight_bytes: 100, ..Limits::default() };
    let (_dir, running) = running(limits).await;
    let (mut sink, mut stream) = raw(&running).await.split();
    let (floods, subscriptions) = (1_000_usize, Limits::default().subscriptions);
    let send = async {
        for id in 0..floods {
            let method = ["events.subscribe", "accounts.movements", "market.info"][id % 3];
            let request = json!({ "jsonrpc": "2.0", "id": id, "method": method });
            sink.send(Message::text(request.to_string())).await.expect("sent");
        }
    };
    let receive = async {
        let (mut done, mut refused) = (0, 0);
        while done + refused < floods {
            let Some(Ok(Message::Text(text))) = stream.next().await else { panic!("closed") };
            let answer: Value = serde_json::from_str(text.as_str()).expect("JSON");
            if answer["id"].is_u64() {
                let is_refused = answer["error"]["data"]["kind"] == "too_many";
                assert!(is_refused || answer["error"].is_null(), "{answer}");
                refused += usize::from(is_refused);
                done += usize::from(!is_refused);
            }
        }
        refused
    };
    let both = futures::future::join(send, receive);
    let ((), refused) = tokio::time::timeout(HANGS, both).await.expect("it goes on");
    assert_eq!(refused, floods.div_ceil(3) - subscriptions);
}

/// Strangers who let time pass at once let all of it pass, and never back.
#[tokio::test]
async fn virtual_time_adds_up() {
    let (_dir, running) = running(Limits::default()).await;
    let clients = join_all((0..5).map(|_| running.client())).await;
    let steps = join_all(clients.iter().flat_map(|client| (1..=4).map(move |seconds| client.advance(seconds)))).await;
    let mut times: Vec<u64> = steps.into_iter().map(|landed| landed.expect("time is virtual").time.0).collect();
    times.sort_unstable();
    times.dedup();
    assert_eq!((times.len(), times.last()), (20, Some(&(BEGINNING.0 + 5 * 10))), "each its own moment");
    assert_eq!(running.chain.head().time.0, BEGINNING.0 + 50);
}

/// A connection that says nothing is closed, one in the middle of its handshake, too.
#[tokio::test]
async fn silence_is_not_waited_for() {
    let limits = Limits {
        handshake: Duration::from_millis(200),
        ping_every: Duration::from_millis(50),
        quiet_pings: 2,
        ..Limits::default()
    };
    let (_dir, running) = running(limits).await;
    let mut half = TcpStream::connect(running.server.address()).await.expect("connects");
    half.write_all(b"GET / HTTP/1.1\r\nHost: lo").await.expect("written");
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(HANGS, half.read_to_end(&mut rest)).await.expect("it is closed");
    assert!(closed.is_err() || rest.is_empty(), "{rest:?}");
    // Without reading, nobody answers the pings.
    let (mut mute, _) = connect_async(running.server.url()).await.expect("connects");
    let MaybeTlsStream::Plain(stream) = mute.get_mut() else { panic!("no TLS here") };
    let mut buffer = [0; 4_096];
    let ended = async {
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    };
    tokio::time::timeout(HANGS, ended).await.expect("it is closed");
}

/// The faucet is only there when it was asked for, and virtual time, too.
#[tokio::test]
async fn what_was_not_allowed_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let clock = lota_bridge::memory::ManualClock::at(crate::harness::BEGINNING);
    let chain = crate::harness::open(dir.path(), crate::harness::options(&clock));
    let anywhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let server = lota_bridge::mock::Server::start(chain.clone(), anywhere, Default::default()).await.expect("starts");
    let client = lota_bridge::ws::MockClient::connect(&server.url()).await.expect("connects");
    let error = client.give(signer("a").address(), AttoFil(FIL)).await.expect_err("no faucet").to_string();
    assert!(error.contains("--faucet"), "{error}");
    let error = client.advance(1).await.expect_err("real time").to_string();
    assert!(error.contains("--virtual-time"), "{error}");
    assert_eq!(chain.head().block, 0);
}
