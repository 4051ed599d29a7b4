//! One connection: its requests, its subscriptions, and its limits.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::{SinkExt, StreamExt, stream::SplitSink};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use tokio::{
    net::TcpStream,
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    handlers::{self, Market},
    outbox::{Outbox, Ready},
    protocol::{
        ErrorObject, EventsParams, INVALID_REQUEST, Id, MovementsParams, PARSE_ERROR, Request, Subscribed,
        UnsubscribeParams, method,
    },
    server::Limits,
    subscription,
};

/// The longest text that is an `id`, in bytes: it comes back with the answer.
const MAX_ID: usize = 256;

/// What is to be sent.
enum Out {
    Text(Ready),
    Ping,
    Close(CloseCode, String),
}

fn answer(id: Option<&Id>, outcome: Result<Value, ErrorObject>) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Outcome {
        Result(Value),
        Error(ErrorObject),
    }
    let outcome = match outcome {
        Ok(result) => Outcome::Result(result),
        Err(error) => Outcome::Error(error),
    };
    let mut whole = json!({ "jsonrpc": "2.0", "id": id });
    if let (Value::Object(whole), Ok(Value::Object(outcome))) = (&mut whole, serde_json::to_value(outcome)) {
        whole.extend(outcome);
    }
    whole.to_string()
}

/// A message as a request; else what is wrong with it, and what its answer is to.
fn read(text: &str) -> Result<Request<'_>, (Option<Id>, ErrorObject)> {
    let invalid = |id, message: &str| Err((id, ErrorObject::plain(INVALID_REQUEST, message)));
    if text.trim_start().starts_with('[') {
        return invalid(
            None,
            "there are no batches here, and a request is an object; send each as a message of its own",
        );
    }
    let request: Request<'_> = serde_json::from_str(text).map_err(|error| {
        let code = if error.is_data() { INVALID_REQUEST } else { PARSE_ERROR };
        (None, ErrorObject::unreadable(code, "this is no request of JSON-RPC 2.0", &error))
    })?;
    if matches!(&request.id, Some(Id::Text(id)) if id.len() > MAX_ID) {
        return invalid(None, "an `id` has 256 bytes at most");
    }
    if request.jsonrpc != "2.0" || request.id.is_none() {
        return invalid(
            request.id,
            "`jsonrpc` must be \"2.0\", and there must be an `id`: a whole number from 0 on, or a string",
        );
    }
    Ok(request)
}

/// Sends what lies ready, for as long as the other side takes it.
async fn send(
    mut sink: SplitSink<WebSocketStream<TcpStream>, Message>,
    mut texts: mpsc::Receiver<Ready>,
    mut others: mpsc::Receiver<Out>,
    stall: Duration,
) {
    loop {
        let out = tokio::select! {
            biased;
            other = others.recv() => other,
            text = texts.recv() => text.map(Out::Text),
        };
        let (message, _place, is_last) = match out {
            Some(Out::Text(Ready { text, place })) => (Message::text(text), Some(place), false),
            Some(Out::Ping) => (Message::Ping(Default::default()), None, false),
            Some(Out::Close(code, reason)) => {
                (Message::Close(Some(CloseFrame { code, reason: reason.into() })), None, true)
            }
            None => (Message::Close(None), None, true),
        };
        match tokio::time::timeout(stall, sink.send(message)).await {
            Ok(Ok(())) if !is_last => {}
            // Gone, or it has taken nothing for so long: it resumes by its cursor.
            _ => return,
        }
    }
}

/// What a connection is made of, while it lasts.
struct Connection {
    market: Arc<Market>,
    limits: Limits,
    texts: Outbox,
    tasks: JoinSet<()>,
    in_flight: Arc<Semaphore>,
    /// The bytes of its open requests.
    in_flight_bytes: Arc<Semaphore>,
    /// One page of the log is in memory for all its subscriptions.
    pages: Arc<Semaphore>,
    subscriptions: HashMap<u64, tokio::task::AbortHandle>,
    next_subscription: u64,
}

impl Connection {
    /// A new subscription, unless there are too many. Its answer goes out before anything of it.
    async fn subscribe(
        &mut self,
        id: Option<&Id>,
        start: impl FnOnce(&mut JoinSet<()>, u64, Outbox) -> tokio::task::AbortHandle,
    ) {
        self.subscriptions.retain(|_, task| !task.is_finished());
        if self.subscriptions.len() >= self.limits.subscriptions {
            let error = ErrorObject::too_many(format!(
                "this connection has {} subscriptions; that is the most",
                self.limits.subscriptions
            ));
            let _ = self.texts.send(answer(id, Err(error))).await;
            return;
        }
        let subscription = self.next_subscription;
        self.next_subscription += 1;
        let subscribed = serde_json::to_value(Subscribed { subscription }).unwrap_or_default();
        if self.texts.send(answer(id, Ok(subscribed))).await.is_ok() {
            let task = start(&mut self.tasks, subscription, self.texts.clone());
            self.subscriptions.insert(subscription, task);
        }
    }

    /// Takes a message; says what is wrong if the connection cannot go on.
    async fn take(&mut self, text: &str) {
        let request = match read(text) {
            Ok(request) => request,
            Err((id, error)) => return drop(self.texts.send(answer(id.as_ref(), Err(error))).await),
        };
        let Request { id, method, params, .. } = request;
        match method.as_str() {
            method::EVENTS => match handlers::params(params) {
                Ok(EventsParams { from }) => {
                    let (chain, pages) = (self.market.chain.clone(), Arc::clone(&self.pages));
                    self.subscribe(id.as_ref(), |tasks, number, outbox| {
                        tasks.spawn(subscription::events(chain, from, pages, number, outbox))
                    })
                    .await;
                }
                Err(error) => drop(self.texts.send(answer(id.as_ref(), Err(error))).await),
            },
            method::FOLLOW_MOVEMENTS => match handlers::params(params) {
                Ok(MovementsParams { from, account }) => {
                    let market = Arc::clone(&self.market);
                    self.subscribe(id.as_ref(), |tasks, number, outbox| {
                        tasks.spawn(subscription::movements(market, from, account, number, outbox))
                    })
                    .await;
                }
                Err(error) => drop(self.texts.send(answer(id.as_ref(), Err(error))).await),
            },
            method::UNSUBSCRIBE => {
                let outcome = handlers::params(params).map(|UnsubscribeParams { subscription }| {
                    let found = self.subscriptions.remove(&subscription);
                    found.as_ref().inspect(|task| task.abort());
                    Value::Bool(found.is_some())
                });
                let _ = self.texts.send(answer(id.as_ref(), outcome)).await;
            }
            _ => {
                // Whoever has too many requests open is not read from until one is answered.
                let is_page = method == method::HOLDINGS || method == method::MOVEMENTS;
                // A page has some hundred times the bytes that ask for it, and is in memory until it is read: so there is one of them.
                let weight = if is_page { self.limits.in_flight_bytes } else { text.len() };
                let weight = u32::try_from(weight.min(self.limits.in_flight_bytes)).unwrap_or(u32::MAX);
                let Ok(place) = Arc::clone(&self.in_flight).acquire_owned().await else { return };
                let Ok(bytes) = Arc::clone(&self.in_flight_bytes).acquire_many_owned(weight).await else { return };
                // Given back as soon as the answer is known: whoever does not read it holds up nobody else.
                let Some(admitted) = self.market.admit(text.len()).await else { return };
                let (market, texts) = (Arc::clone(&self.market), self.texts.clone());
                let params = params.map(RawValue::to_owned);
                self.tasks.spawn(async move {
                    let outcome = market.answer(&method, params.as_deref()).await;
                    drop((params, admitted));
                    let _ = texts.send(answer(id.as_ref(), outcome)).await;
                    drop((place, bytes));
                });
            }
        }
    }
}

/// Serves a connection until it ends, `cuts` changes, or it breaks a rule.
pub(super) async fn serve(
    socket: WebSocketStream<TcpStream>,
    market: Arc<Market>,
    limits: Limits,
    mut cuts: watch::Receiver<u64>,
) {
    // Cuts from before it was made are not its own.
    cuts.mark_unchanged();
    let (sink, mut stream) = socket.split();
    let (texts, texts_out) = Outbox::new();
    let (others, others_out) = mpsc::channel(2);
    let mut sender = tokio::spawn(send(sink, texts_out, others_out, limits.stall));
    let mut connection = Connection {
        market,
        limits,
        texts,
        tasks: JoinSet::new(),
        in_flight: Arc::new(Semaphore::new(limits.in_flight)),
        in_flight_bytes: Arc::new(Semaphore::new(limits.in_flight_bytes)),
        pages: Arc::new(Semaphore::new(1)),
        subscriptions: HashMap::new(),
        next_subscription: 1,
    };
    let mut quiet = 0;
    let (code, reason) = loop {
        // Finished tasks are not kept.
        while connection.tasks.try_join_next().is_some() {}
        let message = tokio::select! {
            message = tokio::time::timeout(limits.ping_every, stream.next()) => message,
            _ = cuts.changed() => break (CloseCode::Restart, "resume by your cursor".to_owned()),
            _ = &mut sender => {
                connection.tasks.abort_all();
                return;
            }
        };
        match message {
            Err(_) => {
                quiet += 1;
                // Somebody who is being sent things is there as long as he takes them.
                let is_idle = connection.subscriptions.values().all(tokio::task::AbortHandle::is_finished);
                if is_idle && quiet > limits.quiet_pings {
                    break (CloseCode::Policy, "nothing came for too long".to_owned());
                }
                let _ = others.try_send(Out::Ping);
            }
            Ok(Some(Ok(message))) => {
                quiet = 0;
                match message {
                    Message::Text(text) => {
                        // A reader who takes nothing is waited for here, too, until `send` gives him up.
                        tokio::select! {
                            () = connection.take(text.as_str()) => {}
                            _ = &mut sender => {
                                connection.tasks.abort_all();
                                return;
                            }
                        }
                    }
                    Message::Binary(_) => break (CloseCode::Unsupported, "messages are text".to_owned()),
                    Message::Close(_) => break (CloseCode::Normal, String::new()),
                    Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                }
            }
            Ok(Some(Err(tokio_tungstenite::tungstenite::Error::Capacity(error)))) => {
                break (CloseCode::Size, error.to_string());
            }
            Ok(Some(Err(_)) | None) => break (CloseCode::Protocol, "this is no websocket message".to_owned()),
        }
    };
    connection.tasks.abort_all();
    let _ = others.try_send(Out::Close(code, reason));
    // The last word gets a moment, not more.
    let _ = tokio::time::timeout(Duration::from_secs(1), &mut sender).await;
    sender.abort();
}
