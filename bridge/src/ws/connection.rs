//! One websocket: requests, and their answers in any order.

use std::{collections::HashMap, time::Duration};

use futures::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{json, value::RawValue};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Error, Message, protocol::WebSocketConfig},
};

use crate::{
    mock::protocol::{ErrorObject, MAX_MESSAGE},
    transport::TransportError,
};

/// How long a connection may take to be made, and an answer to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the other side may say nothing at all; it sends a ping much sooner.
const SILENCE: Duration = Duration::from_secs(90);
/// How many requests may wait to be sent.
const QUEUE: usize = 64;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// An answer, or a notification.
#[derive(Debug, Deserialize)]
pub(super) struct Incoming {
    #[serde(default)]
    id: Option<u64>,
    #[serde(default)]
    pub(super) method: Option<String>,
    #[serde(default)]
    pub(super) params: Option<Box<RawValue>>,
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<ErrorObject>,
}

type Outcome = Result<Box<RawValue>, ErrorObject>;

struct Outgoing {
    id: u64,
    text: String,
    answer: oneshot::Sender<Outcome>,
}

/// A websocket that carries requests. It lasts until it breaks.
#[derive(Debug)]
pub(super) struct Connection {
    outgoing: mpsc::Sender<Outgoing>,
    task: tokio::task::JoinHandle<()>,
}

/// Why a request was not answered with a result.
pub(super) enum RequestError {
    /// The server says why.
    Refused(ErrorObject),
    Transport(TransportError),
}

pub(super) fn unavailable(problem: impl std::fmt::Display) -> TransportError {
    TransportError::Unavailable(problem.to_string())
}

pub(super) fn malformed(error: impl std::fmt::Display) -> TransportError {
    TransportError::Malformed(error.to_string())
}

pub(super) async fn open(url: &str) -> Result<Socket, TransportError> {
    let limits = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    let connecting = connect_async_with_config(url, Some(limits), true);
    match tokio::time::timeout(PATIENCE, connecting).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(Error::Http(response))) => {
            Err(malformed(format!("{url} is no market: it answers {}", response.status())))
        }
        Ok(Err(error @ (Error::Url(_) | Error::HttpFormat(_)))) => Err(malformed(format!("{url}: {error}"))),
        Ok(Err(error)) => Err(unavailable(format!("{url}: {error}"))),
        Err(_) => Err(unavailable(format!("{url} does not answer"))),
    }
}

pub(super) fn request(id: u64, method: &str, params: impl Serialize) -> Result<String, TransportError> {
    serde_json::to_string(&json!({
        "jsonrpc": "2.0",
        "id": id,
        "method": method,
        "params": serde_json::to_value(params).map_err(malformed)?,
    }))
    .map_err(malformed)
}

/// The next message that says something.
pub(super) async fn next(socket: &mut Socket) -> Result<Incoming, TransportError> {
    loop {
        let message = tokio::time::timeout(SILENCE, socket.next()).await;
        match message.map_err(|_| unavailable("the market has said nothing for too long"))? {
            Some(Ok(Message::Text(text))) => return serde_json::from_str(text.as_str()).map_err(malformed),
            Some(Ok(Message::Close(frame))) => {
                let reason = frame.map(|frame| frame.reason.to_string()).filter(|reason| !reason.is_empty());
                return Err(unavailable(reason.unwrap_or_else(|| "the market closed the connection".to_owned())));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => return Err(unavailable(error)),
            None => return Err(unavailable("the connection broke")),
        }
    }
}

impl Incoming {
    /// What the request with this id came to, if this is its answer.
    pub(super) fn answer_to(self, id: u64) -> Option<Outcome> {
        if self.id == Some(id) { self.outcome() } else { None }
    }

    fn outcome(self) -> Option<Outcome> {
        match self {
            Self { error: Some(error), .. } => Some(Err(error)),
            // A result of null is none, to the library.
            Self { result, method: None, .. } => Some(Ok(result.unwrap_or_else(|| RawValue::NULL.to_owned()))),
            Self { .. } => None,
        }
    }
}

async fn run(mut socket: Socket, mut outgoing: mpsc::Receiver<Outgoing>) {
    let mut open: HashMap<u64, oneshot::Sender<Outcome>> = HashMap::new();
    loop {
        tokio::select! {
            out = outgoing.recv() => {
                let Some(Outgoing { id, text, answer }) = out else { break };
                open.retain(|_, answer| !answer.is_closed());
                open.insert(id, answer);
                if socket.send(Message::text(text)).await.is_err() {
                    break;
                }
            }
            incoming = next(&mut socket) => {
                let Ok(incoming) = incoming else { break };
                let waiting = incoming.id.and_then(|id| open.remove(&id));
                if let Some((answer, outcome)) = waiting.zip(incoming.outcome()) {
                    // Whoever went away asks again.
                    let _ = answer.send(outcome);
                }
            }
        }
    }
    // Those that wait see that nobody will answer.
    let _ = socket.close(None).await;
}

impl Connection {
    pub(super) async fn open(url: &str) -> Result<Self, TransportError> {
        let socket = open(url).await?;
        let (outgoing, queue) = mpsc::channel(QUEUE);
        Ok(Self { outgoing, task: tokio::spawn(run(socket, queue)) })
    }

    pub(super) fn is_broken(&self) -> bool {
        self.outgoing.is_closed()
    }

    /// Asks, and waits for the answer.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        id: u64,
        method: &str,
        params: impl Serialize,
    ) -> Result<T, RequestError> {
        let lost = || RequestError::Transport(unavailable("the connection broke before the answer came"));
        let text = request(id, method, params).map_err(RequestError::Transport)?;
        let (answer, outcome) = oneshot::channel();
        self.outgoing.send(Outgoing { id, text, answer }).await.map_err(|_| lost())?;
        match tokio::time::timeout(PATIENCE, outcome).await {
            Ok(Ok(Ok(result))) => serde_json::from_str(result.get())
                .map_err(|error| RequestError::Transport(malformed(format!("the answer to {method}: {error}")))),
            Ok(Ok(Err(refused))) => Err(RequestError::Refused(refused)),
            Ok(Err(_)) => Err(lost()),
            Err(_) => {
                // The next request gets another connection.
                self.task.abort();
                Err(RequestError::Transport(unavailable("no answer came in time")))
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}
