use std::{io::Write as _, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use ed25519_dalek::{Signer as _, SigningKey};
use lota_fil_plus::{
    answer::Certainty,
    keeper::now,
    source::{
        Source,
        ipni::Ipni,
        list::{ListKey, SignedList},
        lotus::{LotusState, Parties},
    },
};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    chain::piece,
    support::{DAY, QUICK, ask, at, certainty, open},
};

const PAYLOAD: &str = "bafybeieiy62xj7i62t57wzf2eusjj6ff3je5pihd2nbpu27fwtj4h4v2by";

/// A server that answers each request with these bytes, whatever protocol they are of, and resets the connection.
async fn raw(answer: Vec<u8>) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = [0; 16 << 10];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(&answer).await;
                // What was written is read before the connection is reset.
                tokio::time::sleep(Duration::from_millis(20)).await;
                let _ = stream.set_zero_linger();
            });
        }
    });
    address
}

fn http(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

fn rpc(result: &serde_json::Value) -> Vec<u8> {
    http(json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string().as_bytes())
}

fn tipset(cids: &[&str]) -> serde_json::Value {
    let cids: Vec<_> = cids.iter().map(|cid| json!({ "/": cid })).collect();
    json!({ "Cids": cids, "Blocks": [{ "Timestamp": 1 }], "Height": 0 })
}

/// Frames of HTTP/2: settings, then that the stream is reset (or the connection over).
fn frames(kind: u8) -> Vec<u8> {
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let end = [&[0, 0, if kind == 3 { 4 } else { 8 }, kind, 0, 0, 0, 0, u8::from(kind == 3)][..], &[0; 8]].concat();
    [&settings[..], &end].concat()
}

#[tokio::test]
async fn whatever_a_service_answers_is_a_problem_with_its_name_and_nothing_is_lost() {
    let answers: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("reset in a body", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"result\":".to_vec()),
        ("reset in a header", b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
        ("HTTP/2, reset", frames(3)),
        ("HTTP/2, over", frames(7)),
        (
            "a chunk without an end",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n{}".to_vec(),
        ),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}}".to_vec()),
        ("a negative length", b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}".to_vec()),
        ("a huge length", b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n{}".to_vec()),
        ("a million headers", [&b"HTTP/1.1 200 OK\r\n"[..], &b"a: b\r\n".repeat(1 << 20), b"\r\n{}"].concat()),
        ("deep", http(&b"[".repeat(1 << 20))),
        ("two results", http(br#"{"result":{},"result":{}}"#)),
        ("lines", http(b"{\"result\":null}\n{\"result\":null}")),
        ("no UTF-8", http(b"{\"result\":\"\xff\"}")),
        ("blocks that steer", rpc(&tipset(&["\u{1b}[2J"]))),
        ("a block of a megabyte", rpc(&tipset(&["b".repeat(1_000_000).as_str()]))),
        ("a thousand blocks", rpc(&tipset(&["b"; 1_000]))),
        ("no block", rpc(&tipset(&[]))),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    for (case, answer) in answers {
        let address = raw(answer).await;
        let index = Ipni::within(&format!("http://{address}"), QUICK).expect("a URL");
        let node = lota_fil_plus::source::Rpc::new(&format!("http://{address}/rpc/v1"), Some(0), QUICK).expect("a URL");
        let node = LotusState::new(node, Parties::All, Parties::All, DAY);
        let sources: Vec<Arc<dyn Source>> = vec![Arc::new(index), Arc::new(node)];
        let registry = open(folder.path(), sources).await;
        let answer = ask(&registry, PAYLOAD).await;
        assert_eq!(answer.certainty, Certainty::Unknown, "{case}");
        let told = |texts: &[String]| texts.iter().any(|text| text.contains(&address.to_string()));
        assert!(told(&answer.caveats), "{case}: {:?}", answer.caveats);
        let problem = registry.step(&registry.sources()[1], at(1)).await.expect_err(case).to_string();
        assert!(
            told(std::slice::from_ref(&problem)) && problem.len() < 1_000 && !problem.contains('\u{1b}'),
            "{case}: {problem}"
        );
    }
}

fn million(path: &Path, by: &SigningKey) {
    let mut text = b"# A million, 2026-01-01T00:00:00Z\ncid\n".to_vec();
    for number in 0..1_000_000u64 {
        writeln!(text, "{}", piece(number)).expect("written");
    }
    std::fs::write(path.with_extension("csv.sig"), by.sign(&text).to_bytes()).expect("written");
    std::fs::write(path, text).expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_a_million_entries_is_taken_while_others_are_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, signer) = (folder.path().join("list.csv"), SigningKey::from_bytes(&[1; 32]));
    million(&path, &signer);
    let public: String = signer.verifying_key().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let public: ListKey = public.parse().expect("a key");
    let list = SignedList::at(path.to_str().expect("UTF-8"), vec![public], DAY).expect("a list");
    let registry = Arc::new(open(folder.path(), vec![Arc::new(list)]).await);
    let reading = tokio::spawn({
        let registry = Arc::clone(&registry);
        async move { registry.step(&registry.sources()[0], now()).await.map(|_| ()) }
    });
    let mut answers = 0;
    while !reading.is_finished() {
        ask(&registry, PAYLOAD).await;
        answers += 1;
    }
    reading.await.expect("no panic").expect("taken");
    assert!(answers > 3, "it answered {answers} times meanwhile");
    for number in [0, 1, 500_000, 999_999] {
        assert_eq!(certainty(&registry, piece(number)).await, Certainty::Listed);
    }
    assert_eq!(certainty(&registry, piece(1_000_000)).await, Certainty::Unknown);
}
