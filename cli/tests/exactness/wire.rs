//! The wire between a node and its chain's node: it breaks at chosen moments, or all the time.

use std::{
    collections::{BTreeMap, HashMap},
    io::BufReader,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use crate::proxied::{ask, read, write};

/// Whether a call has reached the chain's node when the process that made it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It has not, and never will.
    Before,
    /// It has, and its answer is lost.
    After,
}

/// A call at which the process that makes it is killed.
#[derive(Clone, Copy, Debug)]
pub struct Trap {
    pub method: &'static str,
    pub moment: Moment,
    /// Which call of that method, counting from 1. Of `eth_getLogs` only those count that find something.
    pub nth: u64,
    /// The process.
    pub victim: u32,
}

/// Everything that a wire does wrong, by its name.
pub type Faults = BTreeMap<&'static str, u64>;

/// What happens to one request in weather.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Nothing is answered, and the connection is closed after so many milliseconds; the chain's node has heard it, or not.
    Silence { millis: u64, heard: bool },
    /// It is answered so many milliseconds late.
    Late(u64),
    /// The chain's node hears it twice; the second answer counts.
    Twice,
    /// The answer is that which the same question had before.
    Old,
    /// The answer is to another request, and carries that one's id.
    OfAnother,
    /// Bytes that are no JSON.
    Garbage,
    /// Half of the answer.
    Half,
    /// JSON-RPC of another kind than was asked for.
    OfAnotherType,
    /// An error of JSON-RPC; the chain's node has heard it, or not.
    Error { code: i64, message: &'static str, heard: bool },
    /// An error of HTTP.
    Status(&'static str),
    /// For two seconds the chain ends so many blocks earlier.
    Behind(u64),
}

impl Fault {
    fn draw(random: &mut StdRng) -> Self {
        match random.random_range(0..16_u8) {
            0 => Self::Silence { millis: random.random_range(0..2_500), heard: random.random() },
            1..=3 => Self::Late(random.random_range(1..1_500)),
            4 | 5 => Self::Twice,
            6 => Self::Old,
            7 | 8 => Self::OfAnother,
            9 => Self::Garbage,
            10 => Self::Half,
            11 => Self::OfAnotherType,
            12 => Self::Error { code: -32_603, message: "internal error", heard: random.random() },
            13 => Self::Error { code: -32_000, message: "something went wrong", heard: random.random() },
            14 => Self::Status(
                ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable"][random.random_range(0..3)],
            ),
            _ => Self::Behind(random.random_range(1..4)),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Silence { .. } => "silent",
            Self::Late(_) => "late",
            Self::Twice => "twice",
            Self::Old => "old",
            Self::OfAnother => "another's",
            Self::Garbage => "garbage",
            Self::Half => "half",
            Self::OfAnotherType => "of another type",
            Self::Error { .. } => "error",
            Self::Status(_) => "HTTP error",
            Self::Behind(_) => "behind",
        }
    }
}

#[derive(Default)]
struct State {
    trap: Option<Trap>,
    sprung: bool,
    passed: u64,
    /// Of a thousand requests, how many something goes wrong with; and what draws.
    weather: Option<(u32, StdRng)>,
    faults: Faults,
    behind: Option<(u64, Instant)>,
    /// What was answered to a question last.
    answers: HashMap<String, Vec<u8>>,
    /// The last answer to anybody.
    last: Option<Vec<u8>>,
    /// Every transaction that was to be broadcast, signed.
    transactions: Vec<String>,
}

struct Shared {
    backend: String,
    state: Mutex<State>,
    over: AtomicBool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }
}

/// A proxy in front of the chain's node; connections are for one request each.
pub struct Wire {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Option<thread::JoinHandle<()>>,
}

impl Wire {
    /// In front of the node at this URL.
    pub fn to(backend: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared =
            Arc::new(Shared { backend: backend.to_owned(), state: Mutex::default(), over: AtomicBool::new(false) });
        let inner = Arc::clone(&shared);
        let listening = thread::spawn(move || {
            for stream in listener.incoming() {
                if inner.over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&inner);
                let Ok(stream) = stream else { continue };
                // Whoever hangs up in the middle is no concern of the proxy.
                thread::spawn(move || answer(stream, &shared).ok());
            }
        });
        Self { address, shared, listening: Some(listening) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets a trap.
    pub fn set(&self, trap: Trap) {
        let mut state = self.shared.state();
        (state.trap, state.sprung, state.passed) = (Some(trap), false, 0);
    }

    /// Takes the trap away; whether it had sprung.
    pub fn take(&self) -> bool {
        let mut state = self.shared.state();
        state.trap = None;
        std::mem::take(&mut state.sprung)
    }

    /// Whether the trap has sprung.
    pub fn has_sprung(&self) -> bool {
        self.shared.state().sprung
    }

    /// From now on something goes wrong with so many of a thousand requests; 0: with none.
    pub fn weather(&self, of_a_thousand: u32, seed: u64) {
        let mut state = self.shared.state();
        state.weather = (of_a_thousand > 0).then(|| (of_a_thousand, StdRng::seed_from_u64(seed)));
        state.behind = None;
    }

    /// What went wrong so far.
    pub fn faults(&self) -> Faults {
        self.shared.state().faults.clone()
    }

    /// Every transaction that was to be broadcast so far, signed.
    pub fn transactions(&self) -> Vec<String> {
        self.shared.state().transactions.clone()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        // One more connection, so that the thread looks up and ends.
        drop(TcpStream::connect(self.address));
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

/// Kills a process without warning. That it is gone already is all right.
pub fn kill(process: u32) {
    let id = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    let _ = rustix::process::kill_process(id, rustix::process::Signal::KILL);
}

/// A quantity of JSON-RPC.
fn number(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// Whether the trap is for this call at this moment; then it springs.
fn springs(shared: &Shared, method: &str, moment: Moment, answer: &Value) -> bool {
    let mut state = shared.state();
    let Some(trap) = state.trap else { return false };
    if state.sprung || trap.method != method || trap.moment != moment {
        return false;
    }
    if method == "eth_getLogs" && answer["result"].as_array().is_none_or(Vec::is_empty) {
        return false;
    }
    state.passed += 1;
    if state.passed < trap.nth {
        return false;
    }
    state.sprung = true;
    drop(state);
    kill(trap.victim);
    true
}

fn answer(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let body = read(&mut reader)?;
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let method = request["method"].as_str().unwrap_or_default().to_owned();
    if method == "eth_sendRawTransaction" {
        let transaction = request["params"][0].as_str().unwrap_or_default().to_owned();
        shared.state().transactions.push(transaction);
    }
    if springs(shared, &method, Moment::Before, &Value::Null) {
        return Ok(());
    }
    let fault = {
        let mut state = shared.state();
        let fault = state.weather.as_mut().and_then(|(of_a_thousand, random)| {
            random.random_ratio(*of_a_thousand, 1_000).then(|| Fault::draw(random))
        });
        if let Some(fault) = fault {
            *state.faults.entry(fault.name()).or_default() += 1;
        }
        fault
    };
    if let Some(fault) = fault {
        return go_wrong(stream, shared, fault, &request, &body);
    }
    let text = well(shared, &request, &body)?;
    let told: Value = serde_json::from_slice(&text).unwrap_or_default();
    if springs(shared, &method, Moment::After, &told) {
        return Ok(());
    }
    write(stream, "200 OK", "", &text)
}

/// The answer of the chain's node, from as far as it is at the time.
fn well(shared: &Shared, request: &Value, body: &[u8]) -> std::io::Result<Vec<u8>> {
    let top = shared.state().behind.filter(|(_, until)| Instant::now() < *until).map(|(top, _)| top);
    let question = format!("{}{}", request["method"], request["params"]);
    let text = match top {
        None => ask(&shared.backend, body)?,
        Some(top) => behind(shared, request, top)?,
    };
    let mut state = shared.state();
    if state.weather.is_some() {
        if state.answers.len() > 1_000 {
            state.answers.clear();
        }
        state.answers.insert(question, text.clone());
        state.last = Some(text.clone());
    }
    Ok(text)
}

/// The answer of a node whose newest block is `top`.
fn behind(shared: &Shared, request: &Value, top: u64) -> std::io::Result<Vec<u8>> {
    let answered =
        |result: Value| json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string().into_bytes();
    let mut request = request.clone();
    let newest = json!(format!("{top:#x}"));
    if request["method"] == "eth_blockNumber" {
        return Ok(answered(newest));
    }
    for param in request["params"].as_array_mut().into_iter().flatten() {
        if *param == "latest" {
            *param = newest.clone();
        }
        if number(&param["fromBlock"]).is_some_and(|from| from > top) {
            return Ok(answered(json!([])));
        }
        if number(&param["toBlock"]).is_some_and(|to| to > top) {
            param["toBlock"] = newest.clone();
        }
    }
    if request["method"] == "eth_getBlockByNumber" && number(&request["params"][0]).is_some_and(|block| block > top) {
        return Ok(answered(Value::Null));
    }
    let text = ask(&shared.backend, request.to_string().as_bytes())?;
    let told: Value = serde_json::from_slice(&text).unwrap_or_default();
    let beyond = told["result"].get("blockNumber").and_then(number).is_some_and(|block| block > top);
    Ok(if beyond { answered(Value::Null) } else { text })
}

fn go_wrong(stream: TcpStream, shared: &Shared, fault: Fault, request: &Value, body: &[u8]) -> std::io::Result<()> {
    match fault {
        Fault::Silence { millis, heard } => {
            if heard {
                ask(&shared.backend, body)?;
            }
            thread::sleep(Duration::from_millis(millis));
            Ok(())
        }
        Fault::Late(millis) => {
            // Either it is heard late, or it is heard at once and the answer is old when it comes.
            if millis % 2 == 0 {
                thread::sleep(Duration::from_millis(millis));
                return write(stream, "200 OK", "", &well(shared, request, body)?);
            }
            let text = well(shared, request, body)?;
            thread::sleep(Duration::from_millis(millis));
            write(stream, "200 OK", "", &text)
        }
        Fault::Twice => {
            ask(&shared.backend, body)?;
            write(stream, "200 OK", "", &well(shared, request, body)?)
        }
        Fault::Old => {
            let question = format!("{}{}", request["method"], request["params"]);
            // Not of what is sent: the answer to that is its hash.
            let old = shared.state().answers.get(&question).cloned();
            let old = old.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
            match old {
                Some(mut old) if request["method"] != "eth_sendRawTransaction" => {
                    old["id"] = request["id"].clone();
                    write(stream, "200 OK", "", old.to_string().as_bytes())
                }
                _ => write(stream, "200 OK", "", &well(shared, request, body)?),
            }
        }
        Fault::OfAnother => {
            let text = well(shared, request, body)?;
            let other = shared.state().last.replace(text).unwrap_or_default();
            let told: Value = serde_json::from_slice(&other).unwrap_or_default();
            let told = if told["id"] == request["id"] {
                json!({ "jsonrpc": "2.0", "id": u64::MAX, "result": "0x0" }).to_string().into_bytes()
            } else {
                other
            };
            write(stream, "200 OK", "", &told)
        }
        Fault::Garbage => write(stream, "200 OK", "", b"\x00\xff<html><body>{\"jsonrpc\":"),
        Fault::Half => {
            let mut text = well(shared, request, body)?;
            text.truncate(text.len() / 2);
            write(stream, "200 OK", "", &text)
        }
        Fault::OfAnotherType => {
            let told = json!({ "jsonrpc": "2.0", "id": request["id"], "result": { "why": ["not", 1, null] } });
            write(stream, "200 OK", "", told.to_string().as_bytes())
        }
        Fault::Error { code, message, heard } => {
            if heard {
                ask(&shared.backend, body)?;
            }
            let error = json!({ "code": code, "message": message });
            let told = json!({ "jsonrpc": "2.0", "id": request["id"], "error": error });
            write(stream, "200 OK", "", told.to_string().as_bytes())
        }
        Fault::Status(status) => write(stream, status, "", b"<html><body>try again later</body></html>"),
        Fault::Behind(blocks) => {
            let newest = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": [] });
            let newest: Value = serde_json::from_slice(&ask(&shared.backend, newest.to_string().as_bytes())?)?;
            if let Some(newest) = number(&newest["result"]) {
                let until = Instant::now() + Duration::from_secs(2);
                shared.state().behind = Some((newest.saturating_sub(blocks), until));
            }
            write(stream, "200 OK", "", &well(shared, request, body)?)
        }
    }
}
