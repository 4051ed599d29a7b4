//! A proxy in front of a chain's node, with moods.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

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
    /// An error that says nothing, whenever gas is to be estimated.
    Confused,
    /// Another node answers, at this URL.
    Elsewhere(String),
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

fn answer(stream: TcpStream, mood: &Mutex<Mood>, backend: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let body = read(&mut reader)?;
    let now = mood.lock().expect("no panic").clone();
    let mut backend = backend;
    match &now {
        Mood::Well | Mood::Truncated => {}
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
            let id = serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default()["id"].take();
            let error =
                serde_json::json!({ "code": -32_005, "message": "daily request count exceeded, request rate limited" });
            let text = serde_json::json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string();
            return write(stream, "200 OK", "", text.as_bytes());
        }
        Mood::Elsewhere(url) => backend = url,
        Mood::Confused => {
            let request: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            if request["method"] == "eth_estimateGas" {
                let error = serde_json::json!({ "code": -32_603, "message": "internal error" });
                let text = serde_json::json!({ "jsonrpc": "2.0", "id": request["id"], "error": error }).to_string();
                return write(stream, "200 OK", "", text.as_bytes());
            }
        }
    }
    let mut forward = TcpStream::connect(backend.trim_start_matches("http://"))?;
    write!(forward, "POST / HTTP/1.1\r\nhost: anvil\r\ncontent-type: application/json\r\nconnection: close\r\n")?;
    write!(forward, "content-length: {}\r\n\r\n", body.len())?;
    forward.write_all(&body)?;
    let mut text = read(&mut BufReader::new(forward))?;
    if now == Mood::Truncated {
        text.truncate(text.len() / 2);
    }
    write(stream, "200 OK", "", &text)
}

/// The body of a request or an answer.
fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn write(mut stream: TcpStream, status: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n{headers}")?;
    write!(stream, "content-length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)
}
