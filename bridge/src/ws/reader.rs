//! Streams over a websocket of their own, so that nothing else waits for a slow reader. They resume where they were.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures::{SinkExt, Stream, stream};
use lota_market::Address;
use serde::{Serialize, de::DeserializeOwned};
use tokio_tungstenite::tungstenite::Message;

use super::{
    client::Inner,
    connection::{Socket, malformed, next, open, request, unavailable},
};
use crate::{
    memory::Booked,
    mock::protocol::{
        EndedBody, EventsParams, Info, MovementBody, MovementsParams, NoParams, Notification, UpdateBody, method,
        notification,
    },
    transport::{Cursor, TransportError, Update, UpdateStream},
};

/// The first pause before it connects again, and the longest.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long the other side may say nothing to a request.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is subscribed to, and where it goes on.
trait Topic: Send + 'static {
    type Item: Send;
    type Body: DeserializeOwned;
    const SUBSCRIBE: &'static str;
    const NOTIFICATION: &'static str;

    /// From right after what was yielded last.
    fn params(&self) -> impl Serialize;
    /// It will be yielded.
    fn take(&mut self, body: Self::Body) -> Self::Item;
}

struct Updates {
    position: Option<Cursor>,
}

impl Topic for Updates {
    type Item = Update;
    type Body = UpdateBody;
    const SUBSCRIBE: &'static str = method::EVENTS;
    const NOTIFICATION: &'static str = notification::UPDATE;

    fn params(&self) -> impl Serialize {
        EventsParams { from: self.position }
    }

    fn take(&mut self, UpdateBody { update }: UpdateBody) -> Update {
        match &update {
            Update::Event { cursor, .. }
            | Update::Auction { cursor, .. }
            | Update::FilecoinPayDeals { cursor, .. }
            | Update::Head { cursor, .. } => {
                self.position = Some(*cursor);
            }
            Update::Rewind { to } => self.position = *to,
        }
        update
    }
}

struct Movements {
    from: (u64, u32),
    account: Option<Address>,
}

impl Topic for Movements {
    type Item = Booked;
    type Body = MovementBody;
    const SUBSCRIBE: &'static str = method::FOLLOW_MOVEMENTS;
    const NOTIFICATION: &'static str = notification::MOVEMENT;

    fn params(&self) -> impl Serialize {
        MovementsParams { from: self.from, account: self.account }
    }

    fn take(&mut self, MovementBody { movement }: MovementBody) -> Booked {
        self.from = (movement.block, movement.index + 1);
        movement
    }
}

struct Reader<T> {
    client: Arc<Inner>,
    topic: T,
    socket: Option<Socket>,
    /// How long to wait before the next attempt.
    pause: Duration,
    is_over: bool,
}

pub(super) fn updates(client: Arc<Inner>, from: Option<Cursor>) -> UpdateStream {
    read(client, Updates { position: from })
}

pub(super) fn movements(
    client: Arc<Inner>,
    from: (u64, u32),
    account: Option<Address>,
) -> Pin<Box<dyn Stream<Item = Result<Booked, TransportError>> + Send>> {
    read(client, Movements { from, account })
}

fn read<T: Topic>(client: Arc<Inner>, topic: T) -> Pin<Box<dyn Stream<Item = Result<T::Item, TransportError>> + Send>> {
    let reader = Reader { client, topic, socket: None, pause: Duration::ZERO, is_over: false };
    let told = stream::unfold(reader, |mut reader| async move {
        if reader.is_over {
            return None;
        }
        let item = reader.next().await;
        if let Err(error) = &item {
            reader.socket = None;
            reader.is_over = !error.is_temporary();
            reader.pause = (reader.pause * 2).clamp(PAUSE, LONGEST_PAUSE);
        }
        Some((item, reader))
    });
    Box::pin(told)
}

/// Asks for something on a fresh socket, and waits for the answer.
async fn ask(socket: &mut Socket, id: u64, text: String) -> Result<String, TransportError> {
    let asked = async {
        socket.send(Message::text(text)).await.map_err(unavailable)?;
        loop {
            if let Some(outcome) = next(socket).await?.answer_to(id) {
                return match outcome {
                    Ok(result) => Ok(result.get().to_owned()),
                    Err(refused) => Err(refused.into_transport_error()),
                };
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.map_err(|_| unavailable("no answer came in time"))?
}

/// A socket on which everything from there on comes in.
async fn subscribe(client: &Inner, method: &str, params: impl Serialize) -> Result<Socket, TransportError> {
    let subscribe = request(2, method, params)?;
    let mut socket = open(&client.url).await?;
    let info = ask(&mut socket, 1, request(1, method::INFO, NoParams {})?).await?;
    client.check(&serde_json::from_str::<Info>(&info).map_err(malformed)?)?;
    ask(&mut socket, 2, subscribe).await?;
    Ok(socket)
}

impl<T: Topic> Reader<T> {
    async fn next(&mut self) -> Result<T::Item, TransportError> {
        if self.socket.is_none() {
            tokio::time::sleep(self.pause).await;
            let params = serde_json::to_value(self.topic.params()).map_err(malformed)?;
            self.socket = Some(subscribe(&self.client, T::SUBSCRIBE, params).await?);
        }
        let Some(socket) = &mut self.socket else { return Err(unavailable("the connection broke")) };
        loop {
            let incoming = next(socket).await?;
            let params = incoming.params.as_deref().map_or("null", serde_json::value::RawValue::get);
            match incoming.method.as_deref() {
                Some(method) if method == T::NOTIFICATION => {
                    let Notification { what, .. } =
                        serde_json::from_str::<Notification<T::Body>>(params).map_err(malformed)?;
                    self.pause = Duration::ZERO;
                    return Ok(self.topic.take(what));
                }
                Some(notification::ENDED) => {
                    let Notification { what: EndedBody { error }, .. } =
                        serde_json::from_str(params).map_err(malformed)?;
                    return Err(error.into_transport_error());
                }
                _ => {}
            }
        }
    }
}
