//! A proxy in front of a chain's node, with moods.

use std::{
    io::BufReader,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::proxied::{ask, read, write};

/// How the proxy treats those who ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Mood {
    /// As the node itself does.
    Well,
    /// Connections are refused.
    Away,
    /// Connections are taken, and nothing is answered.
    Silent,
    /// A gateway's page.
    Page,
    /// Half of each answer.
    Truncated,
    /// Answers come late.
    Slow(Duration),
    /// HTTP 429, with or without a wish.
    TooMany(Option<u64>),
    /// JSON-RPC's way to say the same.
    Limited,
    /// Whatever is asked, it will not yet, in JSON-RPC's general way.
    Refusing,
    /// An error that says nothing, whenever gas is to be estimated.
    Confused,
    /// Another node answers, at this URL.
    Elsewhere(String),
    /// As a node does that has got no block after this one.
    Stuck(u64),
    /// Receipts say the opposite of what happened.
    Lying,
}

/// The proxy; connections are for one request each.
pub struct Mean {
    address: SocketAddr,
    backend: String,
    mood: Arc<Mutex<Mood>>,
    listening: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Mean {
    /// In front of the node at this URL.
    pub fn in_front_of(url: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let mean = Self {
            address,
            backend: url.to_owned(),
            mood: Arc::new(Mutex::new(Mood::Away)),
            listening: Mutex::new(None),
        };
        mean.be(Mood::Well);
        mean
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes the mood.
    pub fn be(&self, mood: Mood) {
        let before = std::mem::replace(&mut *self.mood.lock().expect("no panic"), mood.clone());
        let mut listening = self.listening.lock().expect("no panic");
        match (before == Mood::Away, mood == Mood::Away) {
            (true, false) => *listening = Some(self.listen()),
            (false, true) => {
                // One more connection, so that the thread looks up and ends.
                drop(TcpStream::connect(self.address));
                listening.take().expect("it listens").join().expect("no panic");
            }
            _ => {}
        }
    }

    fn listen(&self) -> thread::JoinHandle<()> {
        let listener = TcpListener::bind(self.address).expect("the port is still free");
        let (mood, backend) = (Arc::clone(&self.mood), self.backend.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if *mood.lock().expect("no panic") == Mood::Away {
                    return;
                }
                let (mood, backend) = (Arc::clone(&mood), backend.clone());
                let stream = stream.expect("a connection");
                // Whoever hangs up in the middle is no concern of the proxy.
                thread::spawn(move || answer(stream, &mood, &backend).ok());
            }
        })
    }
}

/// A quantity of JSON-RPC.
fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// What a node that got stuck at a block would be asked for the same answer; none: it has no such block.
fn before(request: &mut Value, top: u64) -> Option<()> {
    let params = request["params"].as_array_mut()?;
    for param in params {
        if *param == "latest" {
            *param = format!("{top:#x}").into();
        }
        if number(&param["fromBlock"]).is_some_and(|from| from > top) {
            return None;
        }
        if number(&param["toBlock"]).is_some_and(|to| to > top) {
            param["toBlock"] = format!("{top:#x}").into();
        }
    }
    let is_beyond = request["method"] == "eth_getBlockByNumber" && number(&request["params"][0])? > top;
    (!is_beyond).then_some(())
}

/// The answer of a node in this mood, from that of one that is well.
fn turned(now: &Mood, method: &Value, answer: &[u8]) -> Option<Vec<u8>> {
    let mut answer: Value = serde_json::from_slice(answer).ok()?;
    match now {
        Mood::Stuck(top) => {
            let block = answer["result"].get("blockNumber").and_then(number)?;
            if block <= *top {
                return None;
            }
            answer["result"] = Value::Null;
        }
        Mood::Lying if method == "eth_getTransactionReceipt" && answer["result"].is_object() => {
            let told = if answer["result"]["status"] == "0x1" { "0x0" } else { "0x1" };
            answer["result"]["status"] = told.into();
        }
        _ => return None,
    }
    Some(answer.to_string().into_bytes())
}

fn answer(stream: TcpStream, mood: &Mutex<Mood>, backend: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut body = read(&mut reader)?;
    let mut request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let now = mood.lock().expect("no panic").clone();
    let mut backend = backend;
    match &now {
        Mood::Well | Mood::Truncated | Mood::Lying => {}
        Mood::Stuck(top) => {
            if before(&mut request, *top).is_none() {
                let empty = if request["method"] == "eth_getLogs" { json!([]) } else { Value::Null };
                let text = json!({ "jsonrpc": "2.0", "id": request["id"], "result": empty }).to_string();
                return write(stream, "200 OK", "", text.as_bytes());
            }
            body = request.to_string().into_bytes();
        }
        Mood::Away => return Ok(()),
        Mood::Silent => {
            while *mood.lock().expect("no panic") == Mood::Silent {
                thread::sleep(Duration::from_millis(50));
            }
            return Ok(());
        }
        Mood::Page => return write(stream, "502 Bad Gateway", "", b"<html><body>502</body></html>"),
        Mood::Slow(time) => thread::sleep(*time),
        Mood::TooMany(wish) => {
            let wish = wish.map_or_else(String::new, |seconds| format!("retry-after: {seconds}\r\n"));
            return write(stream, "429 Too Many Requests", &wish, b"slow down");
        }
        Mood::Limited => {
            let id = request["id"].take();
            let error = json!({ "code": -32_005, "message": "daily request count exceeded, request rate limited" });
            let text = json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string();
            return write(stream, "200 OK", "", text.as_bytes());
        }
        Mood::Refusing => {
            let id = request["id"].take();
            let error = json!({ "code": -32_000, "message": "the node is not synced yet" });
            let text = json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string();
            return write(stream, "200 OK", "", text.as_bytes());
        }
        Mood::Elsewhere(url) => backend = url,
        Mood::Confused => {
            if request["method"] == "eth_estimateGas" {
                let error = json!({ "code": -32_603, "message": "internal error" });
                let text = json!({ "jsonrpc": "2.0", "id": request["id"], "error": error }).to_string();
                return write(stream, "200 OK", "", text.as_bytes());
            }
        }
    }
    let mut text = ask(backend, &body)?;
    if let Some(other) = turned(&now, &request["method"], &text) {
        text = other;
    }
    if now == Mood::Truncated {
        text.truncate(text.len() / 2);
    }
    write(stream, "200 OK", "", &text)
}
