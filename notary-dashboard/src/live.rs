//! What changes, as server-sent events: which job, never what of it. A page fetches itself again.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderName, StatusCode, header},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{StreamExt as _, stream};
use lota_notary::{
    desk::Change,
    http::{Client, Place},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, interval_at},
};

use crate::site::{Asker, Reader, Site};

/// How often it is looked whether a session is over.
const LOOK: Duration = Duration::from_secs(10);
/// A stream ends after this; browsers open the next one.
const LONGEST: Duration = Duration::from_secs(15 * 60);

struct Stream {
    changes: Receiver<Change>,
    look: tokio::time::Interval,
    until: Instant,
    session: Option<u64>,
    site: Arc<Site>,
    _place: Place<Asker>,
}

pub(crate) async fn events(State(site): State<Arc<Site>>, client: Client, reader: Reader) -> Response {
    let place = match reader.account() {
        Some(account) => site.listeners.take(Asker::Account(account)),
        None => site.strangers.take(Asker::Client(client)),
    };
    let Some(place) = place else {
        let text = "there are too many streams of changes; close some pages\n";
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "60")], text).into_response();
    };
    let stream = Stream {
        changes: site.desk.changes(),
        look: interval_at(Instant::now() + LOOK, LOOK),
        until: Instant::now() + LONGEST,
        session: reader.session.map(|session| session.number),
        site,
        _place: place,
    };
    let events = stream::unfold(stream, |mut stream| async move {
        let name = stream.next().await?;
        Some((Ok::<_, Infallible>(Event::default().event("change").data(name)), stream))
    });
    // At once, so that a page knows that it is connected: some servers send no head before there is a body.
    let hello = stream::iter([Ok(Event::default().comment("connected"))]);
    let events = hello.chain(events);
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    (unbuffered, Sse::new(events).keep_alive(KeepAlive::new())).into_response()
}

impl Stream {
    fn is_over(&self) -> bool {
        let is_signed_out = self.session.is_some_and(|number| !self.site.sessions.is_open(number, self.site.now()));
        is_signed_out || Instant::now() >= self.until
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            let change = tokio::select! {
                change = self.changes.recv() => change,
                () = self.site.settings.stop.cancelled() => return None,
                _ = self.look.tick() => {
                    if self.is_over() {
                        return None;
                    }
                    continue;
                }
            };
            if self.is_over() {
                return None;
            }
            return match change {
                Ok(Change::Job(job)) => Some(format!("job {job}")),
                Ok(Change::About) => Some("about".into()),
                Err(RecvError::Lagged(_)) => Some("all".into()),
                Err(RecvError::Closed) => None,
            };
        }
    }
}
