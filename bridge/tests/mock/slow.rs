//! Readers who take their time.

use std::time::Duration;

use futures::{SinkExt, StreamExt, future::join_all};
use lota_bridge::{Transport, Update, mock::Limits};
use lota_market::{AttoFil, agent::EffectKey, model::Command};
use tokio::net::TcpSocket;
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::harness::{Running, say};

/// How many readers take nothing.
const READERS: usize = 1_000;
/// Longer than this nothing takes that goes on at all: a watchdog.
const HANGS: Duration = Duration::from_secs(300);

/// The memory of this process, in bytes.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4_096
}

/// A thousand readers subscribe and take nothing, while there is more to read than all buffers hold. They cost little memory; who
/// submits and who reads goes on; and when they read, everything is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_slow_readers_cost_little_and_lose_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let limits = Limits { connections: 2_000, connections_per_address: 2_000, ..Limits::default() };
    let running = Running::start(dir.path(), limits).await;
    let party = running.party("party").await;
    let mut slow = Vec::new();
    for _ in 0..READERS {
        let socket = TcpSocket::new_v4().expect("a socket");
        // Nothing is hidden in the operating system's buffers.
        socket.set_recv_buffer_size(1 << 14).expect("set");
        let stream = socket.connect(running.server.address()).await.expect("connects");
        let (mut socket, _) = client_async(running.server.url(), stream).await.expect("it takes connections");
        socket.send(Message::text(r#"{"jsonrpc":"2.0","id":1,"method":"events.subscribe"}"#)).await.expect("sent");
        slow.push(socket);
    }
    let before = memory();
    // 3,000 events, some 6 MB as they are sent: with a thousand readers 6 GB, if it were kept for each.
    for round in 0..60 {
        let calls = (0..50).map(|_| Command::PublishSpec { spec: vec![7; 1_000].into() }).collect();
        let key = EffectKey::named(&format!("round/{round}"));
        party.submit(&key, &Command::Multicall { calls }, AttoFil::ZERO).await.expect("it lands while they do nothing");
    }
    let end = say(&party, "end", "https://end.example").await.expect("lands").cursor;
    let mut quick = party.updates(None);
    let read = async {
        loop {
            if let Some(Ok(Update::Event { cursor, .. })) = quick.next().await
                && cursor == end
            {
                return;
            }
        }
    };
    tokio::time::timeout(HANGS, read).await.expect("a quick reader is not held up");
    let grown = memory().saturating_sub(before);
    assert!(grown < READERS * 700_000, "{} KiB for each reader", grown / READERS / 1_024);
    // Three of them begin to read.
    let caught_up = join_all(slow.iter_mut().take(3).map(|socket| async {
        let mut events = 0;
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            events += usize::from(text.contains("\"spec_published\""));
            if text.contains("https://end.example") {
                break;
            }
        }
        events
    }));
    let events = tokio::time::timeout(HANGS, caught_up).await.expect("they catch up");
    assert_eq!(events, [60 * 50; 3], "each event once");
}

/// Who subscribes and asks for pages as much as he may, and reads nothing, costs no more than his share; everybody else goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_cost_little() {
    const GREEDY: usize = 20;
    let dir = tempfile::tempdir().expect("a folder");
    let running = Running::start(dir.path(), Limits::default()).await;
    let party = running.party("party").await;
    let me = party.party();
    let deposit = Command::Deposit { account: me };
    party.submit(&EffectKey::named("deposit"), &deposit, AttoFil(10_000)).await.expect("lands");
    // Some 2,500 movements: several pages, of 400 kB each as they are sent.
    for round in 0..40 {
        let calls = vec![Command::Withdraw { to: me, amount: AttoFil(1) }; 62];
        let key = EffectKey::named(&format!("round/{round}"));
        party.submit(&key, &Command::Multicall { calls }, AttoFil::ZERO).await.expect("it lands");
    }
    let before = memory();
    let mut greedy = Vec::new();
    for _ in 0..GREEDY {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(1 << 14).expect("set");
        let stream = socket.connect(running.server.address()).await.expect("connects");
        let (mut socket, _) = client_async(running.server.url(), stream).await.expect("it takes connections");
        for id in 0..40 {
            let method = if id < 8 { "events.subscribe" } else { "accounts.movements" };
            let request = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}"}}"#);
            socket.send(Message::text(request)).await.expect("sent");
        }
        greedy.push(socket);
    }
    // Who asks after them is answered, again and again.
    let (mut places, mut largest) = (0, 0);
    for round in 0..8 {
        let (mut from, mut count) = ((0, 0), 0);
        loop {
            let page = party.client().movements(from, None).await.expect("a page");
            (from, count) = (page.next, count + page.movements.len());
            if !page.more {
                break;
            }
        }
        places += count;
        say(&party, &format!("still/{round}"), "https://still.example").await.expect("lands");
        largest = largest.max(memory().saturating_sub(before));
    }
    assert_eq!(places, 8 * (2 + 40 * 62), "the faucet's, the deposit, and what was withdrawn");
    assert!(largest < GREEDY * (6 << 20), "{} KiB for each", largest / GREEDY / 1_024);
    // And they find everything when they read.
    for socket in &mut greedy {
        let mut answers = 0;
        let read = async {
            while answers < 40 {
                let Some(Ok(Message::Text(text))) = socket.next().await else { panic!("closed") };
                answers += usize::from(text.contains("\"id\":"));
            }
        };
        tokio::time::timeout(HANGS, read).await.expect("all are answered");
    }
}

/// Who takes nothing for too long loses the connection, and nothing else.
#[tokio::test]
async fn a_reader_who_stalls_is_let_go_and_resumes() {
    let dir = tempfile::tempdir().expect("a folder");
    let limits = Limits { stall: Duration::from_millis(300), ..Limits::default() };
    let running = Running::start(dir.path(), limits).await;
    let party = running.party("party").await;
    let mut slow = party.updates(None);
    let first = slow.next().await.expect("goes on").expect("read");
    let mut end = None;
    for round in 0..60 {
        let calls = (0..50).map(|_| Command::PublishSpec { spec: vec![7; 1_000].into() }).collect();
        let key = EffectKey::named(&format!("round/{round}"));
        end = Some(party.submit(&key, &Command::Multicall { calls }, AttoFil::ZERO).await.expect("lands").cursor);
    }
    // Longer than it is waited for.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (mut events, mut breaks) = (usize::from(matches!(first, Update::Event { .. })), 0);
    let read = async {
        loop {
            match slow.next().await.expect("it goes on") {
                Ok(Update::Event { cursor, .. }) => {
                    events += 1;
                    if Some(cursor) == end {
                        return;
                    }
                }
                Ok(_) => {}
                Err(error) => {
                    assert!(error.is_temporary(), "{error}");
                    breaks += 1;
                }
            }
        }
    };
    tokio::time::timeout(HANGS, read).await.expect("it catches up");
    assert_eq!(events, 60 * 50, "each event once");
    assert!(breaks > 0, "the connection was let go, and it was told so");
}
