//! Something on the daemon's port that answers as a test wants.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::Home;

/// What is answered to a request.
pub enum Answer {
    /// 200 and this document.
    Json(Value),
    /// An error with this document.
    Error(u16, Value),
    /// 200 and these bytes.
    Bytes(Vec<u8>),
    /// 200 and these bytes, of which there is no end.
    Begin(Vec<u8>),
    /// Nothing, for ever.
    Silence,
    /// The connection is closed, and nobody listens any more.
    End,
}

/// Makes this the daemon of a home: what it answers follows from the method, the path and the query.
pub fn daemon(home: &Home, answer: impl Fn(&str) -> Answer + Send + Sync + 'static) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (answer, over) = (Arc::new(answer), Arc::new(AtomicBool::new(false)));
    thread::spawn(move || {
        for stream in listener.incoming() {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let (stream, answer, over) = (stream.expect("a caller"), Arc::clone(&answer), Arc::clone(&over));
            thread::spawn(move || serve(stream, answer.as_ref(), &over, port));
        }
    });
    let api = json!({ "url": format!("http://127.0.0.1:{port}"), "token": "x", "pid": 1, "node": "client" });
    home.file("home/api.json", api.to_string());
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&str) -> Answer, over: &AtomicBool, port: u16) {
    let mut request = Vec::new();
    let mut piece = [0; 65_536];
    let head = loop {
        if let Some(end) = request.windows(4).position(|end| end == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut piece) {
            Ok(length) if length > 0 => request.extend_from_slice(&piece[..length]),
            _ => return,
        }
    };
    let text = String::from_utf8_lossy(&request[..head]).into_owned();
    let line = text.lines().next().unwrap_or_default().trim_end_matches(" HTTP/1.1").to_owned();
    let answer = answer(&line);
    if let Answer::Silence = answer {
        loop {
            thread::sleep(Duration::from_secs(3600));
        }
    }
    // All of the request, so that the answer is not lost with what was not read.
    let lower = text.to_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse::<usize>().ok());
    let chunked = lower.contains("transfer-encoding: chunked");
    while length.is_some_and(|length| request.len() < head + length)
        || (chunked && !request[head..].ends_with(b"0\r\n\r\n"))
    {
        match stream.read(&mut piece) {
            Ok(length) if length > 0 => request.extend_from_slice(&piece[..length]),
            _ => return,
        }
    }
    let (status, kind, body) = match &answer {
        Answer::Json(value) => (200, "application/json", value.to_string().into_bytes()),
        Answer::Error(status, value) => (*status, "application/json", value.to_string().into_bytes()),
        Answer::Bytes(bytes) | Answer::Begin(bytes) => (200, "application/octet-stream", bytes.clone()),
        Answer::Silence => return,
        Answer::End => {
            over.store(true, Ordering::Relaxed);
            // The listener notices with the next caller.
            let _ = TcpStream::connect(("127.0.0.1", port));
            return;
        }
    };
    let more = if let Answer::Begin(_) = answer { 1 << 40 } else { 0 };
    let head = format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len() as u64 + more
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
    if more > 0 {
        loop {
            thread::sleep(Duration::from_secs(3600));
        }
    }
}

/// A job as the daemon tells of it.
pub fn job() -> Value {
    serde_json::from_str(include_str!("../fixtures/job.json")).expect("JSON")
}

/// The same while a provider has it.
pub fn running_job() -> Value {
    let mut job = job();
    for (name, value) in [("status", "locked"), ("reason", "none"), ("phase", "running")] {
        job[name] = json!(value);
    }
    let fields = job.as_object_mut().expect("an object");
    for name in ["result", "exit_code", "output"] {
        fields.remove(name);
    }
    fields.insert("output_verified".to_owned(), json!(false));
    job
}

/// A node as the daemon tells of itself; it is the client of [`job`].
pub fn node() -> Value {
    json!({
        "name": "client", "version": "1", "party": job()["client"], "provider": false,
        "market": { "chain_id": 1, "contract": job()["provider"], "min_window": 1 },
        "gateway": "http://127.0.0.1:1", "head": "2026-01-01T00:00:00Z", "store_bytes": 0, "store_capacity": 1,
    })
}
